//! Heights and instants, always given and never read from a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A block height of the provider (or, where said, of a consumer).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Height(pub u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An instant as protobuf's `Timestamp` has it; Go's zero time (year 1) included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime {
    seconds: i64,
    nanos: u32,
}

impl UnixTime {
    /// Go's zero `time.Time`, which the provider stores where no spawn time is set.
    pub const GO_ZERO: Self = Self {
        seconds: -62_135_596_800,
        nanos: 0,
    };

    /// The instant this many seconds and nanoseconds after 1970; nanoseconds above 999,999,999 are
    /// cut to that.
    #[must_use]
    pub const fn new(seconds: i64, nanos: u32) -> Self {
        Self {
            seconds,
            nanos: if nanos > 999_999_999 {
                999_999_999
            } else {
                nanos
            },
        }
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let seconds = self.seconds.abs_diff(earlier.seconds);
        Duration::from_secs(seconds) + Duration::from_nanos(u64::from(self.nanos))
            - Duration::from_nanos(u64::from(earlier.nanos))
    }

    /// Reads RFC 3339, as genesis files and CometBFT write times.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self {
            seconds: time.unix_timestamp(),
            nanos: time.nanosecond(),
        })
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = self.nanos + duration.subsec_nanos();
        Self {
            seconds: self
                .seconds
                .saturating_add_unsigned(duration.as_secs())
                .saturating_add(i64::from(nanos / 1_000_000_000)),
            nanos: nanos % 1_000_000_000,
        }
    }
}

impl Sub<Duration> for UnixTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let (borrow, nanos) = match self.nanos.checked_sub(duration.subsec_nanos()) {
            Some(nanos) => (0, nanos),
            None => (1, self.nanos + 1_000_000_000 - duration.subsec_nanos()),
        };
        Self {
            seconds: self
                .seconds
                .saturating_sub_unsigned(duration.as_secs())
                .saturating_sub(borrow),
            nanos,
        }
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339 in UTC; seconds since 1970 where the year has no four digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
        let text = OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}.{:09}", self.seconds, self.nanos),
        }
    }
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_numbers_agree() {
        assert_eq!(UnixTime::GO_ZERO.to_string(), "0001-01-01T00:00:00Z");
        let text = "2026-11-21T08:02:22.731004Z";
        let time = UnixTime::from_rfc3339(text).expect("RFC 3339");
        assert_eq!(time.to_string(), text);
        assert_eq!(time.nanos(), 731_004_000);
    }

    #[test]
    fn differences_borrow_and_sums_carry() {
        let early = UnixTime::new(10, 900_000_000);
        let late = UnixTime::new(12, 100_000_000);
        assert_eq!(late.since(early), Duration::from_millis(1200));
        assert_eq!(early + Duration::from_millis(1200), late);
        assert_eq!(late - Duration::from_millis(1200), early);
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(UnixTime::GO_ZERO).as_secs(), 62_135_596_812);
    }

    #[test]
    fn the_time_between_any_two_instants_leads_from_one_to_the_other() {
        let (first, last) = (UnixTime::new(i64::MIN, 0), UnixTime::new(i64::MAX, 5));
        assert_eq!(first + last.since(first), last);
        assert_eq!(last - last.since(first), first);
        assert_eq!(last + Duration::MAX, UnixTime::new(i64::MAX, 4));
    }
}
