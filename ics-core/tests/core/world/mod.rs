//! A world in memory for one machine: a chain, nodes, keys and a clock that only tests move.

pub(crate) mod chain;
pub(crate) mod faults;
mod fingerprint;
pub(crate) mod moves;
pub(crate) mod nodes;
mod perform;
pub(crate) mod setup;
pub(crate) mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ics_core::action::{Action, Input, Notice, OpId, Outcome};
use ics_core::event::Event;
use ics_core::genesis::{Standing, Trust};
use ics_core::id::ConsumerId;
use ics_core::machine::Machine;
use ics_core::policy::Policy;
use ics_core::status::ConsumerStatus;
use ics_core::time::{Height, UnixTime};

pub(crate) use self::perform::short;

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

#[derive(Clone, Debug)]
enum Due {
    Execute(Action),
    Answer(OpId, Outcome),
    /// The transaction with this number was sent: its outcome comes after the block it is in.
    Mined(OpId, u64),
}

impl Due {
    fn op(&self) -> Option<OpId> {
        match self {
            Self::Execute(action) => action.op(),
            Self::Answer(op, _) | Self::Mined(op, _) => Some(*op),
        }
    }
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) nodes: Nodes,
    pub(crate) keys: Keys,
    pub(crate) machine: Machine,
    /// Another machine that is told the same.
    twin: Machine,
    /// What someone knows of all consumers who asks after each step what that one changed.
    statuses: BTreeMap<ConsumerId, Arc<ConsumerStatus>>,
    pub(crate) policy: Policy,
    /// What is missing for readiness, by consumer.
    pub(crate) missing: BTreeMap<ConsumerId, String>,
    /// What becomes known of a launch genesis when it is built.
    pub(crate) trust: Trust,
    pub(crate) standing: Standing,
    /// Everything it asked for but queries, without notices.
    pub(crate) done: Vec<Action>,
    pub(crate) notices: Vec<Notice>,
    /// Actions, in short, that happen once without anyone learning of it.
    pub(crate) unheard: BTreeSet<String>,
    /// What the provider says of these makes no sense.
    pub(crate) unreadable: BTreeSet<ConsumerId>,
    /// Lists of nodes arrive eight seconds after they were made.
    pub(crate) slow_lists: bool,
    /// Our nodes run, but nobody can ask them anything.
    pub(crate) mute: bool,
    /// From here on no event arrives.
    pub(crate) deaf: bool,
    watch: Watch,
    faults: Faults,
    dice: Dice,
    time: UnixTime,
    /// How far the wall clock is ahead of (or behind) true time.
    ahead: i64,
    next_block: UnixTime,
    /// The newest height that the machine was shown.
    shown: Height,
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
            twin: Machine::new(chain::local(), policy.clone()),
            statuses: BTreeMap::new(),
            policy,
            missing: BTreeMap::new(),
            trust: Trust::Proved(Height(1)),
            standing: Standing::Assigned,
            done: Vec::new(),
            notices: Vec::new(),
            unheard: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            slow_lists: false,
            mute: false,
            deaf: false,
            watch: Watch::default(),
            faults,
            dice: Dice(seed),
            time: START,
            ahead: 0,
            next_block: START + BLOCK,
            shown: Height(0),
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
        self.feed(Input::Policy(policy.into()));
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
        self.twin = self.machine.clone();
        self.statuses.clear();
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

    /// Lets the world run until this action, in short, has been asked for and is not done yet.
    pub(crate) fn run_until(&mut self, asked: &str) -> Action {
        loop {
            if let Some(action) = self.done.iter().find(|action| short(action) == asked) {
                return action.clone();
            }
            assert!(self.advance(at(1000)), "{asked:?} is not asked for");
        }
    }

    pub(crate) fn status(&self, number: u64) -> ConsumerStatus {
        let status = self.statuses.get(&id(number));
        status
            .map(|status| ConsumerStatus::clone(status))
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

    /// When the machine next wants to be told that time passed.
    fn tick(&self) -> Option<UnixTime> {
        let wall = self.machine.next_tick()?;
        Some(self.time + wall.since(self.wall()))
    }

    /// Does the next thing that is due before `end`; false if there is none.
    fn advance(&mut self, end: UnixTime) -> bool {
        let tick = self.tick();
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
        self.shown = height;
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
        let again = self.twin.step(wall, input.clone());
        let actions = self.machine.step(wall, input);
        self.watch.same(&actions, &again);
        let changed = self.machine.changed();
        self.statuses.extend(changed.map(|it| (it.consumer_id, it)));
        self.watch.shown(&self.statuses, &self.machine);
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
}
