//! Keys and addresses as data: consensus keys, node keys, bech32 addresses.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// An address without its bech32 prefix: 20 bytes for keys, up to 32 for modules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Vec<u8>);

/// A text or byte string that is not the key or address it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a bech32 address.
    #[error("{text:?} is not a bech32 address: {reason}")]
    Bech32 {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address of another kind or chain.
    #[error("{text:?} is not an address with prefix {prefix:?}: its prefix is {found:?}")]
    Prefix {
        /// What was given.
        text: String,
        /// The prefix that was expected.
        prefix: String,
        /// The prefix that it has.
        found: String,
    },
    /// Not an ed25519 public key.
    #[error("not an ed25519 public key: {0}")]
    PublicKey(String),
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

/// An ed25519 public key: of a consensus key or a node key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the raw bytes of a key.
    ///
    /// # Errors
    /// [`KeyError::PublicKey`] if there are not exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| KeyError::PublicKey(format!("{} bytes instead of 32", bytes.len())))
    }

    /// Reads the base64 that every JSON form of a key holds.
    ///
    /// # Errors
    /// [`KeyError::PublicKey`] if it is not base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = BASE64
            .decode(text)
            .map_err(|e| KeyError::PublicKey(e.to_string()))?;
        Self::from_slice(&bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The base64 of the raw bytes.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.0)
    }

    /// The SDK's JSON form, as `MsgOptIn.consumer_key` wants it.
    #[must_use]
    pub fn to_sdk_json(&self) -> String {
        format!(
            r#"{{"@type":"/cosmos.crypto.ed25519.PubKey","key":"{}"}}"#,
            self.to_base64()
        )
    }

    /// The consensus address: the first 20 bytes of the key's SHA-256 (CometBFT `crypto/ed25519`).
    #[must_use]
    pub fn address(&self) -> Address {
        Address(Sha256::digest(self.0)[..20].to_vec())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A secret ed25519 key with its public half; zeroed when dropped, never printed.
///
/// The core does no cryptography: whoever builds one has derived the public half.
pub struct SecretKey {
    seed: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl SecretKey {
    /// The key with this seed, whose public half the caller derived from it.
    #[must_use]
    pub fn new(seed: Zeroizing<[u8; 32]>, public: PublicKey) -> Self {
        Self { seed, public }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The 64 bytes that Go's ed25519 calls the private key (seed, then public key), in base64.
    #[must_use]
    pub fn to_go_base64(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0_u8; 64]);
        bytes[..32].copy_from_slice(&*self.seed);
        bytes[32..].copy_from_slice(&self.public.0);
        Zeroizing::new(BASE64.encode(*bytes))
    }

    /// The text of CometBFT's `priv_validator_key.json` (`privval/file.go`, `FilePVKey`).
    #[must_use]
    pub fn to_priv_validator_key_json(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{{\n  \"address\": \"{}\",\n  \"pub_key\": {{\n    \"type\": \"tendermint/PubKeyEd25519\",\n    \"value\": \"{}\"\n  }},\n  \"priv_key\": {{\n    \"type\": \"tendermint/PrivKeyEd25519\",\n    \"value\": \"{}\"\n  }}\n}}\n",
            self.public.address(),
            self.public,
            *self.to_go_base64(),
        ))
    }

    /// The text of CometBFT's `node_key.json` (`p2p/key.go`, `NodeKey`).
    #[must_use]
    pub fn to_node_key_json(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{{\"priv_key\":{{\"type\":\"tendermint/PrivKeyEd25519\",\"value\":\"{}\"}}}}\n",
            *self.to_go_base64(),
        ))
    }
}

/// The text of a `priv_validator_state.json` of a key that has signed nothing (`FilePVLastSignState`).
pub const ZERO_SIGNER_STATE: &str = "{\n  \"height\": \"0\",\n  \"round\": 0,\n  \"step\": 0\n}\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bech32_goes_there_and_back_and_refuses_other_prefixes() {
        let address = Address::new([7; 20]).expect("20 bytes");
        let text = address.to_bech32("cosmosvaloper");
        assert_eq!(Address::from_bech32(&text, "cosmosvaloper"), Ok(address));
        assert!(Address::from_bech32(&text, "cosmos").is_err());
        assert!(Address::from_bech32("cosmos1", "cosmos").is_err());
    }

    #[test]
    fn a_secret_key_writes_the_files_that_comet_reads() {
        let key = SecretKey::new(Zeroizing::new([1; 32]), PublicKey::new([2; 32]));
        let json: serde_json::Value =
            serde_json::from_str(&key.to_priv_validator_key_json()).expect("JSON");
        assert_eq!(
            json["pub_key"]["value"],
            PublicKey::new([2; 32]).to_base64()
        );
        assert_eq!(json["address"], key.public().address().to_string());
        let json: serde_json::Value = serde_json::from_str(&key.to_node_key_json()).expect("JSON");
        assert_eq!(json["priv_key"]["value"].as_str().map(str::len), Some(88));
    }
}
