//! What people and embedders see of a consumer.

use std::fmt;

use serde::Serialize;

use crate::action::Level;
use crate::deploy::NodeStatus;
use crate::genesis::Trust;
use crate::id::{ChainId, ConsumerId};
use crate::phase::Phase;
use crate::predict::Prediction;
use crate::time::{Height, UnixTime};

/// How far our own part in a consumer is, in the order of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing is wanted of us.
    Ignored,
    /// Allowed or possible, but something is missing.
    Watching,
    /// The opt-in is being prepared or sent.
    OptingIn,
    /// We will validate once it launches.
    AwaitingLaunch,
    /// It launched and we need its genesis.
    FetchingGenesis,
    /// The node is being made to run.
    Deploying,
    /// The node runs.
    Running,
    /// We take no part any more, but the consumer still counts on our key.
    Leaving,
    /// The node is being stopped.
    Stopping,
    /// The node is stopped; its data and keys are kept.
    Stopped,
    /// The consumer is gone; the node's data are about to be removed.
    Deleting,
    /// Nothing of it is left here.
    Deleted,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ignored => "ignored",
            Self::Watching => "watching",
            Self::OptingIn => "opting-in",
            Self::AwaitingLaunch => "awaiting-launch",
            Self::FetchingGenesis => "fetching-genesis",
            Self::Deploying => "deploying",
            Self::Running => "running",
            Self::Leaving => "leaving",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        })
    }
}

/// Something about a consumer that should not be so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Alarm {
    /// How much it matters.
    pub level: Level,
    /// One line, with the cure.
    pub text: String,
}

/// One consumer as this instance sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerStatus {
    /// Which consumer.
    pub consumer_id: ConsumerId,
    /// Its chain id, once it was read.
    pub chain_id: Option<ChainId>,
    /// The provider's phase, once it was read.
    pub phase: Option<Phase>,
    /// Our part in it.
    pub stage: Stage,
    /// Why it is there, and what it waits for.
    pub why: String,
    /// What should not be so.
    pub alarms: Vec<Alarm>,
    /// When it is to launch.
    pub spawn_time: Option<UnixTime>,
    /// What would become of its launch, while it has a spawn time: as of its last reading, for the
    /// next 200 to launch at most some hundred blocks ago.
    pub prediction: Option<Prediction>,
    /// The provider height of its launch.
    pub launched_at: Option<Height>,
    /// The height at which all this was read.
    pub height: Option<Height>,
    /// Whether our validator is opted in.
    pub opted_in: bool,
    /// How far its launch genesis is known to be the provider's, once it was built.
    pub genesis: Option<Trust>,
    /// Our node.
    pub node: Option<NodeStatus>,
}

impl ConsumerStatus {
    /// What is seen of a consumer of which nothing is known but its id.
    pub(crate) fn unread(consumer_id: ConsumerId) -> Self {
        Self {
            consumer_id,
            chain_id: None,
            phase: None,
            stage: Stage::Watching,
            why: "not read yet".into(),
            alarms: Vec::new(),
            spawn_time: None,
            prediction: None,
            launched_at: None,
            height: None,
            opted_in: false,
            genesis: None,
            node: None,
        }
    }
}
