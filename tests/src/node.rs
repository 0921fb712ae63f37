//! One validator node of the provider: its home, its settings and its process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::command::run;
use crate::process::{Lifetime, Process};
use crate::rpc::Rpc;
use crate::{Error, ports};

/// How long a node may take to end in good order.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node that runs or is stopped; its ports and its home stay.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    pub(crate) rpc: Rpc,
    log: PathBuf,
    node_id: String,
    p2p_port: u16,
    rpc_port: u16,
    process: Option<Process>,
}

impl Node {
    /// Makes the home `folder/NAME` with the daemon's own `init`: keys and an empty genesis.
    pub(crate) async fn init(
        daemon: &Path,
        folder: &Path,
        name: &str,
        chain_id: &str,
    ) -> Result<Self, Error> {
        let home = folder.join(name);
        let mut command = Command::new(daemon);
        command.args([
            "init",
            name,
            "--chain-id",
            chain_id,
            "--default-denom",
            "stake",
            "--home",
        ]);
        // The daemon reports on its error stream.
        let report = run(command.arg(&home)).await?.stderr;
        let report: Value = serde_json::from_str(&report)
            .map_err(|e| Error::Reply(format!("init {name}: {e} in {report:?}")))?;
        let Some(node_id) = report["node_id"].as_str() else {
            return Err(Error::Reply(format!("init {name}: no node_id in {report}")));
        };
        let (p2p_port, rpc_port) = (ports::free()?, ports::free()?);
        Ok(Self {
            name: name.to_owned(),
            rpc: Rpc::new(&format!("http://127.0.0.1:{rpc_port}"))?,
            log: folder.join(format!("{name}.log")),
            node_id: node_id.to_owned(),
            home,
            p2p_port,
            rpc_port,
            process: None,
        })
    }

    /// Path of the genesis file.
    pub(crate) fn genesis_file(&self) -> PathBuf {
        self.home.join("config/genesis.json")
    }

    /// How peers find the node: `node_id@address:port`.
    pub(crate) fn peer(&self) -> String {
        format!("{}@127.0.0.1:{}", self.node_id, self.p2p_port)
    }

    /// Writes the settings that differ from the daemon's defaults.
    pub(crate) fn configure(&self, peers: &str, block_time: Duration) -> Result<(), Error> {
        let config = json!({
            "moniker": self.name,
            // All nodes share one machine and would fight for the default profiling port.
            "rpc": { "laddr": format!("tcp://127.0.0.1:{}", self.rpc_port), "pprof_laddr": "" },
            "p2p": {
                "laddr": format!("tcp://127.0.0.1:{}", self.p2p_port),
                "persistent_peers": peers,
                "addr_book_strict": false,
                "allow_duplicate_ip": true,
                "pex": false,
            },
            "consensus": {
                "timeout_propose": "2s",
                "timeout_commit": format!("{}ms", block_time.as_millis()),
            },
        });
        let app = json!({
            "minimum-gas-prices": "0stake",
            "pruning": "nothing",
            "grpc": { "enable": false },
            "grpc-web": { "enable": false },
        });
        for (file, settings) in [("config.toml", config), ("app.toml", app)] {
            let path = self.home.join("config").join(file);
            let settings = toml::Table::try_from(settings)
                .map_err(|e| Error::Reply(format!("{}: {e}", path.display())))?;
            fs::write(&path, settings.to_string()).map_err(Error::file("write", &path))?;
        }
        Ok(())
    }

    /// Starts the node. It does not answer at once.
    pub(crate) fn start(&mut self, daemon: &Path, lifetime: Lifetime) -> Result<(), Error> {
        if self.is_running() {
            return Err(Error::Reply(format!("node {} runs already", self.name)));
        }
        let mut command = Command::new(daemon);
        command
            .args(["start", "--log_no_color", "--home"])
            .arg(&self.home);
        self.process = Some(Process::spawn(
            &self.name,
            &mut command,
            &self.log,
            lifetime,
        )?);
        Ok(())
    }

    /// Whether the process is there.
    pub(crate) fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_running)
    }

    /// Ends the node in good order.
    pub(crate) async fn stop(&mut self) -> Result<(), Error> {
        if let Some(process) = &mut self.process {
            process.stop(PATIENCE).await?;
        }
        self.process = None;
        Ok(())
    }

    /// Ends the node as a crash would.
    pub(crate) async fn kill(&mut self) -> Result<(), Error> {
        if let Some(process) = &mut self.process {
            process.kill().await?;
        }
        self.process = None;
        Ok(())
    }

    /// Returns the height, or why it cannot be had; `Ok(Err)` when waiting for it is in vain.
    pub(crate) async fn height(&self) -> Result<Result<u64, Error>, Error> {
        if !self.is_running() {
            let text = format!(
                "node {} is not running, see {}",
                self.name,
                self.log.display()
            );
            return Ok(Err(Error::Reply(text)));
        }
        self.rpc.height().await.map(Ok)
    }
}
