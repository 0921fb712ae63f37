//! The launch genesis as JSON: to the letter what the provider's command line prints.
//!
//! A consumer reads `app_state.ccvconsumer` with unknown fields refused, and all validators must
//! write the same, so this follows the provider's encoder rather than protobuf's JSON mapping:
//! gogoproto's `jsonpb` with original names and defaults, 64-bit numbers as texts, empty bytes as
//! null; the hash of the next validators alone is CometBFT's `HexBytes`, in upper case.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::failure::Failure;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::base::{Duration, Height, KeySum, PublicKey, Timestamp};
use super::genesis::{
    ClientState, ConsensusState, ConsumerGenesisState, ConsumerParams, InnerSpec, LeafOp,
    ProofSpec, ProviderInfo, ValidatorUpdate,
};

/// Names of `cosmos.ics23.v1.HashOp`, by number.
const HASH_OPS: [&str; 10] = [
    "NO_HASH",
    "SHA256",
    "SHA512",
    "KECCAK256",
    "RIPEMD160",
    "BITCOIN",
    "SHA512_256",
    "BLAKE2B_512",
    "BLAKE2S_256",
    "BLAKE3",
];

/// Names of `cosmos.ics23.v1.LengthOp`, by number.
const LENGTH_OPS: [&str; 9] = [
    "NO_PREFIX",
    "VAR_PROTO",
    "VAR_RLP",
    "FIXED32_BIG",
    "FIXED32_LITTLE",
    "FIXED64_BIG",
    "FIXED64_LITTLE",
    "REQUIRE_32_BYTES",
    "REQUIRE_64_BYTES",
];

/// The value of `app_state.ccvconsumer` in the consumer's genesis file.
///
/// # Errors
/// Permanent, if a time or a duration is none that the provider could print.
pub fn to_json(genesis: &ConsumerGenesisState) -> Result<Value, Failure> {
    Ok(json!({
        "params": params(&genesis.params.clone().unwrap_or_default())?,
        "provider": provider(&genesis.provider.clone().unwrap_or_default())?,
        "new_chain": genesis.new_chain,
        "preCCV": genesis.pre_ccv,
        "connection_id": genesis.connection_id,
    }))
}

fn params(params: &ConsumerParams) -> Result<Value, Failure> {
    Ok(json!({
        "enabled": params.enabled,
        "blocks_per_distribution_transmission":
            params.blocks_per_distribution_transmission.to_string(),
        "distribution_transmission_channel": params.distribution_transmission_channel,
        "provider_fee_pool_addr_str": params.provider_fee_pool_addr_str,
        "ccv_timeout_period": duration(params.ccv_timeout_period)?,
        "transfer_timeout_period": duration(params.transfer_timeout_period)?,
        "consumer_redistribution_fraction": params.consumer_redistribution_fraction,
        "historical_entries": params.historical_entries.to_string(),
        "unbonding_period": duration(params.unbonding_period)?,
        "soft_opt_out_threshold": params.soft_opt_out_threshold,
        "reward_denoms": params.reward_denoms,
        "provider_reward_denoms": params.provider_reward_denoms,
        "retry_delay_period": duration(params.retry_delay_period)?,
        "consumer_id": params.consumer_id,
    }))
}

fn provider(info: &ProviderInfo) -> Result<Value, Failure> {
    let client_state = info.client_state.as_ref().map(client_state).transpose()?;
    let consensus_state = info
        .consensus_state
        .as_ref()
        .map(consensus_state)
        .transpose()?;
    let set: Vec<Value> = info.initial_val_set.iter().map(validator).collect();
    Ok(json!({
        "client_state": client_state,
        "consensus_state": consensus_state,
        "initial_val_set": set,
    }))
}

fn client_state(state: &ClientState) -> Result<Value, Failure> {
    let trust_level = state.trust_level.unwrap_or_default();
    let specs: Vec<Value> = state.proof_specs.iter().map(proof_spec).collect();
    Ok(json!({
        "chain_id": state.chain_id,
        "trust_level": {
            "numerator": trust_level.numerator.to_string(),
            "denominator": trust_level.denominator.to_string(),
        },
        "trusting_period": duration(state.trusting_period)?,
        "unbonding_period": duration(state.unbonding_period)?,
        "max_clock_drift": duration(state.max_clock_drift)?,
        "frozen_height": height(state.frozen_height),
        "latest_height": height(state.latest_height),
        "proof_specs": specs,
        "upgrade_path": state.upgrade_path,
        "allow_update_after_expiry": state.allow_update_after_expiry,
        "allow_update_after_misbehaviour": state.allow_update_after_misbehaviour,
    }))
}

fn consensus_state(state: &ConsensusState) -> Result<Value, Failure> {
    let root = state.root.clone().unwrap_or_default();
    Ok(json!({
        "timestamp": timestamp(state.timestamp.unwrap_or_default())?,
        "root": { "hash": bytes(&root.hash) },
        "next_validators_hash": hex::encode_upper(&state.next_validators_hash),
    }))
}

fn validator(update: &ValidatorUpdate) -> Value {
    json!({
        "pub_key": public_key(&update.pub_key.clone().unwrap_or_default()),
        "power": update.power.to_string(),
    })
}

/// A choice that is not made is left out, unlike any other empty field.
fn public_key(key: &PublicKey) -> Value {
    match &key.sum {
        Some(KeySum::Ed25519(key)) => json!({ "ed25519": bytes(key) }),
        Some(KeySum::Secp256k1(key)) => json!({ "secp256k1": bytes(key) }),
        None => Value::Object(Map::new()),
    }
}

fn proof_spec(spec: &ProofSpec) -> Value {
    json!({
        "leaf_spec": spec.leaf_spec.as_ref().map(leaf_op),
        "inner_spec": spec.inner_spec.as_ref().map(inner_spec),
        "max_depth": spec.max_depth,
        "min_depth": spec.min_depth,
        "prehash_key_before_comparison": spec.prehash_key_before_comparison,
    })
}

fn leaf_op(leaf: &LeafOp) -> Value {
    json!({
        "hash": enum_name(leaf.hash, &HASH_OPS),
        "prehash_key": enum_name(leaf.prehash_key, &HASH_OPS),
        "prehash_value": enum_name(leaf.prehash_value, &HASH_OPS),
        "length": enum_name(leaf.length, &LENGTH_OPS),
        "prefix": bytes(&leaf.prefix),
    })
}

fn inner_spec(spec: &InnerSpec) -> Value {
    json!({
        "child_order": spec.child_order,
        "child_size": spec.child_size,
        "min_prefix_length": spec.min_prefix_length,
        "max_prefix_length": spec.max_prefix_length,
        "empty_child": bytes(&spec.empty_child),
        "hash": enum_name(spec.hash, &HASH_OPS),
    })
}

fn height(height: Option<Height>) -> Value {
    let height = height.unwrap_or_default();
    json!({
        "revision_number": height.revision_number.to_string(),
        "revision_height": height.revision_height.to_string(),
    })
}

/// The name of an enum's number; a number without a name stays one.
fn enum_name(number: i32, names: &[&str]) -> Value {
    let name = usize::try_from(number).ok().and_then(|n| names.get(n));
    name.map_or_else(|| json!(number), |name| json!(name))
}

fn bytes(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    Value::String(BASE64.encode(bytes))
}

/// Seconds with 0, 3, 6 or 9 digits behind the point, then `s`.
fn duration(duration: Option<Duration>) -> Result<String, Failure> {
    let duration = duration.unwrap_or_default();
    let Some(std) = duration.to_std() else {
        return Err(Failure::permanent(format!(
            "launch genesis: {} s and {} ns is no duration that a provider writes; compare with \
             another node of the provider",
            duration.seconds, duration.nanos
        )));
    };
    let text = format!("{}.{:09}", std.as_secs(), std.subsec_nanos());
    Ok(format!("{}s", shorten(&text)))
}

/// RFC 3339 in UTC with 0, 3, 6 or 9 digits behind the point.
fn timestamp(time: Timestamp) -> Result<String, Failure> {
    let refuse = || {
        Failure::permanent(format!(
            "launch genesis: {} s and {} ns after 1970 is no time that a provider writes; compare \
             with another node of the provider",
            time.seconds, time.nanos
        ))
    };
    let utc = OffsetDateTime::from_unix_timestamp(time.seconds).map_err(|_| refuse())?;
    let nanos = time.to_unix().ok_or_else(refuse)?.nanos();
    if !(1..=9999).contains(&utc.year()) {
        return Err(refuse());
    }
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{nanos:09}",
        utc.year(),
        u8::from(utc.month()),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second(),
    );
    Ok(format!("{}Z", shorten(&text)))
}

/// Drops zeros by threes, and the point with the last three, as `jsonpb` does.
fn shorten(text: &str) -> &str {
    let text = text.strip_suffix("000").unwrap_or(text);
    let text = text.strip_suffix("000").unwrap_or(text);
    text.strip_suffix(".000").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duration_of(seconds: i64, nanos: i32) -> Option<String> {
        duration(Some(Duration { seconds, nanos })).ok()
    }

    #[test]
    fn durations_have_digits_by_threes() {
        for (seconds, nanos, text) in [
            (1_728_000, 0, "1728000s"),
            (26, 400_000_000, "26.400s"),
            (0, 1_500, "0.000001500s"),
            (0, 1_000, "0.000001s"),
            (9_223_372_036, 854_775_807, "9223372036.854775807s"),
        ] {
            assert_eq!(duration_of(seconds, nanos).as_deref(), Some(text));
        }
        assert_eq!(duration_of(-1, 0), None);
        assert_eq!(duration_of(0, 1_000_000_000), None);
        assert_eq!(duration(None).ok().as_deref(), Some("0s"));
    }

    #[test]
    fn times_have_digits_by_threes() {
        let time = |seconds, nanos| timestamp(Timestamp { seconds, nanos }).ok();
        assert_eq!(time(0, 0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(
            time(-62_135_596_800, 120_000_000).as_deref(),
            Some("0001-01-01T00:00:00.120Z")
        );
        assert_eq!(time(-62_135_596_801, 0), None);
        assert_eq!(time(i64::MAX, 0), None);
        assert_eq!(time(0, -1), None);
    }

    #[test]
    fn a_changeover_has_no_provider_client() {
        let genesis = ConsumerGenesisState {
            pre_ccv: true,
            connection_id: "connection-7".into(),
            ..ConsumerGenesisState::default()
        };
        let json = to_json(&genesis).expect("no time in it");
        assert_eq!(json["provider"]["client_state"], Value::Null);
        assert_eq!(json["preCCV"], true);
        assert_eq!(json["connection_id"], "connection-7");
    }

    #[test]
    fn unknown_enum_numbers_stay_numbers() {
        assert_eq!(enum_name(9, &HASH_OPS), json!("BLAKE3"));
        assert_eq!(enum_name(10, &HASH_OPS), json!(10));
        assert_eq!(enum_name(-1, &HASH_OPS), json!(-1));
    }
}
