//! The one correct genesis: a published pre-CCV file with the provider's `ccvconsumer` in it.
//!
//! The file is streamed and changed in nothing but `app_state.ccvconsumer`, so that validators who
//! merge by hand reach the same chain, and so that a file of any size needs little memory.

mod splice;
mod version;

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

pub use self::version::{IcsVersion, VersionError};
use crate::artifact::Digest;
use crate::policy::GenesisSource;
use crate::snapshot::{InitialHeight, Snapshot};
use crate::time::UnixTime;

/// What a genesis file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreCcv {
    /// The SHA-256 of the file as it was read.
    pub digest: Digest,
    /// `chain_id`.
    pub chain_id: String,
    /// `initial_height`; 1 where it is missing or 0, as CometBFT reads it.
    pub initial_height: u64,
    /// `genesis_time`; `None` where it is missing.
    pub genesis_time: Option<UnixTime>,
}

/// Why a file is not a genesis that can be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Reading the file or writing the result failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not JSON.
    #[error("not JSON at byte {at}: {what}")]
    Syntax {
        /// How many bytes were read before.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// JSON, but not such a genesis.
    #[error("{0}")]
    Shape(String),
}

/// What a pre-CCV file must agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The chain id on the provider.
    pub chain_id: String,
    /// The consumer's first block.
    pub initial_height: InitialHeight,
    /// `genesis_hash` on the provider.
    pub published_hash: Vec<u8>,
}

impl Expectation {
    /// What the provider says of a consumer's genesis.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            chain_id: snapshot.chain_id.as_str().to_owned(),
            initial_height: snapshot.initial_height,
            published_hash: snapshot.genesis_hash.clone(),
        }
    }

    /// Compares a file with what the provider and the operator's rule say.
    ///
    /// # Errors
    /// One line that names what disagrees.
    pub fn check(&self, source: &GenesisSource, found: &PreCcv) -> Result<(), String> {
        let wanted = self.digest(source)?;
        if found.digest != wanted {
            return Err(format!("its SHA-256 is {}, not {wanted}", found.digest));
        }
        if found.chain_id != self.chain_id {
            return Err(format!(
                "its chain_id is {:?}, not {:?}",
                found.chain_id, self.chain_id
            ));
        }
        if found.initial_height != self.initial_height.height {
            return Err(format!(
                "its initial_height is {}, not {}",
                found.initial_height, self.initial_height.height
            ));
        }
        if found.genesis_time.is_none() {
            return Err("it has no genesis_time, so every node would take its own".into());
        }
        Ok(())
    }

    fn digest(&self, source: &GenesisSource) -> Result<Digest, String> {
        let published = if self.published_hash.is_empty() {
            None
        } else {
            let digest = published_digest(&self.published_hash);
            Some(digest.ok_or("the consumer's genesis_hash on chain is not a SHA-256")?)
        };
        match (source.sha256, published) {
            (Some(rule), Some(chain)) if rule != chain => Err(format!(
                "the rule's sha256 {rule} and the consumer's genesis_hash {chain} disagree"
            )),
            (Some(digest), _) | (None, Some(digest)) => Ok(digest),
            (None, None) => Err("the consumer has no genesis_hash: set sha256 in the rule".into()),
        }
    }
}

/// Reads a SHA-256 as it lies on chain: 32 bytes, their hex as text, or that hex taken for base64.
///
/// The chain's own CLI decodes base64, so a pasted hex text lands as 48 bytes
/// (`client/cli/tx.go` of interchain-security).
#[must_use]
pub fn published_digest(bytes: &[u8]) -> Option<Digest> {
    match bytes.len() {
        32 => bytes.try_into().ok().map(Digest::new),
        64 => Digest::from_hex(std::str::from_utf8(bytes).ok()?),
        48 => Digest::from_hex(&BASE64.encode(bytes)),
        _ => None,
    }
}

/// Reads a genesis file through, checking that it could be merged.
///
/// # Errors
/// If it is not JSON, has no `app_state` or `chain_id`, or has one of them twice.
pub fn read(file: impl Read) -> Result<PreCcv, GenesisError> {
    splice::splice(file, b"{}", io::sink())
}

/// Writes the genesis with `ccvconsumer` (JSON) in `app_state`, replaced or inserted.
///
/// Every other byte is copied as it is. The caller compares [`PreCcv::digest`] afterwards, and
/// throws the result away if it is another file than was checked before.
///
/// # Errors
/// As [`read`], and if writing fails.
pub fn merge(file: impl Read, ccvconsumer: &[u8], out: impl Write) -> Result<PreCcv, GenesisError> {
    splice::splice(file, ccvconsumer, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"genesis_time":"2026-01-02T03:04:05Z","chain_id":"c-1",
        "initial_height":"5","app_state":{"bank":{"a":[1,"}",{}]},"ccvconsumer":{"old":[{}]}}}"#;

    fn merged(file: &str) -> Result<String, GenesisError> {
        let mut out = Vec::new();
        merge(file.as_bytes(), b"{\"new\":1}", &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn only_ccvconsumer_changes() {
        let expected = FILE.replace(r#"{"old":[{}]}"#, r#"{"new":1}"#);
        assert_eq!(merged(FILE).expect("a genesis"), expected);
        let found = read(FILE.as_bytes()).expect("a genesis");
        assert_eq!(found.digest, Digest::of(FILE.as_bytes()));
        assert_eq!((found.chain_id.as_str(), found.initial_height), ("c-1", 5));
    }

    #[test]
    fn a_missing_ccvconsumer_is_inserted() {
        for (before, after) in [
            (
                r#"{"chain_id":"c","app_state":{}}"#,
                r#"{"chain_id":"c","app_state":{"ccvconsumer":{"new":1}}}"#,
            ),
            (
                r#"{"chain_id":"c","app_state":{"a":1 }, "z":2}"#,
                r#"{"chain_id":"c","app_state":{"a":1 ,"ccvconsumer":{"new":1}}, "z":2}"#,
            ),
        ] {
            assert_eq!(merged(before).expect("a genesis"), after);
        }
    }

    #[test]
    fn what_is_no_genesis_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"chain_id":"c"}"#,
            r#"{"app_state":{}}"#,
            r#"{"chain_id":"c","app_state":[]}"#,
            r#"{"chain_id":"c","app_state":{}} x"#,
            r#"{"chain_id":"c","app_state":{"a":1,}}"#,
            r#"{"chain_id":"c","chain_id":"d","app_state":{}}"#,
            r#"{"chain_id":"c","Chain_Id":"d","app_state":{}}"#,
            r#"{"chain_id":"c","app_state":{},"app_state":{}}"#,
            r#"{"chain_id":"c","app_state":{"ccvconsumer":{},"ccvconsumer":{}}}"#,
            r#"{"chain_id":"c","app_state":{"a":01}}"#,
            r#"{"chain_id":"c","app_state":{"a":"\x"}}"#,
            r#"{"chain_id":"c","app_state":{"a":tru}}"#,
            r#"{"chain_id":"c","app_state":{"a":1"#,
        ] {
            assert!(merged(bad).is_err(), "{bad}");
        }
        let deep = format!(
            r#"{{"chain_id":"c","app_state":{{"a":{}"#,
            "[".repeat(100_000)
        );
        assert!(merged(&deep).is_err());
    }

    #[test]
    fn a_digest_is_read_in_three_encodings() {
        let digest = Digest::of(b"genesis");
        let hex = digest.to_string();
        let accident = BASE64.decode(&hex).expect("hex is base64");
        assert_eq!(accident.len(), 48);
        for form in [digest.as_bytes().as_slice(), hex.as_bytes(), &accident] {
            assert_eq!(published_digest(form), Some(digest));
        }
        assert_eq!(published_digest(&[]), None);
    }

    #[test]
    fn disagreement_is_named() {
        let found = read(FILE.as_bytes()).expect("a genesis");
        let source = GenesisSource {
            path: "g.json".into(),
            sha256: None,
            ics_version: None,
        };
        let mut wanted = Expectation {
            chain_id: "c-1".into(),
            initial_height: InitialHeight {
                revision: 1,
                height: 5,
            },
            published_hash: found.digest.as_bytes().to_vec(),
        };
        assert_eq!(wanted.check(&source, &found), Ok(()));
        let rule = GenesisSource {
            sha256: Some(Digest::of(b"other")),
            ..source.clone()
        };
        assert!(
            wanted
                .check(&rule, &found)
                .is_err_and(|e| e.contains("disagree"))
        );
        wanted.initial_height.height = 1;
        assert!(
            wanted
                .check(&source, &found)
                .is_err_and(|e| e.contains("initial_height"))
        );
        wanted.published_hash.clear();
        assert!(
            wanted
                .check(&source, &found)
                .is_err_and(|e| e.contains("no genesis_hash"))
        );
    }
}
