//! What our nodes say of their consumers' own validator sets: those of the provider.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ics_core::id::ConsumerId;
use ics_core::key::PublicKey;
use ics_core::time::UnixTime;
use ics_fixtures::cast::Cast;
use ics_fixtures::chain::{Chain, Params};
use ics_fixtures::node::{Asked, Fault, Faults, Node};
use serde_json::{Value, json};

use crate::provider::Provider;

/// The RPC servers of the nodes that ever ran.
#[derive(Default)]
pub(crate) struct OwnSets(BTreeMap<SocketAddr, Node>);

/// Answers with a set of its own, else as any node.
#[derive(Debug)]
struct Own {
    provider: Arc<Provider>,
    id: ConsumerId,
}

impl OwnSets {
    /// Serves where the node of this folder listens.
    pub(crate) async fn serve(&mut self, folder: &Path, provider: &Arc<Provider>, cast: &Cast) {
        let Some((id, address)) = node_of(folder) else {
            return;
        };
        if self.0.contains_key(&address) {
            return;
        }
        let mut chain = Chain::new(cast.genesis("own-1", UnixTime::new(0, 0), Params::default()));
        chain.step(UnixTime::new(1, 0));
        let Ok(node) = Node::start(chain, address).await else {
            return;
        };
        let provider = Arc::clone(provider);
        node.set_faults(Some(Arc::new(Own { provider, id })));
        self.0.insert(address, node);
    }
}

impl Faults for Own {
    fn on(&self, asked: &Asked<'_>) -> Fault {
        if asked.method != "validators" {
            return Fault::None;
        }
        let set = self.provider.set(self.id);
        let all: Vec<Value> = set
            .into_iter()
            .map(|(key, power)| member(&key, power))
            .collect();
        let count = all.len().to_string();
        Fault::Say(json!({
            "block_height": "1", "validators": all, "count": count, "total": count,
        }))
    }
}

fn member(key: &PublicKey, power: i64) -> Value {
    json!({
        "address": key.address().to_string(),
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": key.to_base64()},
        "voting_power": power.to_string(),
        "proposer_priority": "0",
    })
}

/// Whose node is in a folder, and where it serves RPC, as the deployer wrote it down.
fn node_of(folder: &Path) -> Option<(ConsumerId, SocketAddr)> {
    let (_, id) = folder.file_name()?.to_str()?.rsplit_once('-')?;
    let record: Value = serde_json::from_slice(&fs::read(folder.join("node.json")).ok()?).ok()?;
    let rpc = record["addresses"][1].as_str()?;
    Some((id.parse().ok()?, rpc.parse().ok()?))
}
