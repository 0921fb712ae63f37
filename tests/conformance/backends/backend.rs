//! What a case needs of a platform, beside its deployer: to look inside, and to break things.

use std::sync::Arc;

use async_trait::async_trait;
use ics_core::artifact::Artifacts;
use ics_core::deploy::Deployer;
use ics_core::keystore::KeyStore;
use ics_core::node::Program;

/// How the program of a node behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It takes a second to end when it is asked to.
    EndsSlowly,
    /// It runs until it is asked to end.
    Waits,
}

/// A file or folder of a node's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) text: String,
}

/// A platform with one instance of ours, and the one consumer of all cases,
/// [`CONSUMER`](crate::world::CONSUMER). All that was made is removed when it is dropped.
#[async_trait]
pub(crate) trait Backend: Send + Sync + Sized {
    /// How much dearer a call is than where it can be cut off after each of its waits.
    const SLOWNESS: usize;

    /// The user and group that own what lies in a home.
    fn owner(&self) -> (u64, u64);

    /// A program that is there.
    fn program(&self, behaviour: Behaviour) -> Program;

    /// One that is not.
    fn missing_program(&self) -> Program;

    /// An instance of its own.
    async fn new() -> Self;

    /// A deployer of this instance, as after a start of the monitor.
    async fn deployer(
        &self,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer>;

    /// A deployer of another instance on the same platform.
    async fn neighbour(
        &self,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer>;

    /// How many nodes of this instance run now.
    async fn running(&self) -> usize;

    /// What tells one run of the node from the next.
    async fn run(&self) -> String;

    /// A file or folder of the home, by its path from there.
    async fn file(&self, path: &str) -> Option<Found>;

    /// Changes a file of the running node's home, or removes it, as the node itself or a person may.
    async fn write(&self, path: &str, text: Option<&str>);

    /// Ends the node's program as a defect of it would.
    async fn crash(&self);

    /// Removes what runs the node, and nothing of its data.
    async fn lose_node(&self);

    /// Removes the node and its data behind our back.
    async fn lose_storage(&self);

    /// Whether anything of the node's data is left.
    async fn has_storage(&self) -> bool;

    /// Puts something of somebody else's where the node's data would be.
    async fn put_foreign(&self);

    /// Whether that is as it was put.
    async fn has_foreign(&self) -> bool;
}
