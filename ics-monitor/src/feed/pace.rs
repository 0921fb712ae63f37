//! How long a chain's blocks take, to tell a slow chain from a dead connection.

use std::collections::VecDeque;
use std::time::Duration;

/// How many intervals are remembered.
const REMEMBERED: usize = 9;

/// The intervals between the last blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(VecDeque<Duration>);

impl Pace {
    /// Notes the interval between two blocks.
    pub(super) fn note(&mut self, interval: Duration) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(interval);
    }

    /// Whether nothing was noted yet.
    pub(super) fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// The median interval, which one halt of the chain does not move; zero if unknown.
    pub(super) fn interval(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_last_blocks_counts() {
        let mut pace = Pace::default();
        assert!(pace.is_unknown() && pace.interval().is_zero());
        pace.note(Duration::from_secs(3600));
        assert_eq!(pace.interval(), Duration::from_secs(3600));
        for _ in 0..3 {
            pace.note(Duration::from_secs(6));
        }
        assert_eq!(pace.interval(), Duration::from_secs(6));
        for _ in 0..REMEMBERED {
            pace.note(Duration::from_secs(1));
        }
        assert_eq!(pace.interval(), Duration::from_secs(1));
    }
}
