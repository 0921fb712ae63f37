//! A real engine, an instance of its own, and in-memory doubles of the two stores.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use futures::TryStreamExt as _;
use ics_core::artifact::{ArtifactRef, Artifacts, Digest};
use ics_core::deploy::Instance;
use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::SecretKey;
use ics_core::keystore::{KeyOrigin, KeyRef, KeyStanding, KeyStore, StorageId, StoredKey};
use ics_core::node::{Moniker, NodeSettings, NodeSpec, Program, Resources, Signer};
use ics_core::peers::{Host, NodeId, Peer};
use ics_core::ports::Ports;
use ics_core::signer::SignerState;
use ics_deploy_docker::{DockerDeployer, DockerSettings};
use zeroize::Zeroizing;

/// A static busybox and nothing else, imported once.
pub(crate) const IMAGE: &str = "ics-test-busybox:1";
/// The consumer of all tests.
pub(crate) const CONSUMER: ConsumerId = ConsumerId::new(7);
/// Ends at once when it is asked to.
const WAIT: &str = "trap 'exit 0' TERM; while :; do /bin/busybox sleep 1 & wait $!; done";

static IMPORT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static WORLDS: AtomicU32 = AtomicU32::new(0);

/// One test's instance; all it made is removed when it is dropped.
pub(crate) struct World {
    pub(crate) docker: Docker,
    pub(crate) deployer: DockerDeployer,
    pub(crate) settings: DockerSettings,
    pub(crate) keys: Arc<Keys>,
    pub(crate) artifacts: Arc<Genesis>,
}

/// A file as it lies in the volume.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InVolume {
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) text: String,
}

fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").ok();
    let path = host
        .as_deref()
        .and_then(|it| it.strip_prefix("unix://"))
        .unwrap_or("/var/run/docker.sock");
    PathBuf::from(path)
}

async fn import_image(docker: &Docker) {
    let _one_at_a_time = IMPORT.lock().await;
    if docker.inspect_image(IMAGE).await.is_ok() {
        return;
    }
    let busybox = std::fs::read("/bin/busybox")
        .expect("a static /bin/busybox is needed: apt-get install busybox-static");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(busybox.len() as u64);
    tar.append_data(&mut header, "bin/busybox", busybox.as_slice())
        .expect("a tar in memory");
    let tar = tar.into_inner().expect("a tar in memory");
    let (name, tag) = IMAGE.split_once(':').expect("a tag");
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(name)
        .tag(tag)
        .build();
    let body = bollard::body_full(tar.into());
    let steps = docker.create_image(Some(options), Some(body), None);
    steps.try_collect::<Vec<_>>().await.expect("the import");
}

impl World {
    pub(crate) async fn new() -> Self {
        let socket = socket();
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let instance = Instance::new(name).expect("an instance name");
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let settings = DockerSettings {
            socket: socket.clone(),
            ..DockerSettings::new(instance, address)
        };
        let keys = Arc::new(Keys::default());
        let artifacts = Arc::new(Genesis(b"{\"chain_id\":\"x\"}".to_vec()));
        let deployer =
            DockerDeployer::connect(settings.clone(), keys.clone(), artifacts.clone()).await;
        let deployer = deployer.expect(
            "these tests need a Docker engine: start dockerd and set DOCKER_HOST=unix://<socket>",
        );
        let docker =
            Docker::connect_with_unix(&socket.to_string_lossy(), 60, bollard::API_DEFAULT_VERSION)
                .expect("a socket")
                .negotiate_version()
                .await
                .expect("an engine");
        import_image(&docker).await;
        Self {
            docker,
            deployer,
            settings,
            keys,
            artifacts,
        }
    }

    /// Another deployer of the same instance, with other artifacts.
    pub(crate) async fn deployer_with(&self, artifacts: Genesis) -> DockerDeployer {
        let artifacts = Arc::new(artifacts);
        DockerDeployer::connect(self.settings.clone(), self.keys.clone(), artifacts)
            .await
            .expect("an engine")
    }

    /// A validator's node that waits until it is stopped.
    pub(crate) fn spec(&self) -> NodeSpec {
        let key = self.keys.add(CONSUMER, 1);
        NodeSpec {
            consumer_id: CONSUMER,
            chain_id: ChainId::new("evil/../\n\"chain\"").expect("a chain id"),
            program: Program {
                image: IMAGE.into(),
                command: run(WAIT),
                home: "/data".into(),
            },
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

    /// The name of the container and the volume.
    pub(crate) fn name(&self) -> String {
        format!("ics-{}-{CONSUMER}", self.settings.instance)
    }

    pub(crate) async fn inspect(&self) -> ContainerInspectResponse {
        let found = self.docker.inspect_container(&self.name(), None).await;
        found.expect("a container")
    }

    /// A file of the node's home, by its path from there.
    pub(crate) async fn file(&self, path: &str) -> Option<InVolume> {
        let path = format!("/data/node/{path}");
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path.trim_end_matches('/'))
            .build();
        let name = self.name();
        let stream = self.docker.download_from_container(&name, Some(options));
        let chunks: Vec<_> = stream.try_collect().await.ok()?;
        let tar = chunks.concat();
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut entry = archive.entries().ok()?.next()?.ok()?;
        let (header, mut bytes) = (entry.header().clone(), Vec::new());
        entry.read_to_end(&mut bytes).ok()?;
        Some(InVolume {
            mode: header.mode().ok()? & 0o777,
            owner: (header.uid().ok()?, header.gid().ok()?),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    pub(crate) async fn remove_container(&self) {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = self
            .docker
            .remove_container(&self.name(), Some(options))
            .await;
        removed.expect("a container to remove");
    }

    pub(crate) async fn remove_volume(&self) {
        let options = RemoveVolumeOptionsBuilder::new().build();
        let removed = self.docker.remove_volume(&self.name(), Some(options)).await;
        removed.expect("a volume to remove");
    }

    pub(crate) async fn volume_exists(&self) -> bool {
        self.docker.inspect_volume(&self.name()).await.is_ok()
    }

    /// How many containers of this instance run now.
    pub(crate) async fn running(&self) -> usize {
        let label = format!("ics-monitor.instance={}", self.settings.instance);
        let filters = std::collections::HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new()
            .filters(&filters)
            .build();
        let found = self.docker.list_containers(Some(options)).await;
        found.expect("a list").len()
    }
}

impl Drop for World {
    /// Best effort: a test that failed half-way may have left anything or nothing.
    fn drop(&mut self) {
        let (docker, name) = (self.docker.clone(), self.name());
        let cleaner = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                let force = RemoveContainerOptionsBuilder::new().force(true).build();
                docker.remove_container(&name, Some(force)).await.ok();
                let options = RemoveVolumeOptionsBuilder::new().build();
                docker.remove_volume(&name, Some(options)).await.ok();
            });
        });
        cleaner.join().ok();
    }
}

/// Asks again and again, for 30 seconds at most, until there is an answer.
pub(crate) async fn eventually<T, F>(what: &str, ask: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..300 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within 30 seconds");
}

/// A command that runs a shell script; `--home` and the home come after it.
pub(crate) fn run(script: &str) -> Vec<String> {
    ["/bin/busybox", "sh", "-c", script, "node"]
        .map(String::from)
        .into()
}

/// The waiting node, but first it runs `script`.
pub(crate) fn run_first(script: &str) -> Vec<String> {
    run(&format!("{script}; {WAIT}"))
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

pub(crate) fn free_port() -> u16 {
    free_ports().rpc
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

/// One genesis; what it answers with can differ from what it is asked for.
#[derive(Clone)]
pub(crate) struct Genesis(pub(crate) Vec<u8>);

impl Genesis {
    pub(crate) fn reference(&self) -> ArtifactRef {
        ArtifactRef {
            digest: Digest::of(&self.0),
            len: self.0.len() as u64,
        }
    }
}

impl Artifacts for Genesis {
    fn open(&self, _: &ArtifactRef) -> Result<Box<dyn Read + Send>, Failure> {
        Ok(Box::new(std::io::Cursor::new(self.0.clone())))
    }
}

/// What the store knows of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Unbound,
    BoundTo(StorageId),
    Archived(Option<Vec<u8>>),
}

/// The secret key of a seed.
fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(Zeroizing::new([seed; 32]))
}

/// A key store in memory, whose next writes can be made to fail.
#[derive(Default)]
pub(crate) struct Keys {
    held: Mutex<BTreeMap<KeyRef, Held>>,
    broken: AtomicU32,
}

impl Keys {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<KeyRef, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, consumer_id: ConsumerId, seed: u8) -> KeyRef {
        let key = KeyRef {
            consumer_id,
            public_key: secret(seed).public(),
        };
        self.lock().entry(key).or_insert(Held::Unbound);
        key
    }

    pub(crate) fn set(&self, key: &KeyRef, held: Held) {
        self.lock().insert(*key, held);
    }

    pub(crate) fn forget(&self, key: &KeyRef) {
        self.lock().remove(key);
    }

    pub(crate) fn held(&self, key: &KeyRef) -> Option<Held> {
        self.lock().get(key).cloned()
    }

    pub(crate) fn break_writes(&self, count: u32) {
        self.broken.store(count, Ordering::Relaxed);
    }

    fn write(&self) -> Result<(), Failure> {
        let less = |count: u32| count.checked_sub(1);
        let broken = self
            .broken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        match broken {
            Ok(_) => Err(Failure::transient("the disk of the key store is full")),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl KeyStore for Keys {
    async fn prepare(&self, consumer_id: ConsumerId, _: KeyOrigin) -> Result<KeyRef, Failure> {
        Ok(self.add(consumer_id, 1))
    }

    async fn load(&self, key: &KeyRef) -> Result<Option<StoredKey>, Failure> {
        let standing = match self.held(key) {
            Some(Held::Unbound) => KeyStanding::Unbound,
            Some(Held::BoundTo(storage)) => KeyStanding::Bound(storage),
            Some(Held::Archived(state)) => {
                let state = state.as_deref().and_then(SignerState::read);
                state.map_or(KeyStanding::Lost, KeyStanding::Resumes)
            }
            None => return Ok(None),
        };
        let mut secrets = (0..=u8::MAX).map(secret);
        let found = secrets.find(|secret| secret.public() == key.public_key);
        Ok(found.map(|key| StoredKey { key, standing }))
    }

    async fn bind(&self, key: &KeyRef, storage: &StorageId) -> Result<(), Failure> {
        self.write()?;
        match self.load(key).await?.map(|it| it.standing) {
            Some(KeyStanding::Bound(other)) if other != *storage => {
                Err(Failure::permanent("bound elsewhere"))
            }
            Some(standing) if standing.may_sign() => {
                self.set(key, Held::BoundTo(storage.clone()));
                Ok(())
            }
            _ => Err(Failure::permanent("unknown or lost key")),
        }
    }

    async fn archive(&self, key: &KeyRef, signer_state: Option<&[u8]>) -> Result<(), Failure> {
        self.write()?;
        let state = signer_state.map(<[u8]>::to_vec);
        match self.held(key) {
            Some(Held::Archived(_)) => {}
            _ => self.set(key, Held::Archived(state)),
        }
        Ok(())
    }

    async fn node_key(&self) -> Result<SecretKey, Failure> {
        Ok(secret(9))
    }
}
