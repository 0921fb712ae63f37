//! What the machine remembers of one consumer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::action::{Check, Level, OpId, Tx};
use crate::artifact::ArtifactRef;
use crate::deploy::NodeStatus;
use crate::failure::{Failure, FailureKind};
use crate::genesis::{Expectation, OurKeys, Trust};
use crate::id::{ChainId, ConsumerId};
use crate::index::Entry;
use crate::key::PublicKey;
use crate::keystore::{KeyOrigin, KeyRef};
use crate::node::NodeSpec;
use crate::peers::{Dial, Peer};
use crate::phase::Phase;
use crate::policy::GenesisSource;
use crate::predict::Prediction;
use crate::schedule::{self, Schedule};
use crate::snapshot::{LocalValidator, Snapshot};
use crate::status::{Alarm, ConsumerStatus, Stage};
use crate::time::{Height, UnixTime};

/// One consumer. What only few have is boxed: there are thousands of strangers' consumers.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    /// The height of its creation, if that was seen.
    pub(crate) created: Option<Height>,
    /// The phase that a scan showed: a hint, of no certain height.
    pub(crate) hint: Option<Phase>,
    /// The newest reading, and when it was made.
    pub(crate) seen: Option<(Snapshot, UnixTime)>,
    /// Whether, by that reading, we are opted in, or in the set that would launch or validates.
    pub(crate) takes_part: bool,
    /// A reading at this height or later is wanted.
    pub(crate) look: Option<Height>,
    /// The provider answered that it does not know this id.
    pub(crate) unknown: bool,
    /// The newest reading was refused, because it cannot follow the one before: in words.
    pub(crate) contradiction: Option<String>,
    pub(crate) selection: Option<Selected>,
    pub(crate) readiness: Option<Box<Readiness>>,
    /// The durable key to assign next.
    pub(crate) key: Option<KeyRef>,
    /// Whether we hold the key that was assigned last, and when that was asked.
    pub(crate) holds_key: Option<(PublicKey, bool, UnixTime)>,
    /// The transaction that is in this block and whose effect has not been read yet.
    pub(crate) sent: Option<(Tx, Height)>,
    /// The transaction of which nobody knows whether it is in a block or will be, and the height
    /// that tells, once that is known itself.
    pub(crate) unsure: Option<(Tx, Option<Height>)>,
    /// An opt-in of unknown fate and its last block: it may be in any until then, so that it keeps
    /// its place among those that count on us.
    pub(crate) may_land: Option<(Tx, Height)>,
    /// The provider let us not opt out, as long as this is so.
    pub(crate) forced: Option<Forced>,
    pub(crate) genesis: Option<Box<Built>>,
    pub(crate) node: Option<NodeStatus>,
    /// Lists of our nodes that were asked for before this op was given out are too old for this
    /// consumer.
    pub(crate) listed_after: OpId,
    /// What became of the last action on the node is not known: a list must say so first.
    pub(crate) node_unsure: bool,
    /// The P2P port and the key of a node that may have been started all the same.
    pub(crate) started_unsure: Option<(u16, Option<PublicKey>)>,
    /// The peers that were chosen last, as long as the set is the same.
    pub(crate) chosen: Option<Arc<Chosen>>,
    /// The peers in the configuration of the node, as far as we wrote it.
    pub(crate) peers: Option<Vec<Peer>>,
    /// The consumer's own validator set, and when it was read.
    pub(crate) consumer_set: Option<(Vec<PublicKey>, UnixTime)>,
    /// The height at which it was first seen deleted.
    pub(crate) deleted_at: Option<Height>,
    /// When to decide about it again although nothing happened: at this wall time, and at the
    /// first block of this time or a later one.
    pub(crate) wake: Option<UnixTime>,
    pub(crate) wake_at_block: Option<UnixTime>,
    /// What the index holds of it.
    pub(crate) filed: Entry,
    /// The one thing that is under way.
    pub(crate) doing: Option<Want>,
    /// Waits until fewer actions of this kind are under way; the earlier instant goes first.
    pub(crate) waiting: Option<(Kind, UnixTime)>,
    pauses: BTreeMap<Kind, Pause>,
    /// Whether a cap holds it back.
    pub(crate) held: bool,
    /// Whether it waits until it is known which ports are left to it.
    pub(crate) unplaced: bool,
    /// What people see of it, as last published.
    pub(crate) status: Arc<ConsumerStatus>,
}

/// What decides whether we are among the top N, as far as a set tells: the provider's own measure is
/// the power of its bonded validators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forced {
    top_n: u32,
    power: u64,
    of: u64,
}

impl Forced {
    pub(crate) fn of(snapshot: &Snapshot, local: &LocalValidator) -> Self {
        Self {
            top_n: snapshot.top_n,
            power: snapshot.member(local).map_or(0, |member| member.power),
            of: snapshot.validators.power(),
        }
    }
}

/// Peers that were chosen from a set.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// Where they are expected to listen, and which may be dialled.
    pub(crate) by: (u16, Dial),
    pub(crate) peers: Vec<Peer>,
    /// Which validators give none.
    pub(crate) alarm: Option<Alarm>,
}

/// The result of the selection.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) local: bool,
    /// In words.
    pub(crate) why: String,
    /// Whether it was made at the height of creation.
    pub(crate) exact: bool,
}

/// The result of a readiness check.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    pub(crate) check: Check,
    pub(crate) at: UnixTime,
    pub(crate) result: Result<(), String>,
}

/// A merged genesis and what it was made from: made anew when that changes.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) source: GenesisSource,
    pub(crate) expect: Expectation,
    pub(crate) artifact: ArtifactRef,
    pub(crate) trust: Trust,
}

/// Something that a consumer needs done next.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    Apply(Box<NodeSpec>),
    Broadcast(Tx),
    BuildGenesis {
        source: GenesisSource,
        expect: Expectation,
        height: Height,
        keys: OurKeys,
    },
    Candidates,
    Check(Box<Check>),
    ConsumerSet {
        rpc_port: u16,
    },
    Delete,
    HoldsKey(KeyRef, ChainId),
    Look(Option<Height>),
    PrepareKey(KeyOrigin),
    Stop,
}

/// Kinds of wants: each waits by itself after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Ask,
    Check,
    Delete,
    Deploy,
    Genesis,
    Key,
    Look,
    Send,
}

#[derive(Clone, Debug)]
struct Pause {
    failures: u32,
    until: UnixTime,
    why: String,
}

impl Want {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Apply(_) | Self::Stop => Kind::Deploy,
            Self::Broadcast(_) => Kind::Send,
            Self::BuildGenesis { .. } => Kind::Genesis,
            Self::Candidates | Self::ConsumerSet { .. } => Kind::Ask,
            Self::Check(_) => Kind::Check,
            Self::Delete => Kind::Delete,
            Self::Look(_) => Kind::Look,
            Self::HoldsKey(..) | Self::PrepareKey(_) => Kind::Key,
        }
    }
}

impl Kind {
    /// Whether it changes the node.
    pub(crate) const fn is_of_node(self) -> bool {
        matches!(self, Self::Delete | Self::Deploy)
    }
}

impl Consumer {
    pub(crate) fn new(id: ConsumerId) -> Self {
        Self {
            id,
            created: None,
            hint: None,
            seen: None,
            takes_part: false,
            look: None,
            unknown: false,
            contradiction: None,
            selection: None,
            readiness: None,
            key: None,
            holds_key: None,
            sent: None,
            unsure: None,
            may_land: None,
            forced: None,
            genesis: None,
            node: None,
            listed_after: OpId(0),
            node_unsure: false,
            started_unsure: None,
            chosen: None,
            peers: None,
            consumer_set: None,
            deleted_at: None,
            wake: None,
            wake_at_block: None,
            filed: Entry::default(),
            doing: None,
            waiting: None,
            pauses: BTreeMap::new(),
            held: false,
            unplaced: false,
            status: Arc::new(ConsumerStatus::unread(id)),
        }
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.seen.as_ref().map(|(snapshot, _)| snapshot)
    }

    /// The height at which a deletion must be read again before it is believed; `None`: there is none
    /// so high.
    pub(crate) fn sure_height(&self, snapshot: &Snapshot) -> Option<Height> {
        let first = self.deleted_at.unwrap_or(snapshot.height);
        first.0.checked_add(schedule::DELETION_BLOCKS).map(Height)
    }

    /// What goes first where not all can: a node of ours, then the next to launch.
    pub(crate) fn urgency(&self) -> UnixTime {
        if self.node.is_some() {
            return UnixTime::GO_ZERO;
        }
        let spawn = self.snapshot().filter(|s| s.phase == Phase::Initialized);
        spawn
            .and_then(|s| s.spawn_time)
            .unwrap_or(UnixTime::new(i64::MAX, 0))
    }

    /// The transactions that may yet be in a block, for all that is known.
    pub(crate) fn of_unknown_fate(&self) -> impl Iterator<Item = Tx> {
        let (unsure, may_land) = (self.unsure.map(|it| it.0), self.may_land.map(|it| it.0));
        unsure.into_iter().chain(may_land)
    }

    /// Asks for a reading at `height` or later.
    pub(crate) fn look_at(&mut self, height: Height) {
        self.look = self.look.max(Some(height));
    }

    /// Why this kind of want has to wait, if it has to.
    pub(crate) fn paused(&self, kind: Kind, now: UnixTime) -> Option<&str> {
        self.pauses
            .get(&kind)
            .filter(|pause| pause.until > now)
            .map(|pause| pause.why.as_str())
    }

    /// Why this kind of want failed the last time, if it did.
    pub(crate) fn failure(&self, kind: Kind) -> Option<&str> {
        self.pauses.get(&kind).map(|pause| pause.why.as_str())
    }

    /// How often in a row this kind of want has failed.
    pub(crate) fn failures(&self, kind: Kind) -> u32 {
        self.pauses.get(&kind).map_or(0, |pause| pause.failures)
    }

    /// Whether it cannot be read, so that nobody is to wait for it.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.failures(Kind::Look) >= schedule::UNREADABLE
    }

    /// When the first of the pauses ends.
    pub(crate) fn next_retry(&self, now: UnixTime) -> Option<UnixTime> {
        self.pauses
            .values()
            .map(|pause| pause.until)
            .filter(|until| *until > now)
            .min()
    }

    pub(crate) fn succeeded(&mut self, kind: Kind) {
        self.pauses.remove(&kind);
    }

    pub(crate) fn failed(
        &mut self,
        kind: Kind,
        failure: &Failure,
        now: UnixTime,
        schedule: &Schedule,
    ) {
        let failures = self
            .pauses
            .get(&kind)
            .map_or(0, |pause| pause.failures)
            .saturating_add(1);
        // Others wait until this one is read or known to be unreadable: that is to be soon. What
        // contradicts an earlier reading takes its time.
        let hurry = kind == Kind::Look && failures < schedule::UNREADABLE;
        let pace = match failure.kind {
            FailureKind::Permanent if hurry && self.contradiction.is_none() => {
                FailureKind::Transient
            }
            kind => kind,
        };
        let until = now + schedule.retry(pace, failures, self.id);
        self.pauses.insert(
            kind,
            Pause {
                failures,
                until,
                why: failure.message.clone(),
            },
        );
    }

    /// Forgets failures but those of reading, because what they rested on changed.
    pub(crate) fn reconsider(&mut self) {
        self.pauses.retain(|kind, _| *kind == Kind::Look);
    }

    /// What people see of it after this decision.
    pub(crate) fn view(
        &self,
        stage: Stage,
        why: String,
        alarms: Vec<Alarm>,
        prediction: Option<Prediction>,
    ) -> ConsumerStatus {
        let snapshot = self.snapshot();
        ConsumerStatus {
            consumer_id: self.id,
            chain_id: snapshot.map(|s| s.chain_id.clone()),
            phase: snapshot.map(|s| s.phase),
            stage,
            why,
            alarms,
            spawn_time: snapshot.and_then(|s| s.spawn_time),
            prediction,
            launched_at: snapshot.and_then(|s| s.launched_at),
            height: snapshot.map(|s| s.height),
            opted_in: snapshot.is_some_and(|s| s.opted_in),
            genesis: self.genesis.as_ref().map(|built| built.trust.clone()),
            node: self.node.clone(),
        }
    }
}

impl Alarm {
    pub(crate) fn warning(text: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            text: text.into(),
        }
    }

    pub(crate) fn critical(text: impl Into<String>) -> Self {
        Self {
            level: Level::Critical,
            text: text.into(),
        }
    }
}
