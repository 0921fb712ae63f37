//! The few messages of the Cosmos SDK's own modules that are asked for.
//!
//! Unlike those of interchain-security they hold only the fields that are used: what a newer SDK
//! adds to them changes nothing here. Sources: `proto/cosmos/staking/v1beta1/{query,staking}.proto`,
//! `proto/cosmos/slashing/v1beta1/{query,slashing}.proto`, `proto/cosmos/crypto/ed25519/keys.proto`
//! and, in the store module, `proto/cosmos/store/internal/kv/v1beta1/kv.proto` of SDK 0.50.

use ics_core::key::PublicKey as CoreKey;
use prost::Message as _;

use super::base::{Description, Duration, PageRequest, PageResponse};

/// The name of an ed25519 key in [`Any`].
const ED25519_TYPE_URL: &str = "/cosmos.crypto.ed25519.PubKey";

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Any {
    /// What the bytes are.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `cosmos.crypto.ed25519.PubKey`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Ed25519PubKey {
    /// The 32 bytes of the key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
}

/// `cosmos.staking.v1beta1.Validator`, in part.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Validator {
    /// Its operator address.
    #[prost(string, tag = "1")]
    pub operator_address: String,
    /// Its consensus key.
    #[prost(message, optional, tag = "2")]
    pub consensus_pubkey: Option<Any>,
    /// Whether it is jailed.
    #[prost(bool, tag = "3")]
    pub jailed: bool,
    /// Whether it is bonded: a number of `BondStatus`.
    #[prost(int32, tag = "4")]
    pub status: i32,
    /// Its tokens, in the base denomination.
    #[prost(string, tag = "5")]
    pub tokens: String,
    /// What it says of itself.
    #[prost(message, optional, tag = "7")]
    pub description: Option<Description>,
}

impl Validator {
    /// The number of the unbonding status in an answer.
    pub const UNBONDING: i32 = 2;

    /// The name of the bonded status in a request.
    pub const BONDED_NAME: &str = "BOND_STATUS_BONDED";

    /// The number of the bonded status in an answer.
    pub const BONDED: i32 = 3;

    /// Its consensus key, if it is ed25519.
    #[must_use]
    pub fn to_ed25519(&self) -> Option<CoreKey> {
        let any = self.consensus_pubkey.as_ref()?;
        if any.type_url != ED25519_TYPE_URL {
            return None;
        }
        let key = Ed25519PubKey::decode(any.value.as_slice()).ok()?;
        CoreKey::from_slice(&key.key).ok()
    }
}

/// `cosmos.staking.v1beta1.QueryValidatorRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryValidatorRequest {
    /// Its operator address.
    #[prost(string, tag = "1")]
    pub validator_addr: String,
}

/// `cosmos.staking.v1beta1.QueryValidatorResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryValidatorResponse {
    /// The validator.
    #[prost(message, optional, tag = "1")]
    pub validator: Option<Validator>,
}

/// `cosmos.staking.v1beta1.QueryValidatorsRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryValidatorsRequest {
    /// The name of a `BondStatus`.
    #[prost(string, tag = "1")]
    pub status: String,
    /// Which page.
    #[prost(message, optional, tag = "2")]
    pub pagination: Option<PageRequest>,
}

/// `cosmos.staking.v1beta1.QueryValidatorsResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryValidatorsResponse {
    /// The validators of this page, by operator address.
    #[prost(message, repeated, tag = "1")]
    pub validators: Vec<Validator>,
    /// Where the next page starts.
    #[prost(message, optional, tag = "2")]
    pub pagination: Option<PageResponse>,
}

/// `cosmos.slashing.v1beta1.QuerySigningInfoRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QuerySigningInfoRequest {
    /// A consensus address on the provider.
    #[prost(string, tag = "1")]
    pub cons_address: String,
}

/// `cosmos.slashing.v1beta1.QuerySigningInfoResponse`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct QuerySigningInfoResponse {
    /// What is known of the validator; nothing of one that was never bonded.
    #[prost(message, optional, tag = "1")]
    pub val_signing_info: Option<ValidatorSigningInfo>,
}

/// `cosmos.slashing.v1beta1.ValidatorSigningInfo`, in part.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ValidatorSigningInfo {
    /// Whether it signed twice and can never be unjailed.
    #[prost(bool, tag = "5")]
    pub tombstoned: bool,
}

/// `cosmos.slashing.v1beta1.QueryParamsRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct QuerySlashingParamsRequest {}

/// `cosmos.slashing.v1beta1.QueryParamsResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QuerySlashingParamsResponse {
    /// The parameters.
    #[prost(message, optional, tag = "1")]
    pub params: Option<SlashingParams>,
}

/// `cosmos.slashing.v1beta1.Params`, in part. Fractions are the digits of value·10^18.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SlashingParams {
    /// How long a validator is jailed for not signing.
    #[prost(message, optional, tag = "3")]
    pub downtime_jail_duration: Option<Duration>,
    /// What a validator loses for signing twice.
    #[prost(bytes = "vec", tag = "4")]
    pub slash_fraction_double_sign: Vec<u8>,
    /// What a validator loses for not signing.
    #[prost(bytes = "vec", tag = "5")]
    pub slash_fraction_downtime: Vec<u8>,
}

/// `cosmos.store.internal.kv.v1beta1.Pairs`: what a scan of a store answers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Pairs {
    /// The pairs, by key.
    #[prost(message, repeated, tag = "1")]
    pub pairs: Vec<Pair>,
}

/// `cosmos.store.internal.kv.v1beta1.Pair`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Pair {
    /// The key, its prefix included.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}
