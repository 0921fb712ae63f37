//! Waiting until it is known whether a transaction is in a block.

use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::time::Height;
use tokio::time::Instant;

use super::document::Signed;
use super::error::TxError;
use super::query::{self, Seat};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Judges a transaction that a lookup has just not found.
    async fn fate(&self, signed: &Signed, sequence_taken: &mut Option<Height>) -> Fate {
        match query::account(&self.rpc, &self.account.address_text()).await {
            Ok(seat) => judge(seat, signed, sequence_taken),
            Err(failure) => {
                tracing::debug!(%failure, "cannot read the account");
                Fate::Waiting
            }
        }
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

/// Judges by the account's sequence number; `sequence_taken` keeps where it was first seen used.
fn judge(seat: Seat, signed: &Signed, sequence_taken: &mut Option<Height>) -> Fate {
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

fn never(signed: &Signed) -> Failure {
    Failure::transient(format!(
        "transaction {} was not included in a block up to {}, its last; it may be sent again",
        hex::encode_upper(signed.hash),
        signed.timeout_height
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges a transaction with sequence 5 and timeout height 100 by (sequence, height) in turn.
    fn fates(seats: &[(u64, u64)]) -> Vec<Fate> {
        let signed = Signed {
            bytes: Vec::new(),
            hash: [0; 32],
            sequence: 5,
            timeout_height: Height(100),
        };
        let mut taken = None;
        let seats = seats.iter().map(|(sequence, height)| Seat {
            number: 1,
            sequence: *sequence,
            height: Height(*height),
        });
        seats.map(|seat| judge(seat, &signed, &mut taken)).collect()
    }

    #[test]
    fn an_unused_number_after_the_last_block_proves_that_it_never_comes() {
        use Fate::{Never, Waiting};
        assert_eq!(
            fates(&[(5, 80), (5, 99), (5, 100)]),
            [Waiting, Waiting, Never]
        );
        // A node behind, asked after one that is not, proves nothing.
        assert_eq!(fates(&[(4, 99)]), [Waiting]);
    }

    #[test]
    fn a_used_number_leaves_the_index_two_blocks_and_then_proves_nothing() {
        use Fate::{Unknown, Waiting};
        assert_eq!(
            fates(&[(6, 90), (6, 91), (7, 92)]),
            [Waiting, Waiting, Unknown]
        );
        assert_eq!(
            fates(&[(6, 100), (6, 101), (6, 102)]),
            [Waiting, Waiting, Unknown]
        );
    }
}
