//! The end: leaving, and what the provider stopped or deleted.

use super::{Case, Plan};
use crate::consumer::{Kind, Want};
use crate::deploy::NodeState;
use crate::status::Stage;

impl Case<'_> {
    /// We are in no set of the provider any more, but the consumer hears of that later.
    pub(super) fn leave(&self) -> Plan {
        let Some(node) = &self.consumer.node else {
            return Plan::new(Stage::Stopped, "we left");
        };
        if node.state == NodeState::Stopped {
            return Plan::new(Stage::Stopped, "we left; data and keys are kept");
        }
        let Some(key) = node.signer.key() else {
            return Plan::new(Stage::Stopping, "we left").want(Want::Stop);
        };
        let why = "opted out; the node stays until the consumer's own set is without our key";
        let plan = Plan::new(Stage::Leaving, self.with_failure(why.into(), &[Kind::Ask]));
        let ask = || Want::ConsumerSet {
            rpc_port: self.ports().rpc,
        };
        match &self.consumer.consumer_set {
            Some((keys, at)) if self.world.now < *at + self.world.policy.schedule.leaving => {
                if keys.contains(&key) {
                    return plan.wake_at(*at + self.world.policy.schedule.leaving);
                }
                let why = self.with_failure("we left".into(), &[Kind::Deploy]);
                Plan::new(Stage::Stopping, why).want(Want::Stop)
            }
            _ => plan.want(ask()),
        }
    }

    pub(super) fn stopped(&self) -> Plan {
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

    pub(super) fn deleted(&self) -> Plan {
        if self.consumer.node.is_none() {
            let stage = if self.world.nodes_known {
                Stage::Deleted
            } else {
                Stage::Deleting
            };
            return Plan::new(stage, "the provider deleted it; nothing of it is here");
        }
        match self.consumer.sure_height(self.snapshot) {
            Some(sure) if self.snapshot.height >= sure => {}
            sure => {
                let why = match sure {
                    Some(sure) => format!("to be read again at height {sure}"),
                    None => "there is no later height at which to read it again".into(),
                };
                let why = format!("the provider deleted it; {why}");
                return Plan::new(Stage::Deleting, why);
            }
        }
        let why = self.with_failure(
            "archiving the key, removing the node".into(),
            &[Kind::Delete],
        );
        Plan::new(Stage::Deleting, why).want(Want::Delete)
    }
}
