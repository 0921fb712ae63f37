//! When things are done again: intervals, retry delays, deadlines.
//!
//! | what | when |
//! |---|---|
//! | scan of all phases | every 30 s |
//! | list of our nodes | every 10 s |
//! | consumers we take part in | every 30 s |
//! | all other consumers | every 10 min, or every second one of them if there are more than 600 |
//! | a due consumer while no headers arrive | every 1 s for 30 s, every 5 s for 2 min, then 30 s |
//! | after a failure | 1 s, 2 s, 4 s … 60 s, plus up to a quarter by consumer id |
//! | after a permanent failure | 60 s, plus up to a quarter by consumer id |

use std::time::Duration;

use crate::consumer::Kind;
use crate::failure::FailureKind;
use crate::id::ConsumerId;

/// How often all phases are scanned.
pub(crate) const SCAN: Duration = Duration::from_secs(30);
/// How often our nodes are listed.
pub(crate) const LIST: Duration = Duration::from_secs(10);
/// How often a consumer that we take part in is read again, whatever events say.
pub(crate) const REFRESH: Duration = Duration::from_secs(30);
/// How often any other consumer is read again: the net under lost events and silent changes, such
/// as the opt-in of a new top N validator.
const SURVEY: Duration = Duration::from_secs(600);
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

/// How long until a consumer that we take no part in is read again, when there are `count`.
pub(crate) fn survey(count: usize, consumer_id: ConsumerId) -> Duration {
    let each = Duration::from_secs(u64::try_from(count).unwrap_or(u64::MAX));
    let base = SURVEY.max(each);
    base + spread(consumer_id, base / 4)
}

/// How many actions of a kind are under way at once, for all consumers together.
///
/// The account sends one transaction at a time, and one that waited elsewhere for its turn would
/// be given up and sent again. Questions are limited so that thousands of them, after a restart,
/// do not wait for each other until their time is over.
pub(crate) const fn at_once(kind: Kind) -> usize {
    match kind {
        Kind::Ask | Kind::Look => 64,
        Kind::Send => 1,
        Kind::Check | Kind::Delete | Kind::Deploy | Kind::Genesis | Kind::Key => usize::MAX,
    }
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
    let base = Duration::from_millis(base);
    base + spread(consumer_id, base / 4)
}

/// A part of `range` that differs from consumer to consumer; by id instead of by chance, for same
/// inputs give same actions.
fn spread(consumer_id: ConsumerId, range: Duration) -> Duration {
    let mixed = consumer_id.number().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let millis = u64::try_from(range.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(mixed % millis)
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
    fn a_survey_costs_at_most_one_reading_a_second() {
        let every = |count| survey(count, ConsumerId::new(0)).as_secs();
        assert_eq!((every(3), every(600), every(10_000)), (600, 600, 10_000));
        assert!(survey(3, ConsumerId::new(77)) <= Duration::from_secs(750));
    }

    #[test]
    fn polling_slows_down() {
        let at = |seconds| poll(Duration::from_secs(seconds)).as_secs();
        assert_eq!((at(0), at(29), at(30), at(119), at(120)), (1, 1, 5, 5, 30));
    }
}
