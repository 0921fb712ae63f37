//! A consumer as the provider showed it at one height: the only thing that changes our mind.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::id::{ChainId, ConsumerId};
use crate::key::{Address, PublicKey};
use crate::peers::{NodeId, Published};
use crate::phase::Phase;
use crate::time::{Height, UnixTime};

/// The validator that this instance works for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalValidator {
    /// The bytes of its operator address, which are also those of its account.
    pub operator: Address,
    /// Its consensus key on the provider.
    pub provider_key: PublicKey,
    /// What its nodes answer with towards their peers.
    pub node_id: NodeId,
}

/// Everything about one consumer that decisions rest on, read at one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The provider height at which all of this held.
    pub height: Height,
    /// Which consumer.
    pub consumer_id: ConsumerId,
    /// Its chain id; may change until launch.
    pub chain_id: ChainId,
    /// The provider's phase.
    pub phase: Phase,
    /// The owner's account address, in bech32 as the provider prints it.
    pub owner: String,
    /// When it is to launch; `None` where the provider holds Go's zero time.
    pub spawn_time: Option<UnixTime>,
    /// The consumer's first block.
    pub initial_height: InitialHeight,
    /// `genesis_hash`, as it lies on chain: unchecked bytes.
    pub genesis_hash: Vec<u8>,
    /// `binary_hash`, as it lies on chain: unchecked bytes.
    pub binary_hash: Vec<u8>,
    /// The connection that a changeover from a standalone chain reuses; empty otherwise.
    pub connection_id: String,
    /// 0, or the share of the provider's power that must validate, 50 to 100.
    pub top_n: u32,
    /// What its validators are punished with.
    pub infraction: Infraction,
    /// What the provider itself punishes with, at the same height.
    pub provider_infraction: Infraction,
    /// The provider height of its launch, from the stored genesis; `None` before launch, after
    /// deletion, and where the genesis names none.
    pub launched_at: Option<Height>,
    /// When it is to be deleted; known of stopped consumers only, and only where the provider node
    /// answers store queries.
    pub removal_time: Option<UnixTime>,
    /// Whether our validator is opted in.
    pub opted_in: bool,
    /// The consensus key that our validator assigned; `None`: its provider key stands.
    pub assigned_key: Option<PublicKey>,
    /// Before launch the set that would launch now, after it the set of the last epoch.
    pub validators: Vec<ConsumerValidator>,
    /// A record held fields that this program does not know: the provider is newer.
    pub newer_provider: bool,
}

impl Snapshot {
    /// Our entry in the set that would launch or validates.
    #[must_use]
    pub fn member(&self, local: &LocalValidator) -> Option<&ConsumerValidator> {
        let address = local.provider_key.address();
        self.validators
            .iter()
            .find(|validator| validator.provider_address == address)
    }
}

/// One validator of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerValidator {
    /// Its consensus address on the provider.
    pub provider_address: Address,
    /// Its operator address.
    pub operator: Address,
    /// The key it signs with on the consumer.
    pub consumer_key: PublicKey,
    /// Its voting power on the consumer.
    pub power: u64,
    /// Its name; hostile text.
    pub moniker: String,
    /// What it publishes in its staking details.
    pub published: Published,
}

impl ConsumerValidator {
    /// Its name, fit to be shown: escaped, and no longer than the SDK allows.
    #[must_use]
    pub fn name(&self) -> String {
        let moniker: String = self.moniker.chars().take(70).collect();
        moniker.escape_debug().to_string()
    }
}

/// The first height of a consumer, IBC's `Height`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InitialHeight {
    /// The revision in its chain id.
    pub revision: u64,
    /// The height of its first block.
    pub height: u64,
}

/// Punishments, `InfractionParameters` of the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Infraction {
    /// For signing twice at one height.
    pub double_sign: Punishment,
    /// For not signing.
    pub downtime: Punishment,
}

/// One punishment, `SlashJailParameters` of the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Punishment {
    /// The share of the stake that is lost.
    pub slash: Decimal,
    /// How long the validator is jailed.
    pub jail: Duration,
    /// Whether it can never return.
    pub tombstone: bool,
}

/// A decimal with 18 places, the SDK's `LegacyDec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(u128);

impl Decimal {
    /// One.
    pub const ONE: Self = Self(1_000_000_000_000_000_000);

    /// Reads the digits of value·10^18, as protobuf carries the SDK's decimals; empty is zero.
    #[must_use]
    pub fn from_atto_digits(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() {
            return Some(Self(0));
        }
        let plain = digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits)
            .ok()
            .filter(|_| plain)?
            .parse()
            .ok()
            .map(Self)
    }

    /// Reads a text such as `0.05`, with at most 18 places.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || places.len() > 18 || !plain(whole) || !plain(places) {
            return None;
        }
        if text.ends_with('.') {
            return None;
        }
        format!("{whole}{places:0<18}").parse().ok().map(Self)
    }

    /// `number` times this, rounded up; `None` if that is too large.
    #[must_use]
    pub fn times_rounded_up(self, number: u64) -> Option<u128> {
        Some(self.0.checked_mul(number.into())?.div_ceil(Self::ONE.0))
    }

    /// The digits of value·10^18.
    #[must_use]
    pub fn to_atto_digits(self) -> String {
        self.0.to_string()
    }
}

impl fmt::Display for Decimal {
    /// As few places as say it exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = format!("{:018}", self.0 % Self::ONE.0);
        write!(f, "{}", self.0 / Self::ONE.0)?;
        match places.trim_end_matches('0') {
            "" => Ok(()),
            places => write!(f, ".{places}"),
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // 18 places, as the chain's own JSON has it.
        let (whole, places) = (self.0 / Self::ONE.0, self.0 % Self::ONE.0);
        serializer.collect_str(&format_args!("{whole}.{places:018}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_both_forms() {
        assert_eq!(
            Decimal::parse("0.05"),
            Decimal::from_atto_digits(b"50000000000000000")
        );
        assert_eq!(Decimal::parse("1"), Some(Decimal::ONE));
        assert_eq!(
            Decimal::parse("0.050").map(|d| d.to_string()),
            Some("0.05".into())
        );
        assert_eq!(
            Decimal::parse("10").map(|d| d.to_string()),
            Some("10".into())
        );
        for bad in ["", ".5", "1.", "-1", "1e3", "0.0000000000000000001", "a"] {
            assert_eq!(Decimal::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Decimal::from_atto_digits(b"-1"), None);
    }
}
