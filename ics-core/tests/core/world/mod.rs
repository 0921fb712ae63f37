//! A world in memory for one machine: a chain, nodes, keys and a clock that only tests move.

pub(crate) mod chain;
pub(crate) mod faults;
pub(crate) mod nodes;
pub(crate) mod setup;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ics_core::action::{Action, Input, Notice, OpId, Outcome, Query, Tx};
use ics_core::artifact::{ArtifactRef, Digest};
use ics_core::event::Event;
use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::machine::Machine;
use ics_core::policy::Policy;
use ics_core::status::ConsumerStatus;
use ics_core::time::{Height, UnixTime};

use self::chain::{Ask, Chain};
use self::faults::{Dice, Faults};
use self::nodes::{Keys, Nodes};
use self::watch::Watch;

/// The time between two blocks.
pub(crate) const BLOCK: Duration = Duration::from_secs(5);
/// The instant at which all worlds begin.
pub(crate) const START: UnixTime = UnixTime::new(1_800_000_000, 0);
const LAG: Duration = Duration::from_millis(50);

pub(crate) const fn id(number: u64) -> ConsumerId {
    ConsumerId::new(number)
}

/// The instant this many seconds after the start.
pub(crate) fn at(seconds: u64) -> UnixTime {
    START + Duration::from_secs(seconds)
}

enum Due {
    Execute(Action),
    Answer(OpId, Outcome),
    /// The transaction with this number was sent: its outcome comes after the block it is in.
    Mined(OpId, u64),
}

pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) nodes: Nodes,
    pub(crate) keys: Keys,
    pub(crate) machine: Machine,
    pub(crate) policy: Policy,
    /// What is missing for readiness, by consumer.
    pub(crate) missing: BTreeMap<ConsumerId, String>,
    /// Everything the machine was told, and when by its clock.
    pub(crate) inputs: Vec<(UnixTime, Input)>,
    /// Everything it asked for but queries, without notices.
    pub(crate) done: Vec<Action>,
    pub(crate) notices: Vec<Notice>,
    /// Actions, in short, that happen once without anyone learning of it.
    pub(crate) unheard: BTreeSet<String>,
    /// Lists of nodes arrive eight seconds after they were made.
    pub(crate) slow_lists: bool,
    /// From here on no event arrives.
    pub(crate) deaf: bool,
    watch: Watch,
    faults: Faults,
    dice: Dice,
    time: UnixTime,
    /// How far the wall clock is ahead of (or behind) true time.
    ahead: i64,
    next_block: UnixTime,
    silent_until: UnixTime,
    gap: bool,
    queue: BTreeMap<(UnixTime, u64), Due>,
    number: u64,
    /// How many transactions of ours were sent.
    sent: u64,
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        Self::with_faults(policy, Faults::default(), 0)
    }

    pub(crate) fn with_faults(policy: Policy, faults: Faults, seed: u64) -> Self {
        Self {
            chain: Chain::new(START),
            nodes: Nodes::default(),
            keys: Keys::default(),
            machine: Machine::new(chain::local(), policy.clone()),
            policy,
            missing: BTreeMap::new(),
            inputs: Vec::new(),
            done: Vec::new(),
            notices: Vec::new(),
            unheard: BTreeSet::new(),
            slow_lists: false,
            deaf: false,
            watch: Watch::default(),
            faults,
            dice: Dice(seed),
            time: START,
            ahead: 0,
            next_block: START + BLOCK,
            silent_until: START,
            gap: true,
            queue: BTreeMap::new(),
            number: 0,
            sent: 0,
        }
    }

    pub(crate) fn ask(&mut self, ask: Ask) {
        self.chain.ask(ask);
    }

    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy.clone();
        self.feed(Input::Policy(policy));
    }

    /// Throws the machine away, as if its process had died, and builds another.
    pub(crate) fn crash(&mut self) {
        for (_, due) in std::mem::take(&mut self.queue) {
            if let Due::Execute(action) = due
                && self.dice.is(500)
            {
                self.execute(action);
            }
        }
        self.queue.clear();
        self.machine = Machine::new(chain::local(), self.policy.clone());
        self.watch.rebuilt();
        self.gap = true;
    }

    /// Lets the world run up to this many seconds after the start.
    pub(crate) fn run_to(&mut self, seconds: u64) {
        let end = at(seconds);
        while self.advance(end) {
            // A machine that spins would go on for ever at one instant.
            let wrong = &self.watch.wrong;
            assert!(wrong.len() < 20, "{wrong:#?}");
        }
    }

    pub(crate) fn status(&self, number: u64) -> ConsumerStatus {
        let mut all = self.machine.consumers();
        all.find(|status| status.consumer_id == id(number))
            .unwrap_or_else(|| panic!("the machine does not know consumer {number}"))
    }

    /// What went wrong that never may, so far.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = self.watch.wrong.clone();
        wrong.extend(self.nodes.wrong.iter().cloned());
        wrong
    }

    /// What was asked for since the last call, without queries and notices.
    pub(crate) fn done(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.done)
    }

    fn wall(&self) -> UnixTime {
        let by = Duration::from_secs(self.ahead.unsigned_abs());
        if self.ahead < 0 {
            self.time - by
        } else {
            self.time + by
        }
    }

    fn is_faulty(&self) -> bool {
        self.time < START + self.faults.last
    }

    fn happens(&mut self, what: fn(&Faults) -> u64) -> bool {
        self.is_faulty() && self.dice.is(what(&self.faults))
    }

    /// Does the next thing that is due before `end`; false if there is none.
    fn advance(&mut self, end: UnixTime) -> bool {
        let tick = self.machine.next_tick().map(|wall| {
            let wait = wall.since(self.wall());
            self.time + wait
        });
        let queued = self.queue.keys().next().map(|(due, _)| *due);
        let next = [Some(self.next_block), queued, tick];
        let next = next.into_iter().flatten().min().unwrap_or(end);
        if next > end {
            self.time = end;
            return false;
        }
        self.time = self.time.max(next);
        if self.happens(|f| f.crashes) {
            self.crash();
        } else if self.happens(|f| f.jumps) {
            self.ahead += i64::try_from(self.dice.below(7200)).unwrap_or(0) - 3600;
        } else if queued == Some(next) {
            if let Some((_, due)) = self.queue.pop_first() {
                self.perform(due);
            }
        } else if self.next_block == next {
            self.make_block();
        } else {
            self.feed(Input::Tick);
        }
        true
    }

    fn make_block(&mut self) {
        self.next_block = self.time + BLOCK;
        // Block time lags behind: it is the time at which the block before was agreed on.
        let time = self.time - Duration::from_secs(1);
        let mut events = self.chain.block(time);
        if self.happens(|f| f.silences) {
            self.silent_until = self.time + Duration::from_secs(30);
        }
        if self.time < self.silent_until || self.happens(|f| f.blocks_lost) {
            self.gap = true;
            return;
        }
        let height = self.chain.height;
        if std::mem::take(&mut self.gap) {
            return self.feed(Input::Resync { height, time });
        }
        if self.deaf || self.happens(|f| f.events_lost) {
            events.clear();
        }
        self.show(height, time, events);
    }

    fn show(&mut self, height: Height, time: UnixTime, events: Vec<Event>) {
        self.feed(Input::Block {
            height,
            time,
            events: events.clone(),
        });
        if self.happens(|f| f.repeats) {
            let height = Height(height.0 - self.dice.below(3));
            self.feed(Input::Block {
                height,
                time,
                events,
            });
        }
    }

    pub(crate) fn feed(&mut self, input: Input) {
        let wall = self.wall();
        self.watch.told(wall, &input);
        self.inputs.push((wall, input.clone()));
        let actions = self.machine.step(wall, input);
        self.watch.next_tick(wall, self.machine.next_tick());
        for action in actions {
            self.watch.asked(&action, &self.policy, &self.keys);
            match &action {
                Action::Notify(notice) => {
                    self.notices.push(notice.clone());
                    continue;
                }
                Action::ListNodes { .. } | Action::Query { .. } => {}
                _ => self.done.push(action.clone()),
            }
            self.schedule(Due::Execute(action));
        }
    }

    fn schedule(&mut self, due: Due) {
        let late = if self.happens(|f| f.slow) {
            Duration::from_millis(self.dice.below(40_000))
        } else {
            LAG
        };
        self.number += 1;
        self.queue.insert((self.time + late, self.number), due);
    }

    fn perform(&mut self, due: Due) {
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
    fn execute(&mut self, action: Action) -> Option<Outcome> {
        Some(match action {
            Action::Apply { spec, .. } => Outcome::Applied(self.nodes.apply(&spec, &self.keys)),
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
                    Outcome::Genesis(ArtifactRef {
                        digest: Digest::of(text.as_bytes()),
                        len: 1,
                    })
                }
                Ok(_) => Outcome::Failed(Failure::permanent("it has no genesis")),
                Err(text) => Outcome::Failed(Failure::transient(text)),
            },
            Action::CheckReady { check, .. } => {
                let held = check.key.is_none_or(|key| self.keys.holds(&key));
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
            Action::PrepareKey { consumer_id, .. } => Outcome::Key(self.keys.prepare(consumer_id)),
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
            Query::ConsumerSet { consumer_id, .. } if self.nodes.runs(*consumer_id) => {
                Outcome::ConsumerSet(self.chain.consumers[consumer_id].own_set.clone())
            }
            Query::ConsumerSet { .. } => Outcome::Failed(Failure::transient("no node answers")),
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
