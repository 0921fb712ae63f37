//! What must hold after every single step, whatever the world does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ics_core::action::{Action, Input, OpId, Outcome, Query, Tx};
use ics_core::id::ConsumerId;
use ics_core::keystore::KeyRef;
use ics_core::machine::Machine;
use ics_core::node::NodeSpec;
use ics_core::phase::Phase;
use ics_core::policy::{Decision, KeySource, Policy, Run};
use ics_core::snapshot::Snapshot;
use ics_core::status::ConsumerStatus;
use ics_core::time::{Height, UnixTime};

use super::chain::local;
use super::nodes::Keys;

/// How many actions about one consumer are too many in [`WINDOW`].
const SPINNING: usize = 80;
const WINDOW: Duration = Duration::from_secs(10);

/// How many readings may be under way at once.
const LOOKS: usize = 64;

/// What the machine has been told and has asked for since it was built.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    pub(crate) wrong: Vec<String>,
    /// Time that only goes forward, as deadlines count it.
    own: Duration,
    wall: Option<UnixTime>,
    /// Readings that were asked for, and at which height.
    looks: BTreeMap<OpId, Option<Height>>,
    sends: BTreeSet<OpId>,
    flying: BTreeMap<ConsumerId, (OpId, Duration)>,
    seen: BTreeMap<ConsumerId, Snapshot>,
    deleted: BTreeMap<ConsumerId, (Height, Height)>,
    unlooked: BTreeSet<ConsumerId>,
    recent: BTreeMap<ConsumerId, (Duration, usize)>,
    provider_key_asked: bool,
}

impl Watch {
    /// The machine is another one now; what was wrong stays wrong.
    pub(crate) fn rebuilt(&mut self) {
        let wrong = std::mem::take(&mut self.wrong);
        *self = Self {
            wrong,
            provider_key_asked: self.provider_key_asked,
            ..Self::default()
        };
    }

    fn wrong(&mut self, text: String) {
        self.wrong.push(text);
    }

    pub(crate) fn told(&mut self, wall: UnixTime, input: &Input) {
        if let Some(last) = self.wall {
            self.own += wall.since(last);
        }
        self.wall = Some(wall);
        if let Input::Done { op, outcome } = input {
            self.answered(*op, outcome);
        }
        // As the machine does it: an answer that comes before anything else is in time.
        let own = self.own;
        self.flying.retain(|_, (_, end)| *end > own);
        let flies = |op: &OpId| self.flying.values().any(|(flying, _)| flying == op);
        self.sends.retain(flies);
        if self.looks.len() > LOOKS {
            self.looks.retain(|op, _| flies(op));
        }
        if self.sends.len() > 1 || self.looks.len() > LOOKS {
            let (sends, looks) = (self.sends.len(), self.looks.len());
            self.wrong(format!("{sends} transactions and {looks} readings at once"));
        }
    }

    fn answered(&mut self, op: OpId, outcome: &Outcome) {
        let flown = self.flying.iter().find(|(_, (flying, _))| *flying == op);
        let Some(id) = flown.map(|(id, _)| *id) else {
            return;
        };
        self.flying.remove(&id);
        let asked = self.looks.remove(&op).flatten();
        self.sends.remove(&op);
        if let Outcome::Consumer(Some(snapshot)) = outcome {
            let height = snapshot.height;
            let known = self.seen.get(&id).map(|seen| seen.height);
            if Some(height) < asked.max(known) {
                return;
            }
            self.unlooked.remove(&id);
            if snapshot.phase == Phase::Deleted {
                let (_, last) = self.deleted.entry(id).or_insert((height, height));
                *last = height;
            } else {
                self.deleted.remove(&id);
            }
            self.seen.insert(id, (**snapshot).clone());
        }
    }

    /// I1: two machines that are told the same ask for the same.
    pub(crate) fn same(&mut self, actions: &[Action], again: &[Action]) {
        if actions != again {
            self.wrong(format!("I1: {actions:?} once, then {again:?}"));
        }
    }

    /// What each step says it changed is all that changed.
    pub(crate) fn shown(
        &mut self,
        shown: &BTreeMap<ConsumerId, Arc<ConsumerStatus>>,
        machine: &Machine,
    ) {
        let same = |known: &Arc<_>, now| Arc::ptr_eq(known, &now);
        let all = shown.values().zip(machine.consumers());
        let count = machine.consumers().count();
        if shown.len() != count || !all.into_iter().all(|(known, now)| same(known, now)) {
            self.wrong("a status changed that is not among the changed ones".into());
        }
    }

    pub(crate) fn next_tick(&mut self, wall: UnixTime, next: Option<UnixTime>) {
        if let Some(next) = next
            && next <= wall
        {
            self.wrong(format!("I12: at {wall} the next tick is wanted at {next}"));
        }
    }

    pub(crate) fn asked(&mut self, action: &Action, policy: &Policy, keys: &Keys) {
        let Some((id, op)) = about(action) else {
            return;
        };
        let seconds = match action {
            Action::Query { query, .. } => {
                if let Query::Consumer { height, .. } = query {
                    self.looks.insert(op, *height);
                }
                30
            }
            _ => 600,
        };
        let end = self.own + Duration::from_secs(seconds);
        if let Some((other, _)) = self.flying.insert(id, (op, end)) {
            self.wrong(format!(
                "I2: consumer {id} has {other:?} and {op:?} in flight"
            ));
        }
        let (since, count) = self.recent.entry(id).or_insert((self.own, 0));
        if *since + WINDOW < self.own {
            (*since, *count) = (self.own, 0);
        }
        *count += 1;
        if *count == SPINNING {
            self.wrong(format!("consumer {id} spins: {action:?}"));
        }
        match action {
            Action::Broadcast { tx, .. } => {
                self.sends.insert(op);
                self.sends(id, *tx, policy, keys);
            }
            Action::Apply { spec, .. } => self.applies(spec, policy),
            Action::Delete { .. } => {
                let sure = self.deleted.get(&id);
                if sure.is_none_or(|(first, last)| last.0 - first.0 < 10) {
                    self.wrong(format!("I5: consumer {id} is deleted after {sure:?}"));
                }
            }
            _ => {}
        }
    }

    /// Our provider key signs nothing as long as no rule ever asked for it.
    fn applies(&mut self, spec: &NodeSpec, policy: &Policy) {
        let runs = policy.rules.iter().filter_map(|rule| rule.run.as_ref());
        let ours = local().provider_key;
        let asks = |run: &Run| match run.key {
            KeySource::Provider => true,
            KeySource::Remote { public_key, .. } => public_key == ours,
            KeySource::Fresh | KeySource::Imported => false,
        };
        self.provider_key_asked |= runs.into_iter().any(asks);
        if spec.signer.key() == Some(ours) && !self.provider_key_asked {
            let id = spec.consumer_id;
            self.wrong
                .push(format!("consumer {id}: nobody asked for our provider key"));
        }
    }

    fn sends(&mut self, id: ConsumerId, tx: Tx, policy: &Policy, keys: &Keys) {
        if !self.unlooked.insert(id) {
            self.wrong(format!(
                "consumer {id}: {tx:?} is sent without a look after the last"
            ));
        }
        let key = match tx {
            Tx::AssignKey(key) => Some(key),
            Tx::OptIn { key, .. } => key,
            Tx::OptOut(_) => None,
        };
        let remote = |key: &KeyRef| {
            let seen = self.seen.get(&id);
            let run = seen.and_then(|seen| policy.run_for(seen));
            let source = run.map(|run| run.key);
            matches!(source, Some(KeySource::Remote { public_key, .. }) if public_key == key.public_key)
        };
        if key.is_some_and(|key| !keys.holds(&key) && !remote(&key)) {
            self.wrong(format!("I9: {tx:?} names a key that is not durable"));
        }
        let Some(seen) = self.seen.get(&id) else {
            return self.wrong(format!("consumer {id}: {tx:?} before it was read"));
        };
        let allowed = matches!(
            policy.decide(seen),
            Decision::Allowed(_) | Decision::Ordered(_)
        );
        let opted_in = seen.opted_in;
        if matches!(tx, Tx::OptIn { .. }) && !allowed {
            self.wrong(format!("I4: {tx:?} although it is not allowed"));
        }
        if matches!(tx, Tx::OptIn { .. }) && opted_in {
            self.wrong(format!("I10: {tx:?} although we are opted in"));
        }
    }
}

/// Which consumer an action is about, and its op.
fn about(action: &Action) -> Option<(ConsumerId, OpId)> {
    match action {
        Action::Apply { op, spec } => Some((spec.consumer_id, *op)),
        Action::Broadcast { op, tx } => Some((tx.consumer_id(), *op)),
        Action::BuildGenesis {
            op, consumer_id, ..
        }
        | Action::Delete { op, consumer_id }
        | Action::PrepareKey {
            op, consumer_id, ..
        }
        | Action::Stop { op, consumer_id } => Some((*consumer_id, *op)),
        Action::CheckReady { op, check } => Some((check.consumer_id, *op)),
        Action::Query { op, query } => match query {
            Query::Candidates { consumer_id, .. }
            | Query::Consumer { consumer_id, .. }
            | Query::ConsumerSet { consumer_id, .. } => Some((*consumer_id, *op)),
            Query::HoldsKey(key, _) => Some((key.consumer_id, *op)),
            Query::Phases => None,
        },
        Action::ListNodes { .. } | Action::Notify(_) => None,
    }
}
