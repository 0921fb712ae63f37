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
    /// The chain id of the provider.
    pub chain_id: ChainId,
    /// Its consensus key on the provider.
    pub provider_key: PublicKey,
    /// What its nodes answer with towards their peers.
    pub node_id: NodeId,
}

/// How our validator stands on the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Whether its stake counts.
    pub bond: Bond,
    /// Whether it is jailed.
    pub jailed: bool,
    /// Whether it signed twice and can never be unjailed.
    pub tombstoned: bool,
}

/// `BondStatus` of the provider's staking module, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bond {
    /// It is no validator.
    Unbonded,
    /// It is becoming none.
    Unbonding,
    /// It validates the provider.
    Bonded,
}

impl Standing {
    /// Why it can validate no consumer, with the cure; `None` if it can: only bonded validators are
    /// considered (`ComputeNextValidators`, `x/ccv/provider/keeper/validator_set_update.go`).
    #[must_use]
    pub const fn hindrance(&self) -> Option<&'static str> {
        match self {
            Self {
                tombstoned: true, ..
            } => Some("our validator is tombstoned: it can never validate again"),
            Self { jailed: true, .. } => Some("our validator is jailed: unjail it on the provider"),
            Self {
                bond: Bond::Unbonded | Bond::Unbonding,
                ..
            } => Some("our validator is not bonded: it needs more stake on the provider"),
            Self {
                bond: Bond::Bonded, ..
            } => None,
        }
    }
}

/// Which power-shaping rule of a consumer keeps our validator out of its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bar {
    /// There is an allowlist without it.
    Allowlist,
    /// It is on the denylist.
    Denylist,
    /// It has less stake than the consumer asks for.
    MinStake,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowlist => "its allowlist does not name our validator",
            Self::Denylist => "its denylist names our validator",
            Self::MinStake => "its min_stake is more than our validator has",
        })
    }
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
    /// How long the consumer unbonds.
    pub unbonding_period: Duration,
    /// `trusting_period_fraction` of the provider: the share of the unbonding period for which its
    /// client of the consumer trusts a header.
    pub trusting_period_fraction: Decimal,
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
    /// How our validator stands on the provider; `None`: the provider has no such validator.
    pub standing: Option<Standing>,
    /// What keeps our validator out of the consumer's set although it is bonded, if anything does.
    pub barred: Option<Bar>,
    /// Whether our validator is opted in.
    pub opted_in: bool,
    /// The consensus key that our validator assigned; `None`: its provider key stands.
    pub assigned_key: Option<PublicKey>,
    /// Before launch the set that would launch now, after it the set of the last epoch.
    pub validators: ValidatorSet,
    /// A record held fields that this program does not know: the provider is newer.
    pub newer_provider: bool,
}

impl Snapshot {
    /// Our entry in the set that would launch or validates.
    #[must_use]
    pub fn member(&self, local: &LocalValidator) -> Option<&ConsumerValidator> {
        let members = self.validators.members();
        if members.is_empty() {
            return None;
        }
        let address = local.provider_key.address();
        members.iter().find(|it| it.provider_address == address)
    }

    /// Whether our validator is opted in, or in the set that would launch or validates.
    #[must_use]
    pub fn takes_part(&self, local: &LocalValidator) -> bool {
        self.opted_in || self.member(local).is_some()
    }

    /// Forgets who is in the set of a consumer that we take no part in: no decision asks, and that
    /// is most of the memory that a snapshot needs. How large the set is stays.
    #[must_use]
    pub fn abridged(mut self, local: &LocalValidator) -> Self {
        if !self.takes_part(local) {
            self.validators.members = Vec::new();
        }
        self
    }
}

impl Snapshot {
    /// Why our validator could not validate although it opted in, in words; `None` if it could.
    #[must_use]
    pub fn hindrance(&self) -> Option<String> {
        let Some(standing) = &self.standing else {
            return Some("our validator is not on the provider".into());
        };
        let bar = || self.barred.map(|bar| bar.to_string());
        standing.hindrance().map(str::to_owned).or_else(bar)
    }
}

#[cfg(test)]
impl Snapshot {
    /// A consumer of which nothing but the phase is of interest.
    pub(crate) fn blank(consumer_id: ConsumerId, phase: Phase) -> Self {
        Self {
            height: Height(5),
            consumer_id,
            chain_id: ChainId::new("chain-1").expect("a chain id"),
            phase,
            owner: String::new(),
            spawn_time: None,
            initial_height: InitialHeight::default(),
            genesis_hash: Vec::new(),
            binary_hash: Vec::new(),
            unbonding_period: Duration::ZERO,
            trusting_period_fraction: Decimal::default(),
            standing: None,
            barred: None,
            connection_id: String::new(),
            top_n: 0,
            infraction: Infraction::default(),
            provider_infraction: Infraction::default(),
            launched_at: None,
            removal_time: None,
            opted_in: false,
            assigned_key: None,
            validators: ValidatorSet::default(),
            newer_provider: false,
        }
    }
}

/// The validators of a consumer: who they are, or only how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidatorSet {
    members: Vec<ConsumerValidator>,
    size: usize,
    power: u64,
    has_active: bool,
}

impl ValidatorSet {
    /// Its members; none if the snapshot was abridged ([`Snapshot::abridged`]).
    #[must_use]
    pub fn members(&self) -> &[ConsumerValidator] {
        &self.members
    }

    /// How many validators it has.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The power of all of them.
    #[must_use]
    pub const fn power(&self) -> u64 {
        self.power
    }

    /// Whether one of them is among those that make the provider's blocks.
    #[must_use]
    pub const fn has_active(&self) -> bool {
        self.has_active
    }
}

impl From<Vec<ConsumerValidator>> for ValidatorSet {
    fn from(members: Vec<ConsumerValidator>) -> Self {
        let powers = members.iter().map(|member| member.power);
        Self {
            size: members.len(),
            power: powers.fold(0, u64::saturating_add),
            has_active: members.iter().any(|member| member.active),
            members,
        }
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
    /// Whether it is among the `max_provider_consensus_validators` that make the provider's blocks.
    pub active: bool,
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

    /// `number` times this, rounded down; `None` if that is too large.
    #[must_use]
    pub fn times_truncated(self, number: u128) -> Option<u128> {
        Some(self.0.checked_mul(number)? / Self::ONE.0)
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
    fn only_a_bonded_validator_that_is_not_jailed_can_validate() {
        let bonded = Standing {
            bond: Bond::Bonded,
            jailed: false,
            tombstoned: false,
        };
        assert_eq!(bonded.hindrance(), None);
        let jailed = Standing {
            jailed: true,
            bond: Bond::Unbonding,
            ..bonded
        };
        assert!(jailed.hindrance().is_some_and(|it| it.contains("unjail")));
        let tombstoned = Standing {
            tombstoned: true,
            ..jailed
        };
        assert!(
            tombstoned
                .hindrance()
                .is_some_and(|it| it.contains("never"))
        );
        for bond in [Bond::Unbonded, Bond::Unbonding] {
            let standing = Standing { bond, ..bonded };
            assert!(standing.hindrance().is_some_and(|it| it.contains("stake")));
        }
    }

    #[test]
    fn of_a_set_without_us_only_its_size_is_kept() {
        let address = |byte| Address::new([byte; 20]).expect("20 bytes");
        let chain_id = ChainId::new("chain-1").expect("a chain id");
        let member = |byte: u8| ConsumerValidator {
            provider_address: PublicKey::new([byte; 32]).address(),
            operator: address(byte),
            consumer_key: PublicKey::new([byte; 32]),
            power: byte.into(),
            active: byte > 2,
            moniker: String::new(),
            published: Published::read("", "", &chain_id),
        };
        let local = |byte| LocalValidator {
            operator: address(byte),
            chain_id: ChainId::new("provider-1").expect("a chain id"),
            provider_key: PublicKey::new([byte; 32]),
            node_id: NodeId::new([byte; 20]),
        };
        let mut snapshot = Snapshot {
            validators: vec![member(2), member(3)].into(),
            ..Snapshot::blank(ConsumerId::new(1), Phase::Initialized)
        };
        let whole = snapshot.validators.clone();
        assert_eq!(snapshot.clone().abridged(&local(2)).validators, whole);
        let abridged = snapshot.clone().abridged(&local(4)).validators;
        assert_eq!(abridged.members(), []);
        let kept = (abridged.size(), abridged.power(), abridged.has_active());
        assert_eq!(kept, (2, 5, true));
        snapshot.opted_in = true;
        assert_eq!(snapshot.abridged(&local(4)).validators, whole);
    }

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
