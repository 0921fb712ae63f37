//! The machine, told anything in any order.

mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use ics_core::action::{Action, Input, OpId, Outcome, Query};
use ics_core::artifact::ArtifactRef;
use ics_core::deploy::{NodeSigner, NodeState, NodeStatus};
use ics_core::event::Event;
use ics_core::failure::{Failure, FailureKind};
use ics_core::genesis::{Standing, Trust};
use ics_core::id::ConsumerId;
use ics_core::keystore::KeyRef;
use ics_core::machine::Machine;
use ics_core::phase::Phase;
use ics_core::select::Candidate;
use ics_core::time::{Height, UnixTime};

use self::watch::Watch;
use crate::draw::{START, Source, address, local};

/// More inputs than this add nothing but time.
const MOST: usize = 400;

/// Draws a policy, then inputs: blocks, answers to what was asked, answers to nothing, nonsense.
///
/// # Panics
/// Where an invariant of the core does not hold that needs no well-behaved world: I1 to I5, I9 to
/// I12.
pub fn machine(data: &[u8]) {
    let mut source = Source::new(data);
    let policy = source.policy();
    let mut trial = Trial {
        machine: Machine::new(local(), policy.clone()),
        watch: Watch::new(policy),
        wall: START,
        height: Height(100),
        time: START,
        open: BTreeMap::new(),
    };
    let begin = Input::Resync {
        height: trial.height,
        time: trial.time,
    };
    trial.step(begin);
    for _ in 0..MOST {
        if source.is_empty() {
            break;
        }
        let input = trial.draw(&mut source);
        trial.step(input);
    }
}

/// The machine, and what it is told from.
struct Trial {
    machine: Machine,
    watch: Watch,
    wall: UnixTime,
    height: Height,
    time: UnixTime,
    /// What was asked for and not answered yet.
    open: BTreeMap<OpId, Action>,
}

impl Trial {
    fn step(&mut self, input: Input) {
        let mut twin = self.machine.clone();
        self.watch.told(self.wall, &input);
        let actions = self.machine.step(self.wall, input.clone());
        assert_eq!(actions, twin.step(self.wall, input), "I1");
        self.watch.asked(&actions, &self.machine);
        assert!(
            self.machine.next_tick().is_none_or(|next| next > self.wall),
            "I12"
        );
        let ops = actions
            .into_iter()
            .filter_map(|action| Some((action.op()?, action)));
        self.open.extend(ops);
    }

    fn draw(&mut self, source: &mut Source<'_>) -> Input {
        match source.below(12) {
            0..6 => self.answer(source),
            6 => self.tick(source),
            7..9 => {
                self.height = Height(self.height.0.saturating_add(1));
                self.time = self.time + Duration::from_secs(source.below(60));
                self.block(source)
            }
            9 => {
                self.height = match source.below(8) {
                    0 => source.any_height(),
                    _ => Height(
                        self.height
                            .0
                            .saturating_add(source.below(30))
                            .saturating_sub(5),
                    ),
                };
                self.time = source.time();
                match source.below(2) {
                    0 => self.block(source),
                    _ => Input::Resync {
                        height: self.height,
                        time: self.time,
                    },
                }
            }
            10 => {
                let policy = source.policy();
                self.watch.policy = policy.clone();
                Input::Policy(policy.into())
            }
            _ => Input::Done {
                op: OpId(source.below(40)),
                outcome: self.anything(source),
            },
        }
    }

    fn tick(&mut self, source: &mut Source<'_>) -> Input {
        let next = self.machine.next_tick().unwrap_or(self.wall);
        self.wall = match source.below(6) {
            0..4 => next.max(self.wall),
            4 => self.wall + source.span().min(Duration::from_secs(86_400)),
            // A clock that is set back.
            _ => self.wall - Duration::from_secs(source.below(100_000)),
        };
        Input::Tick
    }

    fn block(&self, source: &mut Source<'_>) -> Input {
        let mut events = Vec::new();
        for _ in 0..source.below(3) {
            let id = source.id();
            events.push(source.one_of(&[
                Event::Created(id),
                Event::Touched(id),
                Event::MaybeStopped,
            ]));
        }
        Input::Block {
            height: self.height,
            time: self.time,
            events,
        }
    }

    /// Answers something that was asked for: mostly to the question, and mostly once.
    fn answer(&mut self, source: &mut Source<'_>) -> Input {
        let ops: Vec<_> = self.open.keys().copied().collect();
        if ops.is_empty() {
            return self.tick(source);
        }
        let op = source.one_of(&ops);
        let outcome = match source.below(10) {
            0 => self.anything(source),
            1 => failed(source),
            _ => self.fitting(source, &self.open[&op].clone()),
        };
        if !source.once_in(16) {
            self.open.remove(&op);
        }
        Input::Done { op, outcome }
    }

    fn fitting(&self, source: &mut Source<'_>, action: &Action) -> Outcome {
        match action {
            Action::Apply { spec, .. } => Outcome::Applied(NodeStatus {
                consumer_id: spec.consumer_id,
                state: NodeState::Running,
                spec: Some(spec.digest()),
                genesis: Some(spec.genesis.digest),
                p2p_port: Some(spec.ports.p2p),
                signer: match spec.signer.stored() {
                    Some(key) => NodeSigner::Key(key.public_key),
                    None => NodeSigner::None,
                },
            }),
            Action::Broadcast { .. } => Outcome::Included(self.height),
            Action::BuildGenesis { .. } => genesis(source),
            Action::CheckReady { .. } => Outcome::Ready,
            Action::Delete { .. } | Action::Stop { .. } => Outcome::Gone,
            Action::ListNodes { .. } => nodes(source),
            Action::Notify(_) => unreachable!("it needs no answer"),
            Action::PrepareKey { consumer_id, .. } => key(source, *consumer_id),
            Action::Query { query, .. } => match query {
                Query::Candidates { .. } => candidates(source),
                Query::Consumer {
                    consumer_id,
                    height,
                } => {
                    let height = height.unwrap_or(self.height);
                    let late = source.one_of(&[0, 0, 0, 1, 12]);
                    let height = Height(height.0.saturating_add(late));
                    Outcome::Consumer(Some(source.snapshot(*consumer_id, height).into()))
                }
                Query::ConsumerSet { .. } => Outcome::ConsumerSet(vec![source.key()]),
                Query::HoldsKey(..) => Outcome::HoldsKey(source.once_in(2)),
                Query::Phases => phases(source),
            },
        }
    }

    fn anything(&self, source: &mut Source<'_>) -> Outcome {
        let id = source.id();
        match source.below(12) {
            0 => Outcome::Applied(node(source)),
            1 => candidates(source),
            2 => Outcome::Consumer(None),
            3 => {
                let height = Height(self.height.0.saturating_sub(source.below(20)));
                Outcome::Consumer(Some(source.snapshot(id, height).into()))
            }
            4 => Outcome::ConsumerSet(vec![source.key()]),
            5 => failed(source),
            6 => genesis(source),
            7 => Outcome::Included(source.any_height()),
            8 => key(source, id),
            9 => nodes(source),
            10 => phases(source),
            _ => source.one_of(&[Outcome::Ready, Outcome::Gone, Outcome::CannotOptOut]),
        }
    }
}

fn genesis(source: &mut Source<'_>) -> Outcome {
    let standings = [
        Standing::Absent,
        Standing::Assigned,
        Standing::Outdated,
        Standing::Provider,
    ];
    let trusts = [
        Trust::Proved(Height(7)),
        Trust::Unverified("no proof".into()),
    ];
    Outcome::Genesis {
        artifact: ArtifactRef {
            digest: source.digest(),
            len: 9,
        },
        trust: source.one_of(&trusts),
        standing: source.one_of(&standings),
    }
}

fn candidates(source: &mut Source<'_>) -> Outcome {
    let tokens = [0, 1, 50, u128::MAX];
    let ours = Candidate {
        operator: local().operator,
        tokens: source.one_of(&tokens),
    };
    let other = Candidate {
        operator: address(2),
        tokens: source.one_of(&tokens),
    };
    let exact = source.once_in(2);
    Outcome::Candidates {
        candidates: vec![ours, other],
        height: Height(50),
        exact,
    }
}

fn failed(source: &mut Source<'_>) -> Outcome {
    let kinds = [
        FailureKind::Permanent,
        FailureKind::Transient,
        FailureKind::Unknown,
    ];
    Outcome::Failed(Failure {
        kind: source.one_of(&kinds),
        message: "it failed".into(),
    })
}

fn key(source: &mut Source<'_>, consumer_id: ConsumerId) -> Outcome {
    Outcome::Key(KeyRef {
        consumer_id,
        public_key: source.key(),
    })
}

fn node(source: &mut Source<'_>) -> NodeStatus {
    let states = [
        NodeState::Running,
        NodeState::Stopped,
        NodeState::Failing("it ended".into()),
        NodeState::Ended("exit status 1".into()),
    ];
    NodeStatus {
        consumer_id: source.id(),
        state: source.one_of(&states),
        spec: source.maybe(Source::digest),
        genesis: source.maybe(Source::digest),
        p2p_port: source.one_of(&[None, Some(26_756), Some(28_746), Some(1)]),
        signer: match source.below(3) {
            0 => NodeSigner::Key(source.key()),
            1 => NodeSigner::None,
            _ => NodeSigner::Withheld("it is bound elsewhere".into()),
        },
    }
}

fn nodes(source: &mut Source<'_>) -> Outcome {
    Outcome::Nodes((0..source.below(4)).map(|_| node(source)).collect())
}

fn phases(source: &mut Source<'_>) -> Outcome {
    let one = |source: &mut Source<'_>| (source.id(), source.one_of(&Phase::ALL));
    Outcome::Phases {
        phases: (0..source.below(4)).map(|_| one(source)).collect(),
        blocks_per_epoch: source.below(11),
    }
}
