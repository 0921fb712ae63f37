//! Making fresh ed25519 keys, and reading CometBFT's key files from a path.

use std::path::Path;

use ics_core::failure::Failure;
use ics_core::key::{KeyFileError, SecretKey};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

/// Makes a key from the operating system's randomness.
pub(crate) fn fresh() -> Result<SecretKey, Failure> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    OsRng
        .try_fill_bytes(&mut *seed)
        .map_err(|e| Failure::transient(format!("the system gives no randomness: {e}")))?;
    Ok(SecretKey::from_seed(seed))
}

/// Reads a `priv_validator_key.json`; `path` is for the message only.
///
/// # Errors
/// A permanent failure if it is no ed25519 key file or if its parts do not belong together.
pub(crate) fn consensus_key(bytes: &[u8], path: &Path) -> Result<SecretKey, Failure> {
    SecretKey::from_priv_validator_key_json(bytes).map_err(|error| damaged(path, &error))
}

/// Reads a `node_key.json`; `path` is for the message only.
///
/// # Errors
/// A permanent failure if it is no ed25519 key file.
pub(crate) fn node_key(bytes: &[u8], path: &Path) -> Result<SecretKey, Failure> {
    SecretKey::from_node_key_json(bytes).map_err(|error| damaged(path, &error))
}

fn damaged(path: &Path, error: &KeyFileError) -> Failure {
    Failure::permanent(format!(
        "{} is not a key file of CometBFT: {error}; restore it from a backup",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_named_with_what_is_wrong() {
        for read in [consensus_key, node_key] {
            let failure = read(b"{}", Path::new("a/key.json")).expect_err("damaged");
            let told = failure.message;
            assert!(told.starts_with("a/key.json is not a key file"), "{told}");
            assert!(told.contains("column 2; restore it"), "{told}");
        }
    }
}
