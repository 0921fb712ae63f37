//! Files too large for a message, named by what they hold.

use std::fmt;
use std::io::{self, Read};

use serde::{Serialize, Serializer};
use sha2::Digest as _;

use crate::failure::Failure;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads 64 hex characters.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    /// 64 lower-case hex characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A file in the artifact store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ArtifactRef {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub len: u64,
}

/// Read access to artifacts.
///
/// **Guarantees:** what is read under a reference has that digest when it was stored.
/// **Assumptions:** a caller may open one artifact several times at once.
pub trait Artifacts: Send + Sync {
    /// Opens an artifact for reading from its start.
    ///
    /// # Errors
    /// A permanent failure if it is not there; it can be built anew from the chain.
    fn open(&self, artifact: &ArtifactRef) -> Result<Box<dyn Read + Send>, Failure>;
}

/// A reader that knows the digest of what went through it.
pub struct Checked<R> {
    inner: R,
    hash: sha2::Sha256,
    len: u64,
}

impl<R: Read> Checked<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            hash: sha2::Sha256::new(),
            len: 0,
        }
    }

    /// Refuses what went through, or is still to come, if it is not this artifact.
    ///
    /// # Errors
    /// If it cannot be read; within: a permanent failure if it is something else.
    pub fn check(mut self, expected: &ArtifactRef) -> io::Result<Result<(), Failure>> {
        let wrong = |what: String| {
            Ok(Err(Failure::permanent(format!(
                "artifact {} {what}: build it anew from the chain",
                expected.digest
            ))))
        };
        if self.len != expected.len || self.inner.read(&mut [0])? != 0 {
            return wrong(format!("does not have {} bytes", expected.len));
        }
        let digest = Digest::new(self.hash.finalize().into());
        if digest != expected.digest {
            return wrong(format!("has digest {digest} when read"));
        }
        Ok(Ok(()))
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.len += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shorter_longer_or_other_than_its_reference_is_refused() {
        let artifact = ArtifactRef {
            digest: Digest::of(b"genesis"),
            len: 7,
        };
        for (bytes, good) in [
            (&b"genesis"[..], true),
            (b"Genesis", false),
            (b"genes", false),
            (b"genesis ", false),
        ] {
            let mut read = Checked::new(bytes);
            let copied = io::copy(&mut (&mut read).take(artifact.len), &mut io::sink());
            assert!(copied.is_ok());
            let checked = read.check(&artifact).expect("readable");
            assert_eq!(checked.is_ok(), good, "{bytes:?}");
        }
    }
}
