//! When things are done again: intervals, retry delays, deadlines.
//!
//! | what | when |
//! |---|---|
//! | scan of all phases | every 30 s |
//! | list of our nodes | every 10 s |
//! | consumers we take part in | every 30 s |
//! | a due consumer while no headers arrive | every 1 s for 30 s, every 5 s for 2 min, then 30 s |
//! | after a failure | 1 s, 2 s, 4 s … 60 s, plus up to a quarter by consumer id |
//! | after a permanent failure | 60 s |

use std::time::Duration;

use crate::failure::FailureKind;
use crate::id::ConsumerId;

/// How often all phases are scanned.
pub(crate) const SCAN: Duration = Duration::from_secs(30);
/// How often our nodes are listed.
pub(crate) const LIST: Duration = Duration::from_secs(10);
/// How often a consumer that we take part in is read again, whatever events say.
pub(crate) const REFRESH: Duration = Duration::from_secs(30);
/// How long a successful readiness check holds.
pub(crate) const READY: Duration = Duration::from_secs(60);
/// How soon a failed readiness check is repeated.
pub(crate) const NOT_READY: Duration = Duration::from_secs(5);
/// How often a consumer's own validator set is read while we leave it.
pub(crate) const LEAVING: Duration = Duration::from_secs(10);
/// How long without a header before time alone makes us ask.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// After how many failures in a row a consumer counts as unreadable.
pub(crate) const UNREADABLE: u32 = 5;
/// How many blocks after the first sight of a deletion it must be seen again.
pub(crate) const DELETION_BLOCKS: u64 = 10;

/// How long an answer to a query may take.
pub(crate) const QUERY_DEADLINE: Duration = Duration::from_secs(30);
/// How long any other action may take.
pub(crate) const ACTION_DEADLINE: Duration = Duration::from_secs(600);

/// How long to wait between two looks at a consumer that has been due for `since`.
pub(crate) fn poll(since: Duration) -> Duration {
    Duration::from_secs(match since.as_secs() {
        0..30 => 1,
        30..120 => 5,
        _ => 30,
    })
}

/// How long to wait after the `failures`-th failure in a row (1 for the first).
pub(crate) fn retry(kind: FailureKind, failures: u32, consumer_id: ConsumerId) -> Duration {
    let base = match kind {
        FailureKind::Permanent => 60_000,
        FailureKind::Transient | FailureKind::Unknown => {
            1000_u64 << failures.saturating_sub(1).min(6)
        }
    };
    let base = base.min(60_000);
    // Spread by id instead of chance: same inputs, same actions.
    let spread = consumer_id.number().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_millis(base + spread % (base / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_grow_to_a_minute_and_are_spread_by_id() {
        let delay = |failures, id| retry(FailureKind::Transient, failures, ConsumerId::new(id));
        assert_eq!(delay(1, 0), Duration::from_secs(1));
        assert_eq!(delay(4, 0), Duration::from_secs(8));
        assert_eq!(delay(u32::MAX, 0), Duration::from_secs(60));
        assert_ne!(delay(1, 1), delay(1, 2));
        assert!(delay(9, 77) <= Duration::from_secs(75));
    }

    #[test]
    fn polling_slows_down() {
        let at = |seconds| poll(Duration::from_secs(seconds)).as_secs();
        assert_eq!((at(0), at(29), at(30), at(119), at(120)), (1, 1, 5, 5, 30));
    }
}
