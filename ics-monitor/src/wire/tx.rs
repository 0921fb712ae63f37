//! The provider's transaction messages that are sent here.
//!
//! Source: `proto/interchain_security/ccv/provider/v1/tx.proto` of interchain-security v7. Fields
//! that the provider calls deprecated are kept, because another program may have filled them.

use super::provider::{
    AllowlistedRewardDenoms, ConsumerInitializationParameters, ConsumerMetadata,
    InfractionParameters, PowerShapingParameters,
};

/// `MsgAssignConsumerKey`: sign with this key on that consumer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MsgAssignConsumerKey {
    /// Deprecated; empty.
    #[prost(string, tag = "1")]
    pub chain_id: String,
    /// The validator's operator address.
    #[prost(string, tag = "2")]
    pub provider_addr: String,
    /// The key, in the SDK's JSON form.
    #[prost(string, tag = "3")]
    pub consumer_key: String,
    /// The validator's account.
    #[prost(string, tag = "4")]
    pub signer: String,
    /// Which consumer.
    #[prost(string, tag = "5")]
    pub consumer_id: String,
}

impl MsgAssignConsumerKey {
    /// Its name in a transaction.
    pub const TYPE_URL: &str = "/interchain_security.ccv.provider.v1.MsgAssignConsumerKey";
}

/// `MsgCreateConsumer`: register a consumer, and initialize it where it has a spawn time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MsgCreateConsumer {
    /// The account that will own it.
    #[prost(string, tag = "1")]
    pub submitter: String,
    /// Its chain id.
    #[prost(string, tag = "2")]
    pub chain_id: String,
    /// What to say of it; mandatory.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<ConsumerMetadata>,
    /// How and when it is to launch.
    #[prost(message, optional, tag = "4")]
    pub initialization_parameters: Option<ConsumerInitializationParameters>,
    /// Who may validate; Top N must be 0.
    #[prost(message, optional, tag = "5")]
    pub power_shaping_parameters: Option<PowerShapingParameters>,
    /// What rewards it may send.
    #[prost(message, optional, tag = "6")]
    pub allowlisted_reward_denoms: Option<AllowlistedRewardDenoms>,
    /// What its validators are punished with; absent: the provider's defaults.
    #[prost(message, optional, tag = "7")]
    pub infraction_parameters: Option<InfractionParameters>,
}

impl MsgCreateConsumer {
    /// Its name in a transaction.
    pub const TYPE_URL: &str = "/interchain_security.ccv.provider.v1.MsgCreateConsumer";
}

/// `MsgUpdateConsumer`: change a consumer. A part that is present replaces all of that part.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MsgUpdateConsumer {
    /// The account that owns it now.
    #[prost(string, tag = "1")]
    pub owner: String,
    /// Which consumer.
    #[prost(string, tag = "2")]
    pub consumer_id: String,
    /// The account that is to own it; empty: no change.
    #[prost(string, tag = "3")]
    pub new_owner_address: String,
    /// What to say of it.
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<ConsumerMetadata>,
    /// How and when it is to launch; refused after launch.
    #[prost(message, optional, tag = "5")]
    pub initialization_parameters: Option<ConsumerInitializationParameters>,
    /// Who may and must validate.
    #[prost(message, optional, tag = "6")]
    pub power_shaping_parameters: Option<PowerShapingParameters>,
    /// What rewards it may send.
    #[prost(message, optional, tag = "7")]
    pub allowlisted_reward_denoms: Option<AllowlistedRewardDenoms>,
    /// Its new chain id, before launch; empty: no change.
    #[prost(string, tag = "8")]
    pub new_chain_id: String,
    /// What its validators are punished with; after launch it waits an unbonding period.
    #[prost(message, optional, tag = "9")]
    pub infraction_parameters: Option<InfractionParameters>,
}

impl MsgUpdateConsumer {
    /// Its name in a transaction.
    pub const TYPE_URL: &str = "/interchain_security.ccv.provider.v1.MsgUpdateConsumer";
}

/// `MsgRemoveConsumer`: stop a launched consumer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MsgRemoveConsumer {
    /// Which consumer.
    #[prost(string, tag = "1")]
    pub consumer_id: String,
    /// The account that owns it.
    #[prost(string, tag = "2")]
    pub owner: String,
}

impl MsgRemoveConsumer {
    /// Its name in a transaction.
    pub const TYPE_URL: &str = "/interchain_security.ccv.provider.v1.MsgRemoveConsumer";
}

/// `MsgOptIn`: validate that consumer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MsgOptIn {
    /// Deprecated; empty.
    #[prost(string, tag = "1")]
    pub chain_id: String,
    /// The validator's operator address.
    #[prost(string, tag = "2")]
    pub provider_addr: String,
    /// The key to sign with, in the SDK's JSON form; empty: the provider key.
    #[prost(string, tag = "3")]
    pub consumer_key: String,
    /// The validator's account.
    #[prost(string, tag = "4")]
    pub signer: String,
    /// Which consumer.
    #[prost(string, tag = "5")]
    pub consumer_id: String,
}

impl MsgOptIn {
    /// Its name in a transaction.
    pub const TYPE_URL: &str = "/interchain_security.ccv.provider.v1.MsgOptIn";
}

/// `MsgOptOut`: validate that consumer no more; refused before launch.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MsgOptOut {
    /// Deprecated; empty.
    #[prost(string, tag = "1")]
    pub chain_id: String,
    /// The validator's operator address.
    #[prost(string, tag = "2")]
    pub provider_addr: String,
    /// The validator's account.
    #[prost(string, tag = "3")]
    pub signer: String,
    /// Which consumer.
    #[prost(string, tag = "4")]
    pub consumer_id: String,
}

impl MsgOptOut {
    /// Its name in a transaction.
    pub const TYPE_URL: &str = "/interchain_security.ccv.provider.v1.MsgOptOut";
}
