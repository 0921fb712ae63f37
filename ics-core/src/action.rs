//! What goes into the machine and what comes out of it.
//!
//! `Action` here is something to be done in the world; kube's type of that name only says when to
//! reconcile again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::artifact::ArtifactRef;
use crate::deploy::NodeStatus;
use crate::event::Event;
use crate::failure::Failure;
use crate::genesis::{Expectation, OurKeys, Standing, Trust};
use crate::id::{ChainId, ConsumerId};
use crate::key::PublicKey;
use crate::keystore::{KeyOrigin, KeyRef};
use crate::node::NodeSpec;
use crate::phase::Phase;
use crate::policy::{GenesisSource, Policy, Run};
use crate::ports::Ports;
use crate::schedule;
use crate::select::Candidate;
use crate::snapshot::Snapshot;
use crate::time::{Height, UnixTime};

/// Everything that can happen to the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The provider committed this block. Heights rise by one; a gap is a [`Input::Resync`].
    Block {
        /// Its height.
        height: Height,
        /// The time in its header.
        time: UnixTime,
        /// What its events hint at.
        events: Vec<Event>,
    },
    /// An action ended.
    Done {
        /// Which.
        op: OpId,
        /// How.
        outcome: Outcome,
    },
    /// The operator changed their mind.
    Policy(Box<Policy>),
    /// Blocks before this one were missed: nothing that is remembered can be trusted to be new.
    Resync {
        /// The newest height.
        height: Height,
        /// The time in its header.
        time: UnixTime,
    },
    /// Time passed.
    Tick,
}

/// Names one action until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// How an action ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of [`Action::Apply`]: what runs now.
    Applied(NodeStatus),
    /// Of [`Query::Candidates`].
    Candidates {
        /// All bonded validators.
        candidates: Vec<Candidate>,
        /// At this height.
        height: Height,
        /// Whether that is the height of creation.
        exact: bool,
    },
    /// Of [`Query::Consumer`]; `None`: the provider does not know the id.
    Consumer(Option<Box<Snapshot>>),
    /// Of [`Action::Broadcast`]: the provider refused an opt-out, because our validator is among the
    /// top N (`ErrCannotOptOutFromTopN`, code 20 in `x/ccv/provider/types/errors.go`).
    CannotOptOut,
    /// Of [`Query::ConsumerSet`]: the keys in the consumer's own validator set.
    ConsumerSet(Vec<PublicKey>),
    /// It did not succeed.
    Failed(Failure),
    /// Of [`Action::BuildGenesis`].
    Genesis {
        /// The merged file.
        artifact: ArtifactRef,
        /// How far its launch genesis is known to be the provider's.
        trust: Trust,
        /// How we stand in it.
        standing: Standing,
    },
    /// Of [`Query::HoldsKey`]: whether the store holds the key and it may sign.
    HoldsKey(bool),
    /// Of [`Action::Broadcast`]: the transaction succeeded in this block.
    Included(Height),
    /// Of [`Action::PrepareKey`]: this key is durable.
    Key(KeyRef),
    /// Of [`Action::ListNodes`].
    Nodes(Vec<NodeStatus>),
    /// Of [`Query::Phases`].
    Phases {
        /// The phase of each consumer.
        phases: BTreeMap<ConsumerId, Phase>,
        /// At the heights that this divides, the provider sets validators anew.
        blocks_per_epoch: u64,
    },
    /// Of [`Action::CheckReady`]: all is well.
    Ready,
    /// Of [`Action::Stop`] and [`Action::Delete`].
    Gone,
}

/// Something to do, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make this node run: [`crate::deploy::Deployer::apply`].
    Apply {
        /// Answer to this.
        op: OpId,
        /// The node.
        spec: Box<NodeSpec>,
    },
    /// Sign and send this transaction, and wait until it is in a block.
    Broadcast {
        /// Answer to this.
        op: OpId,
        /// The transaction.
        tx: Tx,
    },
    /// Merge the pre-CCV file with the launch genesis and keep the result.
    BuildGenesis {
        /// Answer to this.
        op: OpId,
        /// Whose genesis.
        consumer_id: ConsumerId,
        /// Where the pre-CCV file is.
        source: GenesisSource,
        /// What it must agree with.
        expect: Expectation,
        /// At which height to read the launch genesis.
        height: Height,
        /// Our keys, to be looked for in it.
        keys: OurKeys,
    },
    /// Check all that an opt-in depends on.
    CheckReady {
        /// Answer to this.
        op: OpId,
        /// What is checked.
        check: Box<Check>,
    },
    /// Archive the key, then remove the node and its data: [`crate::deploy::Deployer::delete`].
    Delete {
        /// Answer to this.
        op: OpId,
        /// Whose node.
        consumer_id: ConsumerId,
    },
    /// List our nodes: [`crate::deploy::Deployer::list`].
    ListNodes {
        /// Answer to this.
        op: OpId,
    },
    /// Tell people; needs no answer.
    Notify(Notice),
    /// Return the key for this consumer, durable: [`crate::keystore::KeyStore::prepare`].
    PrepareKey {
        /// Answer to this.
        op: OpId,
        /// For which consumer.
        consumer_id: ConsumerId,
        /// Which of its keys.
        origin: KeyOrigin,
    },
    /// Ask.
    Query {
        /// Answer to this.
        op: OpId,
        /// What.
        query: Query,
    },
    /// Stop the node and keep its data: [`crate::deploy::Deployer::stop`].
    Stop {
        /// Answer to this.
        op: OpId,
        /// Whose node.
        consumer_id: ConsumerId,
    },
}

impl Action {
    /// The op to answer to; `None` where no answer is wanted.
    #[must_use]
    pub const fn op(&self) -> Option<OpId> {
        match self {
            Self::Apply { op, .. }
            | Self::Broadcast { op, .. }
            | Self::BuildGenesis { op, .. }
            | Self::CheckReady { op, .. }
            | Self::Delete { op, .. }
            | Self::ListNodes { op }
            | Self::PrepareKey { op, .. }
            | Self::Query { op, .. }
            | Self::Stop { op, .. } => Some(*op),
            Self::Notify(_) => None,
        }
    }

    /// How long it may take. After that the machine counts it as failed and may start the next one
    /// for the same consumer, so whoever executes it must have ended it by then.
    #[must_use]
    pub const fn time_limit(&self) -> Duration {
        match self {
            Self::ListNodes { .. } | Self::Notify(_) | Self::Query { .. } => {
                schedule::QUERY_DEADLINE
            }
            Self::Apply { .. }
            | Self::Broadcast { .. }
            | Self::BuildGenesis { .. }
            | Self::CheckReady { .. }
            | Self::Delete { .. }
            | Self::PrepareKey { .. }
            | Self::Stop { .. } => schedule::ACTION_DEADLINE,
        }
    }
}

/// A question to a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// All bonded validators at the height where this consumer was created, or now if that is
    /// unknown and cannot be found out.
    Candidates {
        /// Which consumer.
        consumer_id: ConsumerId,
        /// Where it was created, if that was seen.
        created: Option<Height>,
    },
    /// One consumer.
    Consumer {
        /// Which.
        consumer_id: ConsumerId,
        /// At this height; `None`: the newest.
        height: Option<Height>,
    },
    /// The consumer's own validator set, from our own node.
    ConsumerSet {
        /// Which consumer.
        consumer_id: ConsumerId,
        /// The RPC port of our node.
        rpc_port: u16,
    },
    /// Whether we hold this key and it may sign under this chain id: by its
    /// [`crate::keystore::KeyStanding`], and without a [`crate::keystore::KeyStore::refusal`].
    HoldsKey(KeyRef, ChainId),
    /// The phases of all consumers: hints, of no certain height.
    Phases,
}

/// What an opt-in depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// For which consumer.
    pub consumer_id: ConsumerId,
    /// What would run.
    pub run: Run,
    /// What its pre-CCV file must agree with.
    pub expect: Expectation,
    /// The ports it would have.
    pub ports: Ports,
    /// The chain id that it would sign under.
    pub chain_id: ChainId,
    /// The key that counts already: it must be in the store and may sign under this chain id.
    pub key: Option<KeyRef>,
}

/// A transaction of our validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tx {
    /// `MsgAssignConsumerKey`.
    AssignKey(KeyRef),
    /// `MsgOptIn`.
    OptIn {
        /// Into which consumer.
        consumer_id: ConsumerId,
        /// The key it carries; `None`: the assigned one stays, which the provider would refuse to
        /// be given again.
        key: Option<KeyRef>,
    },
    /// `MsgOptOut`.
    OptOut(ConsumerId),
}

impl Tx {
    /// Which consumer it is about.
    #[must_use]
    pub const fn consumer_id(&self) -> ConsumerId {
        match self {
            Self::AssignKey(key) => key.consumer_id,
            Self::OptIn { consumer_id, .. } | Self::OptOut(consumer_id) => *consumer_id,
        }
    }
}

/// News for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// About which consumer; `None`: about the provider or ourselves.
    pub consumer_id: Option<ConsumerId>,
    /// How much it matters.
    pub level: Level,
    /// One line; text from the chain in it is escaped.
    pub text: String,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Someone should look.
    Warning,
    /// Someone must act, or stake or data may be lost.
    Critical,
}
