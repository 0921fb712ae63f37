//! How far a launch genesis can be believed: compared with headers, and proved by ICS23.
//!
//! Stored bytes never change after launch, so that any height since does for the proof. A node may
//! refuse store queries, or have pruned the launch block; then there is less to compare. What is
//! there and disagrees is always refused.

use std::time::Duration;

use ics_core::failure::{Failure, FailureKind};
use ics_core::genesis::{Header, Trust};
use ics_core::proof::verify_stored;
use ics_core::time::Height;

use super::ask::excerpt;
use super::launch::{LaunchGenesis, refuse};
use super::{Provider, store};
use crate::retry::until_deadline;
use crate::rpc::{QueryAnswer, is_gone};

/// How long the header after a height is waited for: some of the provider's blocks.
const NEXT_HEADER: Duration = Duration::from_secs(20);

/// How long a proof is asked for again where the node gives no answer: a proxy may refuse it.
const BLIP: Duration = Duration::from_secs(3);

impl Provider {
    /// Holds a launch genesis against the header of its block and against the provider's state.
    ///
    /// # Errors
    /// Permanent, if anything disagrees: the node contradicts itself; transient, if the node
    /// cannot be reached.
    pub async fn verify(&self, genesis: &LaunchGenesis) -> Result<Trust, Failure> {
        if genesis.launched_at() > Some(genesis.read_at) {
            let reason = "it names a launch block after the one at which it was read";
            return Err(refuse(genesis.consumer_id, reason));
        }
        let (header, trust) = futures::try_join!(self.compare(genesis), self.prove(genesis))?;
        Ok(match (header, trust) {
            (Some(gone), Trust::Unverified(why)) => Trust::Unverified(format!("{why}; {gone}")),
            (_, trust) => trust,
        })
    }

    /// Compares with the header of the launch block; answers why that cannot be done.
    async fn compare(&self, genesis: &LaunchGenesis) -> Result<Option<String>, Failure> {
        let Some(height) = genesis.launched_at() else {
            return Ok(None);
        };
        match self.kept_header(height).await {
            Ok(header) => {
                let checked = genesis.launch.check_header(&header);
                checked.map_err(|error| refuse(genesis.consumer_id, &error.to_string()))?;
                Ok(None)
            }
            Err(failure) if failure.kind == FailureKind::Permanent => Ok(Some(failure.message)),
            Err(failure) => Err(failure),
        }
    }

    /// Proves that the genesis lies in the provider's state.
    async fn prove(&self, genesis: &LaunchGenesis) -> Result<Trust, Failure> {
        let id = genesis.consumer_id;
        // The header after it must be there, too: one block earlier it mostly is.
        let before = Height(genesis.read_at.0.saturating_sub(1));
        let height = genesis
            .launched_at()
            .map_or(genesis.read_at, |launched| launched.max(before));
        let key = store::genesis_key(id);
        let path = "/store/provider/key";
        let ask = || self.rpc.abci_query_proved(path, key.clone(), height);
        let (answer, ops) = match until_deadline(BLIP, ask).await {
            Ok((answer, ops)) if is_proof(&answer, height) && !ops.is_empty() => (answer, ops),
            Ok((answer, _)) => {
                let log = excerpt(&answer.log);
                let why = format!("the node gives no proof at height {height}: {log}");
                return Ok(Trust::Unverified(why));
            }
            Err(failure) => return Ok(Trust::Unverified(failure.message)),
        };
        if answer.value != genesis.stored {
            return Err(refuse(
                id,
                "the node's answer is not what lies in its store",
            ));
        }
        let next = Height(height.0 + 1);
        let header = match until_deadline(NEXT_HEADER, || self.kept_header(next)).await {
            Ok(header) => header,
            Err(failure) => return Ok(Trust::Unverified(failure.message)),
        };
        match verify_stored(&header.app_hash, "provider", &key, &answer.value, &ops) {
            Ok(()) => Ok(Trust::Proved(header.height)),
            Err(error) => Err(refuse(
                id,
                &format!(
                    "its proof against the application hash of block {} is false: {error}",
                    header.height
                ),
            )),
        }
    }

    /// A header; that it is no longer kept is final.
    async fn kept_header(&self, height: Height) -> Result<Header, Failure> {
        self.rpc.header(height).await.map_err(|failure| {
            if is_gone(&failure) {
                Failure::permanent(failure.message)
            } else {
                failure
            }
        })
    }
}

/// Whether an answer has a value of the height asked for.
fn is_proof(answer: &QueryAnswer, height: Height) -> bool {
    answer.code == 0 && answer.height == height && !answer.value.is_empty()
}
