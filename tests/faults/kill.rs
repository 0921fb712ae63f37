//! The death of the monitor at a boundary of its actions: before a call to the world, or after it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::Notify;

/// Counts boundaries and ends the monitor at one of them.
#[derive(Debug, Default)]
pub(crate) struct Kill {
    /// How many boundaries are left; below 1: none is the one.
    left: AtomicI64,
    /// Whether the next transaction is the one.
    broadcast: AtomicBool,
    now: Notify,
    /// Whether it is the death of this whole process.
    real: bool,
}

impl Kill {
    /// Ends this process, as nothing can be done against.
    pub(crate) fn real() -> Self {
        Self {
            real: true,
            ..Self::default()
        }
    }

    /// The monitor dies at the boundary after so many others.
    pub(crate) fn after(&self, boundaries: u64) {
        let boundaries = i64::try_from(boundaries).unwrap_or(i64::MAX - 1);
        self.left.store(boundaries + 1, Ordering::Relaxed);
    }

    /// The monitor dies when it next hands in a transaction.
    pub(crate) fn at_broadcast(&self) {
        self.broadcast.store(true, Ordering::Relaxed);
    }

    /// The monitor dies at no boundary.
    pub(crate) fn never(&self) {
        self.broadcast.store(false, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
    }

    /// Whether this boundary is the one; the monitor is then as good as dead.
    fn strikes(&self) -> bool {
        let struck = self.left.fetch_sub(1, Ordering::Relaxed) == 1;
        if struck && self.real {
            let killed = kill_process(getpid(), Signal::KILL);
            unreachable!("still here: {killed:?}");
        }
        if struck {
            self.now.notify_one();
        }
        struck
    }

    /// Whether this transaction is the one.
    pub(crate) fn strikes_at_broadcast(&self) -> bool {
        let struck = self.broadcast.swap(false, Ordering::Relaxed);
        if struck {
            self.now.notify_one();
        }
        struck
    }

    /// A boundary: whoever comes here and dies does nothing more.
    pub(crate) async fn boundary(&self) {
        if self.strikes() {
            std::future::pending().await
        }
    }

    /// Is done when the monitor is to die.
    pub(crate) async fn struck(&self) {
        self.now.notified().await;
    }
}
