//! Which key is to count on a consumer, by its rule, and whether our provider key may.
//!
//! A vote names the chain id, so one key may sign on two chains, but not on two of one chain id: two
//! honest votes of one height would prove that it signed twice, and the provider takes its own key
//! where none is assigned (`HandleConsumerDoubleVoting` in
//! `x/ccv/provider/keeper/consumer_equivocation.go`).

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

/// Which key is to count where none is assigned, as far as it is known.
pub(super) enum Next {
    /// This one, to be assigned.
    Assign(KeyRef),
    /// Our provider key, which the rule asks for, must not sign here: why.
    Barred(String),
    /// None: why, and what to do.
    None(String),
    /// Our provider key: nothing is to be assigned.
    Provider,
    /// That which the store returns, to be assigned.
    Stored(KeyOrigin),
    /// Our provider key, unless a consumer that is not read yet has the same chain id.
    Unknown,
}

impl Case<'_> {
    /// The key that is to count by the rule's source; a fresh one where no rule says what to run.
    pub(super) fn next_key(&self, run: Option<&Run>) -> Next {
        match run.map_or(KeySource::Fresh, |run| run.key) {
            KeySource::Fresh => self.stored(KeyOrigin::Fresh),
            KeySource::Imported => self.stored(KeyOrigin::Imported),
            KeySource::Remote { public_key, .. } if public_key != self.provider_key() => {
                Next::Assign(self.key_ref(public_key))
            }
            KeySource::Provider | KeySource::Remote { .. } => match self.bar() {
                Some(why) => Next::Barred(why),
                None if self.world.counted || self.signs_with_provider_key() => Next::Provider,
                None => Next::Unknown,
            },
        }
    }

    fn stored(&self, origin: KeyOrigin) -> Next {
        match self.consumer.key {
            None => Next::Stored(origin),
            // The chain takes it for no assignment at all.
            Some(key) if key.public_key == self.provider_key() => Next::None(
                "the key that is to be assigned is our provider key: set run.key to provider, or \
                 give another"
                    .into(),
            ),
            Some(key) => Next::Assign(key),
        }
    }

    /// Why our provider key must not sign for this consumer.
    pub(super) fn bar(&self) -> Option<String> {
        if self.snapshot.chain_id == self.world.local.chain_id {
            return Some("our provider key cannot sign here, under the provider's chain id".into());
        }
        let other = self.world.index.rival(self.consumer)?;
        Some(format!(
            "our provider key cannot sign here: it stands for consumer {other} too, which has the \
             same chain id or is not read yet"
        ))
    }

    /// Whether its node signs with our provider key.
    pub(super) fn signs_with_provider_key(&self) -> bool {
        let node = self.consumer.node.as_ref();
        node.and_then(|node| node.signer.key()) == Some(self.provider_key())
    }

    /// Wants a key of the consumer's own assigned where our provider key stands, unless that is to
    /// sign.
    pub(super) fn assign_key(&self, plan: Plan, run: Option<&Run>) -> Plan {
        let text = "our provider key stands for this consumer: another key is being assigned";
        let text = self.with_failure(text.into(), &[Kind::Key, Kind::Send]);
        let (alarm, next) = match self.next_key(run) {
            Next::Barred(why) => {
                let alarm = Alarm::critical(format!("{why}; {text}"));
                (alarm, self.stored(KeyOrigin::Fresh))
            }
            next => (Alarm::warning(text), next),
        };
        let want = match next {
            Next::Assign(key) => Want::Broadcast(Tx::AssignKey(key)),
            Next::Stored(origin) => Want::PrepareKey(origin),
            Next::None(why) | Next::Barred(why) => return plan.alarm(Alarm::critical(why)),
            Next::Provider => return plan,
            Next::Unknown => return plan.held_back(),
        };
        plan.alarm(alarm).want(want)
    }

    pub(super) fn key_ref(&self, public_key: PublicKey) -> KeyRef {
        KeyRef {
            consumer_id: self.consumer.id,
            public_key,
        }
    }

    pub(super) fn provider_key(&self) -> PublicKey {
        self.world.local.provider_key
    }
}
