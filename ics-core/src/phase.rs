//! The provider's word on a consumer.

use std::fmt;

use serde::Serialize;

/// `ConsumerPhase` of the provider (`interchain_security/ccv/provider/v1/provider.proto`), in the
/// order of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Known, without a spawn time; also where a failed launch returns to.
    Registered,
    /// Has a spawn time.
    Initialized,
    /// Launched: the provider sends it validator sets.
    Launched,
    /// Stopped for good; double-signing stays punishable until it is deleted.
    Stopped,
    /// Gone but for its record.
    Deleted,
}

impl Phase {
    /// All phases, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Registered,
        Self::Initialized,
        Self::Launched,
        Self::Stopped,
        Self::Deleted,
    ];

    /// The phase with the provider's number, 1 to 5.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .zip(1..)
            .find_map(|(phase, n)| (n == number).then_some(phase))
    }

    /// The phase with the provider's name, such as `CONSUMER_PHASE_LAUNCHED`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let short = name.strip_prefix("CONSUMER_PHASE_")?;
        Self::ALL
            .into_iter()
            .find(|phase| phase.to_string() == short)
    }

    /// Whether a consumer in this phase can later be seen in `next` (any number of steps).
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Registered | Self::Initialized => true,
            Self::Launched | Self::Stopped | Self::Deleted => next >= self,
        }
    }

    /// Whether it has not been launched yet.
    #[must_use]
    pub fn is_prelaunch(self) -> bool {
        self <= Self::Initialized
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Registered => "REGISTERED",
            Self::Initialized => "INITIALIZED",
            Self::Launched => "LAUNCHED",
            Self::Stopped => "STOPPED",
            Self::Deleted => "DELETED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_the_providers() {
        assert_eq!(Phase::from_number(3), Some(Phase::Launched));
        assert_eq!((Phase::from_number(0), Phase::from_number(6)), (None, None));
        assert_eq!(
            Phase::from_name("CONSUMER_PHASE_DELETED"),
            Some(Phase::Deleted)
        );
        assert_eq!(Phase::from_name("LAUNCHED"), None);
    }

    #[test]
    fn nothing_comes_back_from_launched() {
        assert!(Phase::Initialized.may_become(Phase::Registered));
        assert!(!Phase::Launched.may_become(Phase::Initialized));
        assert!(!Phase::Deleted.may_become(Phase::Stopped));
    }
}
