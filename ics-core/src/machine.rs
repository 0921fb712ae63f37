//! The machine: one door in, one value out.

mod periodic;
mod settle;
mod start;

use std::collections::{BTreeMap, BTreeSet};

use self::periodic::{Clock, Periodic};
use crate::action::{Action, Input, OpId, Query};
use crate::consumer::{Consumer, Kind};
use crate::event::Event;
use crate::failure::Failure;
use crate::id::ConsumerId;
use crate::phase::Phase;
use crate::policy::Policy;
use crate::ports::{self, Claim, Offset};
use crate::schedule;
use crate::snapshot::LocalValidator;
use crate::status::ConsumerStatus;
use crate::time::{Height, UnixTime};

/// All consumers of one provider, as one validator sees them.
///
/// Feed it with [`Machine::step`] whatever happens, do the actions it returns, and feed their
/// outcomes back. Inputs may be lost, repeated or reordered: that changes how soon something is
/// done, never what.
#[derive(Debug)]
pub struct Machine {
    local: LocalValidator,
    policy: Policy,
    clock: Clock,
    /// The newest block, and when it came.
    block: Option<(Height, UnixTime, UnixTime)>,
    consumers: BTreeMap<ConsumerId, Consumer>,
    /// The consumers that have to be decided about before this step ends.
    dirty: BTreeSet<ConsumerId>,
    /// When a consumer has to be decided about although nothing happened.
    wakes: BTreeMap<ConsumerId, UnixTime>,
    /// The actions of consumers that are under way: whose, and when they are given up.
    ops: BTreeMap<OpId, (ConsumerId, UnixTime)>,
    /// How many of them are of each kind.
    busy: BTreeMap<Kind, usize>,
    /// The consumers that wait until fewer of a kind are under way, the most urgent first.
    waiting: BTreeMap<Kind, BTreeSet<(UnixTime, ConsumerId)>>,
    offsets: Option<BTreeMap<ConsumerId, Offset>>,
    /// Whether headers have stopped coming.
    silent: bool,
    /// The length of an epoch, once it was read.
    blocks_per_epoch: Option<u64>,
    nodes_known: bool,
    scan: Periodic,
    list: Periodic,
    next_op: u64,
}

impl Machine {
    /// A machine that knows nothing yet; it asks once the first [`Input::Resync`] came.
    #[must_use]
    pub fn new(local: LocalValidator, policy: Policy) -> Self {
        Self {
            local,
            policy,
            clock: Clock::default(),
            block: None,
            consumers: BTreeMap::new(),
            dirty: BTreeSet::new(),
            wakes: BTreeMap::new(),
            ops: BTreeMap::new(),
            busy: BTreeMap::new(),
            waiting: BTreeMap::new(),
            offsets: None,
            silent: false,
            blocks_per_epoch: None,
            nodes_known: false,
            scan: Periodic::default(),
            list: Periodic::default(),
            next_op: 0,
        }
    }

    /// Takes in what happened at `now` and returns what is to be done about it.
    ///
    /// Extra calls are harmless. `now` is wall time and only spaces out retries; everything that
    /// the chain decides is compared with block time.
    #[must_use]
    pub fn step(&mut self, now: UnixTime, input: Input) -> Vec<Action> {
        let now = self.clock.read(now);
        let mut actions = Vec::new();
        match input {
            Input::Block {
                height,
                time,
                events,
            } => self.on_block(now, height, time, &events),
            Input::Done { op, outcome } => self.on_done(now, op, outcome, &mut actions),
            Input::Policy(policy) => self.on_policy(policy),
            Input::Resync { height, time } => self.on_resync(now, height, time),
            Input::Tick => {}
        }
        self.expire(now);
        self.run_periodic(now, &mut actions);
        self.work(now, &mut actions);
        actions
    }

    /// When [`Input::Tick`] is next wanted. `None`: only another input can make progress.
    #[must_use]
    pub fn next_tick(&self) -> Option<UnixTime> {
        let (_, _, came) = self.block?;
        let silence = (!self.silent).then_some(came + schedule::SILENCE);
        let deadlines = self.ops.values().map(|(_, deadline)| *deadline);
        let wakes = self.wakes.values().copied();
        let global = [self.scan.wake(), self.list.wake()].into_iter().flatten();
        let next = wakes.chain(deadlines).chain(global).chain(silence).min();
        next.map(|next| self.clock.wall(next))
    }

    /// All consumers, by id.
    pub fn consumers(&self) -> impl Iterator<Item = ConsumerStatus> + '_ {
        self.consumers.values().map(Consumer::status)
    }

    fn on_block(&mut self, now: UnixTime, height: Height, time: UnixTime, events: &[Event]) {
        if self.block.is_some_and(|(last, _, _)| height <= last) {
            return;
        }
        self.block = Some((height, time, now));
        self.silent = false;
        for event in events {
            match event {
                Event::Created(id) => {
                    let consumer = self.consumer(*id);
                    consumer.created = Some(height);
                    consumer.look_at(height);
                }
                Event::Touched(id) => self.consumer(*id).look_at(height),
                Event::MaybeStopped => self.look_at_all(height, is_launched_and_ours),
            }
        }
        // Sets change, and a consumer may be stopped, at the end of an epoch without an event.
        if self
            .blocks_per_epoch
            .is_some_and(|blocks| height.0.is_multiple_of(blocks))
        {
            self.look_at_all(height, is_launched_and_ours);
        }
        // Due times are compared with block time: those that may be due are decided about anew, and
        // those that are to be read at this height.
        let waits = |consumer: &Consumer| {
            let due = consumer.snapshot().is_some_and(|s| match s.phase {
                Phase::Initialized | Phase::Stopped => true,
                Phase::Deleted => consumer.node.is_some(),
                Phase::Registered | Phase::Launched => false,
            });
            due || consumer.look.is_some()
        };
        let waiting = self.consumers.values().filter(|c| waits(c)).map(|c| c.id);
        self.dirty.extend(waiting);
    }

    fn on_resync(&mut self, now: UnixTime, height: Height, time: UnixTime) {
        if self.block.is_none_or(|(last, _, _)| height >= last) {
            self.block = Some((height, time, now));
            self.silent = false;
            self.look_at_all(height, |_| true);
        }
        self.scan.hurry();
        self.list.hurry();
    }

    fn on_policy(&mut self, policy: Policy) {
        let share_changed = policy.share != self.policy.share;
        self.policy = policy;
        for consumer in self.consumers.values_mut() {
            consumer.reconsider();
            if share_changed {
                consumer.selection = None;
            }
        }
        self.dirty.extend(self.consumers.keys());
    }

    /// The consumer with this id, which will be decided about before the step ends.
    fn consumer(&mut self, id: ConsumerId) -> &mut Consumer {
        self.dirty.insert(id);
        self.consumers
            .entry(id)
            .or_insert_with(|| Consumer::new(id))
    }

    fn look_at_all(&mut self, height: Height, which: impl Fn(&Consumer) -> bool) {
        for consumer in self
            .consumers
            .values_mut()
            .filter(|consumer| which(consumer))
        {
            consumer.look_at(height);
            self.dirty.insert(consumer.id);
        }
    }

    /// Gives up actions that did not end in time, and wakes consumers whose time has come.
    fn expire(&mut self, now: UnixTime) {
        if !self.silent
            && self
                .block
                .is_some_and(|(_, _, came)| now.since(came) >= schedule::SILENCE)
        {
            self.silent = true;
            self.dirty.extend(self.consumers.keys());
        }
        let due = self.wakes.iter().filter(|(_, at)| **at <= now);
        self.dirty.extend(due.map(|(id, _)| *id));
        let late = self.ops.iter().filter(|(_, (_, at))| *at <= now);
        let late: Vec<_> = late.map(|(op, _)| *op).collect();
        for op in late {
            if let Some((id, want)) = self.take(op) {
                let failure = Failure::unknown("it did not end in time");
                self.on_failed(now, id, &want, &failure);
            }
        }
    }

    fn run_periodic(&mut self, now: UnixTime, actions: &mut Vec<Action>) {
        if self.block.is_none() {
            return;
        }
        if self.list.is_due(now) {
            let op = self.op();
            self.list.start(op, now, schedule::LIST);
            actions.push(Action::ListNodes { op });
        }
        if self.scan.is_due(now) {
            let op = self.op();
            self.scan.start(op, now, schedule::SCAN);
            actions.push(Action::Query {
                op,
                query: Query::Phases,
            });
        }
    }

    fn op(&mut self) -> OpId {
        self.next_op += 1;
        OpId(self.next_op)
    }

    /// Computes the ports of all launched consumers anew, once all of them have been read. One
    /// that cannot be read is left out after a few tries, so that it does not hold up the rest.
    fn offsets_changed(&mut self) {
        let unread = self.consumers.values().any(|consumer| {
            let has_ports = matches!(consumer.hint, Some(Phase::Launched | Phase::Stopped));
            let unread = consumer.seen.is_none() && !consumer.unknown;
            has_ports && unread && consumer.failures(Kind::Look) < schedule::UNREADABLE
        });
        let offsets = if unread || !self.scan.done_once {
            None
        } else {
            Some(ports::allocate(self.consumers.values().filter_map(claim)))
        };
        if offsets != self.offsets {
            self.offsets = offsets;
            self.dirty.extend(self.consumers.keys());
        }
    }
}

/// Whether it is launched, and we run it or are to run it.
fn is_launched_and_ours(consumer: &Consumer) -> bool {
    consumer.snapshot().is_some_and(|snapshot| {
        let ours = consumer.node.is_some() || snapshot.opted_in;
        ours && snapshot.phase == Phase::Launched
    })
}

/// What a consumer takes part in the order of ports with: only a launched one has ports.
fn claim(consumer: &Consumer) -> Option<Claim<'_>> {
    let snapshot = consumer.snapshot()?;
    let has_ports = matches!(snapshot.phase, Phase::Launched | Phase::Stopped);
    has_ports.then(|| Claim {
        launched: snapshot
            .launched_at
            .or(consumer.launch_seen)
            .unwrap_or(snapshot.height),
        consumer_id: snapshot.consumer_id,
        chain_id: &snapshot.chain_id,
    })
}
