//! The provider daemon's command line, with the accounts of the devnet.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::Error;
use crate::command::run;

/// Gas every transaction may use; gas is free on the devnet.
const GAS: &str = "3000000";

/// A daemon and the home that holds the keyring.
#[derive(Clone, Debug)]
pub(crate) struct Cli {
    daemon: PathBuf,
    home: PathBuf,
    chain_id: String,
}

impl Cli {
    /// Makes the home, readable by its owner only.
    pub(crate) fn create(daemon: PathBuf, home: PathBuf, chain_id: &str) -> Result<Self, Error> {
        let config = home.join("config");
        let mut folder = fs::DirBuilder::new();
        folder.mode(0o700).recursive(true);
        folder
            .create(&config)
            .map_err(Error::file("create", &config))?;
        // The daemon writes missing files at each call, and calls run at once.
        for file in ["app.toml", "client.toml", "config.toml"] {
            let path = config.join(file);
            fs::write(&path, "").map_err(Error::file("write", &path))?;
        }
        Ok(Self {
            daemon,
            home,
            chain_id: chain_id.to_owned(),
        })
    }

    /// The folder of the keyring.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Where the mnemonic of an account is kept.
    pub(crate) fn mnemonic_file(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}.mnemonic"))
    }

    /// Makes a new key, keeps its mnemonic and returns the account's address.
    pub(crate) async fn add_key(&self, name: &str) -> Result<String, Error> {
        let arguments = [
            "keys",
            "add",
            name,
            "--keyring-backend",
            "test",
            "--output",
            "json",
        ];
        let key = self.json(self.command().args(arguments)).await?;
        let (Some(address), Some(mnemonic)) = (key["address"].as_str(), key["mnemonic"].as_str())
        else {
            return Err(Error::Reply(format!(
                "keys add {name}: no address or mnemonic"
            )));
        };
        let path = self.mnemonic_file(name);
        let mut options = File::options();
        let file = options.create_new(true).write(true).mode(0o600).open(&path);
        let mut file = file.map_err(Error::file("create", &path))?;
        writeln!(file, "{mnemonic}").map_err(Error::file("write", &path))?;
        Ok(address.to_owned())
    }

    /// Runs a query such as `["query", "staking", "params"]` against a node.
    pub(crate) async fn query(&self, node: &str, arguments: &[&str]) -> Result<Value, Error> {
        let flags = ["--node", node, "--output", "json"];
        self.json(self.command().args(arguments).args(flags)).await
    }

    /// Signs and sends a transaction such as `["staking", "edit-validator", ..]` through a node.
    ///
    /// Returns its hash; the node has checked it, and no block has it yet.
    pub(crate) async fn send(
        &self,
        node: &str,
        from: &str,
        arguments: &[&str],
    ) -> Result<String, Error> {
        let mut command = self.command();
        command
            .arg("tx")
            .args(arguments)
            .args(["--from", from, "--node", node, "--gas", GAS]);
        command.args(["--chain-id", &self.chain_id, "--keyring-backend", "test"]);
        command.args(["--broadcast-mode", "sync", "--output", "json", "--yes"]);
        let answer = self.json(&mut command).await?;
        match (&answer["code"], answer["txhash"].as_str()) {
            (Value::Number(code), Some(hash)) if code.as_u64() == Some(0) => Ok(hash.to_owned()),
            _ => Err(Error::Reply(format!(
                "tx {} refused: {answer}",
                arguments.join(" ")
            ))),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.daemon);
        command.arg("--home").arg(&self.home);
        command
    }

    async fn json(&self, command: &mut Command) -> Result<Value, Error> {
        let output = run(command).await?;
        serde_json::from_str(&output.stdout)
            .map_err(|e| Error::Reply(format!("{}: {e}", crate::command::shown(command))))
    }
}
