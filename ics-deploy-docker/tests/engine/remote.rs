//! A node whose key a remote signer holds: a port for it, and no key in the volume.

use std::net::TcpListener;

use ics_core::deploy::{Deployer as _, NodeSigner, NodeState};
use ics_core::key::PublicKey;
use ics_core::node::{NodeSpec, Signer};
use ics_core::signer::SignerState;

use crate::world::{CONSUMER, Held, World, free_port};
use crate::{signs, state_path};

const HELD_ELSEWHERE: PublicKey = PublicKey::new([3; 32]);

/// The same node with a remote signer.
fn remote(spec: &NodeSpec) -> NodeSpec {
    NodeSpec {
        signer: Signer::Remote {
            public_key: HELD_ELSEWHERE,
            port: free_port(),
        },
        ..spec.clone()
    }
}

#[tokio::test]
async fn its_port_is_published_for_this_host_and_no_key_is_placed() {
    let world = World::new().await;
    let spec = remote(&world.spec());
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(
        (&status.state, &status.signer),
        (&NodeState::Running, &NodeSigner::Remote(HELD_ELSEWHERE))
    );
    let port = spec.signer.port().expect("a port");
    let host = world.inspect().await.host_config.expect("a host part");
    let bound = host.port_bindings.expect("bindings");
    let binding = bound[&format!("{port}/tcp")].as_ref().expect("a binding");
    assert_eq!(binding[0].host_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(binding[0].host_port, Some(port.to_string()));
    let config = world.file("config/config.toml").await.expect("a file").text;
    let listens = format!("priv_validator_laddr = \"tcp://0.0.0.0:{port}\"");
    assert!(config.contains(&listens), "{config}");
    for path in ["signers", "config/priv_validator_key.json"] {
        assert_eq!(world.file(path).await, None, "{path}");
    }
    let again = world.deployer.apply(&spec).await;
    assert_eq!(again, Ok(status.clone()), "not settled");
    assert_eq!(world.deployer.list().await, Ok(vec![status]));
    // Nothing of it is ours to archive.
    world.deployer.delete(CONSUMER).await.expect("deleted");
}

#[tokio::test]
async fn its_port_is_checked_like_the_others() {
    let world = World::new().await;
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
    assert_eq!(check().await, Ok(()), "its own container holds it");
}

#[tokio::test]
async fn it_takes_over_from_a_key_of_the_store_and_gives_way_to_one() {
    let world = World::new().await;
    let local = world.spec();
    let key = local.signer.stored().expect("a key");
    world.deployer.apply(&local).await.expect("applied");
    let spec = remote(&local);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, NodeSigner::Remote(HELD_ELSEWHERE));
    assert_eq!(world.running().await, 1);
    let zero = SignerState::zero();
    let archived = Held::Archived(Some(zero.text().into()));
    assert_eq!(world.keys.held(&key), Some(archived));
    let config = world.file("config/config.toml").await.expect("a file").text;
    assert!(!config.contains("priv_validator_key_file"), "{config}");

    let status = world.deployer.apply(&local).await.expect("applied");
    assert_eq!(status.signer, signs(&local));
    assert_eq!(world.running().await, 1);
    let found = world.file(&state_path(&local)).await.expect("a state");
    assert_eq!(found.text, zero.text());
    let config = world.file("config/config.toml").await.expect("a file").text;
    assert!(!config.contains("priv_validator_laddr"), "{config}");
}
