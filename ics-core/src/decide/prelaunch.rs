//! Before launch: whether to opt in, and keeping everything ready.

use super::keys::Next;
use super::{Case, Plan};
use crate::action::Tx;
use crate::consumer::{Kind, Want};
use crate::phase::Phase;
use crate::policy::{Caps, Decision, OptInFrom, Run};
use crate::predict;
use crate::status::{Alarm, Stage};

impl Case<'_> {
    pub(super) fn prelaunch(&self) -> Plan {
        let decision = self.world.policy.decide(self.snapshot);
        if self.takes_part() {
            return self.awaiting_launch(&decision);
        }
        match decision {
            Decision::Denied(why) | Decision::Unmentioned(why) => Plan::new(Stage::Ignored, why),
            Decision::Ordered(why) => self.warn_if_hindered(self.opt_in(why)),
            Decision::Allowed(why) => self.opt_in_by_rule(why),
        }
    }

    fn opt_in_by_rule(&self, why: String) -> Plan {
        // Opted in, we could not leave before launch. Once it can validate, it is decided anew.
        if let Some(hindrance) = self.snapshot.hindrance() {
            let why = format!("{why}; no opt-in by rule: {hindrance}");
            return Plan::new(Stage::Watching, why);
        }
        let opens = match (self.world.policy.opt_in, self.spawn_time()) {
            (OptInFrom::Registered, _) => None,
            (OptInFrom::BeforeSpawn(lead), Some(spawn)) => Some(spawn - lead),
            (OptInFrom::BeforeSpawn(_), None) => {
                return Plan::new(Stage::Watching, format!("{why}; it has no spawn time yet"));
            }
        };
        let Some(selection) = &self.consumer.selection else {
            let why = format!("{why}; selection is being computed");
            let why = self.with_failure(why, &[Kind::Ask]);
            return Plan::new(Stage::Watching, why).want(Want::Candidates);
        };
        let why = format!("{why}; {}", selection.why);
        let inexact = Alarm::warning(
            "the height of its creation is unknown, so selection used the validators of now",
        );
        let plan = if !selection.local {
            Plan::new(Stage::Watching, why)
        } else if let Some(opens) = opens.filter(|opens| *opens > self.world.block.1) {
            Plan::new(Stage::Watching, format!("{why}; opts in from {opens}")).wake_at_block(opens)
        } else if let Some(full) = self.full() {
            let id = self.consumer.id;
            let why = format!("{why}; held back {full}; ics-monitor opt-in {id} stands above that");
            Plan::new(Stage::Watching, why).held_back()
        } else {
            self.opt_in(why)
        };
        if selection.exact {
            plan
        } else {
            plan.alarm(inexact)
        }
    }

    /// The cap that leaves no room for it, in words.
    fn full(&self) -> Option<String> {
        let caps = &self.world.policy.caps;
        if *caps == Caps::default() {
            return None;
        }
        if !self.world.counted {
            return Some("until all consumers have been counted, because there are caps".into());
        }
        let others = self.world.index.others(self.consumer);
        caps.full(others.awaiting, others.running)
    }

    /// Prepares and sends the opt-in. Everything it depends on is checked first, except for a
    /// consumer that has no spawn time: that one has nothing yet that could be checked.
    pub(super) fn opt_in(&self, why: String) -> Plan {
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
        // The provider refuses a key that is assigned already, and one that we do not hold is not
        // to be overwritten.
        let stands = self.provider_key_stands(self.snapshot.assigned_key);
        let next = stands.then(|| self.next_key(Some(&run)));
        match &next {
            None | Some(Next::Assign(_) | Next::Provider | Next::Stored(_)) => {}
            Some(Next::Barred(text)) => {
                let text = format!("{text}: no opt-in; set run.key to fresh");
                let plan = Plan::new(Stage::Watching, why).alarm(Alarm::critical(text));
                // The other consumer may go at any time.
                return plan.wake_at_block(self.world.block.1);
            }
            Some(Next::None(text)) => {
                return Plan::new(Stage::Watching, why).alarm(Alarm::critical(text));
            }
            Some(Next::Unknown) => {
                let why =
                    format!("{why}; waiting until all consumers are read, for their chain ids");
                return Plan::new(Stage::Watching, why).held_back();
            }
        }
        if self.snapshot.phase != Phase::Registered
            && let Some(plan) = self.not_ready(&run, &why)
        {
            return plan;
        }
        let plan = Plan::new(
            Stage::OptingIn,
            self.with_failure(why, &[Kind::Key, Kind::Send]),
        );
        let opt_in = |key| {
            Want::Broadcast(Tx::OptIn {
                consumer_id: self.consumer.id,
                key,
            })
        };
        match next {
            Some(Next::Assign(key)) => plan.want(opt_in(Some(key))),
            Some(Next::Stored(origin)) => plan.want(Want::PrepareKey(origin)),
            _ => plan.want(opt_in(None)),
        }
    }

    /// Says why the launch would fail, as far as the provider's answers tell.
    fn warn_if_it_fails(&self, plan: Plan) -> Plan {
        let obstacles = predict::obstacles(self.snapshot);
        let texts: Vec<_> = obstacles.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            return plan;
        }
        let text = format!("as it stands the launch would fail: {}", texts.join("; "));
        plan.alarm(Alarm::warning(text))
    }

    /// The plan as long as something that an opt-in depends on is missing.
    fn not_ready(&self, run: &Run, why: &str) -> Option<Plan> {
        let (check, schedule) = (self.check(run), &self.world.policy.schedule);
        let watching = |text: &str| Plan::new(Stage::Watching, format!("{why}; {text}"));
        match &self.consumer.readiness {
            Some(ready) if ready.check == check => {
                let holds = if ready.result.is_ok() {
                    schedule.ready
                } else {
                    schedule.not_ready
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

    /// We will validate once it launches: keep everything ready.
    fn awaiting_launch(&self, decision: &Decision) -> Plan {
        let why = match self.spawn_time() {
            Some(spawn) => format!("launches at {spawn}"),
            None => "opted in; it has no spawn time".into(),
        };
        let plan = self.warn_if_hindered(Plan::new(Stage::AwaitingLaunch, why));
        let mut plan = self.warn_if_it_fails(plan);
        if let Decision::Denied(why) = decision {
            let text = if self.snapshot.opted_in {
                "we are opted in and cannot opt out before launch: the node will run and the \
                 opt-out be sent after launch"
            } else {
                "our validator is among the top N of the provider and must validate it: the node \
                 will run"
            };
            let text = format!("{why}, but {text}");
            plan = plan.alarm(Alarm::critical(text));
        }
        let run = self.world.policy.run_for(self.snapshot);
        if self.provider_key_stands(self.snapshot.assigned_key) {
            plan = self.assign_key(plan, run.as_ref());
        }
        let Some(run) = run else {
            return plan.alarm(self.nothing_to_run());
        };
        if self.spawn_time().is_none() {
            return plan;
        }
        // The same checks as before the opt-in: what has come to be missing is told in time.
        let check = self.check(&run);
        match &self.consumer.readiness {
            Some(ready) if ready.check == check => {
                let holds = ready.at + self.world.policy.schedule.ready;
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
}
