//! A monitor in a process of its own, with nodes in processes of theirs, that is killed at each
//! boundary of its actions: the next one ends the story as if nothing had been.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ics_core::id::ConsumerId;
use ics_core::keystore::{KeyRef, KeyStanding, KeyStore as _};
use ics_core::node::Program;
use ics_core::phase::Phase;
use ics_fixtures::cast::Cast;
use ics_fixtures::local::{ChildProcesses, Processes as _};
use ics_monitor::keystore::FileKeyStore;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::counts::Counts;
use crate::kill::Kill;
use crate::lives::{Now, Setting};
use crate::observer::Sent;
use crate::provider::{Provider, ticks};
use crate::run::{address, fast_disk};
use crate::seams::Trouble;
use crate::story::{Life, Story};

/// At how many boundaries a monitor is killed: about as many as there are in a life.
const BOUNDARIES: u64 = 36;
/// How many worlds there are at once.
const AT_ONCE: usize = 12;
/// How long a story may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the monitor in its own process is told, as its environment.
const FOLDER: &str = "FAULT_CHILD_FOLDER";
const URL: &str = "FAULT_CHILD_URL";
const ADDRESS: &str = "FAULT_CHILD_ADDRESS";
const KILLED_AT: &str = "FAULT_CHILD_KILLED_AT";

/// The monitor's process, which is this test in another one; by itself it does nothing.
#[tokio::test]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let told = |name: &str| std::env::var(name).expect("told by the parent");
    let kill = Arc::new(Kill::real());
    if let Ok(boundary) = told(KILLED_AT).parse() {
        kill.after(boundary);
    }
    let folder = PathBuf::from(folder);
    let address: IpAddr = told(ADDRESS).parse().expect("an address");
    let setting = Setting {
        cast: Cast::write(&folder, "cosmos").expect("written"),
        folder,
        url: told(URL),
        address,
        processes: Arc::new(ChildProcesses::default()),
        program: waiting(),
        trouble: Arc::new(Trouble::new(0, 0, kill, Arc::<Counts>::default())),
    };
    setting.live(&Mutex::<Now>::default()).await;
}

/// A script that waits until it is asked to end, and does not outlive its test by much.
fn waiting() -> Program {
    let text =
        "trap 'exit 0' TERM; i=0; while [ $i -lt 120 ]; do sleep 1 & wait $!; i=$((i + 1)); done";
    Program {
        image: "/bin/sh".into(),
        command: ["/bin/sh", "-c", text, "node"].map(String::from).into(),
        home: "/data".into(),
    }
}

#[test]
fn a_monitor_that_is_killed_at_any_boundary_is_followed_by_one_that_ends_the_same() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let killed = runtime.block_on(async {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for boundary in 0..BOUNDARIES {
            let places = Arc::clone(&places);
            running.spawn(async move {
                let _place = places.acquire_owned().await.expect("it is never closed");
                World::start().await.play(boundary).await
            });
        }
        running
            .join_all()
            .await
            .into_iter()
            .filter(|it| *it)
            .count()
    });
    // A life has some less than it may be killed at: it lists its nodes and keys as it likes.
    assert!(killed > 20, "only {killed} monitors were killed");
}

struct World {
    folder: tempfile::TempDir,
    provider: Provider,
    address: IpAddr,
    monitor: Option<Child>,
}

impl World {
    async fn start() -> Self {
        let story = Story {
            lives: Vec::new(),
            faults_until: None,
            funded: None,
            skew: 0,
            rate: 0,
            lies: false,
        };
        let folder = tempfile::tempdir_in(fast_disk()).expect("a folder");
        Self {
            provider: Provider::start(folder.path().to_owned(), &story).await,
            folder,
            address: address(),
            monitor: None,
        }
    }

    /// Plays a consumer's life with a monitor that is killed at a boundary, and one after it.
    /// Returns whether there were as many boundaries.
    async fn play(mut self, boundary: u64) -> bool {
        let id = self.provider.create(
            boundary,
            &Life {
                created: Duration::ZERO,
                fails_first: false,
                spawn: Duration::from_secs(6),
                rekeyed: None,
                stopped: None,
            },
        );
        self.provider.join(id);
        self.begin(Some(boundary));
        let mut killed = false;
        let mut ticks = ticks();
        let (mut ran, mut removed) = (false, false);
        loop {
            ticks.tick().await;
            self.provider.tick();
            self.provider.step(true);
            let phase = self.provider.phase(id);
            assert!(
                self.provider.elapsed() < PATIENCE,
                "killed at {boundary}: {phase:?}, ran {ran}, runs {}",
                self.running(id)
            );
            let monitor = self.monitor.as_mut().expect("a monitor");
            if let Some(ended) = monitor.try_wait().expect("a child") {
                assert!(!killed, "the second monitor ended: {ended}");
                killed = true;
                self.begin(None);
            }
            assert!(self.running(id) <= 1, "killed at {boundary}: two run");
            match phase {
                Some(Phase::Launched) if self.running(id) == 1 => {
                    ran = true;
                    assert!(
                        self.signs(id),
                        "killed at {boundary}: it runs without its key"
                    );
                    if !removed {
                        removed = true;
                        self.provider.remove(id);
                    }
                }
                Some(Phase::Deleted) if !self.folder(id).exists() => break,
                _ => {}
            }
        }
        assert!(ran, "killed at {boundary}: it never ran");
        assert_eq!(self.running(id), 0);
        let sent = Sent::read(&self.provider);
        assert_eq!(sent.wrong(0), Vec::<String>::new());
        self.end();
        let keys = FileKeyStore::open(self.folder.path().join("keys")).expect("a store");
        let mut used = 0;
        for key in &sent.named {
            let stored = keys.load(key).await.expect("readable").expect("not lost");
            match stored.standing {
                KeyStanding::Resumes(_) => used += 1,
                KeyStanding::Unbound => {}
                other => panic!("killed at {boundary}: {key:?} is {other:?}"),
            }
        }
        assert_eq!(used, 1, "killed at {boundary}: one key signed");
        killed
    }

    /// Starts a monitor in a process of its own.
    fn begin(&mut self, killed_at: Option<u64>) {
        let this = std::env::current_exe().expect("this test");
        let mut command = Command::new(this);
        let log = self.folder.path().join("monitor.log");
        let log = std::fs::File::options().create(true).append(true).open(log);
        command
            .args(["--exact", "sigkill::child", "--nocapture"])
            .env(FOLDER, self.folder.path())
            .env(URL, self.provider.node.url())
            .env(ADDRESS, self.address.to_string())
            .env(
                KILLED_AT,
                killed_at.map_or_else(|| "never".into(), |it| it.to_string()),
            )
            .stdin(Stdio::null())
            .stdout(log.expect("a log"))
            .stderr(Stdio::null());
        self.monitor = Some(command.spawn().expect("started"));
    }

    fn end(&mut self) {
        if let Some(monitor) = &mut self.monitor {
            monitor.kill().ok();
            monitor.wait().ok();
        }
    }

    fn folder(&self, id: ConsumerId) -> PathBuf {
        let root = self.folder.path().canonicalize().expect("a root");
        root.join(format!("nodes/ics-fault-{id}"))
    }

    /// How many nodes of a consumer run.
    fn running(&self, id: ConsumerId) -> usize {
        leaders(&self.folder(id).join("stdin"))
    }

    /// Whether the node was given the key that its consumer counts on.
    fn signs(&self, id: ConsumerId) -> bool {
        let Some(public_key) = self.provider.our_key(id) else {
            return false;
        };
        let key = KeyRef {
            consumer_id: id,
            public_key,
        };
        let home = self.folder(id).join("node");
        let config = std::fs::read_to_string(home.join("config/config.toml")).unwrap_or_default();
        let path = ics_core::home::key_path(key.public_key);
        config.contains(&path) && home.join(path).exists()
    }
}

impl Drop for World {
    /// Also where the story ended early: nothing of it is left running.
    fn drop(&mut self) {
        self.end();
        let folder = self.folder(ConsumerId::new(0));
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.map(|runtime| {
                let processes = ChildProcesses::default();
                runtime
                    .block_on(processes.stop(&folder, Duration::ZERO))
                    .ok();
            })
        });
        ended.join().ok();
    }
}

/// How many processes that lead a group of their own have this file as their standard input.
fn leaders(stdin: &Path) -> usize {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let leads = |entry: &std::fs::DirEntry| {
        let input = std::fs::read_link(entry.path().join("fd/0"));
        let pid = entry.file_name().to_str().and_then(|it| it.parse().ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        input.is_ok_and(|it| it == stdin)
            && pid.is_some_and(|pid| rustix::process::getpgid(Some(pid)) == Ok(pid))
    };
    entries.filter(leads).count()
}
