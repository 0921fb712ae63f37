//! What is filed of one consumer.

use crate::action::Tx;
use crate::consumer::{Consumer, Kind, Want};
use crate::deploy::NodeState;
use crate::key::PublicKey;
use crate::phase::Phase;
use crate::status::Stage;
use crate::time::{Height, UnixTime};

/// What is filed of one consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) wake: Option<UnixTime>,
    pub(super) block: Option<UnixTime>,
    pub(super) spawn: Option<UnixTime>,
    /// When it launched, if it has ports and that is known.
    pub(super) claim: Option<Option<Height>>,
    pub(super) unread: bool,
    pub(super) ours: bool,
    pub(super) node: bool,
    pub(super) uncounted: bool,
    pub(super) awaiting: bool,
    pub(super) running: bool,
    pub(super) held: bool,
    pub(super) unsettled: Option<(UnixTime, Height)>,
    pub(super) unplaced: bool,
    pub(super) listens: Option<u16>,
    pub(super) name: Option<u64>,
    pub(super) provider_key: Option<Stand>,
}

/// Our provider key on a consumer, where it signs or is what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stand {
    /// The chain id of the consumer, as a hash; `None` until it is read.
    pub(super) name: Option<u64>,
    /// Whether a node signs with it, or may, or did before it was stopped.
    pub(super) signs: bool,
}

impl Entry {
    pub(super) fn of(consumer: &Consumer, provider_key: PublicKey) -> Self {
        let snapshot = consumer.snapshot();
        let phase = snapshot.map(|snapshot| snapshot.phase);
        let has_ports = |phase| matches!(phase, Some(Phase::Launched | Phase::Stopped));
        // One that cannot be read does not hold up the rest.
        let readable = !consumer.is_unreadable();
        let runs = |state: &NodeState| *state != NodeState::Stopped;
        let running = consumer.node.as_ref().is_some_and(|node| runs(&node.state))
            || phase == Some(Phase::Launched) && counts_on_us(consumer);
        let opted_in = snapshot.is_some_and(|snapshot| snapshot.opted_in);
        let unread = |hint| phase.is_none() && hint && !consumer.unknown && readable;
        let exists = consumer.hint.is_some_and(|phase| phase != Phase::Deleted);
        let lives = phase.is_some_and(|it| it.is_prelaunch() || it == Phase::Launched);
        let signs = signs_with(consumer, provider_key);
        Self {
            wake: consumer.wake,
            block: consumer.wake_at_block,
            spawn: snapshot
                .filter(|snapshot| snapshot.phase == Phase::Initialized)
                .and_then(|snapshot| snapshot.spawn_time),
            claim: snapshot
                .filter(|snapshot| has_ports(Some(snapshot.phase)))
                .map(|snapshot| snapshot.launched_at),
            unread: unread(has_ports(consumer.hint)),
            uncounted: unread(exists),
            held: consumer.held,
            unsettled: snapshot
                .filter(|snapshot| snapshot.phase.is_prelaunch() && readable)
                .and_then(|snapshot| {
                    let since = match consumer.look {
                        Some(_) => Some(UnixTime::GO_ZERO),
                        None => snapshot.spawn_time,
                    };
                    since.map(|since| (since, snapshot.height))
                }),
            unplaced: consumer.unplaced,
            name: snapshot
                .filter(|_| lives && (consumer.takes_part || consumer.node.is_some()))
                .map(|snapshot| snapshot.chain_id.fingerprint()),
            provider_key: (signs || lives && is_counted_on(consumer, provider_key)).then(|| {
                Stand {
                    name: snapshot.map(|snapshot| snapshot.chain_id.fingerprint()),
                    signs,
                }
            }),
            listens: match &consumer.doing {
                Some(Want::Apply(spec)) => Some(spec.ports.p2p),
                _ => {
                    let node = consumer.node.as_ref();
                    let known = node.and_then(|node| node.p2p_port);
                    known.or_else(|| consumer.started_unsure.map(|(port, _)| port))
                }
            },
            ours: phase == Some(Phase::Launched) && (consumer.node.is_some() || opted_in),
            node: consumer.node.is_some() || consumer.node_unsure,
            awaiting: !running && phase.is_some_and(Phase::is_prelaunch) && counts_on_us(consumer),
            running,
        }
    }
}

/// Whether we validate it or will, by what was read or by what we asked for since.
fn counts_on_us(consumer: &Consumer) -> bool {
    let is_opt_in = |tx: &Tx| matches!(tx, Tx::OptIn { .. });
    let sending = matches!(&consumer.doing, Some(Want::Broadcast(tx)) if is_opt_in(tx));
    let sent = consumer.sent.is_some_and(|(tx, _)| is_opt_in(&tx));
    let unsure = consumer.of_unknown_fate().any(|tx| is_opt_in(&tx));
    let failed = |kind| consumer.failures(kind) > 0;
    // What is all but sent keeps its place, as long as that does not fail.
    let prepared =
        consumer.status.stage == Stage::OptingIn && !failed(Kind::Key) && !failed(Kind::Send);
    consumer.takes_part || sending || sent || unsure || prepared
}

/// Whether a node of this consumer signs with this key, or may.
fn signs_with(consumer: &Consumer, key: PublicKey) -> bool {
    let known = consumer.node.as_ref().and_then(|node| node.signer.key());
    let next = match &consumer.doing {
        Some(Want::Apply(spec)) => spec.signer.key(),
        _ => None,
    };
    let unsure = consumer.started_unsure.and_then(|(_, key)| key);
    [known, next, unsure].contains(&Some(key))
}

/// Whether this key counts on a consumer, because we assigned none there or assigned it again; or
/// will, by an opt-in under way.
fn is_counted_on(consumer: &Consumer, provider_key: PublicKey) -> bool {
    let keyless = |tx: &Tx| matches!(tx, Tx::OptIn { key: None, .. });
    let sending = matches!(&consumer.doing, Some(Want::Broadcast(tx)) if keyless(tx));
    let sent = consumer.sent.is_some_and(|(tx, _)| keyless(&tx));
    let unsure = consumer.of_unknown_fate().any(|tx| keyless(&tx));
    let assigned = consumer.snapshot().and_then(|it| it.assigned_key);
    let stands = assigned.is_none_or(|key| key == provider_key);
    stands && (consumer.takes_part || sending || sent || unsure)
}
