//! What names a consumer: its id, and the chain id that a stranger chose.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The provider's number for a consumer chain; the only thing that identifies it (ADR-019).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerId(u64);

impl ConsumerId {
    /// The consumer with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not a consumer id or a chain id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not a decimal number as the provider writes it.
    #[error("{0:?} is not a consumer id: write the number as the provider does, such as 0 or 12")]
    ConsumerId(String),
    /// Blank, or longer than the provider allows.
    #[error("{0:?} is not a chain id: it must have 1 to 50 bytes and not be blank")]
    ChainId(String),
}

impl FromStr for ConsumerId {
    type Err = IdError;

    /// Reads the canonical decimal form only: the provider accepts "007" and finds nothing.
    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse::<u64>()
            .ok()
            .filter(|number| number.to_string() == text)
            .map(Self)
            .ok_or_else(|| IdError::ConsumerId(text.to_owned()))
    }
}

impl Serialize for ConsumerId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConsumerId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A consumer's chain id: text that its owner chose.
///
/// It may hold slashes, quotes, spaces or any UTF-8, is not unique, and may change until launch.
/// [`fmt::Display`] escapes control characters, so it may be logged; it must never become a path
/// or a name.
/// Limits: `ValidateChainId` of the provider's `types/msg.go`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ChainId(String);

impl ChainId {
    /// Reads a chain id as the provider would accept it.
    ///
    /// # Errors
    /// [`IdError::ChainId`] if it is blank or longer than 50 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        if text.trim().is_empty() || text.len() > 50 {
            return Err(IdError::ChainId(text));
        }
        Ok(Self(text))
    }

    /// The exact text, for comparison and for files whose writer escapes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 8 bytes of its SHA-256: the same number only where the text is the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        let hash = Sha256::digest(&self.0);
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(first)
    }

    /// The revision number: the digits after the last dash, as ibc-go reads them, else 0.
    ///
    /// Source: `ParseChainID` of ibc-go `02-client/types/height.go`.
    #[must_use]
    pub fn revision(&self) -> u64 {
        let Some((name, digits)) = self.0.rsplit_once('-') else {
            return 0;
        };
        let numeric = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        let named = !name.is_empty() && !name.ends_with('-') && !name.contains('\n');
        if numeric && named {
            digits.parse().unwrap_or(0)
        } else {
            0
        }
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_debug().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_number_is_a_consumer_id() {
        assert_eq!("12".parse(), Ok(ConsumerId::new(12)));
        assert_eq!("0".parse(), Ok(ConsumerId::new(0)));
        for bad in [
            "",
            "007",
            "+1",
            "-1",
            " 1",
            "1 ",
            "18446744073709551616",
            "a",
        ] {
            assert!(bad.parse::<ConsumerId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn revision_follows_ibc() {
        for (text, revision) in [
            ("consumer-1", 1),
            ("edge", 0),
            ("a-b-12", 12),
            ("a-01", 0),
            ("-1", 0),
            ("a--1", 0),
        ] {
            assert_eq!(
                ChainId::new(text).map(|id| id.revision()),
                Ok(revision),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_chain_id_prints_without_control_characters() {
        let id = ChainId::new("a\n\u{1b}[31m").expect("legal on chain");
        assert!(!id.to_string().contains(['\n', '\u{1b}']));
    }
}
