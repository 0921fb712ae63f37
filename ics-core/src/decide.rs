//! What is to be done about one consumer: a function of what is known, without memory of its own.
//!
//! Read from the top: [`decide`] picks the phase, each phase its case. A plan names the stage, the
//! reason, what is wrong, and what to do, the most urgent first.

mod ending;
mod keys;
mod launched;
mod prelaunch;
mod signing;

use std::sync::Arc;

use self::keys::Next;
use crate::action::Check;
use crate::consumer::{Chosen, Consumer, Kind, Want};
use crate::genesis::Expectation;
use crate::index::Index;
use crate::key::PublicKey;
use crate::phase::Phase;
use crate::policy::{Policy, Run};
use crate::ports::{Allocation, Offset, Place, Ports};
use crate::snapshot::{LocalValidator, Snapshot};
use crate::status::{Alarm, Stage};
use crate::time::{Height, UnixTime};

/// What a decision about one consumer knows of everything else.
pub(crate) struct World<'a> {
    pub(crate) now: UnixTime,
    /// The newest block: its height and time. A decision that hangs on it asks to be made again
    /// with [`Plan::wake_at_block`]; blocks alone wake no consumer.
    pub(crate) block: (Height, UnixTime),
    /// Whether headers have stopped coming, so that time alone must make us ask.
    pub(crate) silent: bool,
    pub(crate) local: &'a LocalValidator,
    pub(crate) policy: &'a Policy,
    /// Whether our nodes have been listed.
    pub(crate) nodes_known: bool,
    /// The ports of all launched consumers; `None` while some of them are not read yet.
    pub(crate) ports: Option<&'a Allocation>,
    /// How many consumers there are.
    pub(crate) consumers: usize,
    /// What is known of all consumers together: the launch queue, how many count on us.
    pub(crate) index: &'a Index,
    /// Whether everything that there was at the start is among them.
    pub(crate) counted: bool,
}

impl World<'_> {
    /// Where to read a consumer that was read at `seen`: at the newest block that is known, or,
    /// while no headers arrive, at whatever the provider's newest is.
    fn newest(&self, seen: Option<Height>) -> Want {
        Want::Look((!self.silent).then(|| seen.unwrap_or_default().max(self.block.0)))
    }
}

/// What to do about one consumer.
pub(crate) struct Plan {
    pub(crate) stage: Stage,
    pub(crate) why: String,
    pub(crate) alarms: Vec<Alarm>,
    /// What is to be done, the most urgent first; one at a time, and not what is paused.
    pub(crate) wants: Vec<Want>,
    /// When to decide again although nothing happened.
    pub(crate) wake: Option<UnixTime>,
    /// When to decide again by block time: at the first block of this time or a later one.
    pub(crate) wake_at_block: Option<UnixTime>,
    /// Whether a cap holds it back: to be decided about again when there is room.
    pub(crate) held: bool,
    /// Whether it waits for its ports: to be decided about again when more launches are known.
    pub(crate) unplaced: bool,
    /// The peers of its node, to be kept while its set is the same.
    pub(crate) chosen: Option<Arc<Chosen>>,
}

impl Plan {
    fn new(stage: Stage, why: impl Into<String>) -> Self {
        Self {
            stage,
            why: why.into(),
            alarms: Vec::new(),
            wants: Vec::new(),
            wake: None,
            wake_at_block: None,
            held: false,
            unplaced: false,
            chosen: None,
        }
    }

    fn want(mut self, want: Want) -> Self {
        self.wants.push(want);
        self
    }

    fn want_first(mut self, want: Want) -> Self {
        self.wants.insert(0, want);
        self
    }

    const fn held_back(mut self) -> Self {
        self.held = true;
        self
    }

    fn alarm(mut self, alarm: Alarm) -> Self {
        self.alarms.push(alarm);
        self
    }

    fn wake_at(mut self, at: UnixTime) -> Self {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        self
    }

    /// Wants the decision made again at the first block of this time or a later one; what is past
    /// means the next block.
    fn wake_at_block(mut self, at: UnixTime) -> Self {
        self.wake_at_block = Some(self.wake_at_block.map_or(at, |wake| wake.min(at)));
        self
    }
}

/// Decides about one consumer.
pub(crate) fn decide(consumer: &Consumer, world: &World<'_>) -> Plan {
    let mut plan = match &consumer.seen {
        None => unseen(consumer),
        Some((snapshot, read_at)) => {
            let plan = Case {
                consumer,
                world,
                snapshot,
            }
            .plan();
            read_again(consumer, world, snapshot, *read_at, plan)
        }
    };
    if let Some(text) = &consumer.contradiction {
        plan.alarms.push(Alarm::critical(text));
        plan.wants.retain(|want| want.kind() == Kind::Look);
    } else if consumer.is_unreadable() {
        let why = consumer.failure(Kind::Look).unwrap_or_default();
        plan.alarms
            .push(Alarm::warning(format!("it cannot be read: {why}")));
    }
    if consumer.node_unsure {
        plan.wants.retain(|want| !want.kind().is_of_node());
    }
    // A reading that was asked for comes before everything: decisions rest on it.
    if let Some(height) = consumer.look {
        let seen = consumer.snapshot().map(|snapshot| snapshot.height);
        let is_there = world.silent || height <= world.block.0;
        let look = || match consumer.unsure {
            // How high the chain is by now is not what was shown last.
            Some((_, None)) => Want::Look(None),
            _ => world.newest(seen.max(Some(height))),
        };
        plan.wants = is_there.then(look).into_iter().collect();
        if !is_there {
            plan = plan.wake_at_block(world.block.1);
        }
    }
    plan.wants
        .retain(|want| consumer.paused(want.kind(), world.now).is_none());
    match consumer.next_retry(world.now) {
        Some(retry) => plan.wake_at(retry),
        None => plan,
    }
}

fn unseen(consumer: &Consumer) -> Plan {
    if consumer.unknown && consumer.node.is_some() {
        let text = "a node is deployed for it, but the provider does not know this consumer: \
                    check that provider.rpc and the instance name are right; nothing is removed";
        return Plan::new(Stage::Watching, "unknown to the provider").alarm(Alarm::critical(text));
    }
    let why = consumer.failure(Kind::Look).unwrap_or("not read yet");
    Plan::new(Stage::Watching, why)
}

/// Adds the readings that no event asks for.
fn read_again(
    consumer: &Consumer,
    world: &World<'_>,
    snapshot: &Snapshot,
    read_at: UnixTime,
    mut plan: Plan,
) -> Plan {
    let (height, time) = world.block;
    let newer = snapshot.height < height;
    let due = match snapshot.phase {
        Phase::Initialized => snapshot.spawn_time,
        Phase::Stopped => snapshot.removal_time,
        Phase::Registered | Phase::Launched | Phase::Deleted => None,
    };
    let schedule = &world.policy.schedule;
    let read = || world.newest(Some(snapshot.height));
    // Launches, failed launches and deletions happen in the first block whose time has passed the
    // due time, or a few later when more than 200 are due: read at every block until it happened.
    // A deletion that failed is never tried again, so that one is read less and less often.
    if let Some(due) = due {
        let since = time.since(due);
        if snapshot.phase == Phase::Stopped && due <= time && !world.silent {
            let next = read_at + schedule.poll(since);
            return if next > world.now {
                plan.wake_at(next)
            } else if newer {
                plan.want_first(read())
            } else {
                plan.wake_at_block(time)
            };
        }
        plan = plan.wake_at_block(due);
        if newer && due <= time && !world.silent {
            return plan.want_first(read());
        }
    }
    if world.silent
        && let Some(due) = due.filter(|due| *due <= world.now)
    {
        let next = read_at + schedule.poll(read_at.since(due));
        return if next <= world.now {
            plan.want_first(read())
        } else {
            plan.wake_at(next)
        };
    }
    if snapshot.phase == Phase::Deleted {
        let sure = consumer.sure_height(snapshot);
        let due = sure.is_some_and(|sure| snapshot.height < sure && height >= sure);
        let confirm = consumer.node.is_some() && due;
        return if confirm {
            plan.want_first(read())
        } else if consumer.node.is_some() {
            plan.wake_at_block(time)
        } else {
            plan
        };
    }
    let active = (Stage::OptingIn..Stage::Stopped).contains(&plan.stage);
    let awaited = consumer.may_land.is_some();
    let involved = consumer.node.is_some() || snapshot.opted_in || active || awaited;
    // Nothing tells that our power has come to be among the top N, which draws us in.
    let draws_in = snapshot.top_n > 0 && snapshot.phase <= Phase::Launched;
    // Nothing tells that our validator can validate again.
    let held_back = plan.stage == Stage::Watching
        && snapshot.phase.is_prelaunch()
        && snapshot.hindrance().is_some();
    let mut interval = if involved || held_back || draws_in {
        schedule.refresh
    } else {
        schedule.survey(world.consumers, consumer.id)
    };
    // Without headers nothing but time tells that the due time comes, or that it was moved.
    if let Some(due) = due.filter(|_| world.silent) {
        let begins = due - schedule.countdown_from;
        let launches = snapshot.phase == Phase::Initialized && plan.stage != Stage::Ignored;
        if launches && begins <= world.now {
            interval = interval.min(schedule.countdown);
        }
        plan = plan.wake_at(if begins > world.now { begins } else { due });
    }
    let next = read_at + interval;
    if next <= world.now {
        plan.want(read())
    } else {
        plan.wake_at(next)
    }
}

/// One consumer with everything that a decision about it needs.
struct Case<'a> {
    consumer: &'a Consumer,
    world: &'a World<'a>,
    snapshot: &'a Snapshot,
}

impl Case<'_> {
    fn plan(&self) -> Plan {
        let plan = match self.snapshot.phase {
            Phase::Registered | Phase::Initialized => self.prelaunch(),
            Phase::Launched => self.launched(),
            Phase::Stopped => self.stopped(),
            Phase::Deleted => self.deleted(),
        };
        let Some(other) = self.world.index.namesake(self.consumer) else {
            return plan;
        };
        // Anyone may take the chain id of another consumer.
        let (one, two) = (self.consumer.id.min(other), self.consumer.id.max(other));
        plan.alarm(Alarm::warning(format!(
            "consumers {one} and {two} have the same chain id, {}: here their keys, data and ports \
             are apart; keep them apart in every tool that goes by chain id",
            self.snapshot.chain_id
        )))
    }

    /// Whether we are in the set that would launch or validates, or will be.
    fn takes_part(&self) -> bool {
        self.consumer.takes_part
    }

    /// The spawn time that decides: only an initialized consumer has one.
    fn spawn_time(&self) -> Option<UnixTime> {
        self.snapshot
            .spawn_time
            .filter(|_| self.snapshot.phase == Phase::Initialized)
    }

    fn check(&self, run: &Run) -> Check {
        let remote = |key: &PublicKey| keys::is_remote(run, *key);
        let key = match self.snapshot.assigned_key {
            key if self.provider_key_stands(key) => {
                let signs = matches!(self.next_key(Some(run)), Next::Provider);
                signs.then(|| self.provider_key())
            }
            key => key,
        };
        Check {
            consumer_id: self.consumer.id,
            run: run.clone(),
            expect: Expectation::of(self.snapshot),
            ports: self.ports(),
            chain_id: self.snapshot.chain_id.clone(),
            key: key.filter(|key| !remote(key)).map(|key| self.key_ref(key)),
        }
    }

    /// The ports of this consumer: with the P2P port of its node, else as computed, else (before
    /// launch) as they would be if it launched next. A port that another node of ours has is passed
    /// over: what was computed when that was deployed may not be what is computed now.
    fn ports(&self) -> Ports {
        let own = || Offset::of(&self.snapshot.chain_id);
        let Some(all) = self.world.ports else {
            let place = Place::new(own());
            return self
                .p2p_port()
                .map_or(place, |port| place.with_p2p(port))
                .ports();
        };
        let mut place = all.of(self.consumer.id).unwrap_or_else(|| all.next(own()));
        if let Some(port) = self.p2p_port() {
            return place.with_p2p(port).ports();
        }
        for _ in 0..Offset::COUNT {
            let ports = place.ports();
            if !self.world.index.is_taken(ports.p2p, self.consumer.id) {
                return ports;
            }
            place = all.after(place);
        }
        place.ports()
    }

    /// The P2P port of its node, which it keeps.
    fn p2p_port(&self) -> Option<u16> {
        self.consumer.node.as_ref().and_then(|node| node.p2p_port)
    }

    /// The P2P port on which all others expect the nodes of this consumer.
    fn expected_port(&self, otherwise: u16) -> u16 {
        let place = self.world.ports.and_then(|all| all.of(self.consumer.id));
        place.map_or(otherwise, |place| place.ports().p2p)
    }

    fn nothing_to_run(&self) -> Alarm {
        Alarm::critical(format!(
            "no rule says what to run: add a rule for consumer_id {} with a run part",
            self.consumer.id
        ))
    }

    fn provider_key_stands(&self, key: Option<PublicKey>) -> bool {
        key.is_none_or(|key| key == self.provider_key())
    }

    /// Says why our validator is in no set although it opted in.
    fn warn_if_hindered(&self, plan: Plan) -> Plan {
        if let Some(hindrance) = self.snapshot.hindrance() {
            return plan.alarm(Alarm::warning(format!(
                "{hindrance}: the provider counts us into no set of this consumer"
            )));
        }
        let prelaunch = self.snapshot.phase.is_prelaunch();
        let left_out = self.snapshot.opted_in && self.snapshot.member(self.world.local).is_none();
        if prelaunch && left_out {
            let text = "opted in, but the set that would launch is without us: its cap on \
                        validators leaves us out";
            return plan.alarm(Alarm::warning(text));
        }
        plan
    }

    fn with_failure(&self, why: String, kinds: &[Kind]) -> String {
        match kinds.iter().find_map(|kind| self.consumer.failure(*kind)) {
            Some(failure) => format!("{why}; {failure}"),
            None => why,
        }
    }
}
