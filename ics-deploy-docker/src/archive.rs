//! Reads small files back out of a container, running or not.

use std::io::Read as _;

use ics_core::failure::Failure;

use crate::engine::Engine;

/// More than a signer state or a folder of them ever needs; the node could write more.
const LIMIT: usize = 1 << 20;

/// The regular files at or below `path`, each with its path from there, that folder's own name
/// included; empty if there is nothing. Links are not followed.
///
/// # Errors
/// If the engine refuses, or there is more than a signer folder can hold.
pub(crate) async fn read(
    engine: &Engine,
    container: &str,
    path: &str,
) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let Some(tar) = engine.pack(container, path, LIMIT).await? else {
        return Ok(Vec::new());
    };
    unpack(&tar).map_err(|e| {
        Failure::transient(format!(
            "cannot read {path} of container {container}: the engine's tar is malformed: {e}"
        ))
    })
}

fn unpack(tar: &[u8]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.push((path, bytes));
    }
    Ok(files)
}
