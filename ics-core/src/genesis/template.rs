//! What the owner of a consumer makes: the pre-CCV file, from the `init` of the consumer's own program.

use serde_json::{Value, json};

use super::relayers::Ledger;
use super::{GenesisError, Relayers};
use crate::id::ChainId;
use crate::time::UnixTime;

/// What a pre-CCV file is to say, beside what the consumer's program puts into any genesis.
///
/// The owner publishes one file, and its SHA-256 on chain, because two files that differ in as
/// little as an account make two chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The chain id on the provider.
    pub chain_id: ChainId,
    /// The consumer's first block, where the provider's client of it starts.
    pub initial_height: u64,
    /// When its nodes start: by custom the spawn time.
    pub genesis_time: UnixTime,
    /// Who relays, and with what.
    pub relayers: Relayers,
}

impl Template {
    /// Makes the file from what `init` wrote; the same for the same input, and again from its own
    /// output. It is read into memory.
    ///
    /// # Errors
    /// Why the input is no genesis of a consumer, or what in it or in the template no node would
    /// start with.
    pub fn fill(&self, init: &[u8]) -> Result<Vec<u8>, GenesisError> {
        let found = super::read(init)?;
        if !found.validators.is_empty() {
            return Err(GenesisError::Shape(
                "it gives validators of its own, but they come from the provider: leave them out"
                    .into(),
            ));
        }
        let ledger = Ledger::read(init, self.relayers.prefix())?;
        let mut genesis: Value = serde_json::from_slice(init)
            .map_err(|e| GenesisError::Shape(format!("it cannot be read: {e}")))?;
        let app_state = &mut genesis["app_state"];
        if !app_state["ccvconsumer"].is_object() {
            return Err(GenesisError::Shape(
                "it has no app_state.ccvconsumer: make it with the program of a consumer".into(),
            ));
        }
        self.relayers.fund(ledger, app_state)?;
        genesis["chain_id"] = json!(self.chain_id.as_str());
        genesis["initial_height"] = json!(self.initial_height);
        genesis["genesis_time"] = json!(self.genesis_time.to_string());
        let file = format!("{genesis:#}\n").into_bytes();
        let made = super::read(file.as_slice())?;
        let same_height = made.initial_height == self.initial_height;
        if !same_height || made.genesis_time != Some(self.genesis_time) {
            return Err(GenesisError::Shape(format!(
                "no chain starts at height {} and time {}",
                self.initial_height, self.genesis_time
            )));
        }
        Ok(file)
    }
}
