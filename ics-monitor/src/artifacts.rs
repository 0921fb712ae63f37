//! Artifacts as files in a folder, each named by its SHA-256.
//!
//! Nothing here is precious: every artifact can be built again from the chain.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use ics_core::artifact::{ArtifactRef, Artifacts, Digest};
use ics_core::failure::Failure;
use sha2::{Digest as _, Sha256};

use crate::durable::{self, Draft};

/// An artifact store in a folder of the local disk.
///
/// **Guarantees:** an artifact appears whole and durable or not at all.
/// **Assumptions:** one monitor uses the folder.
/// **Caveats:** calls block; an artifact's length is checked when it is opened, its digest is not.
pub struct FileArtifacts {
    folder: PathBuf,
}

impl FileArtifacts {
    /// Opens the store in this folder, making it if it is not there, and removes what was left
    /// half-written.
    ///
    /// # Errors
    /// Why the folder cannot be read or written.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Failure> {
        let folder = folder.into();
        durable::create_folder(&folder)?;
        durable::remove_drafts(&folder)?;
        Ok(Self { folder })
    }

    /// Stores what `fill` writes; storing the same bytes again changes nothing.
    ///
    /// # Errors
    /// What `fill` fails with, or why the folder cannot be written; nothing is then stored.
    pub fn create(
        &self,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
    ) -> Result<ArtifactRef, Failure> {
        let mut out = Hashing {
            out: BufWriter::new(Draft::new(&self.folder)?),
            sha256: Sha256::new(),
            len: 0,
        };
        fill(&mut out)?;
        let artifact = ArtifactRef {
            digest: Digest::new(out.sha256.finalize().into()),
            len: out.len,
        };
        let path = self.path(&artifact);
        let draft = out
            .out
            .into_inner()
            .map_err(|e| durable::failed("write", &path, e.error()))?;
        draft.replace(&artifact.digest.to_string())?;
        Ok(artifact)
    }

    fn path(&self, artifact: &ArtifactRef) -> PathBuf {
        self.folder.join(artifact.digest.to_string())
    }
}

impl Artifacts for FileArtifacts {
    fn open(&self, artifact: &ArtifactRef) -> Result<Box<dyn Read + Send>, Failure> {
        let path = self.path(artifact);
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => Failure::permanent(format!(
                "{} is not there: it is built again from the chain",
                path.display()
            )),
            _ => durable::failed("open the artifact", &path, &e),
        };
        let file = File::open(&path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        if len != artifact.len {
            return Err(Failure::permanent(format!(
                "{} has {len} bytes instead of {}: delete it, it is built again from the chain",
                path.display(),
                artifact.len
            )));
        }
        Ok(Box::new(file))
    }
}

/// Passes bytes on and keeps their digest and number.
struct Hashing {
    out: BufWriter<Draft>,
    sha256: Sha256,
    len: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        // A slice is never longer than 2^63.
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ics_core::failure::FailureKind;
    use std::fs;
    use std::path::Path;

    fn store(artifacts: &FileArtifacts, bytes: &[u8]) -> ArtifactRef {
        let fill = |out: &mut dyn Write| {
            for part in bytes.chunks(1000) {
                out.write_all(part)
                    .map_err(|e| Failure::transient(e.to_string()))?;
            }
            Ok(())
        };
        artifacts.create(fill).expect("stored")
    }

    fn read(artifacts: &FileArtifacts, artifact: &ArtifactRef) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut file = Artifacts::open(artifacts, artifact).expect("there");
        file.read_to_end(&mut bytes).expect("read");
        bytes
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).expect("folder").count()
    }

    #[test]
    fn an_artifact_is_read_as_it_was_written_also_after_a_restart() {
        let root = tempfile::tempdir().expect("a folder");
        let artifacts = FileArtifacts::open(root.path().join("a")).expect("opened");
        let bytes = vec![7; 100_001];
        let artifact = store(&artifacts, &bytes);
        assert_eq!(artifact.digest, Digest::of(&bytes));
        assert_eq!(artifact.len, 100_001);
        assert_eq!(store(&artifacts, &bytes), artifact);
        let empty = store(&artifacts, b"");
        let artifacts = FileArtifacts::open(root.path().join("a")).expect("opened again");
        let mut half = [0; 10];
        let mut file = Artifacts::open(&artifacts, &artifact).expect("there");
        file.read_exact(&mut half).expect("read");
        assert_eq!(read(&artifacts, &artifact), bytes);
        assert_eq!(read(&artifacts, &empty), b"");
        assert_eq!(count(&root.path().join("a")), 2);
    }

    #[test]
    fn what_was_not_finished_leaves_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        let artifacts = FileArtifacts::open(root.path()).expect("opened");
        let failure = artifacts.create(|out| {
            out.write_all(&[1; 100_000])
                .map_err(|e| Failure::transient(e.to_string()))?;
            Err(Failure::permanent("not a genesis"))
        });
        assert_eq!(failure, Err(Failure::permanent("not a genesis")));
        assert_eq!(count(root.path()), 0);
        fs::write(root.path().join(".draft-x"), "half").expect("written");
        FileArtifacts::open(root.path()).expect("opened");
        assert_eq!(count(root.path()), 0);
    }

    #[test]
    fn what_is_absent_or_cut_is_a_permanent_failure_until_it_is_stored_again() {
        let root = tempfile::tempdir().expect("a folder");
        let artifacts = FileArtifacts::open(root.path()).expect("opened");
        let absent = ArtifactRef {
            digest: Digest::of(b"absent"),
            len: 6,
        };
        let failure = Artifacts::open(&artifacts, &absent).err().expect("absent");
        assert_eq!(failure.kind, FailureKind::Permanent);
        let artifact = store(&artifacts, b"bytes");
        let path = root.path().join(artifact.digest.to_string());
        fs::write(&path, "byt").expect("cut");
        let failure = Artifacts::open(&artifacts, &artifact).err().expect("cut");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(
            failure.message.contains(&path.display().to_string()),
            "{failure}"
        );
        assert_eq!(store(&artifacts, b"bytes"), artifact);
        assert_eq!(read(&artifacts, &artifact), b"bytes");
    }
}
