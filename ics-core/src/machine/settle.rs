//! What outcomes mean: the only place where what is remembered of a consumer changes.

use std::collections::{BTreeMap, BTreeSet};

use super::Machine;
use crate::action::{Action, Check, Level, Notice, OpId, Outcome, Tx};
use crate::consumer::{Built, Consumer, Forced, Kind, Readiness, Selected, Want};
use crate::deploy::{NodeState, NodeStatus};
use crate::failure::{Failure, FailureKind};
use crate::genesis::{Standing, Trust};
use crate::id::ConsumerId;
use crate::node::NodeSpec;
use crate::phase::Phase;
use crate::schedule::{self, Schedule};
use crate::select::{Candidate, select};
use crate::snapshot::Snapshot;
use crate::time::{Height, UnixTime};

impl Machine {
    pub(super) fn on_done(
        &mut self,
        now: UnixTime,
        op: OpId,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        if self.scan.ended(op) {
            match outcome {
                Outcome::Phases {
                    phases,
                    blocks_per_epoch,
                } => {
                    self.blocks_per_epoch = Some(blocks_per_epoch).filter(|blocks| *blocks > 0);
                    self.on_phases(&phases);
                }
                other => on_periodic_failure("reading the phases", other, actions),
            }
            return;
        }
        if self.list.ended(op) {
            match outcome {
                Outcome::Nodes(nodes) => self.on_nodes(op, nodes),
                other => on_periodic_failure("listing our nodes", other, actions),
            }
            return;
        }
        // An answer that comes after its deadline says nothing that is still known to hold.
        let Some((id, want)) = self.take(op) else {
            return;
        };
        let kind = want.kind();
        let result = match outcome {
            Outcome::Failed(failure) => Err(failure),
            outcome => self.on_success(now, id, want.clone(), outcome, actions),
        };
        match result {
            Ok(()) => self.consumer(id).succeeded(kind),
            Err(failure) => self.on_failed(now, id, &want, &failure),
        }
    }

    /// Ends an action: whose it was and what it was for; `None` if it is not under way.
    pub(super) fn take(&mut self, op: OpId) -> Option<(ConsumerId, Want)> {
        let (id, deadline) = self.ops.remove(&op)?;
        self.deadlines.remove(&(deadline, op));
        let now_out = OpId(self.next_op);
        let consumer = self.consumer(id);
        let want = consumer.doing.take()?;
        let kind = want.kind();
        if kind.is_of_node() {
            consumer.listed_after = now_out;
        }
        if let Some(busy) = self.busy.get_mut(&kind) {
            *busy -= 1;
        }
        Some((id, want))
    }

    fn on_phases(&mut self, phases: &BTreeMap<ConsumerId, Phase>) {
        self.scan.done_once = true;
        let Some((height, _, _)) = self.block else {
            return;
        };
        for (id, phase) in phases {
            let consumer = self.consumers.get(id);
            let known = consumer
                .and_then(|consumer| consumer.snapshot())
                .map(|s| s.phase);
            let forgotten = known.is_none()
                && *phase == Phase::Deleted
                && consumer.is_none_or(|c| c.node.is_none());
            if known != Some(*phase) && !forgotten {
                let consumer = self.consumer(*id);
                consumer.hint = Some(*phase);
                consumer.look_at(height);
            }
        }
    }

    fn on_nodes(&mut self, list: OpId, nodes: Vec<NodeStatus>) {
        let first = !std::mem::replace(&mut self.nodes_known, true);
        if first {
            self.dirty.extend(self.consumers.keys());
        }
        let mut nodes: BTreeMap<_, _> = nodes.into_iter().map(|n| (n.consumer_id, n)).collect();
        let concerned: BTreeSet<_> = self.index.nodes().chain(nodes.keys().copied()).collect();
        let height = self.block.map(|(height, _, _)| height);
        for id in concerned {
            let node = nodes.remove(&id);
            let Some(consumer) = self.consumers.get_mut(&id) else {
                let consumer = self.consumer(id);
                consumer.node = node;
                if let Some(height) = height {
                    consumer.look_at(height);
                }
                continue;
            };
            // A list may be older than what an action on the node did meanwhile.
            let busy = consumer.doing.as_ref().map(|want| want.kind().is_of_node());
            if busy == Some(true) || list <= consumer.listed_after {
                continue;
            }
            if consumer.node != node || consumer.node_unsure {
                consumer.node = node;
                consumer.node_unsure = false;
                consumer.started_unsure = None;
                self.dirty.insert(id);
            }
        }
    }

    pub(super) fn on_failed(
        &mut self,
        now: UnixTime,
        id: ConsumerId,
        want: &Want,
        failure: &Failure,
    ) {
        let height = self.block.map(|(height, _, _)| height);
        let schedule = self.policy.schedule;
        let consumer = self.consumer(id);
        if let Want::Check(check) = want {
            // Not being ready is an answer, not a failure of the question.
            consumer.checked((**check).clone(), now, Err(failure.message.clone()));
            return;
        }
        consumer.failed(want.kind(), failure, now, &schedule);
        let unknown = failure.kind == FailureKind::Unknown;
        let sent = match want {
            Want::Broadcast(tx) => Some(*tx),
            _ => None,
        };
        if let Some(height) = height.filter(|_| sent.is_some() || unknown) {
            consumer.look_at(height);
        }
        if let Some(tx) = sent {
            consumer.unsure = unknown.then_some((tx, None));
        }
        if unknown && want.kind().is_of_node() {
            consumer.node_unsure = true;
            if let Want::Apply(spec) = want {
                consumer.started_unsure = Some((spec.ports.p2p, spec.signer.key()));
            }
            self.list.hurry();
        }
    }

    fn on_success(
        &mut self,
        now: UnixTime,
        id: ConsumerId,
        want: Want,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) -> Result<(), Failure> {
        match (want, outcome) {
            (Want::Look(asked), Outcome::Consumer(Some(snapshot))) => {
                return self.on_snapshot(now, id, asked, *snapshot, actions);
            }
            (Want::Look(_), Outcome::Consumer(None)) => return self.on_unknown(id),
            (
                Want::Candidates,
                Outcome::Candidates {
                    candidates,
                    height,
                    exact,
                },
            ) => {
                let selected = self.select(&candidates, height, exact);
                self.consumer(id).selection = Some(selected);
            }
            (Want::Check(check), Outcome::Ready) => self.consumer(id).checked(*check, now, Ok(())),
            (Want::PrepareKey(_), Outcome::Key(key)) if key.consumer_id == id => {
                self.consumer(id).key = Some(key);
            }
            (Want::HoldsKey(key, _), Outcome::HoldsKey(held)) => {
                self.consumer(id).holds_key = Some((key.public_key, held, now));
            }
            (Want::Broadcast(tx), Outcome::Included(height)) => {
                let consumer = self.consumer(id);
                consumer.sent = Some((tx, height));
                consumer.look_at(height);
            }
            (Want::Broadcast(Tx::OptOut(_)), Outcome::CannotOptOut) => {
                let (local, block) = (&self.local, self.block);
                if let Some(consumer) = self.consumers.get_mut(&id) {
                    let snapshot = consumer.snapshot();
                    consumer.forced = snapshot.map(|snapshot| Forced::of(snapshot, local));
                    // As after each transaction.
                    consumer.look_at(block.map_or(Height(0), |(height, _, _)| height));
                }
            }
            (
                Want::BuildGenesis { source, expect, .. },
                Outcome::Genesis {
                    artifact,
                    trust,
                    standing,
                },
            ) => {
                let level = match (&trust, standing) {
                    (Trust::Unverified(_), _) | (_, Standing::Outdated) => Level::Warning,
                    (Trust::Proved(_), _) => Level::Info,
                };
                actions.push(Action::Notify(Notice {
                    consumer_id: Some(id),
                    level,
                    text: format!("its launch genesis is {trust}; {standing}"),
                }));
                let built = Built {
                    source,
                    expect,
                    artifact,
                    trust,
                };
                self.consumer(id).genesis = Some(Box::new(built));
            }
            (Want::Apply(spec), Outcome::Applied(node)) if node.consumer_id == id => {
                return self.consumer(id).applied(*spec, node);
            }
            (Want::ConsumerSet { .. }, Outcome::ConsumerSet(keys)) => {
                self.consumer(id).consumer_set = Some((keys, now));
            }
            (Want::Stop, Outcome::Gone) => {
                if let Some(node) = &mut self.consumer(id).node {
                    node.state = NodeState::Stopped;
                }
            }
            (Want::Delete, Outcome::Gone) => self.consumer(id).node = None,
            _ => {
                return Err(Failure::permanent(
                    "a defect: the answer is to another question",
                ));
            }
        }
        Ok(())
    }

    fn select(&self, candidates: &[Candidate], height: Height, exact: bool) -> Selected {
        let selection = select(candidates, self.policy.share);
        let local = selection.selected.contains(&self.local.operator);
        let word = if local { "selected" } else { "not selected" };
        let why = format!(
            "{word}: {} of {} validators hold {} of the tokens at height {height}",
            selection.selected.len(),
            candidates.len(),
            self.policy.share,
        );
        Selected { local, why, exact }
    }

    /// The provider does not know the id: one that was never read does not exist.
    fn on_unknown(&mut self, id: ConsumerId) -> Result<(), Failure> {
        let consumer = self.consumer(id);
        if consumer.seen.is_some() {
            return Err(contradict(consumer, "that it does not know it"));
        }
        consumer.look = None;
        consumer.unknown = true;
        Ok(())
    }

    fn on_snapshot(
        &mut self,
        now: UnixTime,
        id: ConsumerId,
        asked: Option<Height>,
        snapshot: Snapshot,
        actions: &mut Vec<Action>,
    ) -> Result<(), Failure> {
        let takes_part = snapshot.takes_part(&self.local);
        let snapshot = snapshot.abridged(&self.local);
        let schedule = self.policy.schedule;
        let shown = self.block.map_or(Height(0), |(height, _, _)| height);
        let consumer = self.consumer(id);
        let before = consumer.snapshot();
        let known = asked.max(before.map(|before| before.height));
        if snapshot.consumer_id != id || known.is_some_and(|known| snapshot.height < known) {
            return Err(Failure::transient(format!(
                "the provider answered for height {}, not for {}: is it behind?",
                snapshot.height,
                known.unwrap_or_default(),
            )));
        }
        if let Some(phase) = before.map(|before| before.phase)
            && !phase.may_become(snapshot.phase)
        {
            let text = format!("{}, which cannot follow {phase}", snapshot.phase);
            return Err(contradict(consumer, &text));
        }
        if let Some(before) = before.filter(|before| !before.phase.is_prelaunch())
            && before.chain_id != snapshot.chain_id
        {
            let (new, old) = (&snapshot.chain_id, &before.chain_id);
            let text = format!("its chain id is {new}, but {old} is final since launch");
            return Err(contradict(consumer, &text));
        }
        if let Some(notice) = changed(before, &snapshot) {
            actions.push(Action::Notify(notice));
        }
        let same_rest = consumer.seen.as_mut().is_some_and(|(before, _)| {
            before.height = snapshot.height;
            *before == snapshot
        });
        if !same_rest {
            consumer.reconsider();
            consumer.chosen = None;
        }
        consumer.takes_part = takes_part;
        consumer.read(snapshot, now, shown, &schedule);
        let behind = asked.is_none() && consumer.look.is_some();
        if behind {
            return Err(Failure::transient("the provider's newest block is behind"));
        }
        Ok(())
    }
}

/// Refuses a reading, and believes no deletion that was read before it.
fn contradict(consumer: &mut Consumer, says: &str) -> Failure {
    let text = format!(
        "the provider says {says}: nothing is done; check that provider.rpc is the right chain \
         and not behind"
    );
    consumer.contradiction = Some(text.clone());
    consumer.deleted_at = None;
    Failure::permanent(text)
}

fn on_periodic_failure(what: &str, outcome: Outcome, actions: &mut Vec<Action>) {
    let failure = match outcome {
        Outcome::Failed(failure) => failure.message,
        _ => "a defect: the answer is to another question".into(),
    };
    actions.push(Action::Notify(Notice {
        consumer_id: None,
        level: Level::Warning,
        text: format!("{what} failed: {failure}"),
    }));
}

/// What to tell people about a new reading.
fn changed(before: Option<&Snapshot>, now: &Snapshot) -> Option<Notice> {
    let text = match before.map(|before| before.phase) {
        Some(phase) if phase == now.phase => return None,
        Some(Phase::Initialized) if now.phase == Phase::Registered => format!(
            "chain {}: REGISTERED again at height {}: the launch failed or was withdrawn",
            now.chain_id, now.height
        ),
        _ => format!(
            "chain {}: {} at height {}",
            now.chain_id, now.phase, now.height
        ),
    };
    Some(Notice {
        consumer_id: Some(now.consumer_id),
        level: Level::Info,
        text,
    })
}

/// Whether a transaction that is in a block shows in what was read since.
fn shows(tx: &Tx, snapshot: &Snapshot) -> bool {
    match tx {
        Tx::AssignKey(key) => snapshot.assigned_key == Some(key.public_key),
        Tx::OptIn { .. } => snapshot.opted_in,
        Tx::OptOut(_) => !snapshot.opted_in,
    }
}

impl Consumer {
    fn checked(&mut self, check: Check, at: UnixTime, result: Result<(), String>) {
        self.readiness = Some(Box::new(Readiness { check, at, result }));
    }

    /// Remembers the node that runs now; one that does not stay is not started again at once.
    fn applied(&mut self, spec: NodeSpec, node: NodeStatus) -> Result<(), Failure> {
        let over = matches!(node.state, NodeState::Ended(_) | NodeState::Stopped);
        let stays = node.spec == Some(spec.digest()) && !over;
        self.node = Some(node);
        self.peers = Some(spec.persistent_peers);
        if stays {
            Ok(())
        } else {
            Err(Failure::transient(
                "the node did not stay as it was started",
            ))
        }
    }

    /// Remembers a reading; `shown` is the newest block of which the header came.
    fn read(&mut self, snapshot: Snapshot, now: UnixTime, shown: Height, schedule: &Schedule) {
        let height = snapshot.height;
        if self.look.is_some_and(|look| look <= height) {
            self.look = None;
        }
        self.unknown = false;
        self.contradiction = None;
        if snapshot.phase == Phase::Deleted {
            self.deleted_at.get_or_insert(height);
        }
        // Once assigned it is no longer the next one: the provider refuses it from then on.
        self.key = self
            .key
            .filter(|key| snapshot.assigned_key != Some(key.public_key));
        if let Some((tx, included)) = self.sent.filter(|(_, included)| *included <= height) {
            self.sent = None;
            if !shows(&tx, &snapshot) {
                // Sending it again at once could go on until the account is empty.
                let text = format!("a transaction in block {included} had no effect");
                self.failed(Kind::Send, &Failure::permanent(text), now, schedule);
            }
        }
        self.unsure = self.unsure.filter(|(tx, last)| {
            let over = last.is_some_and(|last| last <= height);
            !over && !shows(tx, &snapshot)
        });
        self.may_land = self
            .may_land
            .filter(|(tx, last)| *last > height && !shows(tx, &snapshot));
        if let Some((tx, last)) = &mut self.unsure {
            // The newest block may be one that was made before it was sent: the next can tell.
            let newest = height.max(shown).0;
            if last.is_none() && matches!(tx, Tx::OptIn { .. }) {
                self.may_land = Some((*tx, Height(newest.saturating_add(schedule::TX_BLOCKS))));
            }
            let next = *last.get_or_insert(Height(newest.saturating_add(1)));
            self.look_at(next);
        }
        self.seen = Some((snapshot, now));
    }
}
