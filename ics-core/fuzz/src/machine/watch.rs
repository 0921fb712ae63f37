//! What must hold after every step, whatever was told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ics_core::action::{Action, Input, Level, OpId, Outcome, Query, Tx};
use ics_core::deploy::NodeSigner;
use ics_core::id::ConsumerId;
use ics_core::keystore::KeyRef;
use ics_core::machine::Machine;
use ics_core::node::NodeSpec;
use ics_core::phase::Phase;
use ics_core::policy::{Decision, KeySource, Policy};
use ics_core::snapshot::Snapshot;
use ics_core::status::{ConsumerStatus, Stage};
use ics_core::time::{Height, UnixTime};

use crate::assert_plain;
use crate::draw::local;

/// What the machine has been told and has asked for.
pub(super) struct Watch {
    pub(super) policy: Policy,
    wall: Option<UnixTime>,
    /// Time that only goes forward, as deadlines count it.
    own: Duration,
    flying: BTreeMap<ConsumerId, (OpId, Action, Duration)>,
    /// The newest readings that are no contradiction.
    seen: BTreeMap<ConsumerId, Snapshot>,
    /// Where a deletion was first read, and nothing since that contradicts it.
    deleted: BTreeMap<ConsumerId, Height>,
    durable: BTreeSet<KeyRef>,
    /// Those for which a transaction was sent and nothing read since.
    unlooked: BTreeSet<ConsumerId>,
}

impl Watch {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            wall: None,
            own: Duration::ZERO,
            flying: BTreeMap::new(),
            seen: BTreeMap::new(),
            deleted: BTreeMap::new(),
            durable: BTreeSet::new(),
            unlooked: BTreeSet::new(),
        }
    }

    pub(super) fn told(&mut self, wall: UnixTime, input: &Input) {
        if let Some(last) = self.wall {
            self.own += wall.since(last);
        }
        self.wall = Some(wall);
        if let Input::Done { op, outcome } = input {
            let id = self.flying.iter().find(|(_, (flying, ..))| flying == op);
            let id = id.map(|(id, _)| *id);
            if let Some((id, (_, action, _))) = id.and_then(|id| self.flying.remove_entry(&id)) {
                self.answered(id, &action, outcome);
            }
        }
        let own = self.own;
        self.flying.retain(|_, (_, _, end)| *end > own);
    }

    fn answered(&mut self, id: ConsumerId, action: &Action, outcome: &Outcome) {
        match (action, outcome) {
            (Action::PrepareKey { .. }, Outcome::Key(key)) if key.consumer_id == id => {
                self.durable.insert(*key);
            }
            (
                Action::Query {
                    query: Query::Consumer { height, .. },
                    ..
                },
                outcome,
            ) => match outcome {
                Outcome::Consumer(Some(snapshot)) => self.read(id, *height, snapshot),
                Outcome::Consumer(None) => drop(self.deleted.remove(&id)),
                _ => {}
            },
            _ => {}
        }
    }

    fn read(&mut self, id: ConsumerId, asked: Option<Height>, snapshot: &Snapshot) {
        let known = self.seen.get(&id);
        let least = asked.max(known.map(|known| known.height));
        if snapshot.consumer_id != id || Some(snapshot.height) < least {
            return;
        }
        let contradicts = |known: &Snapshot| {
            let renamed = !known.phase.is_prelaunch() && known.chain_id != snapshot.chain_id;
            renamed || !known.phase.may_become(snapshot.phase)
        };
        if known.is_some_and(contradicts) {
            self.deleted.remove(&id);
            return;
        }
        if snapshot.phase == Phase::Deleted {
            self.deleted.entry(id).or_insert(snapshot.height);
        }
        self.unlooked.remove(&id);
        self.seen.insert(id, snapshot.clone());
    }

    pub(super) fn asked(&mut self, actions: &[Action], machine: &Machine) {
        let all: BTreeMap<_, _> = machine.consumers().map(|it| (it.consumer_id, it)).collect();
        for action in actions {
            if let Action::Notify(notice) = action {
                assert_plain(&notice.text);
            }
            let (Some(id), Some(op)) = (about(action), action.op()) else {
                continue;
            };
            let end = self.own + action.time_limit();
            let other = self.flying.insert(id, (op, action.clone(), end));
            assert!(
                other.is_none(),
                "I2: {other:?} and {action:?} of consumer {id}"
            );
            match action {
                Action::Apply { spec, .. } => self.applies(spec, &all[&id]),
                Action::Broadcast { tx, .. } => self.sends(id, *tx),
                Action::Delete { .. } => {
                    let first = self.deleted.get(&id).expect("I5: a deletion that was read");
                    let last = self.seen[&id].height;
                    assert!(last.0 - first.0 >= 10, "I5: {first} and {last}");
                }
                _ => {}
            }
        }
        for status in all.values() {
            self.shown(status);
        }
    }

    fn applies(&self, spec: &NodeSpec, status: &ConsumerStatus) {
        let deployed = status.node.as_ref().and_then(|node| node.genesis);
        assert!(
            deployed.is_none_or(|it| it == spec.genesis.digest),
            "I3: {deployed:?}"
        );
        assert_eq!(spec.chain_id, self.seen[&spec.consumer_id].chain_id);
        if let Some(key) = spec.signer.stored() {
            // A node that signs already goes on with its key, whatever that is.
            let signs = status.node.as_ref().map(|node| node.signer.clone());
            let goes_on = signs == Some(NodeSigner::Key(key.public_key));
            let run = self.policy.run_for(&self.seen[&spec.consumer_id]);
            let asked = run.is_some_and(|run| run.key == KeySource::Provider)
                && spec.chain_id != local().chain_id;
            assert!(
                goes_on || asked || key.public_key != local().provider_key,
                "I8"
            );
            assert_eq!(key.consumer_id, spec.consumer_id, "I8");
        }
        for (name, text) in spec.files(true) {
            assert!(text.parse::<toml::Table>().is_ok(), "{name}: {text:?}");
        }
    }

    fn sends(&mut self, id: ConsumerId, tx: Tx) {
        assert!(
            self.unlooked.insert(id),
            "I10: {tx:?} without a look after the last"
        );
        let seen = &self.seen[&id];
        let key = match tx {
            Tx::AssignKey(key) => Some(key),
            Tx::OptIn { key, .. } => {
                let decision = self.policy.decide(seen);
                let allowed = matches!(decision, Decision::Allowed(_) | Decision::Ordered(_));
                assert!(allowed, "I4: {tx:?}, but {decision:?}");
                assert!(!seen.opted_in, "I10: {tx:?}, but we are opted in");
                key
            }
            Tx::OptOut(_) => None,
        };
        assert!(
            key.is_none_or(|key| self.durable.contains(&key)),
            "I9: {tx:?}"
        );
    }

    fn shown(&self, status: &ConsumerStatus) {
        assert_plain(&status.why);
        status
            .alarms
            .iter()
            .for_each(|alarm| assert_plain(&alarm.text));
        let Some(seen) = self.seen.get(&status.consumer_id) else {
            return;
        };
        assert_eq!(Some(seen.height), status.height);
        // Before a node can run something may be missing: then people are told, or it is awaited.
        let told = status
            .alarms
            .iter()
            .any(|alarm| alarm.level == Level::Critical);
        let awaited = status.why.starts_with("waiting for");
        let runs = [Stage::FetchingGenesis, Stage::Deploying, Stage::Running];
        let counts_on_us = seen.opted_in || seen.member(&local()).is_some();
        if seen.phase == Phase::Launched && counts_on_us {
            assert!(
                told || awaited || runs.contains(&status.stage),
                "I11: {status:#?}"
            );
        }
    }
}

/// Which consumer an action is about.
fn about(action: &Action) -> Option<ConsumerId> {
    match action {
        Action::Apply { spec, .. } => Some(spec.consumer_id),
        Action::Broadcast { tx, .. } => Some(tx.consumer_id()),
        Action::BuildGenesis { consumer_id, .. }
        | Action::Delete { consumer_id, .. }
        | Action::PrepareKey { consumer_id, .. }
        | Action::Stop { consumer_id, .. } => Some(*consumer_id),
        Action::CheckReady { check, .. } => Some(check.consumer_id),
        Action::Query { query, .. } => match query {
            Query::Candidates { consumer_id, .. }
            | Query::Consumer { consumer_id, .. }
            | Query::ConsumerSet { consumer_id, .. } => Some(*consumer_id),
            Query::HoldsKey(key, _) => Some(key.consumer_id),
            Query::Phases => None,
        },
        Action::ListNodes { .. } | Action::Notify(_) => None,
    }
}
