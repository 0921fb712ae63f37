//! Commands that need no chain: ports, version, the node id, orders to the monitor.

use ics_core::id::{ChainId, ConsumerId};
use ics_core::keystore::KeyStore as _;
use ics_core::peers::NodeId;
use ics_core::policy::Override;
use ics_core::ports::{Offset, Ports};
use ics_monitor::config::File;
use ics_monitor::keystore::FileKeyStore;
use ics_monitor::overrides::Overrides;
use serde::Serialize;
use serde_json::json;

use super::{Error, Output, print};

#[derive(Serialize)]
struct PortsAnswer {
    chain_id: String,
    offset: Offset,
    #[serde(flatten)]
    ports: Ports,
}

/// Prints the ports that a chain id gives where no other consumer is in its way.
pub(super) fn ports(chain_id: String, output: Output) -> Result<(), Error> {
    let parsed = ChainId::new(chain_id.clone()).map_err(|e| Error::Usage(e.to_string()))?;
    let offset = Offset::of(&parsed);
    let ports = offset.ports();
    let text = format!(
        "offset {offset}: p2p {}, rpc {}, grpc {}, grpc_web {}, rest {}",
        ports.p2p, ports.rpc, ports.grpc, ports.grpc_web, ports.rest
    );
    print(
        output,
        &PortsAnswer {
            chain_id,
            offset,
            ports,
        },
        &text,
    )
}

/// Prints the version.
pub(super) fn version(output: Output) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    print(
        output,
        &json!({ "version": version }),
        &format!("ics-monitor {version}"),
    )
}

/// Prints the node id, making the node key at the first call.
pub(super) async fn node_id(file: &File, output: Output) -> Result<(), Error> {
    let folder = file.data_dir()?.join("keys");
    let node_id = match FileKeyStore::peek_node_key(&folder)? {
        Some(key) => NodeId::of(&key),
        None => node_id_of(&FileKeyStore::open(folder)?).await?,
    };
    let entry = file
        .docker
        .publish_address
        .map(|address| format!("p2p={node_id}@{address}"));
    let text = match &entry {
        Some(entry) => format!("{node_id}\npublish in the validator's details: {entry}"),
        None => node_id.to_string(),
    };
    print(
        output,
        &json!({ "node_id": node_id.to_string(), "details": entry }),
        &text,
    )
}

/// The node id of the instance that this key store belongs to.
pub(super) async fn node_id_of(keys: &FileKeyStore) -> Result<NodeId, Error> {
    Ok(NodeId::of(&keys.node_key().await?.public()))
}

/// Writes an order for one consumer; a running monitor reads it within a second.
pub(super) fn order(
    file: &File,
    consumer_id: ConsumerId,
    order: Override,
    output: Output,
) -> Result<(), Error> {
    let folder = file.data_dir()?;
    Overrides::new(&folder).set(consumer_id, order)?;
    let text = match order {
        Override::OptIn => format!("ordered: take part in consumer {consumer_id}"),
        Override::OptOut => format!("ordered: do not take part in consumer {consumer_id}"),
    };
    print(
        output,
        &json!({ "consumer_id": consumer_id, "order": order }),
        &text,
    )
}
