//! After launch: the node of a consumer that counts on our key.

use std::sync::Arc;

use super::keys::Next;
use super::{Case, Plan};
use crate::action::Tx;
use crate::artifact::ArtifactRef;
use crate::consumer::{Chosen, Forced, Kind, Want};
use crate::deploy::{NodeSigner, NodeState};
use crate::genesis::{Expectation, OurKeys};
use crate::node::NodeSpec;
use crate::peers::{self, Dial};
use crate::policy::{Decision, Override, Run};
use crate::status::{Alarm, Stage};

impl Case<'_> {
    pub(super) fn launched(&self) -> Plan {
        let plan = self.by_decision();
        // Not prevented by the provider; CometBFT refuses such an update and stops.
        if self.consumer.node.is_some() && self.snapshot.validators.size() == 0 {
            let text = "no validator is left in its set: the chain halts as soon as it learns of \
                        that, and only its owner can end it";
            return plan.alarm(Alarm::warning(text));
        }
        plan
    }

    fn by_decision(&self) -> Plan {
        let decision = self.world.policy.decide(self.snapshot);
        if self.takes_part() {
            return self.run(&decision);
        }
        match decision {
            // Also one that we have left, or are leaving, is joined again.
            Decision::Ordered(why) => self.warn_if_hindered(self.opt_in(why)),
            _ if self.consumer.node.is_some() => self.leave(),
            Decision::Denied(why) | Decision::Unmentioned(why) => Plan::new(Stage::Ignored, why),
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
        let mut plan = self.warn_if_hindered(self.deploy());
        if let Decision::Denied(why) = decision {
            let forced = self.consumer.forced;
            let forced = forced.is_some_and(|it| it == Forced::of(self.snapshot, self.world.local));
            let text = if forced {
                let top_n = self.snapshot.top_n;
                format!("{why}, but our validator is among the top {top_n}% and cannot opt out")
            } else {
                format!("{why}: the node runs as long as the consumer counts on our key")
            };
            let orders = &self.world.policy.overrides;
            // What the operator has ordered is no news to them.
            plan = plan.alarm(match orders.get(&self.consumer.id) {
                Some(Override::OptOut) => Alarm::warning(text),
                Some(Override::OptIn) | None => Alarm::critical(text),
            });
            if let Some(failure) = self.consumer.failure(Kind::Send) {
                plan = plan.alarm(Alarm::critical(format!("opting out failed: {failure}")));
            }
            if self.snapshot.opted_in && !forced {
                plan = plan.want_first(Want::Broadcast(Tx::OptOut(self.consumer.id)));
            }
        }
        plan
    }

    fn deploy(&self) -> Plan {
        let Some(run) = self.world.policy.run_for(self.snapshot) else {
            let node = self.consumer.node.as_ref();
            let runs = node.is_some_and(|node| node.state == NodeState::Running);
            let (stage, why) = if runs {
                (Stage::Running, "kept as it is")
            } else {
                (
                    Stage::Watching,
                    "we validate it, but nothing says what to run",
                )
            };
            return Plan::new(stage, why).alarm(self.nothing_to_run());
        };
        if !self.world.nodes_known {
            return Plan::new(Stage::Watching, "waiting for the list of our nodes");
        }
        let has_ports = self.p2p_port().is_some();
        let launched = self.snapshot.launched_at.unwrap_or(self.snapshot.height);
        let others_known = self.world.ports.is_some()
            && self
                .world
                .index
                .knows_launches(launched, self.world.block.1);
        if !others_known && !has_ports {
            return Plan {
                unplaced: true,
                ..Plan::new(
                    Stage::Watching,
                    "waiting for the ports of the other consumers",
                )
            };
        }
        if matches!(self.next_key(Some(&run)), Next::Unknown) {
            let why = "waiting for all consumers to be read: their chain ids decide whether our \
                       provider key may sign";
            return Plan::new(Stage::Watching, why).held_back();
        }
        let expect = Expectation::of(self.snapshot);
        let built = self.consumer.genesis.as_ref();
        let built = built.filter(|built| built.source == run.genesis && built.expect == expect);
        let Some(genesis) = built.map(|built| built.artifact) else {
            let plan = Plan::new(Stage::FetchingGenesis, "building the genesis");
            return self
                .alarm_if_failed(plan, Kind::Genesis)
                .want(Want::BuildGenesis {
                    source: run.genesis.clone(),
                    expect,
                    height: self.snapshot.height,
                    keys: OurKeys {
                        assigned: self.snapshot.assigned_key,
                        provider: self.provider_key(),
                    },
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
        let ports = self.ports();
        let chosen = self.peers(ports.p2p);
        let signing = self.signing(run);
        let Some(signer) = signing.signer else {
            return signing.go_on(Plan::new(Stage::Running, "the node is kept as it is"));
        };
        let spec = NodeSpec {
            consumer_id: self.consumer.id,
            chain_id: self.snapshot.chain_id.clone(),
            program: run.program.clone(),
            resources: run.resources,
            genesis,
            ports,
            settings: self.world.policy.node.clone(),
            signer,
            // Cloned only where they are to be written.
            persistent_peers: Vec::new(),
        };
        let fits = self.consumer.node.as_ref().filter(|node| {
            node.spec == Some(spec.digest())
                && !matches!(node.state, NodeState::Ended(_) | NodeState::Stopped)
                && self.consumer.peers.as_ref() == Some(&chosen.peers)
        });
        let mut plan = match fits.map(|node| &node.state) {
            Some(NodeState::Failing(how)) => {
                let why = "the node keeps failing";
                let alarm = Alarm::critical(format!("{why}: {how}"));
                signing.go_on(Plan::new(Stage::Deploying, why).alarm(alarm))
            }
            Some(_) => signing.go_on(Plan::new(Stage::Running, self.running())),
            None => {
                let plan = Plan::new(Stage::Deploying, "starting the node");
                let mut plan = self.alarm_if_failed(plan, Kind::Deploy);
                let node = self.consumer.node.as_ref();
                if let Some(NodeState::Ended(how)) = node.map(|node| &node.state) {
                    let text = format!("the node ended by itself: {how}");
                    plan = plan.alarm(Alarm::critical(text));
                }
                let spec = NodeSpec {
                    persistent_peers: chosen.peers.clone(),
                    ..spec
                };
                signing.go_on(plan.want(Want::Apply(Box::new(spec))))
            }
        };
        plan.alarms.extend(self.unpublished(ports.p2p));
        plan.alarms.extend(chosen.alarm.clone());
        if let Some(NodeSigner::Withheld(why)) =
            self.consumer.node.as_ref().map(|node| &node.signer)
        {
            plan = plan.alarm(Alarm::critical(format!(
                "the node runs without its key: {why}"
            )));
        }
        plan.chosen = Some(chosen);
        if self.provider_key_stands(self.snapshot.assigned_key) {
            plan = self.assign_key(plan, Some(run));
        }
        plan
    }

    /// What a running node is for.
    fn running(&self) -> &'static str {
        if self.snapshot.member(self.world.local).is_some() {
            "the node runs"
        } else {
            "the node runs; the set of the last epoch is without us, the next one may not be"
        }
    }

    /// Adds why this has failed: the consumer counts on us, so someone must act.
    fn alarm_if_failed(&self, plan: Plan, kind: Kind) -> Plan {
        match self.consumer.failure(kind) {
            Some(failure) => {
                let text = format!("we validate it, but {} failed: {failure}", plan.why);
                plan.alarm(Alarm::critical(text))
            }
            None => plan,
        }
    }

    /// The peers that the other validators publish. One that publishes nothing usable is left out.
    fn peers(&self, port: u16) -> Arc<Chosen> {
        let dial = match self.world.policy.node.private_peers {
            true => Dial::Private,
            false => Dial::Public,
        };
        let known = self.consumer.chosen.as_ref();
        if let Some(chosen) = known.filter(|chosen| chosen.by == (port, dial)) {
            return Arc::clone(chosen);
        }
        let (local, id) = (self.world.local, self.consumer.id);
        let (peers, problems) =
            peers::choose(self.snapshot.validators.members(), local, id, port, dial);
        let alarm = problems.first().map(|(validator, problem)| {
            let first = format!("{} {problem}", validator.name());
            Alarm::warning(match problems.len() {
                1 => format!("one validator gives no peer: {first}"),
                more => format!("{more} validators give no peer; the first: {first}"),
            })
        });
        Arc::new(Chosen {
            by: (port, dial),
            peers,
            alarm,
        })
    }

    /// Why others cannot dial our node, if our entry in the set tells.
    fn unpublished(&self, port: u16) -> Option<Alarm> {
        let ours = self.snapshot.member(self.world.local)?;
        let expected = self.expected_port(port);
        let why = match ours.published.peer(self.consumer.id, expected) {
            Ok(peer) if peer.node_id != self.world.local.node_id => {
                "publishes another node id than ours".to_owned()
            }
            Ok(peer) if peer.port == port => return None,
            Ok(peer) => {
                let (id, other) = (self.consumer.id, peer.port);
                return Some(Alarm::warning(format!(
                    "others dial our node on port {other}, but it listens on {port}: publish \
                     p2p.{id}=:{port} in the staking details, beside p2p="
                )));
            }
            Err(problem) => problem.to_string(),
        };
        Some(Alarm::warning(format!(
            "nobody can dial our node: our validator {why}; publish what ics-monitor node-id prints"
        )))
    }
}
