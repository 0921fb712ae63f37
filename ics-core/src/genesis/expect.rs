//! What a pre-CCV file must agree with: what the provider and the operator's rule say of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{PreCcv, excerpt};
use crate::artifact::Digest;
use crate::policy::GenesisSource;
use crate::snapshot::{InitialHeight, Snapshot};

/// What the provider says of a consumer's genesis file.
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
    /// What it says in this snapshot.
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
            return Err(format!(
                "its SHA-256 is {}, not {wanted}: get the file that the owner published",
                found.digest
            ));
        }
        if found.chain_id != self.chain_id {
            return Err(format!(
                "its chain_id is \"{}\", not \"{}\": it is the file of another chain",
                excerpt(&found.chain_id),
                excerpt(&self.chain_id)
            ));
        }
        if found.initial_height != self.initial_height.height {
            return Err(format!(
                "its initial_height is {}, not {}, where the provider's client of the consumer starts",
                found.initial_height, self.initial_height.height
            ));
        }
        if found.genesis_time.is_none() {
            return Err(
                "it has no genesis_time, so every node would take its own: its owner must set one"
                    .into(),
            );
        }
        Ok(())
    }

    fn digest(&self, source: &GenesisSource) -> Result<Digest, String> {
        let published = if self.published_hash.is_empty() {
            None
        } else {
            let digest = published_digest(&self.published_hash);
            Some(digest.ok_or(
                "the consumer's genesis_hash on chain is not a SHA-256: its owner must set it right",
            )?)
        };
        match (source.sha256, published) {
            (Some(rule), Some(chain)) if rule != chain => Err(format!(
                "the rule's sha256 {rule} and the consumer's genesis_hash {chain} disagree: ask the owner \
                 which file is right"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;

    fn source(sha256: Option<Digest>) -> GenesisSource {
        GenesisSource {
            path: "g.json".into(),
            sha256,
            ics_version: None,
        }
    }

    fn file() -> PreCcv {
        PreCcv {
            digest: Digest::of(b"file"),
            chain_id: "c-1".into(),
            initial_height: 5,
            genesis_time: Some(UnixTime::new(0, 0)),
            validators: Vec::new(),
        }
    }

    fn expectation() -> Expectation {
        Expectation {
            chain_id: "c-1".into(),
            initial_height: InitialHeight {
                revision: 1,
                height: 5,
            },
            published_hash: Digest::of(b"file").as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_digest_is_read_in_three_encodings() {
        let digest = Digest::of(b"genesis");
        let hex = digest.to_string();
        let upper = hex.to_uppercase();
        let accident = |hex: &str| BASE64.decode(hex).expect("hex is base64");
        assert_eq!(accident(&hex).len(), 48);
        for form in [
            digest.as_bytes().as_slice(),
            hex.as_bytes(),
            upper.as_bytes(),
            &accident(&hex),
            &accident(&upper),
        ] {
            assert_eq!(published_digest(form), Some(digest));
        }
    }

    #[test]
    fn what_is_in_no_encoding_is_no_digest() {
        let digest = Digest::of(b"genesis");
        let hex = digest.to_string();
        let mut accident = BASE64.decode(&hex).expect("hex is base64");
        for cut in [0, 1, 16, 31] {
            assert_eq!(published_digest(&digest.as_bytes()[..cut]), None);
        }
        assert_eq!(published_digest(&[7; 33]), None);
        // Right in length, but not hex: a letter beyond f, a space, bytes that are no text.
        assert_eq!(
            published_digest(hex.replacen(&hex[..1], "g", 1).as_bytes()),
            None
        );
        assert_eq!(published_digest(format!(" {}", &hex[1..]).as_bytes()), None);
        assert_eq!(published_digest(&[0xff; 64]), None);
        assert_eq!(published_digest(format!("0x{hex}").as_bytes()), None);
        assert_eq!(published_digest(&accident[..47]), None);
        // Base64 of it is no longer hex.
        accident[0] = 0xff;
        assert_eq!(published_digest(&accident), None);
        // Base64 of zeros is a row of A, which is hex.
        assert_eq!(published_digest(&[0; 48]), Some(Digest::new([0xaa; 32])));
    }

    #[test]
    fn the_digest_comes_from_the_rule_or_the_chain_and_both_agree() {
        let (right, other) = (Digest::of(b"file"), Digest::of(b"other"));
        let published = |bytes: &[u8]| Expectation {
            published_hash: bytes.to_vec(),
            ..expectation()
        };
        let says = |sha256, published: &Expectation| {
            published
                .check(&source(sha256), &file())
                .err()
                .unwrap_or_default()
        };
        let chain = published(right.as_bytes());
        assert_eq!(says(None, &chain), "");
        assert_eq!(says(Some(right), &chain), "");
        assert_eq!(says(Some(right), &published(&[])), "");
        assert!(says(Some(other), &chain).contains("disagree"));
        assert!(says(Some(other), &published(&[])).contains("its SHA-256 is"));
        assert!(says(None, &published(other.as_bytes())).contains("its SHA-256 is"));
        assert!(says(None, &published(&[])).contains("set sha256 in the rule"));
        assert!(says(None, &published(&[1, 2, 3])).contains("is not a SHA-256"));
        assert!(says(Some(right), &published(&[1, 2, 3])).contains("is not a SHA-256"));
    }

    #[test]
    fn a_file_of_another_chain_height_or_without_a_time_is_refused() {
        let says = |file: &PreCcv| {
            let checked = expectation().check(&source(None), file);
            checked.err().unwrap_or_default()
        };
        assert_eq!(says(&file()), "");
        let foreign = PreCcv {
            chain_id: "c-1\n".into(),
            ..file()
        };
        assert!(says(&foreign).starts_with(r#"its chain_id is "c-1\n", not "c-1""#));
        for initial_height in [1, 4, 6] {
            let other = PreCcv {
                initial_height,
                ..file()
            };
            assert!(says(&other).contains("initial_height"));
        }
        let timeless = PreCcv {
            genesis_time: None,
            ..file()
        };
        assert!(says(&timeless).contains("no genesis_time"));
    }
}
