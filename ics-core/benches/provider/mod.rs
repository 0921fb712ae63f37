//! A provider with many consumers, which answers at once, and the machine that follows it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ics_core::action::{Action, Input, OpId, Outcome, Query};
use ics_core::artifact::{ArtifactRef, Digest};
use ics_core::deploy::{NodeSigner, NodeState, NodeStatus};
use ics_core::event::Event;
use ics_core::genesis::{self, Trust};
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::keystore::KeyRef;
use ics_core::machine::Machine;
use ics_core::node::{Moniker, NodeSettings, NodeSpec, Program, Resources};
use ics_core::peers::{NodeId, Published};
use ics_core::phase::Phase;
use ics_core::policy::{Bounds, GenesisSource, KeySource, Match, Policy, Rule, Run, Verdict};
use ics_core::snapshot::{
    Bond, ConsumerValidator, Decimal, Infraction, InitialHeight, LocalValidator, Snapshot, Standing,
};
use ics_core::time::{Height, UnixTime};

const DAY: Duration = Duration::from_secs(86_400);

/// The provider's consumers: the first few are ours, all others are strangers'.
struct Provider {
    /// How many of them we run; as many more await their launch with us.
    ours: u64,
    /// What is read of each, as the monitor hands it over.
    snapshots: Vec<Snapshot>,
    nodes: BTreeMap<ConsumerId, NodeStatus>,
}

/// A machine that follows such a provider, and how long its steps took.
pub(crate) struct Followed {
    /// The machine.
    pub(crate) machine: Machine,
    provider: Provider,
    /// What the clock shows.
    pub(crate) now: UnixTime,
    height: Height,
    /// Inputs that were taken in.
    pub(crate) steps: usize,
    /// The time that this took, without the provider's share.
    pub(crate) spent: Duration,
}

impl Provider {
    fn new(consumers: u64, ours: u64) -> Self {
        let mut provider = Self {
            ours,
            snapshots: Vec::new(),
            nodes: BTreeMap::new(),
        };
        let ids = (0..consumers).map(ConsumerId::new);
        provider.snapshots = ids
            .map(|id| provider.snapshot(id).abridged(&local()))
            .collect();
        provider
    }

    fn phase(&self, id: u64) -> Phase {
        match id {
            _ if id < self.ours => Phase::Launched,
            _ if id < 2 * self.ours => Phase::Initialized,
            _ => match id % 20 {
                0..=1 => Phase::Registered,
                2..=5 => Phase::Initialized,
                6..=17 => Phase::Launched,
                18 => Phase::Stopped,
                _ => Phase::Deleted,
            },
        }
    }

    /// A consumer, with a set of 100 to 180 validators.
    fn snapshot(&self, consumer_id: ConsumerId) -> Snapshot {
        let id = consumer_id.number();
        let phase = self.phase(id);
        let is_ours = id < 2 * self.ours;
        let chain_id = ChainId::new(format!("consumer-{id}")).expect("a chain id");
        let set = match phase {
            Phase::Registered | Phase::Stopped | Phase::Deleted => 0,
            Phase::Initialized | Phase::Launched => 100 + id % 81,
        };
        // We are number 0: strangers' sets begin with number 1.
        let first = u64::from(!is_ours);
        let validators = (first..first + set).map(|number| validator(number, &chain_id));
        let later = Duration::from_secs(3600 * (id % 1000));
        Snapshot {
            height: Height::default(),
            consumer_id,
            phase,
            owner: if is_ours {
                "alice".into()
            } else {
                format!("cosmos1{id:0>38}")
            },
            spawn_time: (phase == Phase::Initialized).then(|| start() + DAY + later),
            initial_height: InitialHeight {
                revision: 1,
                height: 1,
            },
            genesis_hash: vec![7; 32],
            binary_hash: vec![8; 32],
            unbonding_period: 20 * DAY,
            trusting_period_fraction: Decimal::parse("0.66").expect("a decimal"),
            standing: Some(Standing {
                bond: Bond::Bonded,
                jailed: false,
                tombstoned: false,
            }),
            barred: None,
            connection_id: String::new(),
            top_n: 0,
            infraction: Infraction::default(),
            provider_infraction: Infraction::default(),
            launched_at: (phase == Phase::Launched).then_some(Height(1000 + id)),
            removal_time: (phase == Phase::Stopped).then(|| start() + DAY + later),
            opted_in: is_ours,
            assigned_key: is_ours.then(|| key(consumer_id).public_key),
            validators: validators.collect::<Vec<_>>().into(),
            newer_provider: false,
            chain_id,
        }
    }

    fn answer(&mut self, action: Action, height: Height) -> Option<(OpId, Outcome)> {
        Some(match action {
            Action::Apply { op, spec } => (op, Outcome::Applied(self.run(&spec))),
            Action::BuildGenesis { op, .. } => {
                let digest = Digest::new([1; 32]);
                let outcome = Outcome::Genesis {
                    artifact: ArtifactRef { digest, len: 1 },
                    trust: Trust::Proved(height),
                    standing: genesis::Standing::Assigned,
                };
                (op, outcome)
            }
            Action::CheckReady { op, .. } => (op, Outcome::Ready),
            Action::ListNodes { op } => {
                (op, Outcome::Nodes(self.nodes.values().cloned().collect()))
            }
            Action::Notify(_) => return None,
            Action::Query { op, query } => match query {
                Query::Consumer {
                    consumer_id,
                    height: asked,
                } => {
                    let known = usize::try_from(consumer_id.number()).ok();
                    let known = known.and_then(|number| self.snapshots.get(number));
                    let snapshot = known.map(|known| Snapshot {
                        height: asked.unwrap_or(height),
                        ..known.clone()
                    });
                    (op, Outcome::Consumer(snapshot.map(Box::new)))
                }
                Query::Phases => {
                    let all = self.snapshots.iter();
                    let outcome = Outcome::Phases {
                        phases: all.map(|it| (it.consumer_id, it.phase)).collect(),
                        blocks_per_epoch: 600,
                    };
                    (op, outcome)
                }
                other => unreachable!("all is as it should be: {other:?}"),
            },
            other => unreachable!("all is as it should be: {other:?}"),
        })
    }

    fn run(&mut self, spec: &NodeSpec) -> NodeStatus {
        let node = NodeStatus {
            consumer_id: spec.consumer_id,
            state: NodeState::Running,
            spec: Some(spec.digest()),
            genesis: Some(spec.genesis.digest),
            p2p_port: Some(spec.ports.p2p),
            signer: NodeSigner::Key(key(spec.consumer_id).public_key),
        };
        self.nodes.insert(spec.consumer_id, node.clone());
        node
    }
}

impl Followed {
    /// A machine that has read all consumers, and whose nodes run.
    pub(crate) fn new(consumers: u64, ours: u64) -> Self {
        let mut followed = Self {
            machine: Machine::new(local(), policy()),
            provider: Provider::new(consumers, ours),
            now: start(),
            height: Height(1_000_000),
            steps: 0,
            spent: Duration::ZERO,
        };
        let (height, time) = (followed.height, followed.now);
        followed.feed(Input::Resync { height, time });
        // What failed readings and lists would be asked again for is not there: all succeed.
        for _ in 0..60 {
            followed.second(&[]);
        }
        (followed.steps, followed.spent) = (0, Duration::ZERO);
        followed
    }

    /// Lets a second pass: ticks that are due, a block in every fifth, and all answers.
    pub(crate) fn second(&mut self, touched: &[u64]) {
        self.now = self.now + Duration::from_secs(1);
        if self
            .machine
            .next_tick()
            .is_some_and(|tick| tick <= self.now)
        {
            self.feed(Input::Tick);
        }
        if self.now.seconds() % 5 == 0 {
            self.block(touched);
        }
    }

    /// Makes a block that touches these consumers, and answers all that the machine asks.
    pub(crate) fn block(&mut self, touched: &[u64]) {
        let touched = touched
            .iter()
            .map(|id| Event::Touched(ConsumerId::new(*id)));
        let block = self.next_block(touched.collect());
        self.feed(block);
    }

    /// The next block, which is not fed yet, soon after the last one.
    pub(crate) fn next_block(&mut self, events: Vec<Event>) -> Input {
        self.height.0 += 1;
        self.now = self.now + Duration::from_millis(1);
        Input::Block {
            height: self.height,
            time: self.now,
            events,
        }
    }

    /// Feeds an input, and the answers to all that the machine asks.
    fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            self.steps += inputs.len();
            let mut actions = Vec::with_capacity(inputs.len());
            let begin = Instant::now();
            for input in inputs {
                actions.push(self.machine.step(self.now, input));
            }
            self.spent += begin.elapsed();
            let answers = actions.into_iter().flatten().filter_map(|action| {
                let (op, outcome) = self.provider.answer(action, self.height)?;
                Some(Input::Done { op, outcome })
            });
            inputs = answers.collect();
        }
    }
}

fn start() -> UnixTime {
    UnixTime::new(1_800_000_000, 0)
}

fn key(consumer_id: ConsumerId) -> KeyRef {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&consumer_id.number().to_be_bytes());
    KeyRef {
        consumer_id,
        public_key: PublicKey::new(bytes),
    }
}

fn provider_key(number: u64) -> PublicKey {
    let mut bytes = [3; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    PublicKey::new(bytes)
}

fn operator(number: u64) -> Address {
    let mut bytes = [5; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Address::new(bytes).expect("20 bytes")
}

/// A validator as they are on a real chain: with a name, and details that say more than its peer.
fn validator(number: u64, chain_id: &ChainId) -> ConsumerValidator {
    let key = provider_key(number);
    let moniker = format!("validator number {number}");
    let details = format!(
        "Secure and reliable validation since the beginning of the chain. We take part in its \
         government and run relayers. p2p={number:040x}@node-{number}.validator.example"
    );
    ConsumerValidator {
        provider_address: key.address(),
        operator: operator(number),
        consumer_key: key,
        power: 1_000_000 / (number + 1),
        active: true,
        published: Published::read(&details, &moniker, chain_id),
        moniker,
    }
}

fn local() -> LocalValidator {
    LocalValidator {
        operator: operator(0),
        chain_id: ChainId::new("provider-1").expect("a chain id"),
        provider_key: provider_key(0),
        node_id: NodeId::new([0xee; 20]),
    }
}

fn policy() -> Policy {
    Policy {
        rules: vec![Rule {
            name: "alice".into(),
            matches: Match {
                owner: Some("alice".into()),
                ..Match::default()
            },
            verdict: Verdict::Allow,
            bounds: Bounds::default(),
            run: Some(Run {
                program: Program {
                    image: "example/consumer:1".into(),
                    command: vec!["/consumer-d".into(), "start".into()],
                    home: "/data".into(),
                },
                resources: Resources::default(),
                genesis: GenesisSource {
                    path: "/files/{consumer_id}.json".into(),
                    sha256: None,
                    ics_version: None,
                },
                key: KeySource::default(),
            }),
        }],
        ..Policy::new(NodeSettings::named(Moniker::new("ours").expect("a name")))
    }
}
