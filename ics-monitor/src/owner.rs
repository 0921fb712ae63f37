//! The owner's side: files that describe a consumer, and the messages made of them.
//!
//! The files have the shape that the provider's own CLI reads (`tx provider create-consumer` and
//! `update-consumer` of interchain-security v7), as JSON or TOML. Hashes may be written in hex,
//! which that CLI would misread, or in base64; durations as `480h` or in nanoseconds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::snapshot::Decimal;
use ics_core::time::UnixTime;
use serde::{Deserialize, Deserializer};

use crate::wire::base::{Height, Timestamp};
use crate::wire::provider as wire;
use crate::wire::tx::{MsgCreateConsumer, MsgUpdateConsumer};

/// A consumer to create.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateFile {
    chain_id: String,
    metadata: Metadata,
    initialization_parameters: Option<Initialization>,
    power_shaping_parameters: Option<PowerShaping>,
    allowlisted_reward_denoms: Option<RewardDenoms>,
    infraction_parameters: Option<Infractions>,
}

/// Changes to a consumer. A part that is given replaces all of that part on chain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateFile {
    consumer_id: ConsumerId,
    #[serde(default)]
    new_owner_address: String,
    #[serde(default)]
    new_chain_id: String,
    metadata: Option<Metadata>,
    initialization_parameters: Option<Initialization>,
    power_shaping_parameters: Option<PowerShaping>,
    allowlisted_reward_denoms: Option<RewardDenoms>,
    infraction_parameters: Option<Infractions>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    description: String,
    metadata: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Initialization {
    initial_height: InitialHeight,
    #[serde(default, deserialize_with = "hash")]
    genesis_hash: Vec<u8>,
    #[serde(default, deserialize_with = "hash")]
    binary_hash: Vec<u8>,
    #[serde(default, deserialize_with = "spawn_time")]
    spawn_time: Option<UnixTime>,
    #[serde(deserialize_with = "duration")]
    unbonding_period: Duration,
    #[serde(deserialize_with = "duration")]
    ccv_timeout_period: Duration,
    #[serde(deserialize_with = "duration")]
    transfer_timeout_period: Duration,
    consumer_redistribution_fraction: String,
    blocks_per_distribution_transmission: i64,
    historical_entries: i64,
    #[serde(default)]
    distribution_transmission_channel: String,
    #[serde(default)]
    connection_id: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InitialHeight {
    revision_number: u64,
    revision_height: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PowerShaping {
    #[serde(rename = "top_N")]
    top_n: u32,
    validators_power_cap: u32,
    validator_set_cap: u32,
    allowlist: Vec<String>,
    denylist: Vec<String>,
    prioritylist: Vec<String>,
    min_stake: u64,
    allow_inactive_vals: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RewardDenoms {
    denoms: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Infractions {
    double_sign: Option<SlashJail>,
    downtime: Option<SlashJail>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlashJail {
    #[serde(deserialize_with = "decimal")]
    slash_fraction: Decimal,
    #[serde(deserialize_with = "duration")]
    jail_duration: Duration,
    #[serde(default)]
    tombstone: bool,
}

/// Reads a description of a consumer: TOML where the name ends in `.toml`, else JSON.
///
/// # Errors
/// A permanent failure that names the file, the place and what is wrong there.
pub fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::permanent(format!("{}: {e}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| wrong(&e))?;
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        toml::from_str(&text).map_err(|e| wrong(&e.to_string().replace('\n', " ")))
    } else {
        serde_json::from_str(&text).map_err(|e| wrong(&e))
    }
}

impl CreateFile {
    /// The message that creates the consumer for this account.
    ///
    /// # Errors
    /// Names what the provider would refuse.
    pub fn message(self, submitter: &str) -> Result<MsgCreateConsumer, Failure> {
        let chain_id = checked_chain_id(&self.chain_id)?;
        if let Some(init) = &self.initialization_parameters
            && init.initial_height.revision_number != chain_id.revision()
        {
            return Err(Failure::permanent(format!(
                "initial_height.revision_number is {}, but chain_id {chain_id} has revision {}: \
                 the provider refuses that",
                init.initial_height.revision_number,
                chain_id.revision(),
            )));
        }
        if self
            .power_shaping_parameters
            .as_ref()
            .is_some_and(|shaping| shaping.top_n != 0)
        {
            let text = "power_shaping_parameters.top_N must be 0 at creation: only governance \
                        can make a Top N consumer";
            return Err(Failure::permanent(text));
        }
        Ok(MsgCreateConsumer {
            submitter: submitter.to_owned(),
            chain_id: self.chain_id,
            metadata: Some(self.metadata.checked()?),
            initialization_parameters: self.initialization_parameters.map(Into::into),
            power_shaping_parameters: self.power_shaping_parameters.map(Into::into),
            allowlisted_reward_denoms: self.allowlisted_reward_denoms.map(Into::into),
            infraction_parameters: self.infraction_parameters.map(Into::into),
        })
    }
}

impl UpdateFile {
    /// The message that changes the consumer, signed by its owner.
    ///
    /// # Errors
    /// Names what the provider would refuse.
    pub fn message(self, owner: &str) -> Result<MsgUpdateConsumer, Failure> {
        if !self.new_chain_id.is_empty() {
            checked_chain_id(&self.new_chain_id)?;
        }
        Ok(MsgUpdateConsumer {
            owner: owner.to_owned(),
            consumer_id: self.consumer_id.to_string(),
            new_owner_address: self.new_owner_address,
            metadata: self.metadata.map(Metadata::checked).transpose()?,
            initialization_parameters: self.initialization_parameters.map(Into::into),
            power_shaping_parameters: self.power_shaping_parameters.map(Into::into),
            allowlisted_reward_denoms: self.allowlisted_reward_denoms.map(Into::into),
            new_chain_id: self.new_chain_id,
            infraction_parameters: self.infraction_parameters.map(Into::into),
        })
    }
}

/// `ValidateChainId` of the provider's `types/msg.go`.
fn checked_chain_id(text: &str) -> Result<ChainId, Failure> {
    if ["neutron-1", "stride-1"].contains(&text) {
        return Err(Failure::permanent(format!(
            "chain_id {text} is reserved by the provider"
        )));
    }
    ChainId::new(text).map_err(|e| Failure::permanent(e.to_string()))
}

impl Metadata {
    /// Limits: `ValidateConsumerMetadata` of the provider's `types/msg.go`.
    fn checked(self) -> Result<wire::ConsumerMetadata, Failure> {
        let limits = [
            ("name", &self.name, 50),
            ("description", &self.description, 10_000),
            ("metadata", &self.metadata, 255),
        ];
        for (name, text, limit) in limits {
            if text.trim().is_empty() || text.len() > limit {
                let length = text.len();
                return Err(Failure::permanent(format!(
                    "metadata.{name} has {length} bytes: it must not be blank nor above {limit}"
                )));
            }
        }
        Ok(wire::ConsumerMetadata {
            name: self.name.into_bytes(),
            description: self.description.into_bytes(),
            metadata: self.metadata.into_bytes(),
        })
    }
}

impl From<Initialization> for wire::ConsumerInitializationParameters {
    fn from(file: Initialization) -> Self {
        Self {
            initial_height: Some(Height {
                revision_number: file.initial_height.revision_number,
                revision_height: file.initial_height.revision_height,
            }),
            genesis_hash: file.genesis_hash,
            binary_hash: file.binary_hash,
            spawn_time: Some(Timestamp::from(
                file.spawn_time.unwrap_or(UnixTime::GO_ZERO),
            )),
            unbonding_period: Some(file.unbonding_period.into()),
            ccv_timeout_period: Some(file.ccv_timeout_period.into()),
            transfer_timeout_period: Some(file.transfer_timeout_period.into()),
            consumer_redistribution_fraction: file.consumer_redistribution_fraction,
            blocks_per_distribution_transmission: file.blocks_per_distribution_transmission,
            historical_entries: file.historical_entries,
            distribution_transmission_channel: file.distribution_transmission_channel,
            connection_id: file.connection_id,
        }
    }
}

impl From<PowerShaping> for wire::PowerShapingParameters {
    fn from(file: PowerShaping) -> Self {
        Self {
            top_n: file.top_n,
            validators_power_cap: file.validators_power_cap,
            validator_set_cap: file.validator_set_cap,
            allowlist: file.allowlist,
            denylist: file.denylist,
            min_stake: file.min_stake,
            allow_inactive_vals: file.allow_inactive_vals,
            prioritylist: file.prioritylist,
        }
    }
}

impl From<RewardDenoms> for wire::AllowlistedRewardDenoms {
    fn from(file: RewardDenoms) -> Self {
        Self {
            denoms: file.denoms,
        }
    }
}

impl From<Infractions> for wire::InfractionParameters {
    fn from(file: Infractions) -> Self {
        Self {
            double_sign: file.double_sign.map(Into::into),
            downtime: file.downtime.map(Into::into),
        }
    }
}

impl From<SlashJail> for wire::SlashJailParameters {
    fn from(file: SlashJail) -> Self {
        Self {
            slash_fraction: file.slash_fraction.to_atto_digits().into_bytes(),
            jail_duration: Some(file.jail_duration.into()),
            tombstone: file.tombstone,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Number(nanos) => Ok(Duration::from_nanos(nanos)),
        TextOrNumber::Text(text) => humantime::parse_duration(&text).map_err(|e| {
            serde::de::Error::custom(format!("{text:?} is not a duration like 480h: {e}"))
        }),
    }
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let bytes = match text.len() {
        64 => hex::decode(&text).ok(),
        _ => BASE64.decode(&text).ok(),
    };
    bytes.ok_or_else(|| {
        serde::de::Error::custom(format!("{text:?} is neither 64 hex characters nor base64"))
    })
}

fn spawn_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let time = UnixTime::from_rfc3339(&text);
    time.map(Some).ok_or_else(|| {
        serde::de::Error::custom(format!("{text:?} is not a time like 2026-01-31T12:00:00Z"))
    })
}

fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let text = String::deserialize(deserializer)?;
    Decimal::parse(&text)
        .filter(|fraction| *fraction <= Decimal::ONE)
        .ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is not a fraction between \"0\" and \"1\""
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "chain_id": "consumer-1",
        "metadata": {"name": "n", "description": "d", "metadata": "m"},
        "initialization_parameters": {
            "initial_height": {"revision_number": 1, "revision_height": 1},
            "genesis_hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "spawn_time": "2026-01-31T12:00:00Z",
            "unbonding_period": 1728000000000000,
            "ccv_timeout_period": "672h",
            "transfer_timeout_period": "1h",
            "consumer_redistribution_fraction": "0.75",
            "blocks_per_distribution_transmission": 1000,
            "historical_entries": 10000
        }
    }"#;

    fn create(text: &str) -> Result<MsgCreateConsumer, String> {
        let file: CreateFile = serde_json::from_str(text).map_err(|e| e.to_string())?;
        file.message("cosmos1x").map_err(|e| e.to_string())
    }

    #[test]
    fn a_hex_hash_becomes_its_bytes() {
        let init = create(FILE)
            .expect("a consumer")
            .initialization_parameters
            .expect("given");
        assert_eq!(init.genesis_hash.len(), 32);
        assert_eq!(init.unbonding_period.map(|d| d.seconds), Some(1_728_000));
        assert_eq!(
            init.spawn_time.and_then(|t| t.to_unix()),
            UnixTime::from_rfc3339("2026-01-31T12:00:00Z")
        );
    }

    #[test]
    fn what_the_provider_refuses_is_refused_here() {
        for (from, to, named) in [
            ("\"consumer-1\"", "\"consumer-2\"", "revision"),
            ("\"consumer-1\"", "\"neutron-1\"", "reserved"),
            ("\"name\": \"n\"", "\"name\": \" \"", "metadata.name"),
            ("\"672h\"", "\"long\"", "duration"),
            ("\"chain_id\"", "\"chain\"", "chain"),
        ] {
            let error = create(&FILE.replace(from, to)).expect_err(to);
            assert!(error.contains(named), "{error}");
        }
    }
}
