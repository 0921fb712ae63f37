//! The launch genesis: the provider's word on how a consumer starts.

use ics_core::failure::Failure;
use ics_core::genesis::{FirstValidator, KeyKind, Launch, ProviderClient};
use ics_core::id::ConsumerId;
use ics_core::snapshot::InitialHeight;
use ics_core::time::Height;
use prost::Message as _;
use serde_json::Value;

use super::Provider;
use super::ask::ask;
use crate::wire::base::KeySum;
use crate::wire::genesis::{ConsumerGenesisState, ProviderInfo, ValidatorUpdate};
use crate::wire::query::{QueryConsumerGenesisRequest, QueryConsumerGenesisResponse, SERVICE};
use crate::wire::{decode_exact, genesis_json};

/// The stored genesis of a launched consumer; the same for all validators and for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchGenesis {
    /// The consumer that it names.
    pub consumer_id: ConsumerId,
    /// The provider height at which it was read.
    pub read_at: Height,
    /// The value of `app_state.ccvconsumer`, to the letter what the provider's command line prints.
    pub json: Value,
    /// Its protobuf, as the provider stores it.
    pub stored: Vec<u8>,
    /// What in it is compared with other things.
    pub launch: Launch,
}

impl Provider {
    /// The stored genesis of a launched consumer, as the node tells it.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached, does not have the height yet, or has no genesis
    /// at it; permanent, if it no longer has the height, or the genesis is not understood to the
    /// last byte.
    pub async fn genesis(&self, id: ConsumerId, height: Height) -> Result<LaunchGenesis, Failure> {
        let path = format!("{SERVICE}/QueryConsumerGenesis");
        let request = QueryConsumerGenesisRequest {
            consumer_id: id.to_string(),
        };
        let bytes = ask(&self.rpc, &path, &request, Some(height)).await?;
        let name = format!("launch genesis of consumer {id}");
        let state = match &bytes {
            Some(bytes) => {
                decode_exact::<QueryConsumerGenesisResponse>(&name, bytes)?.genesis_state
            }
            None => None,
        };
        let Some(state) = state else {
            return Err(Failure::transient(format!(
                "{name}: {} has none at height {height}: it is not launched there, or deleted",
                self.rpc.url()
            )));
        };
        LaunchGenesis::read(id, height, &state)
    }
}

impl LaunchGenesis {
    /// The provider height of the launch block; `None` where a connection is reused.
    #[must_use]
    pub fn launched_at(&self) -> Option<Height> {
        let client = self.launch.client.as_ref();
        client.map(|client| Height(client.height.height))
    }

    /// Reads a genesis that was decoded to the last byte.
    fn read(id: ConsumerId, at: Height, genesis: &ConsumerGenesisState) -> Result<Self, Failure> {
        let refuse = |reason: &str| refuse(id, reason);
        // Consumers older than ICS 6.2 had no id in their parameters.
        let named = genesis.params.as_ref().map(|p| p.consumer_id.as_str());
        if !matches!(named, None | Some("")) && named != Some(id.to_string().as_str()) {
            return Err(refuse("it names another consumer"));
        }
        let provider = genesis.provider.clone().unwrap_or_default();
        let client = client(&provider).map_err(refuse)?;
        // `GenesisState.Validate`, `x/ccv/consumer/types/genesis.go`.
        if client.is_some() != genesis.connection_id.is_empty() {
            return Err(refuse(
                "it has neither or both of a client of the provider and a connection",
            ));
        }
        let first_set = provider.initial_val_set.iter().map(first_validator);
        Ok(Self {
            consumer_id: id,
            read_at: at,
            json: genesis_json::to_json(genesis)?,
            stored: genesis.encode_to_vec(),
            launch: Launch {
                client,
                first_set: first_set.collect::<Result<_, _>>().map_err(refuse)?,
            },
        })
    }
}

/// Refuses what a node says of a consumer's launch genesis.
pub(super) fn refuse(id: ConsumerId, reason: &str) -> Failure {
    Failure::permanent(format!(
        "launch genesis of consumer {id}: {reason}; compare with another node of the provider"
    ))
}

fn client(provider: &ProviderInfo) -> Result<Option<ProviderClient>, &'static str> {
    let (client, consensus) = match (&provider.client_state, &provider.consensus_state) {
        (None, None) => return Ok(None),
        (Some(client), Some(consensus)) => (client, consensus),
        _ => return Err("it has half a client of the provider"),
    };
    let height = client.latest_height.unwrap_or_default();
    let time = consensus.timestamp.and_then(|stamp| stamp.to_unix());
    let trusted = client.trusting_period.and_then(|period| period.to_std());
    let root = consensus.root.as_ref();
    Ok(Some(ProviderClient {
        chain_id: client.chain_id.clone(),
        height: InitialHeight {
            revision: height.revision_number,
            height: height.revision_height,
        },
        time: time.ok_or("its time is impossible")?,
        app_hash: root.map(|root| root.hash.clone()).unwrap_or_default(),
        next_validators_hash: consensus.next_validators_hash.clone(),
        trusting_period: trusted.ok_or("its trusting period is impossible")?,
    }))
}

fn first_validator(update: &ValidatorUpdate) -> Result<FirstValidator, &'static str> {
    let key = update.pub_key.as_ref().and_then(|key| key.sum.clone());
    let (kind, key) = match key.ok_or("a validator has no key")? {
        KeySum::Ed25519(key) => (KeyKind::Ed25519, key),
        KeySum::Secp256k1(key) => (KeyKind::Secp256k1, key),
    };
    Ok(FirstValidator {
        kind,
        key,
        power: u64::try_from(update.power).map_err(|_| "a power is negative")?,
    })
}
