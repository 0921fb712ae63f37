//! Reading CometBFT's key files, and making fresh ed25519 keys.
//!
//! Formats: `privval/file.go` (`FilePVKey`) and `p2p/key.go` (`NodeKey`) of CometBFT. The file's
//! bytes are borrowed while they are parsed, and no error repeats any of them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use ics_core::failure::Failure;
use ics_core::key::{PublicKey, SecretKey};
use rand_core::{OsRng, RngCore as _};
use serde::Deserialize;
use zeroize::Zeroizing;

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

#[derive(Deserialize)]
struct TypedKey<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    #[serde(borrow)]
    value: &'a str,
}

/// Makes a key from the operating system's randomness.
pub(crate) fn fresh() -> Result<SecretKey, Failure> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    OsRng
        .try_fill_bytes(&mut *seed)
        .map_err(|e| Failure::transient(format!("the system gives no randomness: {e}")))?;
    Ok(key_of(seed))
}

/// Reads a `priv_validator_key.json`; `path` is for the message only.
///
/// # Errors
/// A permanent failure if it is no ed25519 key file or if its parts do not belong together.
pub(crate) fn consensus_key(bytes: &[u8], path: &Path) -> Result<SecretKey, Failure> {
    let file: ConsensusKeyFile<'_> = parse(bytes, path)?;
    let key = private_key(&file.priv_key, path)?;
    if file.pub_key.kind != "tendermint/PubKeyEd25519"
        || file.pub_key.value != key.public().to_base64()
    {
        return Err(damaged(path, "its pub_key is not that of its priv_key"));
    }
    if !file
        .address
        .eq_ignore_ascii_case(&key.public().address().to_string())
    {
        return Err(damaged(path, "its address is not that of its key"));
    }
    Ok(key)
}

/// Reads a `node_key.json`; `path` is for the message only.
///
/// # Errors
/// A permanent failure if it is no ed25519 key file.
pub(crate) fn node_key(bytes: &[u8], path: &Path) -> Result<SecretKey, Failure> {
    let file: NodeKeyFile<'_> = parse(bytes, path)?;
    private_key(&file.priv_key, path)
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], path: &Path) -> Result<T, Failure> {
    // The text of a serde error may quote the secret: only its place is told.
    serde_json::from_slice(bytes).map_err(|e| {
        let place = format!(
            "it cannot be read at line {}, column {}",
            e.line(),
            e.column()
        );
        damaged(path, &place)
    })
}

fn private_key(typed: &TypedKey<'_>, path: &Path) -> Result<SecretKey, Failure> {
    if typed.kind != "tendermint/PrivKeyEd25519" {
        return Err(damaged(
            path,
            "its priv_key is not of type tendermint/PrivKeyEd25519",
        ));
    }
    // Room for the 66 bytes that the decoder may ask for before it knows of the padding.
    let mut bytes = Zeroizing::new([0_u8; 72]);
    let length = BASE64.decode_slice(typed.value, &mut *bytes);
    if length != Ok(64) {
        return Err(damaged(path, "its priv_key is not base64 of 64 bytes"));
    }
    let mut seed = Zeroizing::new([0_u8; 32]);
    seed.copy_from_slice(&bytes[..32]);
    let key = key_of(seed);
    if key.public().as_bytes() != &bytes[32..64] {
        return Err(damaged(
            path,
            "the two halves of its priv_key do not belong together",
        ));
    }
    Ok(key)
}

fn key_of(seed: Zeroizing<[u8; 32]>) -> SecretKey {
    let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    SecretKey::new(seed, PublicKey::new(public))
}

fn damaged(path: &Path, what: &str) -> Failure {
    Failure::permanent(format!(
        "{} is not a key file of CometBFT: {what}; restore it from a backup",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SecretKey, Failure> {
        consensus_key(text.as_bytes(), Path::new("key.json"))
    }

    #[test]
    fn files_of_comet_are_read() {
        // RFC 8032, section 7.1, test 1.
        let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let key = key_of(Zeroizing::new(
            BASE64
                .decode(seed)
                .expect("base64")
                .try_into()
                .expect("32 bytes"),
        ));
        assert_eq!(key.public().to_base64(), public);
        let again = read(&key.to_priv_validator_key_json()).expect("what we write we read");
        assert_eq!(again.to_go_base64(), key.to_go_base64());
        let text = key.to_node_key_json();
        let again = node_key(text.as_bytes(), Path::new("node_key.json")).expect("read");
        assert_eq!(again.to_go_base64(), key.to_go_base64());
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused_without_telling_the_secret() {
        let (one, two) = (fresh().expect("key"), fresh().expect("key"));
        let text = one.to_priv_validator_key_json();
        let secret = one.to_go_base64();
        let swap = |from: &str, to: &str| text.replacen(from, to, 1);
        let mixed = {
            let mut bytes = BASE64.decode(secret.as_bytes()).expect("base64");
            bytes[32..].copy_from_slice(two.public().as_bytes());
            BASE64.encode(bytes)
        };
        let cases = [
            swap(
                &one.public().address().to_string(),
                &two.public().address().to_string(),
            ),
            swap(&one.public().to_base64(), &two.public().to_base64()),
            swap(&secret, &two.to_go_base64()),
            swap(&secret, &mixed),
            swap(&secret, &secret[4..]),
            swap("tendermint/PrivKeyEd25519", "tendermint/PrivKeySecp256k1"),
            swap("tendermint/PubKeyEd25519", "tendermint/PubKeySr25519"),
            swap("{\n    \"type\": \"tendermint/PrivKeyEd25519\",", "[{").replace("}\n}", "]}"),
            text[..text.len() - 4].to_owned(),
            format!(
                "{{\"address\":\"\",\"pub_key\":{{}},\"priv_key\":{:?}}}",
                *secret
            ),
            String::new(),
        ];
        for case in cases {
            let failure = read(&case).err().expect("refused");
            assert!(
                failure.message.starts_with("key.json is not a key file"),
                "{failure}"
            );
            assert!(!failure.message.contains(&secret[..20]), "{failure}");
            assert!(!failure.message.contains('\n'), "{failure}");
        }
    }
}
