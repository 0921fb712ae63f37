//! Takes the keys that lie in a volume out of use: archives each with its last signer state.

use std::collections::BTreeMap;

use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::key::PublicKey;
use ics_core::keystore::{KeyRef, KeyStanding, KeyStore, StorageId};
use ics_core::signer::SignerState;

use crate::archive::Found;
use crate::home::{self, SignerFile};

/// What one signer folder holds.
#[derive(Default)]
struct Signer {
    key: Option<PublicKey>,
    state: Option<Vec<u8>>,
}

/// Archives every key that signed on this storage, but for the one that is to sign there now. The
/// node must have been ended.
///
/// A key that is bound here without being in the volume was never started and stays as it is.
pub(crate) async fn others(
    keys: &dyn KeyStore,
    consumer_id: ConsumerId,
    storage: &StorageId,
    now: Option<PublicKey>,
    files: Vec<Found>,
) -> Result<(), Failure> {
    let signers = by_address(files).into_values();
    for (public_key, state) in signers.filter_map(|it| Some((it.key?, it.state))) {
        let key = KeyRef {
            consumer_id,
            public_key,
        };
        if now == Some(public_key) {
            continue;
        }
        let bound_here = keys.load(&key).await?.is_some_and(
            |it| matches!(it.standing, KeyStanding::Bound(bound) if bound == *storage),
        );
        if bound_here {
            keys.archive(&key, state.as_deref()).await?;
            tracing::info!(%consumer_id, key = %public_key, "archived a key that was replaced");
        }
    }
    Ok(())
}

/// Archives every key of a volume, and the one that was asked for, before the volume is removed.
///
/// # Errors
/// A permanent failure if the volume holds a state that cannot be archived for want of its key.
pub(crate) async fn all(
    keys: &dyn KeyStore,
    consumer_id: ConsumerId,
    storage: Option<&StorageId>,
    asked: Option<PublicKey>,
    files: Vec<Found>,
) -> Result<(), Failure> {
    let mut signers = by_address(files);
    if let Some(key) = asked {
        let address = key.address().to_string();
        signers.entry(address).or_default().key = Some(key);
    }
    for (address, signer) in signers {
        let Some(public_key) = signer.key else {
            refuse_nameless(consumer_id, &address, signer.state.as_deref())?;
            continue;
        };
        let key = KeyRef {
            consumer_id,
            public_key,
        };
        let zero = || SignerState::zero().text().as_bytes().to_vec();
        let state = match keys.load(&key).await?.map(|it| it.standing) {
            Some(KeyStanding::Bound(bound)) if Some(&bound) == storage => signer.state,
            // What it signed last is told elsewhere, and nobody says that this is still there.
            Some(KeyStanding::Bound(_)) => None,
            Some(KeyStanding::Unbound) => Some(signer.state.unwrap_or_else(zero)),
            Some(KeyStanding::Lost | KeyStanding::Resumes(_)) | None => continue,
        };
        keys.archive(&key, state.as_deref()).await?;
    }
    Ok(())
}

/// A state without its key's name cannot be archived; only one that says nothing may be lost.
fn refuse_nameless(
    consumer_id: ConsumerId,
    address: &str,
    state: Option<&[u8]>,
) -> Result<(), Failure> {
    let nothing = |it: &[u8]| it.is_empty() || SignerState::read(it).is_some_and(|it| it.is_zero());
    if state.is_none_or(nothing) {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "consumer {consumer_id}'s volume holds the signer state of key {address:?} but not the key, so it \
         cannot be archived and nothing was deleted: copy it away, then remove the volume by hand"
    )))
}

fn by_address(files: Vec<Found>) -> BTreeMap<String, Signer> {
    let mut signers: BTreeMap<String, Signer> = BTreeMap::new();
    for file in files {
        let Some((address, kind)) = home::signer_file(&file.path) else {
            continue;
        };
        let signer = signers.entry(address.to_owned()).or_default();
        match kind {
            // A key that is not the one its folder is named after names nothing.
            SignerFile::Key => {
                signer.key =
                    home::public_half(&file.bytes).filter(|it| it.address().to_string() == address);
            }
            SignerFile::State => signer.state = Some(file.bytes),
        }
    }
    signers
}
