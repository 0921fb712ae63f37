//! `keys`: bringing consensus keys into the key store.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use ics_core::id::ConsumerId;
use ics_core::key::SecretKey;
use ics_core::signer::SignerState;
use ics_monitor::config::File;
use ics_monitor::keystore::FileKeyStore;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Error, Output, print};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put a consensus key into the store, for one consumer; the monitor must be stopped.
    ///
    /// Where the key signed before, it must never sign again.
    Import {
        /// The consumer id.
        id: ConsumerId,
        /// The priv_validator_key.json of the key.
        file: PathBuf,
        /// The priv_validator_state.json that its last signer has left.
        #[arg(
            long,
            value_name = "FILE",
            required_unless_present = "never_signed",
            conflicts_with = "never_signed"
        )]
        state: Option<PathBuf>,
        /// The key has never signed anything, anywhere.
        #[arg(long)]
        never_signed: bool,
    },
}

pub(super) async fn execute(command: Command, file: &File, output: Output) -> Result<(), Error> {
    let Command::Import {
        id,
        file: path,
        state,
        ..
    } = command;
    let key = SecretKey::from_priv_validator_key_json(&read(&path)?);
    let key = key.map_err(|e| refuse(&path, &e.to_string()))?;
    let state = match state {
        None => None,
        Some(path) => Some(
            SignerState::read(&read(&path)?)
                .ok_or_else(|| refuse(&path, "it is not a priv_validator_state.json"))?,
        ),
    };
    let store = FileKeyStore::open(file.data_dir()?.join("keys"))?;
    let key = store.import(id, key, state).await?.public_key;
    print(
        output,
        &json!({ "consumer_id": id, "public_key": key.to_base64() }),
        &format!("key {key} is in the store for consumer {id}; remove all other copies of it"),
    )
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = fs::read(path).map(Zeroizing::new);
    bytes.map_err(|e| refuse(path, &e.to_string()))
}

fn refuse(path: &Path, why: &str) -> Error {
    Error::Failed(format!("{}: {why}", path.display()))
}
