//! Which key a node signs with, and the moment to switch to another.
//!
//! A key that was assigned after launch counts for the provider from the next epoch on, and for the
//! consumer two blocks after the packet that says so was relayed: its own set alone tells when
//! (`x/ccv/provider/keeper/key_assignment.go`, `x/ccv/consumer/keeper/relay.go`). Until then the old
//! key signs, from then on the new one, and never both: whoever runs the node takes the old one out
//! of use before it starts the new one ([`crate::deploy::Deployer::apply`]).
//!
//! One key never moves between our store and a remote signer: of that move only its owner knows that
//! the old place has ended. Another key may take its place in the other one.

use super::keys::{Next, is_remote};
use super::{Case, Plan};
use crate::consumer::{Kind, Want};
use crate::deploy::NodeSigner;
use crate::key::PublicKey;
use crate::node::Signer;
use crate::policy::{KeySource, Run};
use crate::status::Alarm;
use crate::time::UnixTime;

/// What a node signs with.
pub(super) struct Signing {
    /// `None`: what it signs with now, which cannot be said anew.
    pub(super) signer: Option<Signer>,
    alarm: Option<Alarm>,
    /// What is to be found out before another key takes its place.
    want: Option<Want>,
    /// When to look again.
    wake: Option<UnixTime>,
}

impl Signing {
    const fn with(signer: Option<Signer>) -> Self {
        Self {
            signer,
            alarm: None,
            want: None,
            wake: None,
        }
    }

    fn alarm(mut self, alarm: Alarm) -> Self {
        self.alarm = Some(alarm);
        self
    }

    fn want(mut self, want: Want) -> Self {
        self.want = Some(want);
        self
    }

    const fn wake_at(mut self, at: UnixTime) -> Self {
        self.wake = Some(at);
        self
    }

    /// Adds what is to be told and done until the key is the right one.
    pub(super) fn go_on(self, mut plan: Plan) -> Plan {
        plan.alarms.extend(self.alarm);
        plan.wants.extend(self.want);
        self.wake.into_iter().fold(plan, Plan::wake_at)
    }
}

impl Case<'_> {
    /// What the node signs with: the key of the last epoch's set, else the assigned one. A node that
    /// signs already keeps its key until the moment to switch. Our provider key signs where its rule
    /// asks for it, or it does already, and nothing bars it.
    pub(super) fn signing(&self, run: &Run) -> Signing {
        let ours = self.provider_key();
        let member = self.snapshot.member(self.world.local);
        let in_set = member.map(|member| member.consumer_key);
        let assigned = self.snapshot.assigned_key.unwrap_or(ours);
        let node = self.consumer.node.as_ref().map(|node| &node.signer);
        let deployed = node.and_then(NodeSigner::key);
        let next = match deployed {
            Some(_) => assigned,
            None => in_set.unwrap_or(assigned),
        };
        let may_sign = |key: &PublicKey| {
            let asked = || matches!(self.next_key(Some(run)), Next::Provider);
            *key != ours || asked() || deployed == Some(ours) && self.bar().is_none()
        };
        let same = node.and_then(|node| self.signer_again(run, node));
        let barred = deployed.is_some_and(|key| !may_sign(&key));
        if barred || !may_sign(&next) {
            let full_node = barred || deployed.is_none();
            let signer = if full_node { Some(Signer::None) } else { same };
            return Signing::with(signer).alarm(Alarm::critical(
                "our provider key stands in the consumer's set: the node misses blocks until another \
                 key is in the set",
            ));
        }
        match deployed {
            Some(old) if old != next => {
                let keep = Signing::with(same);
                self.switch(run, keep, (old, next), in_set == deployed)
            }
            Some(key) if same.is_none() => Signing::with(None).alarm(Alarm::critical(format!(
                "by its rule key {key} has moved between our store and a remote signer: the node is \
                 kept as it is, because two might sign; give the rule back its key, or assign \
                 another key on the provider"
            ))),
            _ => Signing::with(Some(self.signer(run, next))),
        }
    }

    /// What signs with this key, by the rule.
    fn signer(&self, run: &Run, key: PublicKey) -> Signer {
        match run.key {
            KeySource::Remote { public_key, port } if public_key == key => {
                Signer::Remote { public_key, port }
            }
            _ => Signer::Key(self.key_ref(key)),
        }
    }

    /// What the node signs with, if by the rule its key is where it was.
    fn signer_again(&self, run: &Run, now: &NodeSigner) -> Option<Signer> {
        let signer = self.signer(run, now.key()?);
        let is_remote = matches!(signer, Signer::Remote { .. });
        let was_remote = matches!(now, NodeSigner::Remote(_));
        (is_remote == was_remote).then_some(signer)
    }

    /// Keeps the old key until the consumer's own set has the new one and not the old; a new one
    /// that we do not hold never takes its place. `early`: the provider's set has the old one still.
    fn switch(
        &self,
        run: &Run,
        keep: Signing,
        (old, new): (PublicKey, PublicKey),
        early: bool,
    ) -> Signing {
        let interval = self.world.policy.schedule.leaving;
        let fresh = |at: UnixTime| self.world.now < at + interval;
        let held = self.consumer.holds_key.filter(|(key, ..)| *key == new);
        match held {
            _ if is_remote(run, new) => {}
            Some((_, true, _)) => {}
            Some((_, false, at)) => {
                let text = format!(
                    "key {new} is assigned, but this instance does not hold it, or it must not sign here: the node \
                     keeps {old}, which counts no longer once the consumer's set has changed; assign \
                     another on the provider, or put that key into this instance's store"
                );
                let keep = keep.alarm(Alarm::critical(text));
                return if fresh(at) {
                    keep.wake_at(at + interval)
                } else {
                    keep.want(self.ask_for(new))
                };
            }
            None => return keep.want(self.ask_for(new)),
        }
        let text = format!(
            "the key changes from {old} to {new}: the old one signs until the consumer's own set \
             has the new one"
        );
        let text = self.with_failure(text, &[Kind::Ask, Kind::Key]);
        let keep = keep.alarm(Alarm::warning(text));
        match &self.consumer.consumer_set {
            _ if early => keep,
            Some((keys, at)) if fresh(*at) => {
                if keys.contains(&new) && !keys.contains(&old) {
                    Signing::with(Some(self.signer(run, new)))
                } else {
                    keep.wake_at(*at + interval)
                }
            }
            _ => keep.want(Want::ConsumerSet {
                rpc_port: self.ports().rpc,
            }),
        }
    }

    fn ask_for(&self, public_key: PublicKey) -> Want {
        Want::HoldsKey(self.key_ref(public_key), self.snapshot.chain_id.clone())
    }
}
