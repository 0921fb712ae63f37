//! The launch genesis as older consumers read it.
//!
//! A consumer refuses fields that it does not know, and the provider writes those of its own
//! version. Source: `app/consumer/genesis.go` of interchain-security v7 (`genesis transform`), and
//! the protobuf definitions of the versions named below.
//!
//! | consumer's ICS version | left out |
//! |---|---|
//! | before 4.5, 5.x, 6.0, 6.1 | `params.consumer_id`, `connection_id` |
//! | 4.5 and later 4.x, 6.2, 6.3 | `connection_id` |
//! | 6.4 and later | nothing |

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

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
    ///
    /// # Errors
    /// If a connection id is set: this version would not make the connection that it names.
    pub fn transform(self, mut ccv: Value) -> Result<Value, String> {
        let at = (self.major, self.minor);
        if at >= (6, 4) {
            return Ok(ccv);
        }
        let Some(genesis) = ccv.as_object_mut() else {
            return Err("the launch genesis is no JSON object".into());
        };
        let connection = genesis.remove("connection_id");
        if connection.is_some_and(|id| id.as_str().is_none_or(|id| !id.is_empty())) {
            return Err(format!("it reuses a connection, which ICS {self} cannot"));
        }
        let knows_consumer_id = matches!(at, (4, 5..) | (6, 2..));
        let params = genesis.get_mut("params").and_then(Value::as_object_mut);
        if let Some(params) = params.filter(|_| !knows_consumer_id) {
            params.remove("consumer_id");
        }
        Ok(ccv)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_version_gets_the_fields_it_knows() {
        let ccv = json!({"params": {"consumer_id": "0", "enabled": true}, "connection_id": ""});
        for (version, consumer_id, connection_id) in [
            ("v4.4.1", false, false),
            ("v4.5.0", true, false),
            ("5.2", false, false),
            ("v6.1.0", false, false),
            ("v6.2", true, false),
            ("6.4", true, true),
            ("v7.0.1", true, true),
        ] {
            let version: IcsVersion = version.parse().expect("a version");
            let found = version.transform(ccv.clone()).expect("transformed");
            assert_eq!(
                found["params"].get("consumer_id").is_some(),
                consumer_id,
                "{version}"
            );
            assert_eq!(
                found.get("connection_id").is_some(),
                connection_id,
                "{version}"
            );
            assert_eq!(found["params"]["enabled"], true);
        }
    }

    #[test]
    fn a_connection_is_not_dropped_silently() {
        let ccv = json!({"params": {}, "connection_id": "connection-0"});
        let old: IcsVersion = "v5.0".parse().expect("a version");
        assert!(old.transform(ccv).is_err());
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in ["", "v", "7", "v7.", "v7.x", "7.0.0.0", "<v6.4.x"] {
            assert!(bad.parse::<IcsVersion>().is_err(), "{bad:?}");
        }
    }
}
