//! Which consumers a rule is about.

use std::fmt;

use super::ChainIdPattern;
use crate::artifact::Digest;
use crate::genesis;
use crate::id::ConsumerId;
use crate::snapshot::Snapshot;

/// Which consumers a rule is about: all conditions given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Exactly this consumer.
    pub consumer_id: Option<ConsumerId>,
    /// Owned by this account, in bech32.
    pub owner: Option<String>,
    /// Whoever owns it. No condition, but what an allow rule without `consumer_id` and `owner` has
    /// to say, because anyone can create a consumer.
    pub any_owner: bool,
    /// With a chain id that fits.
    pub chain_id: Option<ChainIdPattern>,
    /// Of this kind.
    pub kind: Option<ChainKind>,
    /// With this `genesis_hash` on chain.
    pub genesis_hash: Option<Digest>,
    /// With this `binary_hash` on chain.
    pub binary_hash: Option<Digest>,
}

/// Who validates a consumer: `top_N` of the provider's `PowerShapingParameters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Those who opt in, and no one else.
    OptIn,
    /// Those who hold the top N percent of the power must.
    TopN,
}

impl ChainKind {
    /// The kind of a consumer.
    #[must_use]
    pub const fn of(snapshot: &Snapshot) -> Self {
        match snapshot.top_n {
            0 => Self::OptIn,
            _ => Self::TopN,
        }
    }
}

impl fmt::Display for ChainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OptIn => "an opt-in chain",
            Self::TopN => "a top N chain",
        })
    }
}

impl Match {
    /// Whether the rule says by name whom it is about, and not only what they are like.
    #[must_use]
    pub const fn names_someone(&self) -> bool {
        self.consumer_id.is_some() || self.owner.is_some()
    }

    pub(super) fn holds(&self, snapshot: &Snapshot) -> bool {
        self.checks(snapshot).iter().all(|(_, holds)| *holds)
    }

    /// The conditions that do not hold, each with what it wants and what is there.
    pub(super) fn unmet(&self, snapshot: &Snapshot) -> Vec<String> {
        let unmet = self
            .checks(snapshot)
            .into_iter()
            .filter(|(_, holds)| !holds);
        unmet.map(|(key, _)| self.explain(key, snapshot)).collect()
    }

    fn checks(&self, snapshot: &Snapshot) -> [(Key, bool); 6] {
        let hash = |wanted: Option<Digest>, found: &[u8]| {
            wanted.is_none_or(|wanted| genesis::published_digest(found) == Some(wanted))
        };
        let id = self.consumer_id.is_none_or(|id| id == snapshot.consumer_id);
        let owner = self
            .owner
            .as_ref()
            .is_none_or(|owner| *owner == snapshot.owner);
        let chain_id = self
            .chain_id
            .as_ref()
            .is_none_or(|p| p.matches(&snapshot.chain_id));
        let kind = self.kind.is_none_or(|kind| kind == ChainKind::of(snapshot));
        [
            (Key::ConsumerId, id),
            (Key::Owner, owner),
            (Key::ChainId, chain_id),
            (Key::Kind, kind),
            (
                Key::GenesisHash,
                hash(self.genesis_hash, &snapshot.genesis_hash),
            ),
            (
                Key::BinaryHash,
                hash(self.binary_hash, &snapshot.binary_hash),
            ),
        ]
    }

    fn explain(&self, key: Key, snapshot: &Snapshot) -> String {
        fn or_any<T: fmt::Display>(wanted: Option<&T>) -> String {
            wanted.map_or_else(|| "any".into(), T::to_string)
        }
        let hash = |found: &[u8]| match genesis::published_digest(found) {
            Some(digest) => digest.to_string(),
            None if found.is_empty() => "empty".into(),
            None => "no SHA-256".into(),
        };
        match key {
            Key::ConsumerId => {
                let wanted = or_any(self.consumer_id.as_ref());
                format!("consumer_id is {}, not {wanted}", snapshot.consumer_id)
            }
            Key::Owner => {
                let wanted = self.owner.as_ref().map(|owner| owner.escape_debug());
                let owner = snapshot.owner.escape_debug();
                format!("owner is {owner}, not {}", or_any(wanted.as_ref()))
            }
            Key::ChainId => {
                let wanted = or_any(self.chain_id.as_ref());
                format!(
                    "chain_id \"{}\" does not fit \"{wanted}\"",
                    snapshot.chain_id
                )
            }
            Key::Kind => {
                let wanted = or_any(self.kind.as_ref());
                format!("it is {}, not {wanted}", ChainKind::of(snapshot))
            }
            Key::GenesisHash => {
                let wanted = or_any(self.genesis_hash.as_ref());
                format!(
                    "genesis_hash is {}, not {wanted}",
                    hash(&snapshot.genesis_hash)
                )
            }
            Key::BinaryHash => {
                let wanted = or_any(self.binary_hash.as_ref());
                format!(
                    "binary_hash is {}, not {wanted}",
                    hash(&snapshot.binary_hash)
                )
            }
        }
    }
}

/// A condition of a [`Match`].
#[derive(Clone, Copy, Debug)]
enum Key {
    BinaryHash,
    ChainId,
    ConsumerId,
    GenesisHash,
    Kind,
    Owner,
}
