//! The deployer against a real engine: `$DOCKER_HOST` (`unix://..`), else the default socket.

mod apply;
mod check;
mod home;
mod remote;
mod removal;
mod signer;
mod switch;
mod world;

use ics_core::deploy::{NodeSigner, NodeStatus};
use ics_core::key::PublicKey;
use ics_core::node::NodeSpec;

use crate::world::{World, eventually};

fn key_of(spec: &NodeSpec) -> PublicKey {
    spec.signer.stored().expect("the spec has a key").public_key
}

fn key_path(spec: &NodeSpec) -> String {
    ics_core::home::key_path(key_of(spec))
}

fn state_path(spec: &NodeSpec) -> String {
    ics_core::home::state_path(key_of(spec))
}

fn signs(spec: &NodeSpec) -> NodeSigner {
    NodeSigner::Key(key_of(spec))
}

fn withheld(status: &NodeStatus) -> &str {
    match &status.signer {
        NodeSigner::Withheld(reason) => reason,
        other => panic!("not withheld but {other:?}"),
    }
}

/// Waits until a file of the node's home is what `wanted` says; `None`: there is none.
async fn wait_for_file(world: &World, path: &str, wanted: impl Fn(Option<&str>) -> bool) {
    eventually(path, async || {
        let found = world.file(path).await;
        wanted(found.as_ref().map(|it| it.text.as_str())).then_some(())
    })
    .await;
}
