//! The launch genesis as older consumers read it.
//!
//! A consumer refuses fields that it does not know, and the provider writes those of its own
//! version. Source: `app/consumer/genesis.go` of interchain-security v7 (`genesis transform`), and
//! the protobuf definitions of the versions named below.
//!
//! | consumer's ICS version | left out |
//! |---|---|
//! | before 4.0 | cannot be written: `retry_delay_period` and more came with 4.0 |
//! | 4.0 to 4.4, 5.x, 6.0, 6.1 | `params.consumer_id`, `connection_id` |
//! | 4.5 and later 4.x, 6.2, 6.3 | `connection_id` |
//! | 6.4 and later | nothing |

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use super::CcvError;

/// The version of Interchain Security that a consumer's program was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct IcsVersion {
    major: u32,
    minor: u32,
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of Interchain Security: write it like v6.4 or v5.2.0")]
pub struct VersionError(String);

impl FromStr for IcsVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut numbers = text
            .strip_prefix('v')
            .unwrap_or(text)
            .split('.')
            .map(str::parse);
        let (major, minor, patch) = (numbers.next(), numbers.next(), numbers.next());
        match (major, minor, patch, numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), None | Some(Ok(_)), None) => {
                Ok(Self { major, minor })
            }
            _ => Err(VersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for IcsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

impl IcsVersion {
    /// Leaves out of a launch genesis what this version does not know.
    pub(super) fn transform(self, genesis: &mut Value) -> Result<(), CcvError> {
        let at = (self.major, self.minor);
        if at < (4, 0) {
            return Err(CcvError::TooOld(self));
        }
        if at >= (6, 4) {
            return Ok(());
        }
        let Some(genesis) = genesis.as_object_mut() else {
            return Ok(());
        };
        let connection = genesis.remove("connection_id");
        if connection.is_some_and(|id| id.as_str().is_none_or(|id| !id.is_empty())) {
            return Err(CcvError::Connection(self));
        }
        let knows_consumer_id = matches!(at, (4, 5..) | (6, 2..));
        let params = genesis.get_mut("params").and_then(Value::as_object_mut);
        if let Some(params) = params.filter(|_| !knows_consumer_id) {
            params.remove("consumer_id");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in ["", "v", "7", "v7.", "v7.x", "7.0.0.0", "<v6.4.x"] {
            assert!(bad.parse::<IcsVersion>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_version_prints_as_it_is_written() {
        for text in ["v4.5", "v6.4", "v7.0"] {
            let version: IcsVersion = text.parse().expect("a version");
            assert_eq!(version.to_string(), text);
        }
    }
}
