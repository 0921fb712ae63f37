//! A node whose key a remote signer holds: a port for it, and no key in its home.

use std::net::TcpListener;

use ics_core::deploy::{NodeSigner, NodeState};
use ics_core::home::DEFAULT_KEY_FILE;
use ics_core::key::PublicKey;
use ics_core::node::{NodeSpec, Signer};
use ics_core::signer::SignerState;

use crate::backend::Backend;
use crate::stores::Held;
use crate::world::{CONSUMER, World, assert_signs, free_ports, key_of, state_path};

pub(crate) const HELD_ELSEWHERE: PublicKey = PublicKey::new([3; 32]);

/// The same node with a remote signer.
pub(crate) fn remote(spec: &NodeSpec) -> NodeSpec {
    NodeSpec {
        signer: Signer::Remote {
            public_key: HELD_ELSEWHERE,
            port: free_ports().rpc,
        },
        ..spec.clone()
    }
}

pub(crate) async fn no_key_is_placed_for_it<B: Backend>(world: World<B>) {
    let spec = remote(&world.spec());
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(
        (&status.state, &status.signer),
        (&NodeState::Running, &NodeSigner::Remote(HELD_ELSEWHERE))
    );
    let port = spec.signer.port().expect("a port");
    let config = world.text("config/config.toml").await.expect("a file");
    let listens = format!("priv_validator_laddr = \"tcp://0.0.0.0:{port}\"");
    assert!(config.contains(&listens), "{config}");
    for path in ["signers", DEFAULT_KEY_FILE] {
        assert_eq!(world.backend.file(path).await, None, "{path}");
    }
    let again = world.deployer.apply(&spec).await;
    assert_eq!(again, Ok(status.clone()), "not settled");
    assert_eq!(world.deployer.list().await, Ok(vec![status]));
    // Nothing of it is ours to archive.
    world.deployer.delete(CONSUMER).await.expect("deleted");
}

pub(crate) async fn its_port_is_checked_like_the_others<B: Backend>(world: World<B>) {
    let spec = remote(&world.spec());
    let port = spec.signer.port();
    let check = async || {
        let check = world
            .deployer
            .check(CONSUMER, &spec.program, &spec.ports, port);
        check.await
    };
    assert_eq!(check().await, Ok(()));
    let holder = TcpListener::bind(("127.0.0.1", port.expect("a port"))).expect("free");
    let failure = check().await.expect_err("in use");
    assert!(failure.message.contains("is in use"), "{failure}");
    drop(holder);
    world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(check().await, Ok(()), "its own node holds it");
}

pub(crate) async fn it_takes_over_from_a_key_of_the_store_and_gives_way_to_one<B: Backend>(
    world: World<B>,
) {
    let local = world.spec();
    world.deployer.apply(&local).await.expect("applied");
    let last = world.text(&state_path(&local)).await.expect("a state");
    let spec = remote(&local);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, NodeSigner::Remote(HELD_ELSEWHERE));
    assert_eq!(world.backend.running().await, 1);
    let archived = Held::Archived(Some(last.clone().into()));
    assert_eq!(world.keys.held(&key_of(&local)), Some(archived));
    let config = world.text("config/config.toml").await.expect("a file");
    assert!(!config.contains("priv_validator_key_file"), "{config}");

    let status = world.deployer.apply(&local).await.expect("applied");
    assert_signs(&status, &local);
    assert_eq!(world.backend.running().await, 1);
    let now = world.text(&state_path(&local)).await.expect("a state");
    let read = |text: &str| SignerState::read(text.as_bytes()).expect("a state");
    assert!(read(&now).covers(&read(&last)), "{now}");
    let config = world.text("config/config.toml").await.expect("a file");
    assert!(!config.contains("priv_validator_laddr"), "{config}");
}
