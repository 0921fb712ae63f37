//! Consumers and validators as the provider lists them, for people and for the command line.

use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::key::{Address, PublicKey};
use ics_core::phase::Phase;
use ics_core::snapshot::{Infraction, InitialHeight};
use ics_core::time::{Height, UnixTime};
use serde::Serialize;

use super::Prefixes;
use super::observe::{Records, initial_height, lossy};

/// A consumer in a list. Its texts are hostile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerEntry {
    /// Its id.
    pub consumer_id: ConsumerId,
    /// Its chain id, with what is not UTF-8 replaced.
    pub chain_id: String,
    /// Its name.
    pub name: String,
    /// The provider's phase; `None` for one that this program does not know.
    pub phase: Option<Phase>,
    /// 0, or the share of the provider's power that must validate.
    pub top_n: u32,
}

/// All that the provider tells of one consumer at one height. Its texts are hostile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerDetail {
    /// The provider height at which all of this held.
    pub height: Height,
    /// Its id.
    pub consumer_id: ConsumerId,
    /// Its chain id.
    pub chain_id: String,
    /// The provider's phase.
    pub phase: Phase,
    /// The account that owns it.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// What its owner says it is for.
    pub description: String,
    /// What else its owner says.
    pub metadata: String,
    /// The provider's client of it; empty before launch and after deletion.
    pub client_id: String,
    /// When it is to launch.
    pub spawn_time: Option<UnixTime>,
    /// The consumer's first block.
    pub initial_height: InitialHeight,
    /// `genesis_hash` in hex; never checked on chain.
    pub genesis_hash: String,
    /// `binary_hash` in hex; never checked on chain.
    pub binary_hash: String,
    /// The connection that a changeover reuses; empty otherwise.
    pub connection_id: String,
    /// Who may and must validate.
    pub power_shaping: PowerShaping,
    /// What its validators are punished with.
    pub infraction: Infraction,
    /// The provider height of its launch.
    pub launched_at: Option<Height>,
    /// When it is to be deleted, if it is stopped and the node tells.
    pub removal_time: Option<UnixTime>,
    /// Before launch the set that would launch now, after it that of the last epoch.
    pub validators: Vec<ConsumerMember>,
    /// A record held fields that this program does not know.
    pub newer_provider: bool,
}

/// `PowerShapingParameters`: who may and must validate. Lists hold provider consensus addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PowerShaping {
    /// 0, or the share of the provider's power that must validate, 50 to 100.
    pub top_n: u32,
    /// The most percent of the power that one validator may have; 0: any.
    pub validators_power_cap: u32,
    /// The most validators; 0: any number.
    pub validator_set_cap: u32,
    /// Only these may validate, unless it is empty.
    pub allowlist: Vec<String>,
    /// These may not validate.
    pub denylist: Vec<String>,
    /// These come first under the set cap.
    pub prioritylist: Vec<String>,
    /// The least tokens of a validator, in the base denomination.
    pub min_stake: u64,
    /// Whether validators outside the provider's active set may validate.
    pub allow_inactive_validators: bool,
}

/// One validator of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerMember {
    /// Its operator address, in bech32.
    pub operator: String,
    /// Its name.
    pub moniker: String,
    /// The key that it signs with on the consumer.
    pub consumer_key: PublicKey,
    /// Its voting power on the consumer.
    pub power: u64,
}

/// A validator of the provider, as its staking module has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StakingValidator {
    /// Its operator address.
    pub operator: Address,
    /// Its consensus key.
    pub consensus_key: PublicKey,
    /// Its name; hostile text.
    pub moniker: String,
    /// What it says of itself; hostile text that may publish a peer.
    pub details: String,
    /// Whether it is jailed.
    pub jailed: bool,
    /// Whether it is bonded: others validate no consumer.
    pub bonded: bool,
    /// Its tokens, in the base denomination.
    pub tokens: u128,
}

impl ConsumerDetail {
    /// Reads the records, none of which is about our own validator.
    pub(super) fn read(records: &Records, prefixes: &Prefixes) -> Result<Self, Failure> {
        let init = records.init();
        let metadata = records.chain.metadata.clone().unwrap_or_default();
        let shaping = records
            .chain
            .power_shaping_params
            .clone()
            .unwrap_or_default();
        let members = records.validators(prefixes)?.into_iter();
        Ok(Self {
            height: records.height,
            consumer_id: records.consumer_id,
            chain_id: records.chain_id()?.as_str().to_owned(),
            phase: records.phase,
            owner: records.chain.owner_address.clone(),
            name: lossy(&metadata.name),
            description: lossy(&metadata.description),
            metadata: lossy(&metadata.metadata),
            client_id: records.chain.client_id.clone(),
            spawn_time: records.spawn_time()?,
            initial_height: initial_height(&init),
            genesis_hash: hex::encode(init.genesis_hash),
            binary_hash: hex::encode(init.binary_hash),
            connection_id: init.connection_id,
            power_shaping: PowerShaping {
                top_n: shaping.top_n,
                validators_power_cap: shaping.validators_power_cap,
                validator_set_cap: shaping.validator_set_cap,
                allowlist: shaping.allowlist,
                denylist: shaping.denylist,
                prioritylist: shaping.prioritylist,
                min_stake: shaping.min_stake,
                allow_inactive_validators: shaping.allow_inactive_vals,
            },
            infraction: records.infraction()?,
            launched_at: records.launched_at(),
            removal_time: records.removal_time,
            validators: members
                .map(|member| ConsumerMember {
                    operator: member.operator.to_bech32(&prefixes.operator),
                    moniker: member.moniker,
                    consumer_key: member.consumer_key,
                    power: member.power,
                })
                .collect(),
            newer_provider: records.newer_provider,
        })
    }
}
