//! Waiting between attempts: growing, jittered, capped.
//!
//! The `backoff` crate does the arithmetic and is named nowhere else, so that it can be replaced.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use ics_core::failure::{Failure, FailureKind};
use tokio::time::Instant;

/// The first wait of [`until_deadline`].
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait of [`until_deadline`].
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A sequence of waits: the first about `min`, each about twice the one before, none above `max`.
#[derive(Debug)]
pub struct Backoff(ExponentialBackoff);

impl Backoff {
    /// Starts a sequence; a `min` below 1 ms counts as 1 ms, a `max` below `min` as `min`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let min = min.max(Duration::from_millis(1));
        Self(ExponentialBackoff {
            current_interval: min,
            initial_interval: min,
            // Up to a fifth sooner or later, so that many clients of one node spread out.
            randomization_factor: 0.2,
            multiplier: 2.0,
            max_interval: max.max(min),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// Returns how long to wait now.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends and never fails, so it is no iterator"
    )]
    pub fn next(&mut self) -> Duration {
        let max = self.0.max_interval;
        // `None` would mean that a time limit passed; there is none.
        self.0.next_backoff().unwrap_or(max).min(max)
    }

    /// Starts again from `min`, after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

/// Repeats an operation while it fails with [`FailureKind::Transient`], at most for this long.
///
/// A running attempt is never cut off, because its effect would then be unknown; each is expected
/// to have a time limit of its own.
///
/// # Errors
/// The first failure of another kind at once; the last transient one when the time is over.
pub async fn until_deadline<T, F>(
    deadline: Duration,
    mut operation: impl FnMut() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let start = Instant::now();
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let failure = match operation().await {
            Err(failure) if failure.kind == FailureKind::Transient => failure,
            definite => return definite,
        };
        let left = deadline.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(failure);
        }
        tokio::time::sleep(backoff.next().min(left)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_start_again() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max);
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits[0] <= min.mul_f64(1.21), "{waits:?}");
        assert!(waits[2] > waits[0], "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= max), "{waits:?}");
        assert!(waits[19] >= max.mul_f64(0.79), "{waits:?}");
        backoff.reset();
        assert!(backoff.next() <= min.mul_f64(1.21));
    }

    #[test]
    fn odd_bounds_still_give_a_wait() {
        let mut backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert!((0..10).all(|_| !backoff.next().is_zero()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_repeated_until_it_passes() {
        let mut attempts = 0;
        let answer = until_deadline(Duration::from_secs(60), || {
            attempts += 1;
            let answer = match attempts {
                3 => Ok("done"),
                _ => Err(Failure::transient("not yet")),
            };
            async move { answer }
        });
        assert_eq!(answer.await, Ok("done"));
        assert_eq!(attempts, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_it_with_the_last_failure() {
        let start = Instant::now();
        let deadline = Duration::from_secs(60);
        let answer: Result<(), _> =
            until_deadline(deadline, || async { Err(Failure::transient("down")) }).await;
        assert_eq!(answer, Err(Failure::transient("down")));
        assert!(start.elapsed() >= deadline && start.elapsed() < deadline * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_end_it_at_once() {
        for failure in [Failure::permanent("no"), Failure::unknown("maybe")] {
            let start = Instant::now();
            let answer: Result<(), _> = until_deadline(Duration::from_secs(60), || {
                let failure = failure.clone();
                async { Err(failure) }
            })
            .await;
            assert_eq!(answer, Err(failure));
            assert!(start.elapsed().is_zero());
        }
    }
}
