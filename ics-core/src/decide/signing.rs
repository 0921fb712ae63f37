//! Which key a node signs with, and the moment to switch to another.
//!
//! A key that was assigned after launch counts for the provider from the next epoch on, and for the
//! consumer two blocks after the packet that says so was relayed: its own set alone tells when
//! (`x/ccv/provider/keeper/key_assignment.go`, `x/ccv/consumer/keeper/relay.go`). Until then the old
//! key signs, from then on the new one, and never both: whoever runs the node takes the old one out
//! of use before it starts the new one ([`crate::deploy::Deployer::apply`]).

use super::Case;
use crate::consumer::{Kind, Want};
use crate::deploy::NodeSigner;
use crate::key::PublicKey;
use crate::keystore::KeyRef;
use crate::status::Alarm;
use crate::time::UnixTime;

/// What a node signs with.
pub(super) struct Signing {
    pub(super) key: Option<PublicKey>,
    pub(super) alarm: Option<Alarm>,
    /// What is to be found out before another key takes its place.
    pub(super) want: Option<Want>,
    /// When to look again.
    pub(super) wake: Option<UnixTime>,
}

impl Signing {
    const fn with(key: Option<PublicKey>) -> Self {
        Self {
            key,
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
}

impl Case<'_> {
    /// The key that the node signs with: that of the last epoch's set, else the assigned one. A node
    /// that signs already keeps its key until the moment to switch; our provider key is never used.
    pub(super) fn signing(&self) -> Signing {
        let own = |key: &PublicKey| *key != self.world.local.provider_key;
        let member = self.snapshot.member(self.world.local);
        let in_set = member.map(|member| member.consumer_key);
        let assigned = self.snapshot.assigned_key;
        let deployed = match self.consumer.node.as_ref().map(|node| &node.signer) {
            Some(NodeSigner::Key(key)) => Some(*key),
            Some(NodeSigner::None | NodeSigner::Withheld(_)) | None => None,
        };
        let next = match deployed {
            Some(_) => assigned,
            None => in_set.or(assigned),
        };
        match (deployed, next.filter(own)) {
            (_, None) => Signing::with(deployed).alarm(Alarm::critical(
                "our provider key stands in the consumer's set: the node misses blocks until a \
                 fresh key is in the set",
            )),
            (Some(old), Some(new)) if old != new => self.switch(old, new, in_set == deployed),
            (_, new) => Signing::with(new),
        }
    }

    /// Keeps the old key until the consumer's own set has the new one and not the old; a new one
    /// that we do not hold never takes its place. `early`: the provider's set has the old one still.
    fn switch(&self, old: PublicKey, new: PublicKey, early: bool) -> Signing {
        let keep = Signing::with(Some(old));
        let interval = self.world.policy.schedule.leaving;
        let fresh = |at: UnixTime| self.world.now < at + interval;
        let held = self.consumer.holds_key.filter(|(key, ..)| *key == new);
        match held {
            Some((_, true, _)) => {}
            Some((_, false, at)) => {
                let text = format!(
                    "key {new} is assigned, but this instance does not hold it: the node keeps \
                     {old}, which counts no longer once the consumer's set has changed; assign \
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
                    Signing::with(Some(new))
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
        Want::HoldsKey(KeyRef {
            consumer_id: self.consumer.id,
            public_key,
        })
    }
}
