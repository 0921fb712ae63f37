//! The launch genesis: the provider's word on how a consumer starts.

use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::key::PublicKey;
use ics_core::time::{Height, UnixTime};
use serde_json::Value;

use crate::wire::genesis::ConsumerGenesisState;
use crate::wire::genesis_json;

/// The stored genesis of a launched consumer; the same for all validators and for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchGenesis {
    /// The consumer that it names.
    pub consumer_id: ConsumerId,
    /// The value of `app_state.ccvconsumer`, to the letter what the provider's command line prints.
    pub json: Value,
    /// The provider height of the launch block; `None` where a connection is reused.
    pub launched_at: Option<Height>,
    /// The time of the launch block; `None` where a connection is reused.
    pub launch_time: Option<UnixTime>,
    /// The provider's chain id; `None` where a connection is reused.
    pub provider_chain_id: Option<String>,
    /// How long the consumer trusts that block: a genesis time later than their sum cannot start.
    pub trusting_period: Option<Duration>,
    /// The connection that is reused; empty otherwise.
    pub connection_id: String,
    /// The first validator set, assigned keys already in it: keys and powers. Keys that are not
    /// ed25519 are left out, since none of them is ours.
    pub initial_set: Vec<(PublicKey, u64)>,
}

impl LaunchGenesis {
    /// Reads a genesis that was decoded to the last byte.
    ///
    /// # Errors
    /// Permanent, if it is of another consumer or holds an impossible number.
    pub(super) fn read(id: ConsumerId, genesis: &ConsumerGenesisState) -> Result<Self, Failure> {
        let refuse = |reason: &str| {
            Failure::permanent(format!(
                "launch genesis of consumer {id}: {reason}; compare with another node of the \
                 provider"
            ))
        };
        // Consumers older than ICS 6.2 had no id in their parameters.
        let named = genesis.params.as_ref().map(|p| p.consumer_id.as_str());
        if !matches!(named, None | Some("")) && named != Some(id.to_string().as_str()) {
            return Err(refuse("it names another consumer"));
        }
        let provider = genesis.provider.clone().unwrap_or_default();
        let mut initial_set = Vec::with_capacity(provider.initial_val_set.len());
        for update in &provider.initial_val_set {
            let key = update.pub_key.as_ref().and_then(|key| key.to_ed25519());
            let power = u64::try_from(update.power).map_err(|_| refuse("a power is negative"))?;
            initial_set.extend(key.map(|key| (key, power)));
        }
        let client = provider.client_state.as_ref();
        let launch_time = match provider.consensus_state.as_ref().and_then(|s| s.timestamp) {
            Some(stamp) => Some(
                stamp
                    .to_unix()
                    .ok_or_else(|| refuse("its time is impossible"))?,
            ),
            None => None,
        };
        Ok(Self {
            consumer_id: id,
            json: genesis_json::to_json(genesis)?,
            launched_at: client
                .and_then(|client| client.latest_height)
                .map(|height| Height(height.revision_height)),
            launch_time,
            provider_chain_id: client.map(|client| client.chain_id.clone()),
            trusting_period: client
                .and_then(|client| client.trusting_period)
                .and_then(|period| period.to_std()),
            connection_id: genesis.connection_id.clone(),
            initial_set,
        })
    }
}
