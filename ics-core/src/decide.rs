//! What is to be done about one consumer: a function of what is known, without memory of its own.
//!
//! Read from the top: [`decide`] picks the phase, each phase its case. A plan names the stage, the
//! reason, what is wrong, and at most one thing to do.

use std::collections::BTreeMap;

use crate::action::{Check, Tx};
use crate::artifact::ArtifactRef;
use crate::consumer::{Consumer, Kind, Want};
use crate::deploy::{NodeSigner, NodeState};
use crate::genesis::Expectation;
use crate::id::ConsumerId;
use crate::key::PublicKey;
use crate::keystore::KeyRef;
use crate::node::NodeSpec;
use crate::peers::Peer;
use crate::phase::Phase;
use crate::policy::{Decision, Policy, Run};
use crate::ports::Offset;
use crate::schedule;
use crate::snapshot::{LocalValidator, Snapshot};
use crate::status::{Alarm, Stage};
use crate::time::{Height, UnixTime};

/// What a decision about one consumer knows of everything else.
pub(crate) struct World<'a> {
    pub(crate) now: UnixTime,
    /// The newest block: its height and time.
    pub(crate) block: (Height, UnixTime),
    /// Whether headers have stopped coming, so that time alone must make us ask.
    pub(crate) silent: bool,
    pub(crate) local: &'a LocalValidator,
    pub(crate) policy: &'a Policy,
    /// Whether our nodes have been listed.
    pub(crate) nodes_known: bool,
    /// The offsets of all launched consumers; `None` while some of them are not read yet.
    pub(crate) offsets: Option<&'a BTreeMap<ConsumerId, Offset>>,
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
}

impl Plan {
    fn new(stage: Stage, why: impl Into<String>) -> Self {
        Self {
            stage,
            why: why.into(),
            alarms: Vec::new(),
            wants: Vec::new(),
            wake: None,
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

    fn alarm(mut self, alarm: Alarm) -> Self {
        self.alarms.push(alarm);
        self
    }

    fn wake_at(mut self, at: UnixTime) -> Self {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
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
    // A reading that was asked for comes before everything: decisions rest on it.
    if let Some(height) = consumer.look {
        plan.wants = vec![Want::Look(Some(height.max(world.block.0)))];
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
    plan: Plan,
) -> Plan {
    let (height, time) = world.block;
    let newer = snapshot.height < height;
    let due = match snapshot.phase {
        Phase::Initialized => snapshot.spawn_time,
        Phase::Stopped => snapshot.removal_time,
        Phase::Registered | Phase::Launched | Phase::Deleted => None,
    };
    // Launches, failed launches and deletions happen in the first block whose time has passed the
    // due time, or a few later when more than 200 are due: read at every block until it happened.
    if newer && due.is_some_and(|due| due <= time) {
        return plan.want_first(Want::Look(Some(height)));
    }
    if world.silent
        && let Some(due) = due.filter(|due| *due <= world.now)
    {
        let next = read_at + schedule::poll(world.now.since(due));
        return if next <= world.now {
            plan.want_first(Want::Look(None))
        } else {
            plan.wake_at(next)
        };
    }
    if snapshot.phase == Phase::Deleted {
        let sure = consumer.sure_height(snapshot);
        let confirm = consumer.node.is_some() && snapshot.height < sure && height >= sure;
        return if confirm {
            plan.want_first(Want::Look(Some(height)))
        } else {
            plan
        };
    }
    let involved = consumer.node.is_some() || snapshot.opted_in || plan.stage >= Stage::OptingIn;
    let next = read_at + schedule::REFRESH;
    match involved {
        false => plan,
        true if next <= world.now => plan.want(Want::Look(Some(height).filter(|_| !world.silent))),
        true => plan.wake_at(next),
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
        match self.snapshot.phase {
            Phase::Registered | Phase::Initialized => self.prelaunch(),
            Phase::Launched => self.launched(),
            Phase::Stopped => self.stopped(),
            Phase::Deleted => self.deleted(),
        }
    }

    fn prelaunch(&self) -> Plan {
        let decision = self.world.policy.decide(self.snapshot);
        if self.takes_part() {
            return self.awaiting_launch(&decision);
        }
        match decision {
            Decision::Denied(why) | Decision::Unmentioned(why) => Plan::new(Stage::Ignored, why),
            Decision::Ordered(why) => self.opt_in(why),
            Decision::Allowed(why) => self.opt_in_by_rule(why),
        }
    }

    /// Whether we are in the set that would launch or validates, or will be.
    fn takes_part(&self) -> bool {
        self.snapshot.opted_in || self.snapshot.member(self.world.local).is_some()
    }

    fn opt_in_by_rule(&self, why: String) -> Plan {
        let Some(spawn) = self.spawn_time() else {
            return Plan::new(Stage::Watching, format!("{why}; it has no spawn time yet"));
        };
        let Some(selection) = &self.consumer.selection else {
            let why = format!("{why}; selection is being computed");
            return Plan::new(Stage::Watching, why).want(Want::Candidates);
        };
        let why = format!("{why}; {}", selection.why);
        let inexact = Alarm::warning(
            "the height of its creation is unknown, so selection used the validators of now",
        );
        let plan = if !selection.local {
            Plan::new(Stage::Watching, why)
        } else if spawn.since(self.world.block.1) > self.world.policy.opt_in_lead {
            let opens = spawn - self.world.policy.opt_in_lead;
            Plan::new(Stage::Watching, format!("{why}; opts in from {opens}"))
        } else {
            self.opt_in(why)
        };
        if selection.exact {
            plan
        } else {
            plan.alarm(inexact)
        }
    }

    /// The spawn time that decides: only an initialized consumer has one.
    fn spawn_time(&self) -> Option<UnixTime> {
        self.snapshot
            .spawn_time
            .filter(|_| self.snapshot.phase == Phase::Initialized)
    }

    /// Prepares and sends the opt-in. Everything it depends on is checked first, except for a
    /// consumer that has no spawn time: that one has nothing yet that could be checked.
    fn opt_in(&self, why: String) -> Plan {
        if !self.snapshot.connection_id.is_empty() {
            let why = format!("{why}; it reuses a connection, and a changeover is not supported");
            return Plan::new(Stage::Watching, why);
        }
        if self.snapshot.newer_provider {
            let text = "the provider has fields that this program does not know: no new opt-in \
                        until ics-monitor is updated";
            return Plan::new(Stage::Watching, why).alarm(Alarm::warning(text));
        }
        let Some(run) = self.world.policy.run_for(self.snapshot) else {
            return Plan::new(Stage::Watching, why).alarm(self.nothing_to_run());
        };
        if self.snapshot.phase != Phase::Registered
            && let Some(plan) = self.not_ready(&run, &why)
        {
            return plan;
        }
        let plan = Plan::new(
            Stage::OptingIn,
            self.with_failure(why, &[Kind::Key, Kind::Send]),
        );
        match self.consumer.key {
            None => plan.want(Want::PrepareKey),
            Some(key) => plan.want(Want::Broadcast(Tx::OptIn(key))),
        }
    }

    /// The plan as long as something that an opt-in depends on is missing.
    fn not_ready(&self, run: &Run, why: &str) -> Option<Plan> {
        let check = self.check(run);
        let watching = |text: &str| Plan::new(Stage::Watching, format!("{why}; {text}"));
        match &self.consumer.readiness {
            Some(ready) if ready.check == check => {
                let holds = if ready.result.is_ok() {
                    schedule::READY
                } else {
                    schedule::NOT_READY
                };
                let until = ready.at + holds;
                match &ready.result {
                    Ok(()) if self.world.now < until => None,
                    Ok(()) => Some(watching("checking readiness").want(Want::Check(check.into()))),
                    Err(text) => {
                        let plan = watching(&format!("allowed, not ready: {text}"));
                        Some(if self.world.now < until {
                            plan.wake_at(until)
                        } else {
                            plan.want(Want::Check(check.into()))
                        })
                    }
                }
            }
            _ => Some(watching("checking readiness").want(Want::Check(check.into()))),
        }
    }

    fn check(&self, run: &Run) -> Check {
        let assigned = self.snapshot.assigned_key;
        Check {
            consumer_id: self.consumer.id,
            run: run.clone(),
            expect: Expectation::of(self.snapshot),
            ports: self.offset().ports(),
            key: assigned.map(|public_key| KeyRef {
                consumer_id: self.consumer.id,
                public_key,
            }),
        }
    }

    /// The offset of this consumer: that of its node, else the computed one, else (before launch)
    /// the one it would have if no other were in its way.
    fn offset(&self) -> Offset {
        let of_node = self.consumer.node.as_ref().and_then(|node| node.p2p_port);
        let computed = || {
            self.world
                .offsets
                .and_then(|all| all.get(&self.consumer.id).copied())
        };
        of_node
            .and_then(Offset::of_p2p)
            .or_else(computed)
            .unwrap_or_else(|| Offset::of(&self.snapshot.chain_id))
    }

    fn nothing_to_run(&self) -> Alarm {
        Alarm::critical(format!(
            "no rule says what to run: add a rule for consumer_id {} with a run part",
            self.consumer.id
        ))
    }

    /// We will validate once it launches: keep everything ready.
    fn awaiting_launch(&self, decision: &Decision) -> Plan {
        let why = match self.spawn_time() {
            Some(spawn) => format!("launches at {spawn}"),
            None => "opted in; it has no spawn time".into(),
        };
        let mut plan = Plan::new(Stage::AwaitingLaunch, why);
        if let Decision::Denied(why) = decision {
            let text = format!(
                "{why}, but we are opted in and cannot opt out before launch: the node will run \
                 and the opt-out be sent after launch"
            );
            plan = plan.alarm(Alarm::critical(text));
        }
        if self.provider_key_stands(self.snapshot.assigned_key) {
            plan = self.assign_fresh_key(plan);
        }
        let Some(run) = self.world.policy.run_for(self.snapshot) else {
            return plan.alarm(self.nothing_to_run());
        };
        // The same checks as before the opt-in: what has come to be missing is told in time.
        let check = self.check(&run);
        match &self.consumer.readiness {
            Some(ready) if ready.check == check => {
                let holds = ready.at + schedule::READY;
                if let Err(text) = &ready.result {
                    plan = plan.alarm(Alarm::critical(format!("opted in, but not ready: {text}")));
                }
                if self.world.now < holds {
                    plan.wake_at(holds)
                } else {
                    plan.want(Want::Check(check.into()))
                }
            }
            _ => plan.want(Want::Check(check.into())),
        }
    }

    fn provider_key_stands(&self, key: Option<PublicKey>) -> bool {
        key.is_none_or(|key| key == self.world.local.provider_key)
    }

    /// Wants a fresh key made and assigned. One key must never sign on two chains.
    fn assign_fresh_key(&self, plan: Plan) -> Plan {
        let text = "our provider key stands for this consumer: a fresh key is being assigned";
        let text = self.with_failure(text.into(), &[Kind::Key, Kind::Send]);
        let plan = plan.alarm(Alarm::warning(text));
        match self.consumer.key {
            None => plan.want(Want::PrepareKey),
            Some(key) => plan.want(Want::Broadcast(Tx::AssignKey(key))),
        }
    }

    fn with_failure(&self, why: String, kinds: &[Kind]) -> String {
        match kinds.iter().find_map(|kind| self.consumer.failure(*kind)) {
            Some(failure) => format!("{why}; {failure}"),
            None => why,
        }
    }

    fn launched(&self) -> Plan {
        let decision = self.world.policy.decide(self.snapshot);
        if self.takes_part() {
            return self.run(&decision);
        }
        if self.consumer.node.is_some() {
            return self.leave();
        }
        match decision {
            Decision::Denied(why) | Decision::Unmentioned(why) => Plan::new(Stage::Ignored, why),
            Decision::Ordered(why) => self.opt_in(why),
            Decision::Allowed(why) => Plan::new(
                Stage::Watching,
                format!(
                    "{why}, but it launched without us; ics-monitor opt-in {} joins it",
                    self.consumer.id
                ),
            ),
        }
    }

    /// Our key is in the set, or will be: a node is wanted, whatever policy says.
    fn run(&self, decision: &Decision) -> Plan {
        let mut plan = self.deploy();
        if let Decision::Denied(why) = decision {
            let text = format!("{why}: the node runs as long as the consumer counts on our key");
            plan = plan.alarm(Alarm::critical(text));
            if let Some(failure) = self.consumer.failure(Kind::Send) {
                plan = plan.alarm(Alarm::critical(format!("opting out failed: {failure}")));
            }
            if self.snapshot.opted_in {
                plan = plan.want_first(Want::Broadcast(Tx::OptOut(self.consumer.id)));
            }
        }
        plan
    }

    fn deploy(&self) -> Plan {
        let Some(run) = self.world.policy.run_for(self.snapshot) else {
            return Plan::new(
                Stage::Watching,
                "we validate it, but nothing says what to run",
            )
            .alarm(self.nothing_to_run());
        };
        if !self.world.nodes_known {
            return Plan::new(Stage::Watching, "waiting for the list of our nodes");
        }
        if self.world.offsets.is_none() {
            return Plan::new(
                Stage::Watching,
                "waiting for the ports of the other consumers",
            );
        }
        let Some(genesis) = self.consumer.genesis else {
            let why = self.with_failure("building the genesis".into(), &[Kind::Genesis]);
            return Plan::new(Stage::FetchingGenesis, why).want(Want::BuildGenesis {
                source: run.genesis.clone(),
                expect: Expectation::of(self.snapshot),
                height: self.snapshot.height,
            });
        };
        let deployed = self.consumer.node.as_ref().and_then(|node| node.genesis);
        if let Some(deployed) = deployed.filter(|deployed| *deployed != genesis.digest) {
            let text = format!(
                "the node was started from genesis {deployed}, but the chain and the rule now \
                 give {}: nothing is changed",
                genesis.digest
            );
            return Plan::new(Stage::Running, "kept as it is").alarm(Alarm::critical(text));
        }
        self.apply(&run, genesis)
    }

    fn apply(&self, run: &Run, genesis: ArtifactRef) -> Plan {
        let ports = self.offset().ports();
        let (peers, mut alarms) = self.peers(ports.p2p);
        let key = self.signing_key(&mut alarms);
        let spec = NodeSpec {
            consumer_id: self.consumer.id,
            chain_id: self.snapshot.chain_id.clone(),
            program: run.program.clone(),
            resources: run.resources,
            genesis,
            ports,
            settings: self.world.policy.node.clone(),
            consensus_key: key.map(|public_key| KeyRef {
                consumer_id: self.consumer.id,
                public_key,
            }),
            persistent_peers: peers,
        };
        let fits = self.consumer.node.as_ref().filter(|node| {
            node.spec == Some(spec.digest())
                && node.state != NodeState::Stopped
                && self.consumer.peers.as_ref() == Some(&spec.persistent_peers)
        });
        let mut plan = match fits.map(|node| &node.state) {
            Some(NodeState::Failing(how)) => Plan::new(Stage::Deploying, "the node keeps failing")
                .alarm(Alarm::critical(format!("the node keeps failing: {how}"))),
            Some(_) => Plan::new(Stage::Running, "the node runs"),
            None => {
                let why = self.with_failure("starting the node".into(), &[Kind::Deploy]);
                Plan::new(Stage::Deploying, why).want(Want::Apply(Box::new(spec)))
            }
        };
        if let Some(NodeSigner::Withheld(why)) =
            self.consumer.node.as_ref().map(|node| &node.signer)
        {
            alarms.push(Alarm::critical(format!(
                "the node runs without its key: {why}"
            )));
        }
        plan.alarms.append(&mut alarms);
        if self.provider_key_stands(self.snapshot.assigned_key) {
            plan = self.assign_fresh_key(plan);
        }
        plan
    }

    /// The key that the node signs with, once and for ever: the one it was deployed with, else the
    /// one in the set, else the assigned one; never our provider key.
    fn signing_key(&self, alarms: &mut Vec<Alarm>) -> Option<PublicKey> {
        let in_set = self
            .snapshot
            .member(self.world.local)
            .map(|member| member.consumer_key);
        let wanted = in_set.or(self.snapshot.assigned_key);
        let wanted = wanted.filter(|key| *key != self.world.local.provider_key);
        if wanted.is_none() {
            let text = "our provider key stands in the consumer's set: the node runs without a key \
                        and misses blocks until a fresh key is in the set";
            alarms.push(Alarm::critical(text));
        }
        match self.consumer.node.as_ref().map(|node| &node.signer) {
            Some(NodeSigner::Key(deployed)) if Some(*deployed) != wanted => {
                let text = format!(
                    "the node signs with {deployed}, but the provider's set has another key: a key \
                     changed after launch is not switched"
                );
                alarms.push(Alarm::critical(text));
                Some(*deployed)
            }
            _ => wanted,
        }
    }

    /// The peers that the other validators publish. One that publishes nothing usable is left out.
    fn peers(&self, port: u16) -> (Vec<Peer>, Vec<Alarm>) {
        let local = self.world.local.provider_key.address();
        let (mut peers, mut alarms) = (BTreeMap::new(), Vec::new());
        for validator in &self.snapshot.validators {
            if validator.provider_address == local {
                continue;
            }
            match Peer::from_details(&validator.details, port) {
                Ok(peer) => {
                    peers.entry(peer.node_id).or_insert(peer);
                }
                Err(error) => {
                    let name = validator.moniker.escape_debug();
                    alarms.push(Alarm::warning(format!(
                        "no peer of validator {name}: it {error}"
                    )));
                }
            }
        }
        (peers.into_values().collect(), alarms)
    }

    /// We are in no set of the provider any more, but the consumer hears of that later.
    fn leave(&self) -> Plan {
        let Some(node) = &self.consumer.node else {
            return Plan::new(Stage::Stopped, "we left");
        };
        if node.state == NodeState::Stopped {
            return Plan::new(Stage::Stopped, "we left; data and keys are kept");
        }
        let NodeSigner::Key(key) = &node.signer else {
            return Plan::new(Stage::Stopping, "we left").want(Want::Stop);
        };
        let why = "opted out; the node stays until the consumer's own set is without our key";
        let plan = Plan::new(Stage::Leaving, why);
        let ask = || Want::ConsumerSet {
            rpc_port: self.offset().ports().rpc,
        };
        match &self.consumer.consumer_set {
            Some((keys, at)) if self.world.now < *at + schedule::LEAVING => {
                if keys.contains(key) {
                    return plan.wake_at(*at + schedule::LEAVING);
                }
                let why = self.with_failure("we left".into(), &[Kind::Deploy]);
                Plan::new(Stage::Stopping, why).want(Want::Stop)
            }
            _ => plan.want(ask()),
        }
    }

    fn stopped(&self) -> Plan {
        match &self.consumer.node {
            None if !self.world.nodes_known => {
                Plan::new(Stage::Stopping, "waiting for the list of our nodes")
            }
            None => Plan::new(
                Stage::Stopped,
                "the provider stopped it; we run no node for it",
            ),
            Some(node) if node.state == NodeState::Stopped => {
                let when = match self.snapshot.removal_time {
                    Some(time) => format!("the provider deletes it at {time}"),
                    None => "the provider deletes it after its unbonding time".into(),
                };
                Plan::new(
                    Stage::Stopped,
                    format!("the node is stopped, its data are kept; {when}"),
                )
            }
            Some(_) => {
                let why = self.with_failure("the provider stopped it".into(), &[Kind::Deploy]);
                Plan::new(Stage::Stopping, why).want(Want::Stop)
            }
        }
    }

    fn deleted(&self) -> Plan {
        if self.consumer.node.is_none() {
            let stage = if self.world.nodes_known {
                Stage::Deleted
            } else {
                Stage::Deleting
            };
            return Plan::new(stage, "the provider deleted it; nothing of it is here");
        }
        let sure = self.consumer.sure_height(self.snapshot);
        if self.snapshot.height < sure {
            let why = format!("the provider deleted it; to be read again at height {sure}");
            return Plan::new(Stage::Deleting, why);
        }
        let why = self.with_failure(
            "archiving the key, removing the node".into(),
            &[Kind::Delete],
        );
        Plan::new(Stage::Deleting, why).want(Want::Delete)
    }
}
