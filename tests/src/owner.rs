//! What the owner of a consumer chain prepares: its genesis before the provider's part.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::command::run;
use crate::{Daemons, Error, address, genesis};

/// Coins of every funded account, in base units.
const POCKET: u64 = 1_000_000_000_000;

/// What the owner decides about a consumer chain.
#[derive(Clone, Debug)]
pub struct PreCcvSpec<'a> {
    /// Chain id with revision.
    pub chain_id: &'a str,
    /// Height of the first block; the owner tells the provider the same.
    pub initial_height: u64,
    /// Time of the genesis, RFC 3339. One in the future makes the nodes wait for it.
    pub genesis_time: &'a str,
    /// Accounts with coins, as addresses with any prefix: a relayer's on the provider will do.
    pub funded: &'a [&'a str],
}

/// A genesis that becomes whole when `app_state.ccvconsumer` is replaced by the provider's.
#[derive(Clone, Debug)]
pub struct PreCcv {
    /// Path of the file.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes in lower-case hex.
    pub sha256: String,
}

impl PreCcv {
    /// Makes `folder/CHAIN_ID/config/genesis.json` with the consumer daemon's own `init`.
    ///
    /// The same spec gives the same bytes.
    ///
    /// # Errors
    /// When the folder holds such a chain already, the daemon refuses or an address is wrong.
    pub async fn make(
        daemons: &Daemons,
        folder: &Path,
        spec: &PreCcvSpec<'_>,
    ) -> Result<Self, Error> {
        let home = folder.join(spec.chain_id);
        let mut command = Command::new(daemons.consumer());
        command.args([
            "init",
            "owner",
            "--default-denom",
            "stake",
            "--chain-id",
            spec.chain_id,
        ]);
        // The daemon also writes into a folder of its own below $HOME, whatever --home says.
        run(command.arg("--home").arg(&home).env("HOME", &home)).await?;
        let path = home.join("config/genesis.json");
        let mut genesis = genesis::read(&path)?;
        genesis["genesis_time"] = json!(spec.genesis_time);
        genesis["initial_height"] = json!(spec.initial_height);
        for account in spec.funded {
            let address = address::with_prefix(account, "consumer")?;
            genesis::fund(&mut genesis, &address, POCKET)?;
        }
        genesis::write(&path, &genesis)?;
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        Ok(Self {
            path,
            sha256: hex::encode(Sha256::digest(bytes)),
        })
    }
}
