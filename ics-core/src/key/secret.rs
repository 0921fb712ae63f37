//! Secret keys, and the key files of CometBFT.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::PublicKey;
use super::public::AMINO;

const PRIVATE: &str = "tendermint/PrivKeyEd25519";

/// A secret ed25519 key with its public half; zeroed when dropped, never printed.
///
/// The core derives public halves and reads files that it is given; making keys and signing are
/// left to others.
pub struct SecretKey {
    seed: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

/// Why a text is no key file of CometBFT; it repeats nothing that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Its address is not that of its key.
    #[error("its address is not that of its key")]
    Address,
    /// The private key is 32 bytes and then the public key, which is another one.
    #[error("the two halves of its priv_key do not belong together")]
    Halves,
    /// Not the JSON that it should be.
    #[error("it cannot be read at line {line}, column {column}")]
    Json {
        /// In which line reading ended, from 1.
        line: usize,
        /// At which byte of it.
        column: usize,
    },
    /// Not 64 bytes in base64.
    #[error("its priv_key is not base64 of 64 bytes")]
    Length,
    /// The public key is not that of the private one.
    #[error("its pub_key is not that of its priv_key")]
    PublicKey,
    /// A key of another scheme, such as secp256k1.
    #[error("its priv_key is not of type {PRIVATE}{}", .0.map_or(String::new(), |it| format!(" but {it}")))]
    Scheme(Option<&'static str>),
}

#[derive(Deserialize)]
struct ConsensusKeyFile<'a> {
    #[serde(borrow)]
    address: &'a str,
    #[serde(borrow)]
    pub_key: TypedKey<'a>,
    #[serde(borrow)]
    priv_key: TypedKey<'a>,
}

#[derive(Deserialize)]
struct NodeKeyFile<'a> {
    #[serde(borrow)]
    priv_key: TypedKey<'a>,
}

/// A key in a file. Its text is borrowed, so that no copy of it stays in memory.
#[derive(Deserialize)]
struct TypedKey<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    #[serde(borrow)]
    value: &'a str,
}

impl SecretKey {
    /// The key with this seed (RFC 8032 calls it the private key).
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        let public = PublicKey::new(public);
        Self { seed, public }
    }

    /// Reads a `priv_validator_key.json` (`FilePVKey`, `privval/file.go` of CometBFT).
    ///
    /// # Errors
    /// If it is no such file of an ed25519 key, or its parts do not belong together.
    pub fn from_priv_validator_key_json(json: &[u8]) -> Result<Self, KeyFileError> {
        let file: ConsensusKeyFile<'_> = parse(json)?;
        let key = private_key(&file.priv_key)?;
        if file.pub_key.kind != AMINO || file.pub_key.value != key.public.to_base64() {
            return Err(KeyFileError::PublicKey);
        }
        let address = key.public.address().to_string();
        if !file.address.eq_ignore_ascii_case(&address) {
            return Err(KeyFileError::Address);
        }
        Ok(key)
    }

    /// Reads a `node_key.json` (`NodeKey`, `p2p/key.go` of CometBFT).
    ///
    /// # Errors
    /// If it is no such file of an ed25519 key.
    pub fn from_node_key_json(json: &[u8]) -> Result<Self, KeyFileError> {
        let file: NodeKeyFile<'_> = parse(json)?;
        private_key(&file.priv_key)
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
        bytes[32..].copy_from_slice(self.public.as_bytes());
        Zeroizing::new(BASE64.encode(*bytes))
    }

    /// The text of CometBFT's `priv_validator_key.json` (`privval/file.go`, `FilePVKey`).
    #[must_use]
    pub fn to_priv_validator_key_json(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{{\n  \"address\": \"{}\",\n  \"pub_key\": {{\n    \"type\": \"{AMINO}\",\n    \"value\": \"{}\"\n  }},\n  \"priv_key\": {{\n    \"type\": \"{PRIVATE}\",\n    \"value\": \"{}\"\n  }}\n}}\n",
            self.public.address(),
            self.public,
            *self.to_go_base64(),
        ))
    }

    /// The text of CometBFT's `node_key.json` (`p2p/key.go`, `NodeKey`).
    #[must_use]
    pub fn to_node_key_json(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{{\"priv_key\":{{\"type\":\"{PRIVATE}\",\"value\":\"{}\"}}}}\n",
            *self.to_go_base64(),
        ))
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, KeyFileError> {
    // The text of a serde error may quote the secret: only its place is told.
    serde_json::from_slice(json).map_err(|error| KeyFileError::Json {
        line: error.line(),
        column: error.column(),
    })
}

fn private_key(typed: &TypedKey<'_>) -> Result<SecretKey, KeyFileError> {
    if typed.kind != PRIVATE {
        // Only a name that is known cannot be a secret at a wrong place.
        let known = ["Secp256k1", "Sr25519", "Bls12_381"];
        let named = known.into_iter().find(|name| typed.kind.contains(name));
        return Err(KeyFileError::Scheme(named));
    }
    // Room for the 66 bytes that the decoder may ask for before it knows of the padding.
    let mut bytes = Zeroizing::new([0_u8; 72]);
    if BASE64.decode_slice(typed.value, &mut *bytes) != Ok(64) {
        return Err(KeyFileError::Length);
    }
    let mut seed = Zeroizing::new([0_u8; 32]);
    seed.copy_from_slice(&bytes[..32]);
    let key = SecretKey::from_seed(seed);
    if key.public.as_bytes() != &bytes[32..64] {
        return Err(KeyFileError::Halves);
    }
    Ok(key)
}

impl fmt::Debug for SecretKey {
    /// The public half alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn the_public_half_is_that_of_rfc_8032() {
        // Section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let seed = hex::decode(seed).expect("hex").try_into().expect("32");
        let key = SecretKey::from_seed(Zeroizing::new(seed));
        assert_eq!(public.parse(), Ok(key.public()));
    }

    #[test]
    fn the_files_of_comet_are_read_as_they_were_written() {
        let (key, text) = (key(1), key(1).to_priv_validator_key_json());
        let read = SecretKey::from_priv_validator_key_json(text.as_bytes()).expect("read");
        assert_eq!(read.to_go_base64(), key.to_go_base64());
        assert_eq!(read.public(), key.public());
        let text = key.to_node_key_json();
        let read = SecretKey::from_node_key_json(text.as_bytes()).expect("read");
        assert_eq!(read.to_go_base64(), key.to_go_base64());
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        let (one, two) = (key(1), key(2));
        let text = one.to_priv_validator_key_json();
        let secret = one.to_go_base64();
        let swap = |from: &str, to: &str| text.replacen(from, to, 1);
        let mixed = {
            let mut bytes = BASE64.decode(secret.as_bytes()).expect("base64");
            bytes[32..].copy_from_slice(two.public().as_bytes());
            BASE64.encode(bytes)
        };
        let address = |key: &SecretKey| key.public().address().to_string();
        let public = |key: &SecretKey| key.public().to_base64();
        let secp256k1 = KeyFileError::Scheme(Some("Secp256k1"));
        for (text, error) in [
            (swap(&address(&one), &address(&two)), KeyFileError::Address),
            (swap(&public(&one), &public(&two)), KeyFileError::PublicKey),
            (swap("/PubKeyEd", "/PubKeySr"), KeyFileError::PublicKey),
            (swap(&secret, &two.to_go_base64()), KeyFileError::PublicKey),
            (swap(&secret, &mixed), KeyFileError::Halves),
            (swap(&secret, &secret[4..]), KeyFileError::Length),
            (swap("/PrivKeyEd25519", "/PrivKeySecp256k1"), secp256k1),
            (swap(PRIVATE, &secret), KeyFileError::Scheme(None)),
        ] {
            let found = SecretKey::from_priv_validator_key_json(text.as_bytes());
            assert_eq!(found.expect_err("refused"), error);
        }
    }

    #[test]
    fn nothing_that_is_told_of_a_key_or_its_file_is_secret() {
        let key = key(1);
        let secret = key.to_go_base64();
        let text = key.to_priv_validator_key_json();
        assert!(!format!("{key:?}").contains(&secret[..8]));
        for bad in [
            text[..text.len() - 4].to_owned(),
            text.replacen("\"type\": \"tendermint/PrivKeyEd25519\",", "", 1),
            text.replacen("tendermint/PrivKeyEd25519", &secret, 1),
            text.replacen(&*secret, &format!("\\u0041{}", &secret[1..]), 1),
            format!(
                "{{\"address\":\"\",\"pub_key\":{{}},\"priv_key\":{:?}}}",
                *secret
            ),
            format!("[{:?}]", *secret),
            String::new(),
        ] {
            let error = SecretKey::from_priv_validator_key_json(bad.as_bytes());
            let told = error.expect_err("refused").to_string();
            assert!(!told.contains(&secret[1..9]), "{told}");
            assert!(!told.contains('\n'), "{told}");
        }
    }
}
