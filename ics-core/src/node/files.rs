//! The text files of a node's home, rendered from data by a TOML writer.
//!
//! Each holds only what differs from the program's own default. Keys: CometBFT's
//! `config/config.go`, the SDK's `server/config/config.go` and `client/config/config.go`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use toml::{Table, Value};

use super::{NodeSpec, Pruning, Signer};
use crate::home;

impl NodeSpec {
    /// The text files of the node's home, by path below it. Secrets and the genesis are not here.
    ///
    /// With `signs` false the node is rendered as a full node even if it has a signer.
    #[must_use]
    pub fn files(&self, signs: bool) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("config/app.toml", self.app_toml().to_string()),
            ("config/client.toml", self.client_toml().to_string()),
            ("config/config.toml", self.config_toml(signs).to_string()),
        ])
    }

    fn config_toml(&self, signs: bool) -> Table {
        let (settings, ports) = (&self.settings, &self.ports);
        let peers: Vec<_> = self
            .persistent_peers
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut root = settings.overlay.config();
        set(&mut root, "moniker", settings.moniker.as_str());
        set(&mut root, "rpc.laddr", everywhere(ports.rpc));
        set(&mut root, "rpc.pprof_laddr", "");
        set(&mut root, "p2p.laddr", everywhere(ports.p2p));
        set(&mut root, "p2p.persistent_peers", peers.join(","));
        set(&mut root, "p2p.addr_book_strict", !settings.private_peers);
        set(&mut root, "p2p.allow_duplicate_ip", settings.private_peers);
        if let Some(ip) = settings.external_ip {
            let address = SocketAddr::new(ip, ports.p2p).to_string();
            set(&mut root, "p2p.external_address", address);
        }
        if let Some(millis) = settings.timeout_commit_ms {
            set(&mut root, "consensus.timeout_commit", format!("{millis}ms"));
        }
        match &self.signer {
            Signer::Key(key) if signs => {
                let key = key.public_key;
                set(&mut root, "priv_validator_key_file", home::key_path(key));
                set(
                    &mut root,
                    "priv_validator_state_file",
                    home::state_path(key),
                );
            }
            Signer::Remote { port, .. } if signs => {
                set(&mut root, "priv_validator_laddr", everywhere(*port));
            }
            Signer::Key(_) | Signer::None | Signer::Remote { .. } => {}
        }
        root
    }

    fn app_toml(&self) -> Table {
        let (settings, ports) = (&self.settings, &self.ports);
        let mut root = settings.overlay.app();
        let prices = settings.min_gas_prices.to_string();
        set(&mut root, "minimum-gas-prices", prices);
        if let Some(pruning) = settings.pruning {
            set(&mut root, "pruning", pruning.name());
            if let Pruning::Custom {
                keep_recent,
                interval,
            } = pruning
            {
                // The SDK's own file has them as strings.
                set(&mut root, "pruning-keep-recent", keep_recent.to_string());
                set(&mut root, "pruning-interval", interval.to_string());
            }
        }
        set(&mut root, "api.enable", true);
        set(&mut root, "api.address", everywhere(ports.rest));
        set(&mut root, "grpc.enable", true);
        set(&mut root, "grpc.address", format!("0.0.0.0:{}", ports.grpc));
        set(&mut root, "grpc-web.enable", false);
        root
    }

    fn client_toml(&self) -> Table {
        let mut root = Table::new();
        set(&mut root, "chain-id", self.chain_id.as_str());
        let node = format!("tcp://127.0.0.1:{}", self.ports.rpc);
        set(&mut root, "node", node);
        root
    }
}

/// Sets a key of the file, or of a table of it.
fn set(root: &mut Table, path: &str, value: impl Into<Value>) {
    let Some((table, key)) = path.split_once('.') else {
        root.insert(path.into(), value.into());
        return;
    };
    let empty = || Value::Table(Table::new());
    if let Value::Table(table) = root.entry(table).or_insert_with(empty) {
        table.insert(key.into(), value.into());
    }
}

fn everywhere(port: u16) -> String {
    format!("tcp://0.0.0.0:{port}")
}
