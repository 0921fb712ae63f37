//! Processes of this machine as a platform, and their double.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ics_core::artifact::Artifacts;
use ics_core::deploy::{Deployer, Instance};
use ics_core::keystore::KeyStore;
use ics_core::node::Program;
use ics_fixtures::local::{ChildProcesses, InProcess, LocalDeployer, LocalSettings, Processes};
use rustix::process::{Pid, Signal, getpgid, kill_process};
use tempfile::TempDir;

use crate::backend::{Backend, Behaviour, Found};
use crate::world::CONSUMER;

/// Real processes.
pub(crate) type ChildNodes = Nodes<ChildProcesses>;

/// Their double.
pub(crate) type InProcessNodes = Nodes<InProcess>;

/// A root with the nodes of one instance.
pub(crate) struct Nodes<P: Programs> {
    root: TempDir,
    programs: Arc<P>,
}

/// What a case may see of programs, and do to them, past their deployer.
pub(crate) trait Programs: Processes + Default + Sized + 'static {
    /// What a new monitor finds them through.
    fn found_again(this: &Arc<Self>) -> Arc<dyn Processes>;

    /// What tells each that runs from all others.
    fn running(&self, folder: &Path) -> Vec<String>;

    /// Ends the node of a folder without asking it.
    fn kill(&self, folder: &Path);
}

impl Programs for ChildProcesses {
    fn found_again(_: &Arc<Self>) -> Arc<dyn Processes> {
        Arc::new(Self::default())
    }

    fn running(&self, folder: &Path) -> Vec<String> {
        // What a node starts itself may have its standard input for a moment.
        let is_node = |pid: &Pid| getpgid(Some(*pid)) == Ok(*pid);
        let pids = pids(folder).into_iter().filter(is_node);
        pids.map(|pid| pid.as_raw_nonzero().to_string()).collect()
    }

    fn kill(&self, folder: &Path) {
        for pid in pids(folder) {
            kill_process(pid, Signal::KILL).ok();
        }
        // A process that was killed goes when the kernel has the time for it.
        while !pids(folder).is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Programs for InProcess {
    fn found_again(this: &Arc<Self>) -> Arc<dyn Processes> {
        this.clone()
    }

    fn running(&self, _: &Path) -> Vec<String> {
        let runs = self.runs().into_iter();
        let live = runs.filter(|run| run.ended.is_none());
        live.map(|run| run.started.to_string()).collect()
    }

    fn kill(&self, folder: &Path) {
        self.crash(folder);
    }
}

const INSTANCE: &str = "val-1";
const NEIGHBOUR: &str = "val";
const FOREIGN: &str = "somebody's own";

impl<P: Programs> Nodes<P> {
    /// Nothing is shared with an earlier deployer but what is on disk, and the programs.
    fn deployer_of(
        &self,
        instance: &str,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer> {
        let settings = LocalSettings {
            root: self.root.path().to_owned(),
            instance: Instance::new(instance).expect("a name"),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            stop_timeout: Duration::from_secs(10),
        };
        let programs = P::found_again(&self.programs);
        Box::new(LocalDeployer::open(settings, keys, artifacts, programs).expect("a root"))
    }

    fn folder(&self) -> PathBuf {
        let root = self.root.path().canonicalize().expect("a root");
        root.join(format!("ics-{INSTANCE}-{CONSUMER}"))
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder().join("node")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home().join(path)
    }
}

/// A shell script that behaves like a node.
fn script(behaviour: Behaviour) -> Program {
    let end = match behaviour {
        Behaviour::EndsSlowly => "sleep 1; exit 0",
        Behaviour::Waits => "exit 0",
    };
    // It does not outlive its test by much, whatever becomes of that.
    let text = format!(
        "trap '{end}' TERM; i=0; while [ $i -lt 120 ]; do sleep 1 & wait $!; i=$((i + 1)); done"
    );
    shell(&text)
}

/// Any shell script.
pub(crate) fn shell(text: &str) -> Program {
    Program {
        image: "/bin/sh".into(),
        command: ["/bin/sh", "-c", text, "node"].map(String::from).into(),
        home: "/data".into(),
    }
}

/// The processes whose standard input is, or was, the file of this folder.
fn pids(folder: &Path) -> Vec<Pid> {
    let stdin = folder.join("stdin");
    let removed = format!("{} (deleted)", stdin.display());
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let of_node = |entry: &fs::DirEntry| {
        let input = fs::read_link(entry.path().join("fd/0"));
        input.is_ok_and(|it| it == stdin || it.as_os_str() == removed.as_str())
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries
        .filter(of_node)
        .filter_map(|entry| Pid::from_raw(number(entry)?))
        .collect()
}

#[async_trait]
impl<P: Programs> Backend for Nodes<P> {
    const SLOWNESS: usize = 0;

    fn owner(&self) -> (u64, u64) {
        let root = fs::metadata(self.root.path()).expect("a root");
        (root.uid().into(), root.gid().into())
    }

    fn program(&self, behaviour: Behaviour) -> Program {
        script(behaviour)
    }

    fn missing_program(&self) -> Program {
        Program {
            image: "/nonexistent/daemon".into(),
            command: vec!["/nonexistent/daemon".into()],
            home: "/data".into(),
        }
    }

    async fn new() -> Self {
        Self {
            root: tempfile::tempdir().expect("a folder"),
            programs: Arc::new(P::default()),
        }
    }

    async fn deployer(
        &self,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer> {
        self.deployer_of(INSTANCE, keys, artifacts)
    }

    async fn neighbour(
        &self,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Box<dyn Deployer> {
        self.deployer_of(NEIGHBOUR, keys, artifacts)
    }

    async fn running(&self) -> usize {
        self.programs.running(&self.folder()).len()
    }

    async fn run(&self) -> String {
        format!("{:?}", self.programs.running(&self.folder()))
    }

    async fn file(&self, path: &str) -> Option<Found> {
        let path = self.path(path);
        let found = fs::metadata(&path).ok()?;
        Some(Found {
            mode: found.permissions().mode() & 0o777,
            owner: (found.uid().into(), found.gid().into()),
            text: fs::read_to_string(&path).unwrap_or_default(),
        })
    }

    async fn write(&self, path: &str, text: Option<&str>) {
        let path = self.path(path);
        match text {
            Some(text) => fs::write(path, text).expect("written"),
            None => fs::remove_file(path).expect("removed"),
        }
    }

    async fn crash(&self) {
        self.programs.kill(&self.folder());
    }

    async fn lose_node(&self) {
        self.programs.kill(&self.folder());
        fs::remove_file(self.folder().join("node.json")).expect("a node to lose");
    }

    /// The process goes on: nobody asked it to end.
    async fn lose_storage(&self) {
        fs::remove_dir_all(self.folder()).expect("a folder to lose");
    }

    async fn has_storage(&self) -> bool {
        self.folder().exists()
    }

    async fn put_foreign(&self) {
        fs::create_dir(self.folder()).expect("nothing is there");
        fs::write(self.folder().join("data"), FOREIGN).expect("written");
    }

    async fn has_foreign(&self) -> bool {
        let found = fs::read_to_string(self.folder().join("data"));
        found.is_ok_and(|text| text == FOREIGN)
    }
}

impl<P: Programs> Drop for Nodes<P> {
    fn drop(&mut self) {
        self.programs.kill(&self.folder());
    }
}
