//! What every deployer promises, told once and asked of each: Docker on a real engine
//! (`$DOCKER_HOST` as `unix://..`, else the default socket), processes of this machine, and the
//! double of these.

mod apply;
mod backend;
mod check;
mod cuts;
mod docker;
mod docker_only;
mod home;
mod local;
mod local_only;
mod remote;
mod removal;
mod signer;
mod status;
mod stores;
mod switch;
mod world;

/// Asks every case of every backend, each on a platform of its own.
macro_rules! suite {
    ($($story:ident: $($case:ident),+;)+) => {
        suite! { of with_their_double, crate::local::InProcessNodes, $($story: $($case),+;)+ }
        suite! { of with_processes, crate::local::ChildNodes, $($story: $($case),+;)+ }
        suite! { of with_docker, crate::docker::DockerNodes, $($story: $($case),+;)+ }
    };
    (of $name:ident, $backend:path, $($story:ident: $($case:ident),+;)+) => {
        mod $name {
            $(mod $story {
                $(#[tokio::test]
                async fn $case() {
                    let world = crate::world::World::<$backend>::new().await;
                    crate::$story::$case(world).await;
                })+
            })+
        }
    };
}

suite! {
    apply:
        a_changed_spec_replaces_the_node_and_never_two_run,
        a_stopped_node_starts_again_with_its_key,
        an_apply_over_a_node_that_is_stopping_ends_with_one_that_runs,
        apply_runs_a_node_and_repeating_it_changes_nothing,
        repeating_it_after_a_restart_of_the_monitor_changes_nothing;
    check:
        a_missing_image_does_not_stop_the_old_node,
        check_names_all_that_is_missing_at_once,
        its_own_node_holds_its_ports_and_no_other_consumer_may_have_them;
    cuts:
        a_delete_cut_off_anywhere_ends_with_nothing_left_and_the_state_archived,
        a_stop_cut_off_anywhere_ends_with_a_stopped_node,
        a_switch_cut_off_anywhere_ends_with_one_signing_node_and_the_old_state_kept,
        an_apply_cut_off_anywhere_ends_with_one_signing_node;
    home:
        a_large_genesis_is_streamed_and_a_wrong_one_refused,
        another_genesis_is_refused_even_without_the_node,
        new_peers_reach_the_file_without_a_restart,
        the_home_has_its_files_with_modes_and_owner;
    remote:
        it_takes_over_from_a_key_of_the_store_and_gives_way_to_one,
        its_port_is_checked_like_the_others,
        no_key_is_placed_for_it;
    removal:
        delete_archives_from_data_whose_node_is_gone,
        delete_archives_the_key_with_its_state_and_leaves_nothing,
        what_others_made_is_refused_and_left_alone;
    signer:
        a_full_node_has_no_signer_folder,
        a_key_bound_elsewhere_signs_once_it_is_bound_here,
        a_key_signs_under_one_chain_id_for_one_consumer_also_once_that_is_deleted,
        a_lost_or_empty_signer_state_withholds_the_key,
        a_signer_state_that_is_there_is_never_overwritten,
        a_storage_made_anew_comes_back_without_the_key,
        a_withheld_key_that_a_person_put_at_the_default_path_is_refused,
        an_apply_interrupted_before_the_binding_is_done_again;
    status:
        a_node_that_ended_by_itself_is_seen_and_runs_again_after_an_apply,
        every_state_is_listed_as_it_is,
        two_instances_do_not_see_each_other;
    switch:
        a_copy_of_a_key_that_signs_elsewhere_is_not_archived,
        a_key_that_comes_back_goes_on_where_it_ended,
        a_replaced_key_without_its_state_is_archived_as_lost,
        a_state_in_the_storage_gives_way_to_a_later_one_alone,
        nothing_signs_while_the_old_key_cannot_be_archived_or_the_new_one_bound,
        the_old_key_is_archived_with_its_state_and_the_new_one_starts_from_nothing;
}
