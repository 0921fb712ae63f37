//! What is filed of one consumer.

use crate::action::Tx;
use crate::consumer::{Consumer, Kind, Want};
use crate::deploy::NodeState;
use crate::phase::Phase;
use crate::schedule;
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
}

impl Entry {
    pub(super) fn of(consumer: &Consumer) -> Self {
        let snapshot = consumer.snapshot();
        let phase = snapshot.map(|snapshot| snapshot.phase);
        let has_ports = |phase| matches!(phase, Some(Phase::Launched | Phase::Stopped));
        // One that cannot be read is left out after a few tries, so that it does not hold up the
        // rest.
        let readable = consumer.failures(Kind::Look) < schedule::UNREADABLE;
        let runs = |state: &NodeState| *state != NodeState::Stopped;
        let running = consumer.node.as_ref().is_some_and(|node| runs(&node.state))
            || phase == Some(Phase::Launched) && counts_on_us(consumer);
        let opted_in = snapshot.is_some_and(|snapshot| snapshot.opted_in);
        let unread = |hint| phase.is_none() && hint && !consumer.unknown && readable;
        let exists = consumer.hint.is_some_and(|phase| phase != Phase::Deleted);
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
                .filter(|snapshot| {
                    let lives = snapshot.phase.is_prelaunch() || snapshot.phase == Phase::Launched;
                    lives && (consumer.takes_part || consumer.node.is_some())
                })
                .map(|snapshot| snapshot.chain_id.fingerprint()),
            listens: match &consumer.doing {
                Some(Want::Apply(spec)) => Some(spec.ports.p2p),
                _ => {
                    let node = consumer.node.as_ref();
                    let known = node.and_then(|node| node.p2p_port);
                    known.or(consumer.port_unsure)
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
    let unsure = consumer.unsure.is_some_and(|(tx, _)| is_opt_in(&tx));
    let failed = |kind| consumer.failures(kind) > 0;
    // What is all but sent keeps its place, as long as that does not fail.
    let prepared =
        consumer.status.stage == Stage::OptingIn && !failed(Kind::Key) && !failed(Kind::Send);
    consumer.takes_part || sending || sent || unsure || prepared
}
