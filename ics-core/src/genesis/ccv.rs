//! The value of `app_state.ccvconsumer`: the launch genesis, for one version of the consumer.
//!
//! A consumer refuses every field that it does not know, and its node then never starts: what goes
//! into the file holds the fields of `ConsumerGenesisState` as interchain-security v7 has it
//! (`proto/interchain_security/ccv/v1/shared_consumer.proto`, and what that takes from ibc-go, ics23
//! and CometBFT), less those that the version of the consumer does not know.

use serde_json::Value;

use super::{IcsVersion, excerpt};

/// A launch genesis as one consumer reads it, in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CcvConsumer(Vec<u8>);

/// Why a launch genesis is not written for a consumer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CcvError {
    /// It reuses a connection, and this version would not make the connection that it names.
    #[error("the launch genesis reuses a connection, which ICS {0} cannot: upgrade the consumer")]
    Connection(IcsVersion),
    /// Something in it has another form than in any version.
    #[error("the launch genesis has something else than {wanted} at {path}: upgrade this program")]
    Form {
        /// Where.
        path: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// No provider writes a genesis for this version, and none can be made.
    #[error("a launch genesis for ICS {0} cannot be written: v4.0 and later read it")]
    TooOld(IcsVersion),
    /// A field that no consumer knows.
    #[error(
        "the launch genesis has a field {0} that this program does not know, and a consumer that \
         does not know it either would not start: upgrade this program, or ask another node of the \
         provider"
    )]
    Unknown(String),
}

impl CcvConsumer {
    /// Writes a launch genesis, as the provider's own command line prints it, for a consumer of
    /// this version; `None`: of the provider's version.
    ///
    /// # Errors
    /// What in it such a consumer would refuse.
    pub fn new(mut genesis: Value, version: Option<IcsVersion>) -> Result<Self, CcvError> {
        if let Some(version) = version {
            version.transform(&mut genesis)?;
        }
        if !genesis.is_object() {
            return Err(CcvError::Form {
                path: "ccvconsumer".into(),
                wanted: "an object",
            });
        }
        check(&genesis, &GENESIS, "ccvconsumer")?;
        Ok(Self(genesis.to_string().into_bytes()))
    }

    /// The JSON.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What may stand in one place. Null stands for nothing, anywhere.
enum Form {
    /// A list of these.
    Each(&'static Self),
    /// An object with these fields at most.
    Fields(&'static [(&'static str, Self)]),
    /// A text, number or truth value.
    Plain,
}

use Form::{Each, Fields, Plain};

const GENESIS: Form = Fields(&[
    ("connection_id", Plain),
    ("new_chain", Plain),
    ("params", PARAMS),
    ("preCCV", Plain),
    ("provider", PROVIDER),
]);

const PARAMS: Form = Fields(&[
    ("blocks_per_distribution_transmission", Plain),
    ("ccv_timeout_period", Plain),
    ("consumer_id", Plain),
    ("consumer_redistribution_fraction", Plain),
    ("distribution_transmission_channel", Plain),
    ("enabled", Plain),
    ("historical_entries", Plain),
    ("provider_fee_pool_addr_str", Plain),
    ("provider_reward_denoms", Each(&Plain)),
    ("retry_delay_period", Plain),
    ("reward_denoms", Each(&Plain)),
    ("soft_opt_out_threshold", Plain),
    ("transfer_timeout_period", Plain),
    ("unbonding_period", Plain),
]);

const PROVIDER: Form = Fields(&[
    ("client_state", CLIENT_STATE),
    (
        "consensus_state",
        Fields(&[
            ("next_validators_hash", Plain),
            ("root", Fields(&[("hash", Plain)])),
            ("timestamp", Plain),
        ]),
    ),
    (
        "initial_val_set",
        Each(&Fields(&[
            ("power", Plain),
            (
                "pub_key",
                Fields(&[("ed25519", Plain), ("secp256k1", Plain)]),
            ),
        ])),
    ),
]);

const CLIENT_STATE: Form = Fields(&[
    ("allow_update_after_expiry", Plain),
    ("allow_update_after_misbehaviour", Plain),
    ("chain_id", Plain),
    ("frozen_height", HEIGHT),
    ("latest_height", HEIGHT),
    ("max_clock_drift", Plain),
    ("proof_specs", Each(&PROOF_SPEC)),
    (
        "trust_level",
        Fields(&[("denominator", Plain), ("numerator", Plain)]),
    ),
    ("trusting_period", Plain),
    ("unbonding_period", Plain),
    ("upgrade_path", Each(&Plain)),
]);

const HEIGHT: Form = Fields(&[("revision_height", Plain), ("revision_number", Plain)]);

const PROOF_SPEC: Form = Fields(&[
    (
        "inner_spec",
        Fields(&[
            ("child_order", Each(&Plain)),
            ("child_size", Plain),
            ("empty_child", Plain),
            ("hash", Plain),
            ("max_prefix_length", Plain),
            ("min_prefix_length", Plain),
        ]),
    ),
    (
        "leaf_spec",
        Fields(&[
            ("hash", Plain),
            ("length", Plain),
            ("prefix", Plain),
            ("prehash_key", Plain),
            ("prehash_value", Plain),
        ]),
    ),
    ("max_depth", Plain),
    ("min_depth", Plain),
    ("prehash_key_before_comparison", Plain),
]);

fn check(value: &Value, form: &Form, path: &str) -> Result<(), CcvError> {
    let wrong = |wanted| {
        Err(CcvError::Form {
            path: path.to_owned(),
            wanted,
        })
    };
    match (form, value) {
        (_, Value::Null) => Ok(()),
        (Each(form), Value::Array(items)) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| check(item, form, &format!("{path}[{at}]")))
        }
        (Each(_), _) => wrong("a list"),
        (Fields(fields), Value::Object(found)) => found.iter().try_for_each(|(key, value)| {
            let path = format!("{path}.{}", excerpt(key));
            match fields.iter().find(|(name, _)| name == key) {
                Some((_, form)) => check(value, form, &path),
                None => Err(CcvError::Unknown(path)),
            }
        }),
        (Fields(_), _) => wrong("an object"),
        (Plain, Value::Array(_) | Value::Object(_)) => wrong("a plain value"),
        (Plain, _) => Ok(()),
    }
}
