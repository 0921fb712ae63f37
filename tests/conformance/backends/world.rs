//! One case's world: a platform, a deployer on it, and the two stores.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ics_core::deploy::{Deployer, NodeSigner, NodeState, NodeStatus};
use ics_core::home;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::PublicKey;
use ics_core::keystore::KeyRef;
use ics_core::node::{Moniker, NodeSettings, NodeSpec, Resources, Signer};
use ics_core::peers::{Host, NodeId, Peer};
use ics_core::ports::Ports;

use crate::backend::{Backend, Behaviour};
use crate::stores::{Genesis, Keys};

/// The consumer of all cases.
pub(crate) const CONSUMER: ConsumerId = ConsumerId::new(7);

/// A platform, a deployer on it, and the two stores.
pub(crate) struct World<B> {
    pub(crate) backend: B,
    pub(crate) deployer: Box<dyn Deployer>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) artifacts: Arc<Genesis>,
}

impl<B: Backend> World<B> {
    pub(crate) async fn new() -> Self {
        let backend = B::new().await;
        let keys = Arc::new(Keys::default());
        let artifacts = Arc::new(Genesis(b"{\"chain_id\":\"x\"}".to_vec()));
        let deployer = backend.deployer(keys.clone(), artifacts.clone()).await;
        Self {
            backend,
            deployer,
            keys,
            artifacts,
        }
    }

    /// Another deployer of the same instance, as after a restart.
    pub(crate) async fn restarted(&self) -> Box<dyn Deployer> {
        self.deployer_with(Genesis::clone(&self.artifacts)).await
    }

    /// Another deployer of the same instance, with other artifacts.
    pub(crate) async fn deployer_with(&self, artifacts: Genesis) -> Box<dyn Deployer> {
        let artifacts = Arc::new(artifacts);
        self.backend.deployer(self.keys.clone(), artifacts).await
    }

    /// A validator's node that waits until it is stopped.
    pub(crate) fn spec(&self) -> NodeSpec {
        let key = self.keys.add(CONSUMER, 1);
        NodeSpec {
            consumer_id: CONSUMER,
            chain_id: ChainId::new("evil/../\n\"chain\"").expect("a chain id"),
            program: self.backend.program(Behaviour::Waits),
            resources: Resources {
                memory_bytes: 64 << 20,
                cpu_millis: 500,
                pids: 32,
            },
            genesis: self.artifacts.reference(),
            ports: free_ports(),
            settings: NodeSettings {
                private_peers: true,
                ..NodeSettings::named(moniker("test"))
            },
            signer: Signer::Key(key),
            persistent_peers: Vec::new(),
        }
    }

    /// The text of a file of the node's home.
    pub(crate) async fn text(&self, path: &str) -> Option<String> {
        self.backend.file(path).await.map(|found| found.text)
    }

    /// Applies until the node runs: a platform may still be busy with what was asked of it before a
    /// call was cut off.
    pub(crate) async fn apply_again(&self, spec: &NodeSpec) -> NodeStatus {
        let deployer = self.restarted().await;
        eventually("an apply that succeeds", async || {
            deployer.apply(spec).await.ok()
        })
        .await
    }
}

/// The key that a spec asks for.
pub(crate) fn key_of(spec: &NodeSpec) -> KeyRef {
    spec.signer.stored().expect("the spec has a key")
}

fn public(spec: &NodeSpec) -> PublicKey {
    key_of(spec).public_key
}

pub(crate) fn key_path(spec: &NodeSpec) -> String {
    home::key_path(public(spec))
}

pub(crate) fn state_path(spec: &NodeSpec) -> String {
    home::state_path(public(spec))
}

pub(crate) fn signs(spec: &NodeSpec) -> NodeSigner {
    NodeSigner::Key(public(spec))
}

/// Refuses any other status than of a node that runs and signs as its spec asks.
#[track_caller]
pub(crate) fn assert_signs(status: &NodeStatus, spec: &NodeSpec) {
    assert_eq!(
        (&status.state, &status.signer, status.spec),
        (&NodeState::Running, &signs(spec), Some(spec.digest()))
    );
}

#[track_caller]
pub(crate) fn withheld(status: &NodeStatus) -> &str {
    match &status.signer {
        NodeSigner::Withheld(reason) => reason,
        other => panic!("not withheld but {other:?}"),
    }
}

/// Asks again and again, for 30 seconds at most, until there is an answer.
pub(crate) async fn eventually<T, F>(what: &str, ask: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..600 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within 30 seconds");
}

pub(crate) fn free_ports() -> Ports {
    let held = [(); 5].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    let [p2p, rpc, grpc, grpc_web, rest] = held.map(|it| it.local_addr().expect("bound").port());
    Ports {
        p2p,
        rpc,
        grpc,
        grpc_web,
        rest,
    }
}

pub(crate) fn moniker(text: &str) -> Moniker {
    Moniker::new(text).expect("a name")
}

pub(crate) fn peer(host: &str) -> Peer {
    Peer {
        node_id: NodeId::new([7; 20]),
        host: Host::parse(host).expect("a host"),
        port: 26_656,
    }
}
