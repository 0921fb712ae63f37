//! When things are done again: intervals, retry delays, deadlines.
//!
//! | what | when | key |
//! |---|---|---|
//! | scan of all phases | every 30 s | `sync` |
//! | list of our nodes | every 10 s | `nodes` |
//! | consumers we take part in, or may be drawn into (top N) | every 30 s | `refresh` |
//! | all other consumers | every 10 min, or one of them every 3 s if there are more than 200 | `survey` |
//! | no headers: time alone makes us ask | after 10 s | `silence` |
//! | then, a consumer in its last minute before spawn | every 5 s | `countdown`, `countdown_from` |
//! | then, a due consumer | every 1 s for 30 s, every 5 s until 2 min, then every 30 s | `poll_*` |
//! | readiness | every 60 s; every 5 s while something is missing | `ready`, `not_ready` |
//! | the consumer's own set while we leave or our key changes | every 10 s | `leaving` |
//! | after a failure | 1 s, 2 s, 4 s … 60 s, plus up to a quarter by consumer id | `retry_first`, `retry_most` |
//! | after a permanent failure | 60 s, plus up to a quarter by consumer id | `retry_most` |
//!
//! While headers flow, launches and deletions are read in the block that brings them, so counting
//! down and polling are for their absence alone. Not to be set, because what carries actions out
//! counts on them: an answer to a query may take 30 s, any other action 10 min.

use std::time::Duration;

use crate::consumer::Kind;
use crate::failure::FailureKind;
use crate::id::ConsumerId;

/// After how many failures in a row a consumer counts as unreadable; until then even a failure that
/// seems permanent is soon tried again, because others wait.
pub(crate) const UNREADABLE: u32 = 5;
/// How many blocks after the first sight of a deletion it must be seen again.
pub(crate) const DELETION_BLOCKS: u64 = 10;

/// For how many blocks after it was signed a transaction of ours may be in one: who sends it sets
/// its timeout height so.
pub const TX_BLOCKS: u64 = 20;

/// How long an answer to a query may take.
pub(crate) const QUERY_DEADLINE: Duration = Duration::from_secs(30);
/// How long any other action may take.
pub(crate) const ACTION_DEADLINE: Duration = Duration::from_secs(600);

/// Of consumers that we take no part in, at most one is read again in this time: each costs the
/// node four calls, and there may be ten thousand.
const SURVEY_EACH: Duration = Duration::from_secs(3);

/// The shortest interval: less would keep a provider node busy with nothing.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest interval: more would be never.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How often things are done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How often the phases of all consumers are scanned.
    pub sync: Duration,
    /// How often our nodes are listed.
    pub nodes: Duration,
    /// How often a consumer that we take part in is read again, whatever events say.
    pub refresh: Duration,
    /// How often any other consumer is read again, as a net under changes that no event tells.
    /// More than one in 3 s are never read.
    pub survey: Duration,
    /// How long without a header before time alone makes us ask.
    pub silence: Duration,
    /// Without headers: how often a consumer about to launch is read.
    pub countdown: Duration,
    /// How long before spawn that begins.
    pub countdown_from: Duration,
    /// Without headers: how often a consumer whose time has come is read at first.
    pub poll_fast: Duration,
    /// How long after its time that lasts.
    pub poll_fast_until: Duration,
    /// How often it is read then.
    pub poll_medium: Duration,
    /// How long after its time that lasts.
    pub poll_medium_until: Duration,
    /// How often it is read from then on.
    pub poll_slow: Duration,
    /// How long a successful readiness check holds.
    pub ready: Duration,
    /// How soon a failed readiness check is repeated.
    pub not_ready: Duration,
    /// How often a consumer's own validator set is read while we leave it or our key there changes.
    pub leaving: Duration,
    /// How long to wait after the first failure; doubled after each further one.
    pub retry_first: Duration,
    /// The longest wait after a failure, and that after a permanent one.
    pub retry_most: Duration,
}

/// An interval that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Longer than one that it must not exceed.
    #[error("schedule.{0} is {1:?}, longer than schedule.{2}, {3:?}")]
    Order(&'static str, Duration, &'static str, Duration),
    /// Too short or too long.
    #[error("schedule.{0} is {1:?}; it must lie between 100ms and 24h")]
    Range(&'static str, Duration),
}

impl Default for Schedule {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Schedule {
    /// The intervals of the table above.
    pub const DEFAULT: Self = Self {
        sync: Duration::from_secs(30),
        nodes: Duration::from_secs(10),
        refresh: Duration::from_secs(30),
        survey: Duration::from_secs(600),
        silence: Duration::from_secs(10),
        countdown: Duration::from_secs(5),
        countdown_from: Duration::from_secs(60),
        poll_fast: Duration::from_secs(1),
        poll_fast_until: Duration::from_secs(30),
        poll_medium: Duration::from_secs(5),
        poll_medium_until: Duration::from_secs(120),
        poll_slow: Duration::from_secs(30),
        ready: Duration::from_secs(60),
        not_ready: Duration::from_secs(5),
        leaving: Duration::from_secs(10),
        retry_first: Duration::from_secs(1),
        retry_most: Duration::from_secs(60),
    };

    /// Checks that every interval can be kept and that they grow where they have to.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self) -> Result<(), ScheduleError> {
        let all = [
            ("sync", self.sync),
            ("nodes", self.nodes),
            ("refresh", self.refresh),
            ("survey", self.survey),
            ("silence", self.silence),
            ("countdown", self.countdown),
            ("countdown_from", self.countdown_from),
            ("poll_fast", self.poll_fast),
            ("poll_fast_until", self.poll_fast_until),
            ("poll_medium", self.poll_medium),
            ("poll_medium_until", self.poll_medium_until),
            ("poll_slow", self.poll_slow),
            ("ready", self.ready),
            ("not_ready", self.not_ready),
            ("leaving", self.leaving),
            ("retry_first", self.retry_first),
            ("retry_most", self.retry_most),
        ];
        let mut out_of_range = all
            .iter()
            .filter(|(_, every)| !(SHORTEST..=LONGEST).contains(every));
        if let Some((key, every)) = out_of_range.next() {
            return Err(ScheduleError::Range(key, *every));
        }
        let growing = [
            ("poll_fast", self.poll_fast, "poll_medium", self.poll_medium),
            ("poll_medium", self.poll_medium, "poll_slow", self.poll_slow),
            (
                "poll_fast_until",
                self.poll_fast_until,
                "poll_medium_until",
                self.poll_medium_until,
            ),
            ("not_ready", self.not_ready, "ready", self.ready),
            (
                "retry_first",
                self.retry_first,
                "retry_most",
                self.retry_most,
            ),
        ];
        match growing.into_iter().find(|(_, less, _, more)| less > more) {
            Some((key, less, than, more)) => Err(ScheduleError::Order(key, less, than, more)),
            None => Ok(()),
        }
    }

    /// How long to wait between two looks at a consumer that has been due for `since`.
    pub(crate) fn poll(&self, since: Duration) -> Duration {
        if since < self.poll_fast_until {
            self.poll_fast
        } else if since < self.poll_medium_until {
            self.poll_medium
        } else {
            self.poll_slow
        }
    }

    /// How long until a consumer that we take no part in is read again, when there are `count`.
    pub(crate) fn survey(&self, count: usize, consumer_id: ConsumerId) -> Duration {
        let all = SURVEY_EACH.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        let base = self.survey.max(all);
        base + spread(consumer_id, base / 4)
    }

    /// How long to wait after the `failures`-th failure in a row (1 for the first).
    pub(crate) fn retry(
        &self,
        kind: FailureKind,
        failures: u32,
        consumer_id: ConsumerId,
    ) -> Duration {
        let base = match kind {
            FailureKind::Permanent => self.retry_most,
            FailureKind::Transient | FailureKind::Unknown => {
                let doubled = 1_u32 << failures.saturating_sub(1).min(20);
                self.retry_first.saturating_mul(doubled)
            }
        };
        let base = base.min(self.retry_most);
        base + spread(consumer_id, base / 4)
    }
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

    const DEFAULT: Schedule = Schedule::DEFAULT;

    #[test]
    fn retries_grow_to_a_minute_and_are_spread_by_id() {
        let delay =
            |failures, id| DEFAULT.retry(FailureKind::Transient, failures, ConsumerId::new(id));
        assert_eq!(delay(1, 0), Duration::from_secs(1));
        assert_eq!(delay(4, 0), Duration::from_secs(8));
        assert_eq!(delay(u32::MAX, 0), Duration::from_secs(60));
        assert_ne!(delay(1, 1), delay(1, 2));
        assert!(delay(9, 77) <= Duration::from_secs(75));
        let permanent = DEFAULT.retry(FailureKind::Permanent, 1, ConsumerId::new(0));
        assert_eq!(permanent, Duration::from_secs(60));
    }

    #[test]
    fn retries_never_exceed_what_is_set() {
        let slow = Schedule {
            retry_first: Duration::from_secs(24 * 3600),
            retry_most: Duration::from_secs(24 * 3600),
            ..DEFAULT
        };
        let delay = slow.retry(FailureKind::Unknown, u32::MAX, ConsumerId::new(0));
        assert_eq!(delay, Duration::from_secs(24 * 3600));
    }

    #[test]
    fn a_survey_costs_at_most_one_reading_in_three_seconds() {
        let every = |count| DEFAULT.survey(count, ConsumerId::new(0)).as_secs();
        assert_eq!((every(3), every(200), every(10_000)), (600, 600, 30_000));
        assert!(DEFAULT.survey(3, ConsumerId::new(77)) <= Duration::from_secs(750));
    }

    #[test]
    fn polling_slows_down() {
        let at = |seconds| DEFAULT.poll(Duration::from_secs(seconds)).as_secs();
        assert_eq!((at(0), at(29), at(30), at(119), at(120)), (1, 1, 5, 5, 30));
    }

    #[test]
    fn an_interval_of_nothing_or_of_more_than_a_day_is_refused() {
        assert_eq!(DEFAULT.check(), Ok(()));
        for every in [Duration::ZERO, Duration::from_millis(99), Duration::MAX] {
            let schedule = Schedule {
                sync: every,
                ..DEFAULT
            };
            assert_eq!(schedule.check(), Err(ScheduleError::Range("sync", every)));
            let schedule = Schedule {
                retry_most: every,
                ..DEFAULT
            };
            assert_eq!(
                schedule.check(),
                Err(ScheduleError::Range("retry_most", every))
            );
        }
    }

    #[test]
    fn intervals_that_have_to_grow_do() {
        let second = Duration::from_secs(1);
        let wrong = [
            Schedule {
                poll_fast: 6 * second,
                ..DEFAULT
            },
            Schedule {
                poll_medium: 31 * second,
                ..DEFAULT
            },
            Schedule {
                poll_fast_until: 121 * second,
                ..DEFAULT
            },
            Schedule {
                not_ready: 61 * second,
                ..DEFAULT
            },
            Schedule {
                retry_first: 61 * second,
                ..DEFAULT
            },
        ];
        for schedule in wrong {
            let error = schedule.check().expect_err("not growing").to_string();
            assert!(error.contains("longer than schedule."), "{error}");
        }
    }
}
