//! The machine: one door in, one value out.

mod periodic;
mod settle;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::periodic::{Clock, Periodic};
use crate::action::{Action, Input, OpId, Query};
use crate::consumer::{Consumer, Kind};
use crate::event::Event;
use crate::failure::Failure;
use crate::id::ConsumerId;
use crate::index::{Counts, Filed, Index};
use crate::policy::Policy;
use crate::ports::Allocation;
use crate::predict::Pace;
use crate::snapshot::LocalValidator;
use crate::status::ConsumerStatus;
use crate::time::{Height, UnixTime};

/// All consumers of one provider, as one validator sees them.
///
/// Feed it with [`Machine::step`] whatever happens, do the actions it returns, and feed their
/// outcomes back. Inputs may be lost, repeated or reordered: that changes how soon something is
/// done, never what.
#[derive(Clone, Debug)]
pub struct Machine {
    local: LocalValidator,
    policy: Policy,
    clock: Clock,
    /// The newest block, and when it came.
    block: Option<(Height, UnixTime, UnixTime)>,
    pace: Pace,
    consumers: BTreeMap<ConsumerId, Box<Consumer>>,
    /// The consumers that have to be decided about before this step ends.
    dirty: BTreeSet<ConsumerId>,
    /// The consumers that this step changed for those who look on.
    changed: BTreeSet<ConsumerId>,
    /// What is known of all of them together.
    index: Index,
    /// The actions of consumers that are under way: whose, and when they are given up.
    ops: BTreeMap<OpId, (ConsumerId, UnixTime)>,
    /// The same actions, the first to be given up first.
    deadlines: BTreeSet<(UnixTime, OpId)>,
    /// How many of them are of each kind.
    busy: BTreeMap<Kind, usize>,
    /// The consumers that wait until fewer of a kind are under way, the most urgent first.
    waiting: BTreeMap<Kind, BTreeSet<(UnixTime, ConsumerId)>>,
    /// Whether all consumers that there were at the start have been counted. Later ones are new,
    /// and we are in none of them.
    counted: bool,
    /// The ports of all launched consumers, once all have been read.
    ports: Option<Allocation>,
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
            pace: Pace::default(),
            consumers: BTreeMap::new(),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            index: Index::default(),
            ops: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            busy: BTreeMap::new(),
            waiting: BTreeMap::new(),
            counted: false,
            ports: None,
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
        self.changed.clear();
        match input {
            Input::Block {
                height,
                time,
                events,
            } => self.on_block(now, height, time, &events),
            Input::Done { op, outcome } => self.on_done(now, op, outcome, &mut actions),
            Input::Policy(policy) => self.on_policy(*policy),
            Input::Resync { height, time } => self.on_resync(now, height, time),
            Input::Tick => {}
        }
        self.expire(now);
        self.run_periodic(now, &mut actions);
        self.work(now, &mut actions);
        #[cfg(debug_assertions)]
        {
            let consumers = self.consumers.values().map(|consumer| &**consumer);
            assert_eq!(self.index, Index::of(consumers, self.local.provider_key));
        }
        actions
    }

    /// When [`Input::Tick`] is next wanted. `None`: only another input can make progress.
    #[must_use]
    pub fn next_tick(&self) -> Option<UnixTime> {
        let (_, _, came) = self.block?;
        let silence = (!self.silent).then_some(came + self.policy.schedule.silence);
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let periodic = [self.scan.wake(), self.list.wake()];
        let single = [self.index.next_wake(), deadline, silence];
        let next = periodic.into_iter().chain(single).flatten().min();
        next.map(|next| self.clock.wall(next))
    }

    /// All consumers, by id. Cheap to keep: a status is shared until it changes.
    pub fn consumers(&self) -> impl Iterator<Item = Arc<ConsumerStatus>> + '_ {
        let consumers = self.consumers.values();
        consumers.map(|consumer| Arc::clone(&consumer.status))
    }

    /// Those of [`Machine::consumers`] that the last step changed or added.
    pub fn changed(&self) -> impl Iterator<Item = Arc<ConsumerStatus>> + '_ {
        let changed = self.changed.iter();
        changed.filter_map(|id| Some(Arc::clone(&self.consumers.get(id)?.status)))
    }

    fn on_block(&mut self, now: UnixTime, height: Height, time: UnixTime, events: &[Event]) {
        if self.block.is_some_and(|(last, _, _)| height <= last) {
            return;
        }
        self.block = Some((height, time, now));
        if self.pace.see(height, time) {
            self.predict_next_launches();
        }
        self.silent = false;
        for event in events {
            match event {
                Event::Created(id) => {
                    let consumer = self.consumer(*id);
                    consumer.created = Some(height);
                    consumer.look_at(height);
                }
                Event::Touched(id) => self.consumer(*id).look_at(height),
                Event::MaybeStopped => self.look_at_ours(height),
            }
        }
        // Sets change, and a consumer may be stopped, at the end of an epoch without an event.
        if self
            .blocks_per_epoch
            .is_some_and(|blocks| height.0.is_multiple_of(blocks))
        {
            self.look_at_ours(height);
        }
        self.dirty.extend(self.index.due_at_block(time));
    }

    fn on_resync(&mut self, now: UnixTime, height: Height, time: UnixTime) {
        if self.block.is_none_or(|(last, _, _)| height >= last) {
            self.block = Some((height, time, now));
            self.pace.see(height, time);
            self.silent = false;
            self.look_at(height, self.consumers.keys().copied().collect());
        }
        self.scan.hurry();
        self.list.hurry();
    }

    fn on_policy(&mut self, policy: Policy) {
        let share_changed = policy.share != self.policy.share;
        if policy.schedule != self.policy.schedule {
            // What was due by the old one may be far off.
            self.scan.hurry();
            self.list.hurry();
        }
        self.policy = policy;
        for consumer in self.consumers.values_mut() {
            consumer.reconsider();
            // The rule may want one of another origin.
            consumer.key = None;
            if share_changed {
                consumer.selection = None;
            }
        }
        self.dirty.extend(self.consumers.keys());
    }

    /// The consumer with this id, which will be decided about before the step ends.
    fn consumer(&mut self, id: ConsumerId) -> &mut Consumer {
        self.dirty.insert(id);
        self.consumers.entry(id).or_insert_with(|| {
            self.changed.insert(id);
            Box::new(Consumer::new(id))
        })
    }

    fn look_at_ours(&mut self, height: Height) {
        self.look_at(height, self.index.ours().collect());
    }

    fn look_at(&mut self, height: Height, consumers: Vec<ConsumerId>) {
        for id in consumers {
            self.consumer(id).look_at(height);
        }
    }

    /// Gives up actions that did not end in time, and wakes consumers whose time has come.
    fn expire(&mut self, now: UnixTime) {
        if !self.silent
            && self
                .block
                .is_some_and(|(_, _, came)| now.since(came) >= self.policy.schedule.silence)
        {
            self.silent = true;
            self.dirty.extend(self.consumers.keys());
        }
        self.dirty.extend(self.index.due(now));
        let late = self.deadlines.iter().take_while(|(at, _)| *at <= now);
        let late: Vec<_> = late.map(|(_, op)| *op).collect();
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
            self.list.start(op, now, self.policy.schedule.nodes);
            actions.push(Action::ListNodes { op });
        }
        if self.scan.is_due(now) {
            let op = self.op();
            self.scan.start(op, now, self.policy.schedule.sync);
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

    /// Decides again about the consumers that caps hold back, if fewer count on us than before.
    fn offer_room(&mut self, before: Counts) {
        if self.index.counts().leaves_room_since(before) {
            self.dirty.extend(self.index.held());
        }
    }

    /// Files what changed, and computes the ports of all launched consumers anew where that
    /// concerns them, once all of them have been read.
    fn file(&mut self) {
        let (mut changed, before) = (Filed::default(), self.index.counts());
        for id in &self.dirty {
            if let Some(consumer) = self.consumers.get_mut(id) {
                let filed = self.index.file(consumer, self.local.provider_key);
                changed.claims |= filed.claims;
                changed.launches |= filed.launches;
            }
        }
        self.offer_room(before);
        if changed.claims || changed.launches {
            self.dirty.extend(self.index.unplaced());
        }
        if !self.scan.done_once || !(changed.claims || self.ports.is_none()) {
            return;
        }
        let ports = self.index.claims().map(Allocation::new);
        let all = |ports: &Option<Allocation>| -> BTreeSet<_> {
            ports.iter().flat_map(Allocation::iter).collect()
        };
        let (old, new) = (all(&self.ports), all(&ports));
        let changed = old.symmetric_difference(&new);
        self.dirty.extend(changed.map(|(id, _)| *id));
        self.ports = ports;
    }
}
