//! Addresses: bytes that a chain writes in bech32, with a prefix for each use.

use std::fmt;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};

use super::KeyError;

/// An address without its bech32 prefix: 20 bytes for keys, up to 32 for modules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub(super) Vec<u8>);

/// The bech32 prefixes of a chain's addresses.
///
/// A validator's operator and its account have the same bytes; another chain writes the same
/// address with its own prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Of accounts, such as `cosmos`.
    pub account: String,
    /// Of operators, such as `cosmosvaloper`.
    pub operator: String,
    /// Of consensus keys, such as `cosmosvalcons`.
    pub consensus: String,
}

impl Prefixes {
    /// The prefixes that the SDK derives from that of accounts (`types/address.go`).
    #[must_use]
    pub fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            operator: format!("{account}valoper"),
            consensus: format!("{account}valcons"),
        }
    }
}

impl Default for Prefixes {
    /// Those of the Cosmos Hub.
    fn default() -> Self {
        Self::new("cosmos")
    }
}

impl Address {
    /// The address with these bytes, if there are 1 to 255 as the SDK allows.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (1..=255).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// Reads a bech32 address with this prefix, such as `cosmosvaloper`.
    ///
    /// # Errors
    /// As [`Self::from_any_bech32`], and [`KeyError::Prefix`] if it has another prefix.
    pub fn from_bech32(text: &str, prefix: &str) -> Result<Self, KeyError> {
        let (found, address) = Self::from_any_bech32(text)?;
        if found == prefix {
            return Ok(address);
        }
        Err(KeyError::Prefix {
            text: text.to_owned(),
            prefix: prefix.to_owned(),
            found,
        })
    }

    /// Reads a bech32 address with any prefix, and the prefix in lower case.
    ///
    /// # Errors
    /// [`KeyError::Bech32`] if the text is not bech32 or has no bytes.
    pub fn from_any_bech32(text: &str) -> Result<(String, Self), KeyError> {
        let refuse = |reason: String| KeyError::Bech32 {
            text: text.to_owned(),
            reason,
        };
        let parsed = CheckedHrpstring::new::<Bech32>(text).map_err(|e| refuse(e.to_string()))?;
        let address = Self::new(parsed.byte_iter().collect::<Vec<_>>());
        let address = address.ok_or_else(|| refuse("it has no bytes".into()))?;
        Ok((parsed.hrp().to_lowercase(), address))
    }

    /// The bech32 text with this prefix; the bytes in hex where the prefix cannot be one.
    #[must_use]
    pub fn to_bech32(&self, prefix: &str) -> String {
        Hrp::parse(prefix)
            .ok()
            .and_then(|hrp| bech32::encode::<Bech32>(hrp, &self.0).ok())
            .unwrap_or_else(|| hex::encode(&self.0))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Address {
    /// Upper-case hex, as CometBFT prints consensus addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_address_of_that_chain_is_refused() {
        let address = Address::new([7; 20]).expect("20 bytes");
        let text = address.to_bech32("cosmosvaloper");
        let (upper, mixed) = (text.to_uppercase(), text.replacen('c', "C", 1));
        assert_eq!(Address::from_bech32(&upper, "cosmosvaloper"), Ok(address));
        let error = Address::from_bech32(&text, "cosmos").expect_err("another kind");
        assert!(
            error
                .to_string()
                .ends_with("its prefix is \"cosmosvaloper\"")
        );
        // No bytes; a typing error; two cases; the checksum of bech32m.
        let bech32m = "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx";
        let typo = format!("{}{}", &text[..text.len() - 1], "b");
        for bad in ["", "cosmos1", "cosmos1550dq7", &typo, &mixed, bech32m] {
            let found = Address::from_any_bech32(bad);
            assert!(
                matches!(found, Err(KeyError::Bech32 { .. })),
                "{bad}: {found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn one_address_is_written_for_every_use_and_read_again(
            bytes in prop::collection::vec(any::<u8>(), 1..=32),
            account in "[a-z]{1,10}",
        ) {
            let prefixes = Prefixes::new(&account);
            let address = Address::new(bytes).expect("not empty");
            let uses = [prefixes.account, prefixes.operator, prefixes.consensus];
            for prefix in &uses {
                let text = address.to_bech32(prefix);
                prop_assert_eq!(Address::from_bech32(&text, prefix), Ok(address.clone()));
                for other in uses.iter().filter(|other| *other != prefix) {
                    prop_assert!(Address::from_bech32(&text, other).is_err());
                }
            }
        }
    }
}
