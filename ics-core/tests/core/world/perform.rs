//! Does what the machine asks for, and answers.

use std::time::Duration;

use ics_core::action::{Action, Input, OpId, Outcome, Query, Tx};
use ics_core::artifact::{ArtifactRef, Digest};
use ics_core::failure::Failure;
use ics_core::time::Height;

use super::chain::{self, Ask};
use super::{Due, LAG, World};

impl World {
    pub(super) fn perform(&mut self, due: Due) {
        match due {
            Due::Execute(action) => self.begin(action),
            Due::Answer(op, outcome) => self.feed(Input::Done { op, outcome }),
            Due::Mined(op, number) => match self.chain.results.remove(&number) {
                None => {
                    self.number += 1;
                    let next = (self.next_block + LAG, self.number);
                    self.queue.insert(next, Due::Mined(op, number));
                }
                Some(Ok(height)) => self.answer(op, Outcome::Included(height)),
                Some(Err(code)) if code == "code 20" => self.answer(op, Outcome::CannotOptOut),
                Some(Err(code)) => {
                    self.answer(op, Outcome::Failed(Failure::permanent(code)));
                }
            },
        }
    }

    /// Begins an action, unless it is one that fails.
    fn begin(&mut self, action: Action) {
        let Some(op) = action.op() else { return };
        if self.unheard.remove(&short(&action)) {
            self.execute(action);
            let failure = Failure::unknown("the answer got lost");
            return self.answer(op, Outcome::Failed(failure));
        }
        if self.slow_lists && matches!(action, Action::ListNodes { .. }) {
            self.number += 1;
            let due = Due::Answer(op, Outcome::Nodes(self.nodes.list()));
            let when = self.time + Duration::from_secs(8);
            self.queue.insert((when, self.number), due);
            return;
        }
        if self.happens(|f| f.transient) {
            return self.answer(op, Outcome::Failed(Failure::transient("a blip")));
        }
        if self.happens(|f| f.permanent) {
            return self.answer(op, Outcome::Failed(Failure::permanent("refused")));
        }
        let unknown = self.happens(|f| f.unknown);
        let lost = self.happens(|f| f.lost);
        if (unknown || lost) && self.dice.is(500) {
            self.execute(action);
        } else if !unknown && !lost {
            if let Some(outcome) = self.execute(action) {
                self.answer(op, outcome);
            } else {
                self.schedule(Due::Mined(op, self.sent));
            }
            return;
        }
        if unknown {
            self.answer(op, Outcome::Failed(Failure::unknown("the answer got lost")));
        }
    }

    fn answer(&mut self, op: OpId, outcome: Outcome) {
        if self.happens(|f| f.doubled) {
            self.schedule(Due::Answer(op, outcome.clone()));
        }
        self.schedule(Due::Answer(op, outcome));
    }

    /// Does an action; `None`: its outcome is known only after the next block.
    pub(super) fn execute(&mut self, action: Action) -> Option<Outcome> {
        Some(match action {
            Action::Apply { spec, .. } => {
                let own_set = &self.chain.consumers[&spec.consumer_id].own_set;
                Outcome::Applied(self.nodes.apply(&spec, &mut self.keys, own_set))
            }
            Action::Broadcast { tx, .. } => {
                self.sent += 1;
                self.chain.ask(Ask::Ours(self.sent, tx));
                return None;
            }
            Action::BuildGenesis {
                consumer_id,
                source,
                expect,
                height,
                ..
            } => match self.chain.record(consumer_id, height) {
                Ok(Some(record)) if record.launched.is_some() => {
                    let text = format!("{source:?} {expect:?} {:?}", record.launched);
                    let digest = Digest::of(text.as_bytes());
                    Outcome::Genesis {
                        artifact: ArtifactRef { digest, len: 1 },
                        trust: self.trust.clone(),
                        standing: self.standing,
                    }
                }
                Ok(_) => Outcome::Failed(Failure::permanent("it has no genesis")),
                Err(text) => Outcome::Failed(Failure::transient(text)),
            },
            Action::CheckReady { check, .. } => {
                let held = check
                    .key
                    .is_none_or(|key| self.keys.may_sign(&key, &check.chain_id));
                if let Some(other) = self.nodes.holder(check.consumer_id, &check.ports) {
                    let text = format!("a port is in use by consumer {other}");
                    return Some(Outcome::Failed(Failure::transient(text)));
                }
                match self.missing.get(&check.consumer_id) {
                    Some(what) => Outcome::Failed(Failure::transient(what.clone())),
                    None if held => Outcome::Ready,
                    None => Outcome::Failed(Failure::transient("the assigned key is not here")),
                }
            }
            Action::Delete { consumer_id, .. } => {
                self.nodes.delete(consumer_id);
                Outcome::Gone
            }
            Action::ListNodes { .. } => Outcome::Nodes(self.nodes.list()),
            Action::Notify(_) => return None,
            Action::PrepareKey {
                consumer_id,
                origin,
                ..
            } => match self.keys.prepare(consumer_id, origin) {
                Ok(key) => Outcome::Key(key),
                Err(failure) => Outcome::Failed(failure),
            },
            Action::Query { query, .. } => {
                let behind = if self.happens(|f| f.behind) { 2 } else { 0 };
                self.query(&query, behind)
            }
            Action::Stop { consumer_id, .. } => {
                self.nodes.stop(consumer_id);
                Outcome::Gone
            }
        })
    }

    fn query(&self, query: &Query, behind: u64) -> Outcome {
        match query {
            Query::Candidates { consumer_id, .. } => Outcome::Candidates {
                candidates: self.chain.candidates(),
                height: self.chain.consumers[consumer_id].created,
                exact: true,
            },
            Query::Consumer { consumer_id, .. } if self.unreadable.contains(consumer_id) => {
                Outcome::Failed(Failure::permanent("its chain id is no chain id"))
            }
            Query::Consumer {
                consumer_id,
                height,
            } => {
                let height = height.unwrap_or(self.chain.height);
                let height = Height(height.0 - behind);
                match self.chain.snapshot(*consumer_id, height) {
                    Ok(snapshot) => Outcome::Consumer(snapshot.map(Box::new)),
                    Err(text) => Outcome::Failed(Failure::transient(text)),
                }
            }
            Query::ConsumerSet { consumer_id, .. }
                if self.nodes.runs(*consumer_id) && !self.mute =>
            {
                Outcome::ConsumerSet(self.chain.consumers[consumer_id].own_set.clone())
            }
            Query::ConsumerSet { .. } => Outcome::Failed(Failure::transient("no node answers")),
            Query::HoldsKey(key, chain_id) => Outcome::HoldsKey(self.keys.may_sign(key, chain_id)),
            Query::Phases => Outcome::Phases {
                phases: self.chain.phases(),
                blocks_per_epoch: chain::EPOCH,
            },
        }
    }
}

/// An action in short, without its number: what scenarios compare.
pub(crate) fn short(action: &Action) -> String {
    match action {
        Action::Apply { spec, .. } => format!("apply {}", spec.consumer_id),
        Action::Broadcast { tx, .. } => match tx {
            Tx::AssignKey(key) => format!("assign key {}", key.consumer_id),
            Tx::OptIn { consumer_id, key } => match key {
                Some(_) => format!("opt in {consumer_id} with key"),
                None => format!("opt in {consumer_id}"),
            },
            Tx::OptOut(consumer_id) => format!("opt out {consumer_id}"),
        },
        Action::BuildGenesis { consumer_id, .. } => format!("build genesis {consumer_id}"),
        Action::CheckReady { check, .. } => format!("check {}", check.consumer_id),
        Action::Delete { consumer_id, .. } => format!("delete {consumer_id}"),
        Action::ListNodes { .. } => "list nodes".into(),
        Action::Notify(notice) => notice.text.clone(),
        Action::PrepareKey { consumer_id, .. } => format!("prepare key {consumer_id}"),
        Action::Query { query, .. } => format!("{query:?}"),
        Action::Stop { consumer_id, .. } => format!("stop {consumer_id}"),
    }
}
