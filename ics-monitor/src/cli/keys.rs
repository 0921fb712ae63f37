//! `keys`: bringing consensus keys into the key store.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Subcommand};
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::SecretKey;
use ics_core::signer::SignerState;
use ics_monitor::config::File;
use ics_monitor::keystore::{FileKeyStore, Import, Past};
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
        /// The priv_validator_state.json that its last signer has left; of the provider key, its signer
        /// on this consumer.
        #[arg(long, value_name = "FILE", group = "past")]
        state: Option<PathBuf>,
        /// The key has never signed anything, anywhere; the provider key: nothing under this consumer's
        /// chain id.
        #[arg(long, group = "past")]
        never_signed: bool,
        /// The key is the validator's on the provider, where it goes on signing: for rules with
        /// key = "provider".
        #[arg(long)]
        provider_key: bool,
        /// The consumer's chain id, under which the provider key has signed.
        #[arg(long, requires = "state")]
        chain_id: Option<String>,
    },
}

pub(super) async fn execute(command: Command, file: &File, output: Output) -> Result<(), Error> {
    let Command::Import {
        id,
        file: path,
        state,
        provider_key,
        chain_id,
        ..
    } = command;
    let key = SecretKey::from_priv_validator_key_json(&read(&path)?);
    let key = key.map_err(|e| refuse(&path, &e.to_string()))?;
    let past = match state {
        Some(path) => Past::Signed(
            SignerState::read(&read(&path)?)
                .ok_or_else(|| refuse(&path, "it is not a priv_validator_state.json"))?,
        ),
        None => Past::NeverSigned,
    };
    let advice = match provider_key {
        true => {
            "by rules with key = \"provider\" it signs there, if it is the validator's on the provider"
        }
        false => "remove all other copies of it",
    };
    let chain_id = chain_id.map(ChainId::new).transpose();
    let import = Import {
        key,
        past,
        chain_id: chain_id.map_err(|e| Error::Usage(format!("--chain-id: {e}")))?,
        is_provider_key: provider_key,
    };
    let store = FileKeyStore::open(file.data_dir()?.join("keys"))?;
    let key = store.import(id, import).await?.public_key;
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
