//! Deletes, and leaves alone what others made.

use bollard::models::{ContainerCreateBody, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use ics_core::deploy::{Deployer as _, NodeState};
use ics_core::failure::FailureKind;
use ics_core::node::Signer;
use ics_core::signer::SignerState;

use crate::world::{CONSUMER, Held, IMAGE, World, run, run_first};
use crate::{signs, state_path, wait_for_file};

#[tokio::test]
async fn what_others_made_is_refused_and_left_alone() {
    let world = World::new().await;
    let (spec, name) = (world.spec(), world.name());
    let request = VolumeCreateRequest {
        name: Some(name.clone()),
        ..VolumeCreateRequest::default()
    };
    world.docker.create_volume(request).await.expect("created");
    let failure = world.deployer.apply(&spec).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(
        failure.message.contains(&format!("volume {name}")),
        "{failure}"
    );
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()));
    assert!(world.volume_exists().await, "a foreign volume was removed");
    world.remove_volume().await;

    let body = ContainerCreateBody {
        image: Some(IMAGE.into()),
        entrypoint: Some(run("/bin/busybox sleep 600")),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    world
        .docker
        .create_container(Some(options), body)
        .await
        .expect("created");
    let id = world.inspect().await.id;
    let failure = world.deployer.apply(&spec).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(
        failure.message.contains(&format!("container {name}")),
        "{failure}"
    );
    let failure = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None)
        .await;
    assert!(failure.expect_err("refused").message.contains(&name));
    assert_eq!(world.deployer.stop(CONSUMER).await, Ok(()));
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()));
    assert_eq!(world.deployer.list().await, Ok(vec![]));
    assert_eq!(world.inspect().await.id, id);
}

#[tokio::test]
async fn delete_archives_the_key_with_its_state_and_leaves_nothing() {
    let world = World::new().await;
    let mut spec = world.spec();
    let key = spec.signer.stored().expect("a key");
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()), "absent");
    let state = "{\"height\":\"41\",\"round\":0,\"step\":3}";
    let write = format!("echo -n '{state}' > /data/node/{}", state_path(&spec));
    spec.program.command = run_first(&write);
    world.deployer.apply(&spec).await.expect("applied");
    wait_for_file(&world, &state_path(&spec), |it| it == Some(state)).await;
    world.deployer.delete(CONSUMER).await.expect("deleted");
    assert_eq!(
        world.keys.held(&key),
        Some(Held::Archived(Some(state.into())))
    );
    assert_eq!(world.deployer.list().await, Ok(vec![]));
    assert!(!world.volume_exists().await);
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()), "deleted");
}

#[tokio::test]
async fn delete_archives_from_a_volume_whose_container_is_gone() {
    let world = World::new().await;
    let mut spec = world.spec();
    let old = spec.signer.stored().expect("a key");
    world.deployer.apply(&spec).await.expect("applied");
    let new = world.keys.add(CONSUMER, 2);
    spec.signer = Signer::Key(new);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, signs(&spec));
    world.remove_container().await;
    let left = world.deployer.list().await.expect("a list");
    assert_eq!(
        (left.len(), left[0].spec, &left[0].state),
        (1, None, &NodeState::Stopped)
    );
    world.deployer.delete(CONSUMER).await.expect("deleted");
    let zero = Some(Held::Archived(Some(SignerState::zero().text().into())));
    assert_eq!(
        (world.keys.held(&old), world.keys.held(&new)),
        (zero.clone(), zero)
    );
    assert!(!world.volume_exists().await);
    assert_eq!(world.deployer.list().await, Ok(vec![]));
}

#[tokio::test]
async fn delete_keeps_a_volume_that_it_cannot_look_into() {
    let world = World::new().await;
    let mut spec = world.spec();
    let key = spec.signer.stored().expect("a key");
    let name = world.name();
    let tag = TagImageOptionsBuilder::new().repo(&name).tag("1").build();
    world
        .docker
        .tag_image(IMAGE, Some(tag.clone()))
        .await
        .expect("tagged");
    spec.program.image = format!("{name}:1");
    world.deployer.apply(&spec).await.expect("applied");
    world.remove_container().await;
    let image = spec.program.image.clone();
    let untag = || {
        world
            .docker
            .remove_image(&image, None::<RemoveImageOptions>, None)
    };
    untag().await.expect("untagged");
    let failure = world.deployer.delete(CONSUMER).await.expect_err("no image");
    assert!(failure.message.contains("nothing was deleted"), "{failure}");
    assert!(world.volume_exists().await);
    assert!(matches!(world.keys.held(&key), Some(Held::BoundTo(_))));
    world
        .docker
        .tag_image(IMAGE, Some(tag))
        .await
        .expect("tagged");
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()));
    assert!(!world.volume_exists().await);
    untag().await.expect("untagged");
}
