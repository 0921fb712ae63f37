//! Public keys, and the texts that chains, tools and logs write them as.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Address, KeyError};

pub(super) const AMINO: &str = "tendermint/PubKeyEd25519";
const LOG: &str = "PubKeyEd25519";
const ONEOF: &str = "tendermint.crypto.PublicKey_Ed25519";
const SDK: &str = "/cosmos.crypto.ed25519.PubKey";

/// An ed25519 public key: of a consensus key or a node key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// A way in which public keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{"type":"tendermint/PubKeyEd25519","value":"<base64>"}`: CometBFT's RPC and key files.
    Amino,
    /// The base64 alone.
    Base64,
    /// `{"ed25519":"<base64>"}`: a launch genesis, the provider's answers in JSON.
    Comet,
    /// 64 hex characters, upper case.
    Hex,
    /// `PubKeyEd25519{<hex>}`: CometBFT's logs.
    Log,
    /// `{"Sum":{"type":"tendermint.crypto.PublicKey_Ed25519","value":{"ed25519":"<base64>"}}}`:
    /// the validator updates in block results.
    Oneof,
    /// `{"@type":"/cosmos.crypto.ed25519.PubKey","key":"<base64>"}`: the SDK's messages, events and
    /// command line, and the only form that `MsgOptIn.consumer_key` may have (`ParseConsumerKey`,
    /// `x/ccv/provider/keeper/key_assignment.go`).
    Sdk,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Amino,
        Self::Base64,
        Self::Comet,
        Self::Hex,
        Self::Log,
        Self::Oneof,
        Self::Sdk,
    ];
}

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

    /// The text of the key in this form, on one line; [`FromStr`] reads all of them.
    #[must_use]
    pub fn to_form(&self, form: Form) -> String {
        // Neither base64 nor hex holds a character that JSON would escape.
        let (base64, hex) = (self.to_base64(), hex::encode_upper(self.0));
        match form {
            Form::Amino => format!(r#"{{"type":"{AMINO}","value":"{base64}"}}"#),
            Form::Base64 => base64,
            Form::Comet => format!(r#"{{"ed25519":"{base64}"}}"#),
            Form::Hex => hex,
            Form::Log => format!("{LOG}{{{hex}}}"),
            Form::Oneof => {
                format!(r#"{{"Sum":{{"type":"{ONEOF}","value":{{"ed25519":"{base64}"}}}}}}"#)
            }
            Form::Sdk => format!(r#"{{"@type":"{SDK}","key":"{base64}"}}"#),
        }
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

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads a key in any [`Form`], with white space around it.
    ///
    /// # Errors
    /// [`KeyError::Scheme`] for a key that says it is of another scheme; [`KeyError::PublicKey`]
    /// for anything else.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.starts_with('{') {
            let fields = serde_json::from_str(text).map_err(|e| {
                // The text of the error may quote what stands there.
                KeyError::PublicKey(format!("no JSON from column {} on", e.column()))
            })?;
            return from_fields(&fields);
        }
        if let Some((name, rest)) = text.split_once('{') {
            let bytes = rest.strip_suffix('}').unwrap_or(rest);
            return expect(name, LOG).and_then(|()| from_hex(bytes));
        }
        // No text is both: 32 bytes have 44 characters in base64.
        if text.len() == 64 {
            return from_hex(text);
        }
        Self::from_base64(text)
    }
}

fn from_fields(fields: &BTreeMap<String, Value>) -> Result<PublicKey, KeyError> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, it)| (name.as_str(), it))
        .collect();
    match fields.as_slice() {
        [("@type", Value::String(kind)), ("key", Value::String(key))] => {
            expect(kind, SDK).and_then(|()| PublicKey::from_base64(key))
        }
        [("type", Value::String(kind)), ("value", Value::String(key))] => {
            expect(kind, AMINO).and_then(|()| PublicKey::from_base64(key))
        }
        [
            ("type", Value::String(kind)),
            ("value", Value::Object(inner)),
        ] => {
            expect(kind, ONEOF)?;
            from_fields(&inner.clone().into_iter().collect())
        }
        [("Sum", Value::Object(inner))] => from_fields(&inner.clone().into_iter().collect()),
        // Of other schemes the value may be an object: a key of many keys.
        [("@type" | "type", Value::String(kind)), _] => Err(KeyError::Scheme(kind.clone())),
        [("ed25519", Value::String(key))] => PublicKey::from_base64(key),
        [(scheme, Value::String(_))] => Err(KeyError::Scheme((*scheme).to_owned())),
        _ => Err(KeyError::PublicKey(format!(
            "its JSON must read {{\"@type\":\"{SDK}\",\"key\":\"<base64>\"}} or as CometBFT writes it"
        ))),
    }
}

fn expect(kind: &str, ed25519: &str) -> Result<(), KeyError> {
    if kind == ed25519 {
        return Ok(());
    }
    Err(KeyError::Scheme(kind.to_owned()))
}

fn from_hex(text: &str) -> Result<PublicKey, KeyError> {
    let bytes = hex::decode(text).map_err(|e| KeyError::PublicKey(e.to_string()))?;
    PublicKey::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE64_TEXT: &str = "ZF0xG6ZmOArZ5KK/xUeXEg5D0s5eLqqhtqG1kG4wfz0=";
    const HEX_TEXT: &str = "645D311BA666380AD9E4A2BFC54797120E43D2CE5E2EAAA1B6A1B5906E307F3D";

    #[test]
    fn each_form_reads_as_documented() {
        let key = PublicKey::from_base64(BASE64_TEXT).expect("a key");
        let text = |form| key.to_form(form);
        assert_eq!(text(Form::Hex), HEX_TEXT);
        assert_eq!(text(Form::Log), format!("PubKeyEd25519{{{HEX_TEXT}}}"));
        assert_eq!(text(Form::Base64), BASE64_TEXT);
        let json = |form| serde_json::from_str::<Value>(&text(form)).expect("JSON");
        let comet = serde_json::json!({ "ed25519": BASE64_TEXT });
        assert_eq!(json(Form::Comet), comet);
        let amino = serde_json::json!({ "type": AMINO, "value": BASE64_TEXT });
        assert_eq!(json(Form::Amino), amino);
        let sdk = serde_json::json!({ "@type": SDK, "key": BASE64_TEXT });
        assert_eq!(json(Form::Sdk), sdk);
        let oneof = serde_json::json!({ "Sum": { "type": ONEOF, "value": comet } });
        assert_eq!(json(Form::Oneof), oneof);
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        for (text, name) in [
            (
                r#"{"@type":"/cosmos.crypto.secp256k1.PubKey","key":"AqzP"}"#,
                "/cosmos.crypto.secp256k1.PubKey",
            ),
            (
                r#"{"@type":"/cosmos.crypto.multisig.LegacyAminoPubKey","threshold":2,"public_keys":[]}"#,
                "its JSON must read",
            ),
            (
                r#"{"type":"tendermint/PubKeySecp256k1","value":"AqzP"}"#,
                "tendermint/PubKeySecp256k1",
            ),
            (
                r#"{"type":"tendermint/PubKeyMultisigThreshold","value":{"threshold":"2"}}"#,
                "tendermint/PubKeyMultisigThreshold",
            ),
            (
                r#"{"Sum":{"type":"tendermint.crypto.PublicKey_Secp256K1","value":{"secp256k1":"AqzP"}}}"#,
                "PublicKey_Secp256K1",
            ),
            (r#"{"secp256k1":"AqzP"}"#, "\"secp256k1\""),
            ("PubKeySr25519{00}", "PubKeySr25519"),
        ] {
            let error = text.parse::<PublicKey>().expect_err("another scheme");
            assert!(error.to_string().contains(name), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let long = BASE64.encode([7; 64]);
        for text in [
            "",
            "{",
            "{}",
            "[]",
            &BASE64_TEXT[1..],
            &BASE64_TEXT[4..],
            &HEX_TEXT[2..],
            &HEX_TEXT.replacen('6', "g", 1),
            &format!("PubKeyEd25519{{{}}}", &HEX_TEXT[2..]),
            &long,
            &format!(r#"{{"ed25519":"{long}"}}"#),
            &format!(r#"{{"type":"{AMINO}","value":"{long}"}}"#),
            &format!(r#"{{"type":"{AMINO}","value":"{long}","more":1}}"#),
            &format!(r#"{{"ed25519":"{BASE64_TEXT}","secp256k1":"{BASE64_TEXT}"}}"#),
            &format!(r#"{{"ed25519":{long}}}"#),
            &format!(r#"{{"ed25519":["{long}"]}}"#),
        ] {
            let error = text.parse::<PublicKey>().expect_err("no key");
            assert!(matches!(error, KeyError::PublicKey(_)), "{text}: {error}");
            let told = error.to_string();
            assert!(!told.contains(&long[..8]), "{told}");
            assert!(!told.contains(&BASE64_TEXT[4..12]), "{told}");
        }
    }

    proptest! {
        #[test]
        fn every_form_is_read_as_the_key_it_was_written_from(
            bytes: [u8; 32],
            space in "[ \n]{0,2}",
        ) {
            let key = PublicKey::new(bytes);
            for form in Form::ALL {
                let text = format!("{space}{}{space}", key.to_form(form));
                prop_assert_eq!(text.parse(), Ok(key), "{}", text);
            }
            prop_assert_eq!(key.to_form(Form::Hex).to_lowercase().parse(), Ok(key));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}|[{}\":,a-f0-9]{0,80}") {
            let _ = text.parse::<PublicKey>();
        }
    }
}
