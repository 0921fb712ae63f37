//! `keys`: bringing consensus keys into the key store.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Subcommand};
use ics_core::id::ConsumerId;
use ics_core::key::SecretKey;
use ics_core::signer::SignerState;
use ics_monitor::config::File;
use ics_monitor::keystore::{FileKeyStore, Past};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Error, Output, print};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put a consensus key into the store, for one consumer; the monitor must be stopped.
    ///
    /// Where the key signed before, it must never sign again; only the validator's key on the provider
    /// goes on there.
    #[command(group = ArgGroup::new("past").required(true))]
    Import {
        /// The consumer id.
        id: ConsumerId,
        /// The priv_validator_key.json of the key.
        file: PathBuf,
        /// The priv_validator_state.json that its last signer has left.
        #[arg(long, value_name = "FILE", group = "past")]
        state: Option<PathBuf>,
        /// The key has never signed anything, anywhere.
        #[arg(long, group = "past")]
        never_signed: bool,
        /// The key is the validator's on the provider, where it goes on signing: for rules with
        /// key = "provider". It must never have signed under this consumer's chain id.
        #[arg(long, group = "past")]
        provider_key: bool,
    },
}

pub(super) async fn execute(command: Command, file: &File, output: Output) -> Result<(), Error> {
    let Command::Import {
        id,
        file: path,
        state,
        provider_key,
        ..
    } = command;
    let key = SecretKey::from_priv_validator_key_json(&read(&path)?);
    let key = key.map_err(|e| refuse(&path, &e.to_string()))?;
    let past = match state {
        Some(path) => Past::Signed(
            SignerState::read(&read(&path)?)
                .ok_or_else(|| refuse(&path, "it is not a priv_validator_state.json"))?,
        ),
        None if provider_key => Past::ProviderKey,
        None => Past::NeverSigned,
    };
    let advice = match past {
        Past::ProviderKey => "it signs there by rules with key = \"provider\"",
        Past::NeverSigned | Past::Signed(_) => "remove all other copies of it",
    };
    let store = FileKeyStore::open(file.data_dir()?.join("keys"))?;
    let key = store.import(id, key, past).await?.public_key;
    print(
        output,
        &json!({ "consumer_id": id, "public_key": key.to_base64() }),
        &format!("key {key} is in the store for consumer {id}; {advice}"),
    )
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = fs::read(path).map(Zeroizing::new);
    bytes.map_err(|e| refuse(path, &e.to_string()))
}

fn refuse(path: &Path, why: &str) -> Error {
    Error::Failed(format!("{}: {why}", path.display()))
}
