//! What the provider stores of a consumer.
//!
//! Source: `proto/interchain_security/ccv/provider/v1/provider.proto` of interchain-security v7.

use super::base::{Duration, Height, Timestamp};

/// `ConsumerMetadata`: what an owner says of a consumer. Hostile text.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConsumerMetadata {
    /// Its name, 1 to 50 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// What it is for, 1 to 10,000 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub description: Vec<u8>,
    /// Anything else, 1 to 255 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub metadata: Vec<u8>,
}

/// `ConsumerInitializationParameters`: how and when a consumer is to launch.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConsumerInitializationParameters {
    /// The consumer's first block.
    #[prost(message, optional, tag = "1")]
    pub initial_height: Option<Height>,
    /// The hash of the genesis file before the provider's part; never checked on chain.
    #[prost(bytes = "vec", tag = "2")]
    pub genesis_hash: Vec<u8>,
    /// The hash of the binary; never checked on chain.
    #[prost(bytes = "vec", tag = "3")]
    pub binary_hash: Vec<u8>,
    /// When it is to launch; Go's zero time where that is not said.
    #[prost(message, optional, tag = "4")]
    pub spawn_time: Option<Timestamp>,
    /// The consumer's unbonding period.
    #[prost(message, optional, tag = "5")]
    pub unbonding_period: Option<Duration>,
    /// How long a CCV packet may take.
    #[prost(message, optional, tag = "6")]
    pub ccv_timeout_period: Option<Duration>,
    /// How long a reward transfer may take.
    #[prost(message, optional, tag = "7")]
    pub transfer_timeout_period: Option<Duration>,
    /// The share of rewards that the consumer keeps, as a decimal text.
    #[prost(string, tag = "8")]
    pub consumer_redistribution_fraction: String,
    /// Consumer blocks between two reward transfers.
    #[prost(int64, tag = "9")]
    pub blocks_per_distribution_transmission: i64,
    /// How many historical entries the consumer keeps.
    #[prost(int64, tag = "10")]
    pub historical_entries: i64,
    /// The channel of the reward transfers; empty: one is opened.
    #[prost(string, tag = "11")]
    pub distribution_transmission_channel: String,
    /// The connection that a changeover from a standalone chain reuses; empty otherwise.
    #[prost(string, tag = "12")]
    pub connection_id: String,
}

/// `PowerShapingParameters`: who may and must validate.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PowerShapingParameters {
    /// 0, or the share of the provider's power that must validate, 50 to 100.
    #[prost(uint32, tag = "1")]
    pub top_n: u32,
    /// The most percent of the power that one validator may have; 0: any.
    #[prost(uint32, tag = "2")]
    pub validators_power_cap: u32,
    /// The most validators; 0: any number.
    #[prost(uint32, tag = "3")]
    pub validator_set_cap: u32,
    /// Consensus addresses on the provider: only these may validate, unless it is empty.
    #[prost(string, repeated, tag = "4")]
    pub allowlist: Vec<String>,
    /// Consensus addresses on the provider: these may not validate.
    #[prost(string, repeated, tag = "5")]
    pub denylist: Vec<String>,
    /// The least tokens of a validator, in the base denomination.
    #[prost(uint64, tag = "6")]
    pub min_stake: u64,
    /// Whether validators outside the provider's active set may validate.
    #[prost(bool, tag = "7")]
    pub allow_inactive_vals: bool,
    /// Consensus addresses on the provider that come first under the set cap.
    #[prost(string, repeated, tag = "8")]
    pub prioritylist: Vec<String>,
}

/// `AllowlistedRewardDenoms`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AllowlistedRewardDenoms {
    /// `ibc/<hash>` of each denomination.
    #[prost(string, repeated, tag = "1")]
    pub denoms: Vec<String>,
}

/// `InfractionParameters`: what a consumer's validators are punished with.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InfractionParameters {
    /// For signing twice at one height.
    #[prost(message, optional, tag = "1")]
    pub double_sign: Option<SlashJailParameters>,
    /// For not signing.
    #[prost(message, optional, tag = "2")]
    pub downtime: Option<SlashJailParameters>,
}

/// `SlashJailParameters`: one punishment.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SlashJailParameters {
    /// The share of the stake that is lost: the digits of value·10^18.
    #[prost(bytes = "vec", tag = "1")]
    pub slash_fraction: Vec<u8>,
    /// How long the validator is jailed.
    #[prost(message, optional, tag = "2")]
    pub jail_duration: Option<Duration>,
    /// Whether it can never return.
    #[prost(bool, tag = "3")]
    pub tombstone: bool,
}
