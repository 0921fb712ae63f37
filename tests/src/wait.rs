//! Waiting on conditions, always with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Error;

/// Time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks with `probe` until it gives a value, and returns that value.
///
/// An error of `probe` means "not yet" and is kept as the last thing seen: nodes refuse
/// connections while they start. To give up early, let the value be a `Result`.
///
/// # Errors
/// [`Error::Timeout`] when `timeout` has passed; it names `what` and the last thing seen.
pub async fn until<T, F>(what: &str, timeout: Duration, mut probe: F) -> Result<T, Error>
where
    F: AsyncFnMut() -> Result<Option<T>, Error>,
{
    let start = Instant::now();
    loop {
        // A probe which hangs must not outlive the deadline either.
        let left = timeout.saturating_sub(start.elapsed()).max(PAUSE);
        let last = match tokio::time::timeout(left, probe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => "not yet".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if start.elapsed() >= timeout {
            return Err(Error::Timeout {
                what: what.to_owned(),
                waited: start.elapsed(),
                last,
            });
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_names_the_condition_and_the_last_observation() {
        let seen = until::<(), _>("height 7", Duration::from_millis(60), async || {
            Err(Error::Reply("height 3".into()))
        });
        let text = seen
            .await
            .expect_err("the probe never succeeds")
            .to_string();
        assert!(text.contains("for height 7; last seen: height 3"), "{text}");
    }

    #[tokio::test]
    async fn a_value_ends_the_wait() {
        let mut looks = 0;
        let value = until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(value.await.expect("three looks take 100 ms"), 3);
    }
}
