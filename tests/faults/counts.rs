//! What went wrong: in which order in one run, and how often over all of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The faults of one run, with the milliseconds since its beginning.
#[derive(Debug)]
pub(crate) struct Counts {
    began: Instant,
    noted: Mutex<Vec<(u128, &'static str)>>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            noted: Mutex::default(),
        }
    }
}

impl Counts {
    pub(crate) fn note(&self, kind: &'static str) {
        let at = self.began.elapsed().as_millis();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push((at, kind));
    }

    /// All of them, in order.
    pub(crate) fn all(&self) -> Vec<(u128, &'static str)> {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.clone()
    }

    /// Adds how often each kind happened.
    pub(crate) fn add_to(&self, sum: &mut BTreeMap<&'static str, u64>) {
        for (_, kind) in self.all() {
            *sum.entry(kind).or_default() += 1;
        }
    }
}
