//! The provider's queries that are asked here: requests and answers.
//!
//! Source: `proto/interchain_security/ccv/provider/v1/query.proto` of interchain-security v7. Each
//! is asked by `abci_query` on the path [`SERVICE`] + `/` + the name without `Request`.

use super::base::{Description, PageRequest, PageResponse, PublicKey};
use super::genesis::ConsumerGenesisState;
use super::provider::{
    AllowlistedRewardDenoms, ConsumerInitializationParameters, ConsumerMetadata,
    InfractionParameters, PowerShapingParameters,
};

/// The service of these queries.
pub const SERVICE: &str = "/interchain_security.ccv.provider.v1.Query";

/// `QueryConsumerGenesisRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryConsumerGenesisRequest {
    /// Which consumer.
    #[prost(string, tag = "1")]
    pub consumer_id: String,
}

/// `QueryConsumerGenesisResponse`; there is none before launch and after deletion.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryConsumerGenesisResponse {
    /// The stored genesis, the same for all validators and for ever.
    #[prost(message, optional, tag = "1")]
    pub genesis_state: Option<ConsumerGenesisState>,
}

/// `QueryConsumerChainsRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryConsumerChainsRequest {
    /// A number of `ConsumerPhase`; 0: all phases.
    #[prost(int32, tag = "1")]
    pub phase: i32,
    /// Which page.
    #[prost(message, optional, tag = "2")]
    pub pagination: Option<PageRequest>,
}

/// `QueryConsumerChainsResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryConsumerChainsResponse {
    /// The consumers of this page, by id.
    #[prost(message, repeated, tag = "1")]
    pub chains: Vec<Chain>,
    /// Where the next page starts.
    #[prost(message, optional, tag = "2")]
    pub pagination: Option<PageResponse>,
}

/// `Chain`: a consumer in a list. It has no owner and no spawn time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Chain {
    /// Its chain id. Hostile text.
    #[prost(bytes = "vec", tag = "1")]
    pub chain_id: Vec<u8>,
    /// The provider's client of it; empty before launch.
    #[prost(string, tag = "2")]
    pub client_id: String,
    /// As in [`PowerShapingParameters`].
    #[prost(uint32, tag = "3")]
    pub top_n: u32,
    /// The least power that must validate; -1 where that is not said.
    #[prost(int64, tag = "4")]
    pub min_power_in_top_n: i64,
    /// As in [`PowerShapingParameters`].
    #[prost(uint32, tag = "5")]
    pub validators_power_cap: u32,
    /// As in [`PowerShapingParameters`].
    #[prost(uint32, tag = "6")]
    pub validator_set_cap: u32,
    /// As in [`PowerShapingParameters`].
    #[prost(string, repeated, tag = "7")]
    pub allowlist: Vec<String>,
    /// As in [`PowerShapingParameters`].
    #[prost(string, repeated, tag = "8")]
    pub denylist: Vec<String>,
    /// The name of its phase, such as `CONSUMER_PHASE_LAUNCHED`.
    #[prost(string, tag = "9")]
    pub phase: String,
    /// What its owner says of it.
    #[prost(message, optional, tag = "10")]
    pub metadata: Option<ConsumerMetadata>,
    /// As in [`PowerShapingParameters`].
    #[prost(uint64, tag = "11")]
    pub min_stake: u64,
    /// As in [`PowerShapingParameters`].
    #[prost(bool, tag = "12")]
    pub allow_inactive_vals: bool,
    /// Its id.
    #[prost(string, tag = "13")]
    pub consumer_id: String,
    /// What rewards it may send.
    #[prost(message, optional, tag = "14")]
    pub allowlisted_reward_denoms: Option<AllowlistedRewardDenoms>,
    /// As in [`PowerShapingParameters`].
    #[prost(string, repeated, tag = "15")]
    pub prioritylist: Vec<String>,
    /// What its validators are punished with.
    #[prost(message, optional, tag = "16")]
    pub infraction_parameters: Option<InfractionParameters>,
}

/// `QueryConsumerChainRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryConsumerChainRequest {
    /// Which consumer.
    #[prost(string, tag = "1")]
    pub consumer_id: String,
}

/// `QueryConsumerChainResponse`: one consumer in full.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryConsumerChainResponse {
    /// Its id.
    #[prost(string, tag = "1")]
    pub consumer_id: String,
    /// Its chain id. Hostile text.
    #[prost(bytes = "vec", tag = "2")]
    pub chain_id: Vec<u8>,
    /// The account that owns it.
    #[prost(string, tag = "3")]
    pub owner_address: String,
    /// The name of its phase, such as `CONSUMER_PHASE_LAUNCHED`.
    #[prost(string, tag = "4")]
    pub phase: String,
    /// What its owner says of it.
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<ConsumerMetadata>,
    /// How and when it is to launch.
    #[prost(message, optional, tag = "6")]
    pub init_params: Option<ConsumerInitializationParameters>,
    /// Who may and must validate.
    #[prost(message, optional, tag = "7")]
    pub power_shaping_params: Option<PowerShapingParameters>,
    /// What its validators are punished with.
    #[prost(message, optional, tag = "8")]
    pub infraction_parameters: Option<InfractionParameters>,
    /// The provider's client of it; empty before launch and after deletion.
    #[prost(string, tag = "9")]
    pub client_id: String,
}

/// `QueryConsumerValidatorsRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryConsumerValidatorsRequest {
    /// Which consumer.
    #[prost(string, tag = "1")]
    pub consumer_id: String,
}

/// `QueryConsumerValidatorsResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryConsumerValidatorsResponse {
    /// Before launch the set that would launch now, in LAUNCHED that of the last epoch.
    #[prost(message, repeated, tag = "1")]
    pub validators: Vec<QueryConsumerValidatorsValidator>,
}

/// `QueryConsumerValidatorsValidator`: one validator of a consumer. Rates are the digits of
/// value·10^18.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryConsumerValidatorsValidator {
    /// Its consensus address on the provider.
    #[prost(string, tag = "1")]
    pub provider_address: String,
    /// The key that it signs with on the consumer.
    #[prost(message, optional, tag = "2")]
    pub consumer_key: Option<PublicKey>,
    /// Deprecated; always 0.
    #[prost(int64, tag = "3")]
    pub power: i64,
    /// Deprecated; always 0.
    #[prost(string, tag = "4")]
    pub rate: String,
    /// Its voting power on the consumer.
    #[prost(int64, tag = "5")]
    pub consumer_power: i64,
    /// Its commission on the consumer.
    #[prost(string, tag = "6")]
    pub consumer_commission_rate: String,
    /// Its commission on the provider.
    #[prost(string, tag = "7")]
    pub provider_commission_rate: String,
    /// What it says of itself.
    #[prost(message, optional, tag = "8")]
    pub description: Option<Description>,
    /// Its operator address.
    #[prost(string, tag = "9")]
    pub provider_operator_address: String,
    /// Whether it is jailed on the provider.
    #[prost(bool, tag = "10")]
    pub jailed: bool,
    /// A number of `cosmos.staking.v1beta1.BondStatus`.
    #[prost(int32, tag = "11")]
    pub status: i32,
    /// Its tokens on the provider, in the base denomination.
    #[prost(string, tag = "12")]
    pub provider_tokens: String,
    /// Its voting power on the provider.
    #[prost(int64, tag = "13")]
    pub provider_power: i64,
    /// Whether it validates now or from the next epoch.
    #[prost(bool, tag = "14")]
    pub validates_current_epoch: bool,
}

/// `QueryConsumerChainOptedInValidatorsRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryConsumerChainOptedInValidatorsRequest {
    /// Which consumer.
    #[prost(string, tag = "1")]
    pub consumer_id: String,
}

/// `QueryConsumerChainOptedInValidatorsResponse`; an error in STOPPED and DELETED.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryConsumerChainOptedInValidatorsResponse {
    /// Consensus addresses on the provider.
    #[prost(string, repeated, tag = "1")]
    pub validators_provider_addresses: Vec<String>,
}

/// `QueryAllPairsValConsAddrByConsumerRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryAllPairsValConsAddrByConsumerRequest {
    /// Which consumer.
    #[prost(string, tag = "1")]
    pub consumer_id: String,
}

/// `QueryAllPairsValConsAddrByConsumerResponse`; empty for an unknown consumer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryAllPairsValConsAddrByConsumerResponse {
    /// The validators that assigned a key, and no others.
    #[prost(message, repeated, tag = "1")]
    pub pair_val_con_addr: Vec<PairValConAddrProviderAndConsumer>,
}

/// `PairValConAddrProviderAndConsumer`: one assigned key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PairValConAddrProviderAndConsumer {
    /// The validator's consensus address on the provider.
    #[prost(string, tag = "1")]
    pub provider_address: String,
    /// Its consensus address on the consumer, with the provider's prefix.
    #[prost(string, tag = "2")]
    pub consumer_address: String,
    /// The key that it assigned.
    #[prost(message, optional, tag = "3")]
    pub consumer_key: Option<PublicKey>,
}

/// `QueryParamsRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct QueryParamsRequest {}

/// `QueryParamsResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryParamsResponse {
    /// The parameters.
    #[prost(message, optional, tag = "1")]
    pub params: Option<Params>,
}

/// `Params` of the provider module, in part.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Params {
    /// The share of a consumer's unbonding period for which its headers are trusted, as a decimal
    /// text.
    #[prost(string, tag = "2")]
    pub trusting_period_fraction: String,
    /// Blocks in an epoch.
    #[prost(int64, tag = "10")]
    pub blocks_per_epoch: i64,
    /// How many validators, those with the most power, make the provider's blocks.
    #[prost(int64, tag = "12")]
    pub max_provider_consensus_validators: i64,
}
