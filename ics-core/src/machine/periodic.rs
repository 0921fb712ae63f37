//! What is done again and again for all consumers together.

use std::time::Duration;

use crate::action::OpId;
use crate::schedule;
use crate::time::UnixTime;

/// One such thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Periodic {
    /// When it is next to be started; `None`: now.
    next: Option<UnixTime>,
    running: Option<(OpId, UnixTime)>,
    pub(super) done_once: bool,
}

impl Periodic {
    /// Wants it started without waiting for its turn.
    pub(super) fn hurry(&mut self) {
        self.next = None;
    }

    /// Whether it has to be started now; a started one that gave no answer in time is given up.
    pub(super) fn is_due(&mut self, now: UnixTime) -> bool {
        if self.running.is_some_and(|(_, deadline)| deadline <= now) {
            self.running = None;
        }
        self.running.is_none() && self.next.is_none_or(|next| next <= now)
    }

    pub(super) fn start(&mut self, op: OpId, now: UnixTime, every: Duration) {
        self.running = Some((op, now + schedule::QUERY_DEADLINE));
        self.next = Some(now + every);
    }

    /// Takes note that an action ended; whether it was this.
    pub(super) fn ended(&mut self, op: OpId) -> bool {
        let ours = self.running.is_some_and(|(running, _)| running == op);
        if ours {
            self.running = None;
        }
        ours
    }

    pub(super) fn wake(&self) -> Option<UnixTime> {
        self.running.map(|(_, deadline)| deadline).or(self.next)
    }
}

/// Wall time that never goes back.
///
/// A clock that is set back by a day would make everything wait that day longer.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    last: Option<UnixTime>,
    set_back: Duration,
}

impl Clock {
    /// The machine's own time at this wall time.
    pub(super) fn read(&mut self, wall: UnixTime) -> UnixTime {
        let now = wall + self.set_back;
        let now = match self.last {
            Some(last) if now < last => {
                self.set_back = self.set_back.saturating_add(last.since(now));
                last
            }
            _ => now,
        };
        self.last = Some(now);
        now
    }

    /// The wall time at which the machine's own time will be this.
    pub(super) fn wall(&self, time: UnixTime) -> UnixTime {
        time - self.set_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_stretches_nothing() {
        let mut clock = Clock::default();
        let at = |seconds| UnixTime::new(seconds, 0);
        assert_eq!(clock.read(at(100)), at(100));
        assert_eq!(clock.read(at(40)), at(100));
        assert_eq!(clock.wall(at(105)), at(45));
        assert_eq!(clock.read(at(45)), at(105));
    }
}
