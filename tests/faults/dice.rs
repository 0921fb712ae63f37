//! Chance from a seed: the same seed gives the same story, and the same throws for whoever asks first.

use std::sync::Mutex;
use std::time::Duration;

/// A source of chance (SplitMix64).
#[derive(Debug)]
pub(crate) struct Dice(Mutex<u64>);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().expect("no panic holds it");
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..sides`.
    pub(crate) fn roll(&self, sides: u64) -> u64 {
        self.next() % sides
    }

    /// Whether something happens that does so this often in a thousand times.
    pub(crate) fn happens(&self, in_a_thousand: u64) -> bool {
        self.roll(1000) < in_a_thousand
    }

    /// A time between two.
    pub(crate) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.roll(to - from))
    }
}
