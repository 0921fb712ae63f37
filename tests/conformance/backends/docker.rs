//! A real Docker engine as a platform.

use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bollard::Docker;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerInspectResponse, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use futures::TryStreamExt as _;
use ics_core::artifact::Artifacts;
use ics_core::deploy::{Deployer, Instance};
use ics_core::keystore::KeyStore;
use ics_core::node::Program;
use ics_deploy_docker::{DockerDeployer, DockerSettings};
use rustix::process::{Pid, Signal, kill_process};

use crate::backend::{Backend, Behaviour, Found};
use crate::world::CONSUMER;

/// A static busybox and nothing else, imported once.
pub(crate) const IMAGE: &str = "ics-test-busybox:1";

static IMPORT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static INSTANCES: AtomicU32 = AtomicU32::new(0);

/// One instance on a real engine.
pub(crate) struct DockerNodes {
    pub(crate) docker: Docker,
    pub(crate) settings: DockerSettings,
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

/// A command that runs a shell script; `--home` and the home come after it.
pub(crate) fn run(script: &str) -> Vec<String> {
    ["/bin/busybox", "sh", "-c", script, "node"]
        .map(String::from)
        .into()
}

impl DockerNodes {
    /// The name of the container and the volume.
    pub(crate) fn name(&self) -> String {
        format!("ics-{}-{CONSUMER}", self.settings.instance)
    }

    pub(crate) async fn inspect(&self) -> ContainerInspectResponse {
        let found = self.docker.inspect_container(&self.name(), None).await;
        found.expect("a container")
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

    /// Runs a script in the running container.
    async fn exec(&self, script: &str, arguments: &[&str]) {
        let mut command = vec!["/bin/busybox", "sh", "-c", script];
        command.extend(arguments);
        let options = CreateExecOptions {
            cmd: Some(command),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let made = self.docker.create_exec(&self.name(), options).await;
        let id = made.expect("a running container").id;
        let started = self.docker.start_exec(&id, None).await.expect("started");
        let StartExecResults::Attached { output, .. } = started else {
            panic!("detached");
        };
        let said: Vec<_> = output.try_collect().await.expect("its end");
        let ended = self.docker.inspect_exec(&id).await.expect("an end");
        assert_eq!(ended.exit_code, Some(0), "{said:?}");
    }

    async fn connect(
        &self,
        instance: Instance,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer> {
        let settings = DockerSettings {
            instance,
            ..self.settings.clone()
        };
        let deployer = DockerDeployer::connect(settings, keys, artifacts).await;
        Box::new(deployer.expect("an engine"))
    }
}

#[async_trait]
impl Backend for DockerNodes {
    const SLOWNESS: usize = 3;

    fn owner(&self) -> (u64, u64) {
        (1000, 1000)
    }

    fn program(&self, behaviour: Behaviour) -> Program {
        let end = match behaviour {
            Behaviour::EndsSlowly => "/bin/busybox sleep 1; exit 0",
            Behaviour::Waits => "exit 0",
        };
        let script = format!("trap '{end}' TERM; while :; do /bin/busybox sleep 1 & wait $!; done");
        Program {
            image: IMAGE.into(),
            command: run(&script),
            home: "/data".into(),
        }
    }

    fn missing_program(&self) -> Program {
        Program {
            image: "ics-test-none:1".into(),
            ..self.program(Behaviour::Waits)
        }
    }

    async fn new() -> Self {
        let socket = socket();
        let number = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let instance = Instance::new(name).expect("an instance name");
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let settings = DockerSettings {
            socket: socket.clone(),
            ..DockerSettings::new(instance, address)
        };
        let socket = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION);
        let docker = docker.expect("a socket").negotiate_version().await;
        let docker = docker.expect(
            "these tests need a Docker engine: start dockerd and set DOCKER_HOST=unix://<socket>",
        );
        import_image(&docker).await;
        Self { docker, settings }
    }

    async fn deployer(
        &self,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer> {
        let instance = self.settings.instance.clone();
        self.connect(instance, keys, artifacts).await
    }

    async fn neighbour(
        &self,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer> {
        let instance = Instance::new(format!("{}-b", self.settings.instance)).expect("a name");
        self.connect(instance, keys, artifacts).await
    }

    async fn running(&self) -> usize {
        let label = format!("ics-monitor.instance={}", self.settings.instance);
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new()
            .filters(&filters)
            .build();
        let found = self.docker.list_containers(Some(options)).await;
        found.expect("a list").len()
    }

    async fn run(&self) -> String {
        let found = self.inspect().await;
        let started = found.state.and_then(|it| it.started_at);
        format!("{:?} {started:?}", found.id)
    }

    async fn file(&self, path: &str) -> Option<Found> {
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
        Some(Found {
            mode: header.mode().ok()? & 0o777,
            owner: (header.uid().ok()?, header.gid().ok()?),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    async fn write(&self, path: &str, text: Option<&str>) {
        let path = format!("/data/node/{path}");
        match text {
            Some(text) => self.exec("echo -n \"$1\" > \"$0\"", &[&path, text]).await,
            None => self.exec("/bin/busybox rm \"$0\"", &[&path]).await,
        }
    }

    async fn crash(&self) {
        let state = self.inspect().await.state.expect("a state");
        let pid = state.pid.and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::KILL).expect("killed");
    }

    async fn lose_node(&self) {
        self.remove_container().await;
    }

    async fn lose_storage(&self) {
        self.remove_container().await;
        self.remove_volume().await;
    }

    async fn has_storage(&self) -> bool {
        self.docker.inspect_volume(&self.name()).await.is_ok()
    }

    async fn put_foreign(&self) {
        let request = VolumeCreateRequest {
            name: Some(self.name()),
            ..VolumeCreateRequest::default()
        };
        self.docker.create_volume(request).await.expect("created");
    }

    async fn has_foreign(&self) -> bool {
        let found = self.docker.inspect_volume(&self.name()).await;
        found.is_ok_and(|volume| volume.labels.is_empty())
    }
}

impl Drop for DockerNodes {
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
