//! The machine: one door in, one value out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::action::{Action, Input, Level, Notice, OpId, Outcome, Query};
use crate::consumer::{Consumer, Kind, Readiness, Running, Selected, Want};
use crate::decide::{World, decide};
use crate::deploy::{NodeState, NodeStatus};
use crate::event::Event;
use crate::failure::{Failure, FailureKind};
use crate::id::ConsumerId;
use crate::phase::Phase;
use crate::policy::Policy;
use crate::ports::{self, Claim, Offset};
use crate::schedule;
use crate::select::{Candidate, select};
use crate::snapshot::{LocalValidator, Snapshot};
use crate::status::{Alarm, ConsumerStatus, Stage};
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
    /// The newest block, and when it came.
    block: Option<(Height, UnixTime, UnixTime)>,
    consumers: BTreeMap<ConsumerId, Consumer>,
    /// The consumers that have to be decided about before this step ends.
    dirty: BTreeSet<ConsumerId>,
    /// When a consumer has to be decided about although nothing happened.
    wakes: BTreeMap<ConsumerId, UnixTime>,
    offsets: Option<BTreeMap<ConsumerId, Offset>>,
    /// Whether headers have stopped coming.
    silent: bool,
    nodes_known: bool,
    scan: Periodic,
    list: Periodic,
    next_op: u64,
}

/// Something that is done again and again for all consumers together.
#[derive(Debug, Default)]
struct Periodic {
    /// When it is next to be started; `None`: at the first block.
    next: Option<UnixTime>,
    running: Option<(OpId, UnixTime)>,
    done_once: bool,
}

impl Periodic {
    /// Whether it has to be started now; a started one that gave no answer in time is given up.
    fn is_due(&mut self, now: UnixTime) -> bool {
        if self.running.is_some_and(|(_, deadline)| deadline <= now) {
            self.running = None;
        }
        self.running.is_none() && self.next.is_none_or(|next| next <= now)
    }

    fn start(&mut self, op: OpId, now: UnixTime, every: Duration) {
        self.running = Some((op, now + schedule::QUERY_DEADLINE));
        self.next = Some(now + every);
    }

    fn ended(&mut self, op: OpId) -> bool {
        let ours = self.running.is_some_and(|(running, _)| running == op);
        if ours {
            self.running = None;
        }
        ours
    }

    fn wake(&self) -> Option<UnixTime> {
        self.running.map(|(_, deadline)| deadline).or(self.next)
    }
}

impl Machine {
    /// A machine that knows nothing yet; it asks once the first [`Input::Resync`] came.
    #[must_use]
    pub fn new(local: LocalValidator, policy: Policy) -> Self {
        Self {
            local,
            policy,
            block: None,
            consumers: BTreeMap::new(),
            dirty: BTreeSet::new(),
            wakes: BTreeMap::new(),
            offsets: None,
            silent: false,
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
        let deadlines = self
            .consumers
            .values()
            .filter_map(|c| c.op.as_ref().map(|op| op.deadline));
        let wakes = self.wakes.values().copied();
        let global = [self.scan.wake(), self.list.wake()].into_iter().flatten();
        wakes.chain(deadlines).chain(global).chain(silence).min()
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
                Event::MaybeStopped => self.look_at_all(height, |c| {
                    c.node.is_some() && c.snapshot().is_some_and(|s| s.phase == Phase::Launched)
                }),
            }
        }
        // Due times are compared with block time: those that may be due are decided about anew.
        let waits = |consumer: &Consumer| {
            consumer.snapshot().is_some_and(|s| match s.phase {
                Phase::Initialized | Phase::Stopped => true,
                Phase::Deleted => consumer.node.is_some(),
                Phase::Registered | Phase::Launched => false,
            })
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
        self.scan.next = None;
        self.list.next = None;
    }

    fn on_policy(&mut self, policy: Policy) {
        self.policy = policy;
        for consumer in self.consumers.values_mut() {
            consumer.reconsider();
            // The share may have changed: selection is made anew.
            consumer.selection = None;
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
        let due = self
            .wakes
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(id, _)| *id);
        self.dirty.extend(due);
        for consumer in self.consumers.values_mut() {
            if consumer.op.as_ref().is_some_and(|op| op.deadline <= now)
                && let Some(op) = consumer.op.take()
            {
                let failure = Failure::unknown("it did not end in time");
                consumer.failed(op.want.kind(), &failure, now);
                self.dirty.insert(consumer.id);
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

    fn on_done(&mut self, now: UnixTime, op: OpId, outcome: Outcome, actions: &mut Vec<Action>) {
        if self.scan.ended(op) {
            match outcome {
                Outcome::Phases(phases) => self.on_phases(&phases),
                other => self.on_periodic_failure("reading the phases", other, actions),
            }
            return;
        }
        if self.list.ended(op) {
            match outcome {
                Outcome::Nodes(nodes) => self.on_nodes(nodes),
                other => self.on_periodic_failure("listing our nodes", other, actions),
            }
            return;
        }
        let running = self
            .consumers
            .values_mut()
            .find(|consumer| consumer.op.as_ref().is_some_and(|running| running.op == op));
        // An answer that comes after its deadline says nothing that is still known to hold.
        let Some(consumer) = running else { return };
        let Some(running) = consumer.op.take() else {
            return;
        };
        let (id, kind) = (consumer.id, running.want.kind());
        self.dirty.insert(id);
        match outcome {
            Outcome::Failed(failure) => self.on_failed(now, id, &running.want, &failure),
            outcome => {
                consumer.succeeded(kind);
                self.on_success(now, id, running.want, outcome, actions);
            }
        }
    }

    fn on_periodic_failure(&self, what: &str, outcome: Outcome, actions: &mut Vec<Action>) {
        if let Outcome::Failed(failure) = outcome {
            actions.push(Action::Notify(Notice {
                consumer_id: None,
                level: Level::Warning,
                text: format!("{what} failed: {failure}"),
            }));
        }
    }

    fn on_phases(&mut self, phases: &BTreeMap<ConsumerId, Phase>) {
        self.scan.done_once = true;
        let Some((height, _, _)) = self.block else {
            return;
        };
        for (id, phase) in phases {
            let known = self
                .consumers
                .get(id)
                .and_then(Consumer::snapshot)
                .map(|s| s.phase);
            let forgotten = known.is_none()
                && *phase == Phase::Deleted
                && self.consumers.get(id).is_none_or(|c| c.node.is_none());
            if known != Some(*phase) && !forgotten {
                let consumer = self.consumer(*id);
                consumer.hint = Some(*phase);
                consumer.look_at(height);
            }
        }
        self.offsets_changed();
    }

    fn on_nodes(&mut self, nodes: Vec<NodeStatus>) {
        self.nodes_known = true;
        let mut nodes: BTreeMap<_, _> = nodes.into_iter().map(|n| (n.consumer_id, n)).collect();
        for (id, consumer) in &mut self.consumers {
            let node = nodes.remove(id);
            // While an action on the node is under way the list may be older than its outcome.
            let busy = consumer
                .op
                .as_ref()
                .is_some_and(|op| matches!(op.want.kind(), Kind::Deploy | Kind::Delete));
            if !busy && consumer.node != node {
                consumer.node = node;
            }
            self.dirty.insert(*id);
        }
        for (id, node) in nodes {
            let height = self.block.map(|(height, _, _)| height);
            let consumer = self.consumer(id);
            consumer.node = Some(node);
            if let Some(height) = height {
                consumer.look_at(height);
            }
        }
    }

    fn on_failed(&mut self, now: UnixTime, id: ConsumerId, want: &Want, failure: &Failure) {
        let height = self.block.map(|(height, _, _)| height);
        let consumer = self.consumer(id);
        if let Want::Check(check) = want {
            // Not being ready is an answer, not a failure of the question.
            let result = Err(failure.message.clone());
            consumer.readiness = Some(Readiness {
                check: (**check).clone(),
                at: now,
                result,
            });
            return;
        }
        consumer.failed(want.kind(), failure, now);
        let unread = consumer.seen.is_none();
        let sent = matches!(want, Want::Broadcast(_));
        if let Some(height) = height.filter(|_| sent || failure.kind == FailureKind::Unknown) {
            consumer.look_at(height);
        }
        if unread {
            self.offsets_changed();
        }
        if unread {
            self.offsets_changed();
        }
    }

    fn on_success(
        &mut self,
        now: UnixTime,
        id: ConsumerId,
        want: Want,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        match (want, outcome) {
            (Want::Look(_), Outcome::Consumer(Some(snapshot))) => {
                self.on_snapshot(now, *snapshot, actions);
            }
            (Want::Look(_), Outcome::Consumer(None)) => {
                let consumer = self.consumer(id);
                consumer.look = None;
                consumer.unknown = true;
            }
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
            (Want::Check(check), Outcome::Ready) => {
                let ready = Readiness {
                    check: *check,
                    at: now,
                    result: Ok(()),
                };
                self.consumer(id).readiness = Some(ready);
            }
            (Want::PrepareKey, Outcome::Key(key)) => self.consumer(id).key = Some(key),
            (Want::Broadcast(_), Outcome::Included(height)) => self.consumer(id).look_at(height),
            (Want::BuildGenesis { .. }, Outcome::Genesis(artifact)) => {
                self.consumer(id).genesis = Some(artifact);
            }
            (Want::Apply(spec), Outcome::Applied(node)) => {
                let consumer = self.consumer(id);
                consumer.node = Some(node);
                consumer.peers = Some(spec.persistent_peers);
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
            // An outcome of another action than the one that was started: the caller is wrong, and
            // the same is simply wanted again.
            _ => {}
        }
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

    fn on_snapshot(&mut self, now: UnixTime, snapshot: Snapshot, actions: &mut Vec<Action>) {
        let id = snapshot.consumer_id;
        let consumer = self.consumer(id);
        if consumer.look.is_some_and(|look| look <= snapshot.height) {
            consumer.look = None;
        }
        consumer.unknown = false;
        let before = consumer.snapshot();
        if before.is_some_and(|before| snapshot.height < before.height) {
            return;
        }
        if let Some(before) = before.map(|before| before.phase)
            && !before.may_become(snapshot.phase)
        {
            actions.push(Action::Notify(Notice {
                consumer_id: Some(id),
                level: Level::Critical,
                text: format!(
                    "the provider says {}, which cannot follow {before}: nothing is done; check \
                     that provider.rpc is the right chain and not behind",
                    snapshot.phase
                ),
            }));
            return;
        }
        if before != Some(&snapshot) {
            if let Some(notice) = changed(before, &snapshot) {
                actions.push(Action::Notify(notice));
            }
            let same_rest = before.is_some_and(|before| {
                Snapshot {
                    height: snapshot.height,
                    ..before.clone()
                } == snapshot
            });
            if !same_rest {
                consumer.reconsider();
            }
        }
        if snapshot.phase == Phase::Deleted {
            consumer.deleted_at.get_or_insert(snapshot.height);
        }
        consumer.seen = Some((snapshot, now));
        self.offsets_changed();
    }

    /// Computes the ports of all launched consumers anew, once all of them have been read. One
    /// that cannot be read is left out after a few tries, so that it does not hold up the rest.
    fn offsets_changed(&mut self) {
        let unread = self.consumers.values().any(|consumer| {
            let has_ports = matches!(consumer.hint, Some(Phase::Launched | Phase::Stopped));
            let unread = consumer.seen.is_none() && !consumer.unknown;
            has_ports && unread && consumer.failures(Kind::Look) < schedule::UNREADABLE
        });
        if unread || !self.scan.done_once {
            self.offsets = None;
            return;
        }
        let snapshots = self.consumers.values().filter_map(Consumer::snapshot);
        let claims = snapshots
            .filter(|s| matches!(s.phase, Phase::Launched | Phase::Stopped))
            .map(|s| Claim {
                launched: s.launched_at.unwrap_or(s.height),
                consumer_id: s.consumer_id,
                chain_id: &s.chain_id,
            });
        let offsets = Some(ports::allocate(claims));
        if offsets != self.offsets {
            self.offsets = offsets;
            self.dirty.extend(self.consumers.keys());
        }
    }

    /// Decides about every consumer that something happened to.
    fn work(&mut self, now: UnixTime, actions: &mut Vec<Action>) {
        let Some((height, time, _)) = self.block else {
            return;
        };
        for id in std::mem::take(&mut self.dirty) {
            let world = World {
                now,
                block: (height, time),
                silent: self.silent,
                local: &self.local,
                policy: &self.policy,
                nodes_known: self.nodes_known,
                offsets: self.offsets.as_ref(),
            };
            let Some(consumer) = self.consumers.get_mut(&id) else {
                continue;
            };
            let plan = decide(consumer, &world);
            match plan.wake {
                Some(wake) => self.wakes.insert(id, wake),
                None => self.wakes.remove(&id),
            };
            publish(consumer, plan.stage, plan.why, plan.alarms, actions);
            if consumer.op.is_some() {
                continue;
            }
            if let Some(want) = plan.wants.into_iter().next() {
                self.next_op += 1;
                let op = OpId(self.next_op);
                let deadline = match want.kind() {
                    Kind::Ask | Kind::Look => schedule::QUERY_DEADLINE,
                    _ => schedule::ACTION_DEADLINE,
                };
                actions.push(action(op, id, consumer.created, want.clone()));
                consumer.op = Some(Running {
                    op,
                    deadline: now + deadline,
                    want,
                });
            }
        }
    }
}

/// Remembers what is published of a consumer, and tells people what is new.
fn publish(
    consumer: &mut Consumer,
    stage: Stage,
    why: String,
    alarms: Vec<Alarm>,
    actions: &mut Vec<Action>,
) {
    let notice = |level, text| {
        Action::Notify(Notice {
            consumer_id: Some(consumer.id),
            level,
            text,
        })
    };
    let (last_stage, last_why, last_alarms) = &consumer.view;
    if *last_stage != stage || *last_why != why {
        actions.push(notice(Level::Info, format!("{stage}: {why}")));
    }
    for alarm in alarms.iter().filter(|alarm| !last_alarms.contains(alarm)) {
        actions.push(notice(alarm.level, alarm.text.clone()));
    }
    consumer.view = (stage, why, alarms);
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

fn action(op: OpId, consumer_id: ConsumerId, created: Option<Height>, want: Want) -> Action {
    match want {
        Want::Apply(spec) => Action::Apply { op, spec },
        Want::Broadcast(tx) => Action::Broadcast { op, tx },
        Want::BuildGenesis {
            source,
            expect,
            height,
        } => Action::BuildGenesis {
            op,
            consumer_id,
            source,
            expect,
            height,
        },
        Want::Candidates => Action::Query {
            op,
            query: Query::Candidates {
                consumer_id,
                created,
            },
        },
        Want::Check(check) => Action::CheckReady { op, check },
        Want::ConsumerSet { rpc_port } => Action::Query {
            op,
            query: Query::ConsumerSet {
                consumer_id,
                rpc_port,
            },
        },
        Want::Delete => Action::Delete { op, consumer_id },
        Want::Look(height) => Action::Query {
            op,
            query: Query::Consumer {
                consumer_id,
                height,
            },
        },
        Want::PrepareKey => Action::PrepareKey { op, consumer_id },
        Want::Stop => Action::Stop { op, consumer_id },
    }
}
