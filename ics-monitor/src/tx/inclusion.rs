//! Waiting until it is known whether a transaction is in a block.

use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::time::Height;
use tokio::time::Instant;

use super::document::Signed;
use super::error::TxError;
use super::query;
use super::{Included, Sender};
use crate::retry::Backoff;
use crate::rpc::TxResult;

/// The first and the longest wait between two looks at the chain.
const POLL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// After this long the same bytes are handed in again: a node that restarts forgets its mempool.
const HAND_IN_AGAIN: Duration = Duration::from_secs(3);

/// The index of transactions follows the blocks; after this many it is taken to be complete.
const INDEX_LAG: u64 = 2;

/// What is known of a transaction that is not seen in a block.
enum Fate {
    /// It will never be in a block.
    Never,
    /// Another transaction may have taken its sequence number; or it was not indexed.
    Unknown,
    /// It may still come.
    Waiting,
}

impl Sender {
    /// Waits until a transaction that was handed in is in a block.
    pub(super) async fn included(&self, signed: &Signed) -> Result<Included, TxError> {
        let start = Instant::now();
        let mut handed_in = start;
        let mut sequence_taken = None;
        let mut backoff = Backoff::new(POLL.0, POLL.1);
        loop {
            tokio::time::sleep(backoff.next()).await;
            match self.rpc.tx(signed.hash).await {
                Ok(Some(result)) => return self.verdict(signed, result),
                Ok(None) => {}
                Err(failure) => tracing::debug!(%failure, "cannot look up a transaction"),
            }
            match self.fate(signed, &mut sequence_taken).await {
                Fate::Never => return Err(never(signed).into()),
                Fate::Unknown => return Err(TxError::Unknown { hash: signed.hash }),
                Fate::Waiting if start.elapsed() >= self.timeout.patience => {
                    return Err(TxError::Unknown { hash: signed.hash });
                }
                Fate::Waiting => {}
            }
            if sequence_taken.is_none() && handed_in.elapsed() >= HAND_IN_AGAIN {
                handed_in = Instant::now();
                // Whatever it answers, only a block or the sequence number decides.
                if let Err(failure) = self.rpc.broadcast(signed.bytes.clone()).await {
                    tracing::debug!(%failure, "handed in a transaction again");
                }
            }
        }
    }

    /// Judges a transaction that a lookup has just not found, by the account's sequence number.
    ///
    /// `sequence_taken` keeps the first height at which the number was seen used.
    async fn fate(&self, signed: &Signed, sequence_taken: &mut Option<Height>) -> Fate {
        let seat = match query::account(&self.rpc, &self.account.address_text()).await {
            Ok(seat) => seat,
            Err(failure) => {
                tracing::debug!(%failure, "cannot read the account");
                return Fate::Waiting;
            }
        };
        if seat.sequence > signed.sequence {
            let since = *sequence_taken.get_or_insert(seat.height);
            if seat.height.0 >= since.0.saturating_add(INDEX_LAG) {
                return Fate::Unknown;
            }
        } else if seat.height >= signed.timeout_height {
            // The state after the last block that it could be in: the number is still unused.
            return Fate::Never;
        }
        Fate::Waiting
    }

    fn verdict(&self, signed: &Signed, result: TxResult) -> Result<Included, TxError> {
        let hash = hex::encode_upper(signed.hash);
        tracing::info!(%hash, height = result.height.0, code = result.code, "a transaction is in a block");
        if result.code == 0 {
            return Ok(Included {
                height: result.height,
                hash: signed.hash,
                events: result.events,
            });
        }
        Err(TxError::rejected(
            result.codespace,
            result.code,
            &result.log,
            Some(result.height),
            self.account.address_text(),
        ))
    }
}

fn never(signed: &Signed) -> Failure {
    Failure::transient(format!(
        "transaction {} was not included in a block up to {}, its last; it may be sent again",
        hex::encode_upper(signed.hash),
        signed.timeout_height
    ))
}
