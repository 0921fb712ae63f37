//! The provider's transaction messages that are sent here.
//!
//! Source: `proto/interchain_security/ccv/provider/v1/tx.proto` of interchain-security v7. Those
//! that have not changed since the version of `ibc-proto` are taken from there.

use ibc_proto::interchain_security::ccv::provider::v1 as published;
use prost::Name;

use super::provider::{
    AllowlistedRewardDenoms, ConsumerInitializationParameters, ConsumerMetadata,
    InfractionParameters, PowerShapingParameters,
};
use crate::tx::Message;

pub use published::{MsgAssignConsumerKey, MsgOptIn, MsgOptOut, MsgRemoveConsumer};

const PACKAGE: &str = "interchain_security.ccv.provider.v1";

/// The message as a part of a transaction.
#[must_use]
pub fn message<M: Name>(message: &M) -> Message {
    Message {
        type_url: format!("/{}", M::full_name()),
        value: message.encode_to_vec(),
    }
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

impl Name for MsgCreateConsumer {
    const NAME: &'static str = "MsgCreateConsumer";
    const PACKAGE: &'static str = PACKAGE;
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

impl Name for MsgUpdateConsumer {
    const NAME: &'static str = "MsgUpdateConsumer";
    const PACKAGE: &'static str = PACKAGE;
}
