//! Recorded block results, served by a scripted node, become the core's events.

use ics_core::event::Event;
use ics_core::id::ConsumerId;
use ics_core::time::Height;
use ics_fixtures::{recorded_json, recorded_names};

use crate::node::Node;

/// What a recorded block says to the core.
async fn events(name: &str) -> Vec<Event> {
    let result = recorded_json(name)["result"].clone();
    let node = Node::start(move |method, _| match method {
        "block_results" => Ok(result.clone()),
        _ => Err(format!("no script for {method}")),
    })
    .await;
    let raw = node.rpc().block_events(Height(1)).await;
    let raw = raw.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    let read = |event: &ics_monitor::rpc::RawEvent| {
        let attributes = event.attributes.iter();
        Event::read(
            &event.kind,
            attributes.map(|(k, v)| (k.as_str(), v.as_str())),
        )
    };
    raw.iter().filter_map(read).collect()
}

/// What the step in a file's name does to the provider.
fn expected(step: &str) -> Vec<Event> {
    let touched = |id| vec![Event::Touched(ConsumerId::new(id))];
    let created = |id| vec![Event::Created(ConsumerId::new(id))];
    match step {
        "assign_key_postlaunch.h49"
        | "assign_key_prelaunch.h17"
        | "launch.h44"
        | "optin_after_launch.h47"
        | "optin_no_key.h22"
        | "optin_with_key.h21"
        | "update_metadata_only.h18"
        | "update_spawn_initialized.h20" => touched(0),
        "edge_init_far_future.h366"
        | "edge_optin_again_no_key.h349"
        | "edge_optin_first.h348"
        | "edge_reset_spawn_to_zero.h367"
        | "launch_past_spawn.h65"
        | "optin_while_registered.h63"
        | "remove.h67"
        | "update_spawn_past.h64" => touched(2),
        "gov_exec_update_consumer.h78" | "launch_topn.h94" | "update_owner_to_gov.h70" => {
            touched(3)
        }
        "create_registered.h15" => created(0),
        "create_initialized.h53" | "edge_create_plain.h234" => created(1),
        "create_for_removal.h62" | "edge_create_plain.h345" => created(2),
        "create_for_topn.h69" | "edge_create_spawn_null.h361" => created(3),
        "edge_create_spawn_zero.h362" => created(4),
        "edge_create_spawn_epoch0.h363" => created(5),
        // Silent transitions, failed transactions, and what does not concern us.
        "delete.h103" | "failed_launch.h59" | "launch_minus_1.h43" | "gov_submit_topn.h71" => {
            Vec::new()
        }
        "edge_commission.h358" | "update_deleted_fails.h106" | "update_not_owner_fails.h19" => {
            Vec::new()
        }
        _ if step.starts_with("edge_") => Vec::new(),
        _ => panic!("what does {step} do?"),
    }
}

#[tokio::test]
async fn every_recorded_block_says_what_happened_in_it() {
    let mut seen = 0;
    for name in recorded_names("rpc") {
        let Some(step) = name
            .strip_prefix("rpc/block_results.")
            .and_then(|n| n.strip_suffix(".json"))
        else {
            continue;
        };
        assert_eq!(events(&name).await, expected(step), "{step}");
        seen += 1;
    }
    assert_eq!(seen, 48);
}

#[tokio::test]
async fn an_acknowledged_packet_is_no_sign_of_a_stop() {
    let channel = events("relay/provider.block_results.channel_confirm.h1031.json").await;
    assert_eq!(channel, [Event::Touched(ConsumerId::new(0))]);
    let acknowledged = events("relay/provider.block_results.ack_vsc.h1064.json").await;
    assert_eq!(acknowledged, []);
}
