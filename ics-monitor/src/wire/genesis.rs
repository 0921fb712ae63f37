//! The launch genesis that the provider stores for a consumer.
//!
//! Sources: `proto/interchain_security/ccv/v1/shared_consumer.proto` of interchain-security v7;
//! `proto/ibc/lightclients/tendermint/v1/tendermint.proto` and `proto/ibc/core/commitment/v1/
//! commitment.proto` of ibc-go v10; `proto/cosmos/ics23/v1/proofs.proto` of ics23 v0.11.

use super::base::{Duration, Height, PublicKey, Timestamp};

/// `ccv.v1.ConsumerGenesisState`; its field numbers are not those of the consumer's own
/// `GenesisState`, so it becomes that through JSON alone.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConsumerGenesisState {
    /// The consumer module's parameters.
    #[prost(message, optional, tag = "1")]
    pub params: Option<ConsumerParams>,
    /// The provider as an IBC client sees it, and the first validator set.
    #[prost(message, optional, tag = "2")]
    pub provider: Option<ProviderInfo>,
    /// Always true: a launch, not a restart.
    #[prost(bool, tag = "3")]
    pub new_chain: bool,
    /// Whether the consumer runs as a chain of its own until it changes over.
    #[prost(bool, tag = "4")]
    pub pre_ccv: bool,
    /// The connection that such a change reuses; empty otherwise.
    #[prost(string, tag = "5")]
    pub connection_id: String,
}

/// `ccv.v1.ConsumerParams`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConsumerParams {
    /// Whether the module acts at all.
    #[prost(bool, tag = "1")]
    pub enabled: bool,
    /// Consumer blocks between two reward transfers.
    #[prost(int64, tag = "2")]
    pub blocks_per_distribution_transmission: i64,
    /// The channel of the reward transfers; empty: one is opened.
    #[prost(string, tag = "3")]
    pub distribution_transmission_channel: String,
    /// Where rewards go on the provider; set in the channel handshake.
    #[prost(string, tag = "4")]
    pub provider_fee_pool_addr_str: String,
    /// How long a CCV packet may take.
    #[prost(message, optional, tag = "5")]
    pub ccv_timeout_period: Option<Duration>,
    /// How long a reward transfer may take.
    #[prost(message, optional, tag = "6")]
    pub transfer_timeout_period: Option<Duration>,
    /// The share of rewards that the consumer keeps, as a decimal text.
    #[prost(string, tag = "7")]
    pub consumer_redistribution_fraction: String,
    /// How many historical entries the consumer keeps.
    #[prost(int64, tag = "8")]
    pub historical_entries: i64,
    /// The consumer's unbonding period.
    #[prost(message, optional, tag = "9")]
    pub unbonding_period: Option<Duration>,
    /// Deprecated.
    #[prost(string, tag = "10")]
    pub soft_opt_out_threshold: String,
    /// Denominations of the consumer that may be rewards.
    #[prost(string, repeated, tag = "11")]
    pub reward_denoms: Vec<String>,
    /// Denominations of the provider that may be rewards.
    #[prost(string, repeated, tag = "12")]
    pub provider_reward_denoms: Vec<String>,
    /// How long the consumer waits before it sends a slash packet again.
    #[prost(message, optional, tag = "13")]
    pub retry_delay_period: Option<Duration>,
    /// The consumer's id on the provider.
    #[prost(string, tag = "14")]
    pub consumer_id: String,
}

/// `ccv.v1.ProviderInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProviderInfo {
    /// The client of the provider; absent where a connection is reused.
    #[prost(message, optional, tag = "1")]
    pub client_state: Option<ClientState>,
    /// The provider at the launch block; absent where a connection is reused.
    #[prost(message, optional, tag = "2")]
    pub consensus_state: Option<ConsensusState>,
    /// The first validator set, assigned keys already in it.
    #[prost(message, repeated, tag = "3")]
    pub initial_val_set: Vec<ValidatorUpdate>,
}

/// `tendermint.abci.ValidatorUpdate`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValidatorUpdate {
    /// The key that the validator signs with.
    #[prost(message, optional, tag = "1")]
    pub pub_key: Option<PublicKey>,
    /// Its voting power.
    #[prost(int64, tag = "2")]
    pub power: i64,
}

/// `ibc.lightclients.tendermint.v1.ClientState`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ClientState {
    /// The chain that the client follows.
    #[prost(string, tag = "1")]
    pub chain_id: String,
    /// The share of the trusted set that must have signed.
    #[prost(message, optional, tag = "2")]
    pub trust_level: Option<Fraction>,
    /// How long a state is trusted.
    #[prost(message, optional, tag = "3")]
    pub trusting_period: Option<Duration>,
    /// The chain's unbonding period.
    #[prost(message, optional, tag = "4")]
    pub unbonding_period: Option<Duration>,
    /// How far a header's time may be ahead.
    #[prost(message, optional, tag = "5")]
    pub max_clock_drift: Option<Duration>,
    /// Where the client was frozen; zero: it is not.
    #[prost(message, optional, tag = "6")]
    pub frozen_height: Option<Height>,
    /// The newest height that the client knows; in a launch genesis that of the launch block.
    #[prost(message, optional, tag = "7")]
    pub latest_height: Option<Height>,
    /// What proofs look like.
    #[prost(message, repeated, tag = "8")]
    pub proof_specs: Vec<ProofSpec>,
    /// Where an upgraded client is stored.
    #[prost(string, repeated, tag = "9")]
    pub upgrade_path: Vec<String>,
    /// Deprecated.
    #[prost(bool, tag = "10")]
    pub allow_update_after_expiry: bool,
    /// Deprecated.
    #[prost(bool, tag = "11")]
    pub allow_update_after_misbehaviour: bool,
}

/// `ibc.lightclients.tendermint.v1.Fraction`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Fraction {
    /// Above the line.
    #[prost(uint64, tag = "1")]
    pub numerator: u64,
    /// Below the line.
    #[prost(uint64, tag = "2")]
    pub denominator: u64,
}

/// `ibc.lightclients.tendermint.v1.ConsensusState`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConsensusState {
    /// The time in the header.
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    /// The application hash in the header.
    #[prost(message, optional, tag = "2")]
    pub root: Option<MerkleRoot>,
    /// The hash of the next validator set.
    #[prost(bytes = "vec", tag = "3")]
    pub next_validators_hash: Vec<u8>,
}

/// `ibc.core.commitment.v1.MerkleRoot`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MerkleRoot {
    /// The hash.
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
}

/// `cosmos.ics23.v1.ProofSpec`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ProofSpec {
    /// How leaves are hashed.
    #[prost(message, optional, tag = "1")]
    pub leaf_spec: Option<LeafOp>,
    /// How inner nodes are hashed.
    #[prost(message, optional, tag = "2")]
    pub inner_spec: Option<InnerSpec>,
    /// The deepest that a proof may be; 0: any.
    #[prost(int32, tag = "3")]
    pub max_depth: i32,
    /// The least deep that a proof may be; 0: any.
    #[prost(int32, tag = "4")]
    pub min_depth: i32,
    /// Whether keys are hashed before they are compared.
    #[prost(bool, tag = "5")]
    pub prehash_key_before_comparison: bool,
}

/// `cosmos.ics23.v1.LeafOp`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeafOp {
    /// The hash of the leaf, a number of `HashOp`.
    #[prost(int32, tag = "1")]
    pub hash: i32,
    /// The hash of the key, a number of `HashOp`.
    #[prost(int32, tag = "2")]
    pub prehash_key: i32,
    /// The hash of the value, a number of `HashOp`.
    #[prost(int32, tag = "3")]
    pub prehash_value: i32,
    /// How lengths are written, a number of `LengthOp`.
    #[prost(int32, tag = "4")]
    pub length: i32,
    /// What precedes all else.
    #[prost(bytes = "vec", tag = "5")]
    pub prefix: Vec<u8>,
}

/// `cosmos.ics23.v1.InnerSpec`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InnerSpec {
    /// The order of the children.
    #[prost(int32, repeated, tag = "1")]
    pub child_order: Vec<i32>,
    /// The bytes of a child.
    #[prost(int32, tag = "2")]
    pub child_size: i32,
    /// The fewest bytes before the first child.
    #[prost(int32, tag = "3")]
    pub min_prefix_length: i32,
    /// The most bytes before the first child.
    #[prost(int32, tag = "4")]
    pub max_prefix_length: i32,
    /// What stands for a missing child.
    #[prost(bytes = "vec", tag = "5")]
    pub empty_child: Vec<u8>,
    /// The hash of inner nodes, a number of `HashOp`.
    #[prost(int32, tag = "6")]
    pub hash: i32,
}
