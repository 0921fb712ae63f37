//! What a launch genesis must agree with: the launch block's header, and the file it goes into.
//!
//! Of a launch genesis a header can tell the time, the application hash and the hash of the next
//! validators; the rest is state, which only a proof can tell ([`crate::proof`]).
//! Source: `MakeConsumerGenesis`, `x/ccv/provider/keeper/consumer_lifecycle.go` of
//! interchain-security v7.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::{PreCcv, excerpt};
use crate::id::ChainId;
use crate::key::PublicKey;
use crate::snapshot::InitialHeight;
use crate::time::{Height, UnixTime};

/// The parts of a launch genesis that are compared with something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The provider as the consumer's client first knows it; `None` where a connection is reused.
    pub client: Option<ProviderClient>,
    /// The first validator set, assigned keys already in it.
    pub first_set: Vec<FirstValidator>,
}

/// The provider at the launch block, in the consumer's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderClient {
    /// The provider's chain id.
    pub chain_id: String,
    /// The launch block.
    pub height: InitialHeight,
    /// The time in its header.
    pub time: UnixTime,
    /// The application hash in its header.
    pub app_hash: Vec<u8>,
    /// The hash of the next validators in its header.
    pub next_validators_hash: Vec<u8>,
    /// How long the consumer trusts that block.
    pub trusting_period: Duration,
}

/// The parts of a header that a launch genesis repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The id of the chain it is of.
    pub chain_id: String,
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: UnixTime,
    /// The hash of the state after the block before it.
    pub app_hash: Vec<u8>,
    /// The hash of the validators of the next block.
    pub next_validators_hash: Vec<u8>,
}

/// A validator of a chain's first block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FirstValidator {
    /// The type of its key.
    pub kind: KeyKind,
    /// The bytes of its key.
    pub key: Vec<u8>,
    /// Its voting power.
    pub power: u64,
}

/// The types of consensus keys that a provider may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// Ed25519: all assigned keys, and nearly all others.
    Ed25519,
    /// Secp256k1.
    Secp256k1,
}

/// The keys that our validator may sign with on a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OurKeys {
    /// The assigned one, if one is.
    pub assigned: Option<PublicKey>,
    /// That of the provider, which stands where none is assigned.
    pub provider: PublicKey,
}

/// How we stand in a consumer's first validator set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not in it: a key of ours comes with a later set, if ever.
    Absent,
    /// In it with the key that is assigned now.
    Assigned,
    /// In it with our provider key, though another is assigned now.
    Outdated,
    /// In it with our provider key, and none other is assigned.
    Provider,
}

/// How far a launch genesis is known to be the provider's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It is proved to lie in the state that this header names; the header is one node's word.
    Proved(Height),
    /// It is one node's word: why there is no proof.
    Unverified(String),
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved(header) => write!(
                f,
                "proved by the application hash of block {header}, whose header is unverified: \
                 one node's word"
            ),
            Self::Unverified(why) => write!(f, "unverified, one node's word: {why}"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "we are not in its first validator set",
            Self::Assigned => "our assigned key is in its first validator set",
            Self::Outdated => {
                "its first validator set has our provider key, not the key that is assigned now"
            }
            Self::Provider => "our provider key is in its first validator set",
        })
    }
}

/// Why a launch genesis is not to be believed, or cannot start a chain from this file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The launch genesis repeats something that the header has otherwise.
    #[error(
        "its {what} is {genesis}, but the header of block {height} has {header}: compare with \
         another node of the provider"
    )]
    Header {
        /// What differs.
        what: &'static str,
        /// The height of the header.
        height: Height,
        /// As the genesis has it.
        genesis: String,
        /// As the header has it.
        header: String,
    },
    /// The revision of its height is not that of the provider's chain id, which every consumer
    /// refuses.
    #[error("its client of {chain_id} is at revision {revision}: no consumer starts with it")]
    Revision {
        /// The provider's chain id, escaped.
        chain_id: String,
        /// The revision in the height.
        revision: u64,
    },
    /// The file's time is so late that the client would be born expired.
    #[error(
        "the file's genesis_time is {genesis_time}, but the consumer trusts the launch block for \
         {trusted} s only and panics from {end} on: its owner must launch it anew"
    )]
    Expired {
        /// The file's time.
        genesis_time: UnixTime,
        /// How long the block is trusted, in seconds.
        trusted: u64,
        /// The first instant that is too late.
        end: UnixTime,
    },
    /// The file has validators of its own, and they are not those of the launch.
    #[error(
        "the file gives {0} validators of its own, and they are not the provider's: no node \
         starts with them, so its owner must leave them out"
    )]
    Validators(usize),
}

impl Launch {
    /// Compares with the header of the launch block; holds where a connection is reused.
    ///
    /// # Errors
    /// The first thing that differs.
    pub fn check_header(&self, header: &Header) -> Result<(), LaunchError> {
        let Some(client) = &self.client else {
            return Ok(());
        };
        let hex = |bytes: &[u8]| hex::encode_upper(bytes);
        let pairs = [
            (
                "provider",
                excerpt(&client.chain_id),
                excerpt(&header.chain_id),
            ),
            (
                "height",
                client.height.height.to_string(),
                header.height.to_string(),
            ),
            ("time", client.time.to_string(), header.time.to_string()),
            (
                "application hash",
                hex(&client.app_hash),
                hex(&header.app_hash),
            ),
            (
                "hash of the next validators",
                hex(&client.next_validators_hash),
                hex(&header.next_validators_hash),
            ),
        ];
        match pairs.into_iter().find(|(_, ours, theirs)| ours != theirs) {
            None => Ok(()),
            Some((what, genesis, found)) => Err(LaunchError::Header {
                what,
                height: header.height,
                genesis,
                header: found,
            }),
        }
    }

    /// Whether a chain can start from this file with this launch genesis.
    ///
    /// # Errors
    /// Why its nodes would stop at once.
    pub fn check_file(&self, file: &PreCcv) -> Result<(), LaunchError> {
        if let Some(client) = &self.client {
            client.check_revision()?;
            // A consumer compares with the genesis time, not with its clock.
            let end = client.time + client.trusting_period;
            if let Some(genesis_time) = file.genesis_time.filter(|time| *time >= end) {
                return Err(LaunchError::Expired {
                    genesis_time,
                    trusted: client.trusting_period.as_secs(),
                    end,
                });
            }
        }
        // The application compares its own set with the file's, whatever their order.
        let sorted = |set: &[FirstValidator]| {
            let mut set = set.to_vec();
            set.sort();
            set
        };
        if !file.validators.is_empty() && sorted(&file.validators) != sorted(&self.first_set) {
            return Err(LaunchError::Validators(file.validators.len()));
        }
        Ok(())
    }

    /// How we stand in the first set, which is never rewritten: what is in it is what signs.
    #[must_use]
    pub fn standing(&self, keys: OurKeys) -> Standing {
        let stands = |key: PublicKey| {
            let mut set = self.first_set.iter();
            set.any(|member| member.kind == KeyKind::Ed25519 && member.key == key.as_bytes())
        };
        let assigned = keys.assigned.filter(|key| *key != keys.provider);
        match assigned {
            Some(key) if stands(key) => Standing::Assigned,
            Some(_) if stands(keys.provider) => Standing::Outdated,
            None if stands(keys.provider) => Standing::Provider,
            _ => Standing::Absent,
        }
    }
}

impl ProviderClient {
    /// `ClientState.Validate`, `07-tendermint/client_state.go` of ibc-go.
    fn check_revision(&self) -> Result<(), LaunchError> {
        let revision = self.height.revision;
        match ChainId::new(self.chain_id.as_str()) {
            Ok(id) if id.revision() == revision => Ok(()),
            _ => Err(LaunchError::Revision {
                chain_id: excerpt(&self.chain_id),
                revision,
            }),
        }
    }
}

impl FirstValidator {
    /// Reads the `validators` of a genesis file, CometBFT's `GenesisValidator` (`types/genesis.go`).
    pub(super) fn list(json: &[u8]) -> Result<Vec<Self>, String> {
        let wrong =
            |what: String| format!("its validators are not as CometBFT writes them: {what}");
        let listed: Option<Vec<Listed>> =
            serde_json::from_slice(json).map_err(|error| wrong(excerpt(&error.to_string())))?;
        let read = |listed: Listed| {
            let kind = match listed.pub_key.kind.as_str() {
                "tendermint/PubKeyEd25519" => KeyKind::Ed25519,
                "tendermint/PubKeySecp256k1" => KeyKind::Secp256k1,
                other => return Err(wrong(format!("key type {}", excerpt(other)))),
            };
            let key = BASE64.decode(&listed.pub_key.value);
            let power = match &listed.power {
                Power::Number(power) => Some(*power),
                Power::Text(text) => text.parse().ok(),
            };
            Ok(Self {
                kind,
                key: key.map_err(|_| wrong("a key is not base64".into()))?,
                power: power.ok_or_else(|| wrong("a power is not a number".into()))?,
            })
        };
        listed.unwrap_or_default().into_iter().map(read).collect()
    }
}

/// One of a file's `validators`; its address and name decide nothing.
#[derive(Deserialize)]
struct Listed {
    pub_key: ListedKey,
    power: Power,
}

#[derive(Deserialize)]
struct ListedKey {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Power {
    Number(u64),
    Text(String),
}
