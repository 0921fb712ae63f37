//! Which key is assigned for a consumer, by its rule.

use super::{Case, Plan};
use crate::action::Tx;
use crate::consumer::{Kind, Want};
use crate::key::PublicKey;
use crate::keystore::{KeyOrigin, KeyRef};
use crate::policy::{KeySource, Run};
use crate::status::Alarm;

/// Whether the rule says that a remote signer holds this key.
pub(super) fn is_remote(run: &Run, key: PublicKey) -> bool {
    matches!(run.key, KeySource::Remote { public_key, .. } if public_key == key)
}

/// The key to assign, as far as it is known.
pub(super) enum Next {
    /// This one.
    Key(KeyRef),
    /// That which the store returns.
    Stored(KeyOrigin),
    /// None: the alarm says why and what to do.
    None(Alarm),
}

impl Case<'_> {
    /// The key to assign by the rule's source; a fresh one where no rule says what to run.
    pub(super) fn next_key(&self, run: Option<&Run>) -> Next {
        let origin = match run.map_or(KeySource::Fresh, |run| run.key) {
            KeySource::Fresh => KeyOrigin::Fresh,
            KeySource::Imported => KeyOrigin::Imported,
            KeySource::Provider => return Next::None(unused_provider_key()),
            KeySource::Remote { public_key, .. } => {
                return self.usable(KeyRef {
                    consumer_id: self.consumer.id,
                    public_key,
                });
            }
        };
        match self.consumer.key {
            None => Next::Stored(origin),
            Some(key) => self.usable(key),
        }
    }

    /// Refuses our provider key: the chain takes it for no assignment at all.
    fn usable(&self, key: KeyRef) -> Next {
        if key.public_key != self.world.local.provider_key {
            return Next::Key(key);
        }
        Next::None(Alarm::critical(
            "its rule gives our provider key as a key of the consumer's own: give another key, or \
             set run.key to fresh",
        ))
    }

    /// Wants a key of our own assigned where our provider key stands: one key must never sign on two
    /// chains.
    pub(super) fn assign_key(&self, plan: Plan) -> Plan {
        let run = self.world.policy.run_for(self.snapshot);
        let text = "our provider key stands for this consumer: another key is being assigned";
        let text = self.with_failure(text.into(), &[Kind::Key, Kind::Send]);
        let want = match self.next_key(run.as_ref()) {
            Next::Key(key) => Want::Broadcast(Tx::AssignKey(key)),
            Next::Stored(origin) => Want::PrepareKey(origin),
            Next::None(alarm) => return plan.alarm(alarm),
        };
        plan.alarm(Alarm::warning(text)).want(want)
    }
}

fn unused_provider_key() -> Alarm {
    Alarm::critical(
        "its rule asks for our provider key, which cannot be used yet: nothing is opted in to and \
         no key assigned; set run.key to fresh",
    )
}
