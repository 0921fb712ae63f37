//! What the program costs that follows a provider with many consumers, and how soon it has read them.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "embedded/mod.rs"]
mod embedded;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ics_core::phase::Phase;
use ics_fixtures::chain::Params;
use ics_fixtures::node::{Asked, Fault, Faults};
use ics_tests::Error;
use ics_tests::monitor::MonitorProcess;
use ics_tests::process::Lifetime;
use serde_json::json;

use crate::embedded::{Embedded, now, past};

/// How often a block is made while the program is measured.
const BLOCK: Duration = Duration::from_secs(1);
/// How long it is measured in peace.
const PEACE: Duration = Duration::from_secs(60);
/// All is read once there were fewer calls than this...
const FEW: usize = 30;
/// ...within this time.
const QUIET: Duration = Duration::from_secs(2);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run()).expect("all is measured");
}

async fn run() -> Result<(), Error> {
    let program =
        std::env::var_os("ICS_MONITOR_PROGRAM").expect("the program's path is set by tests/bench");
    let program = Path::new(&program);
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let size = fs::metadata(program).expect("it was built").len() as f64 / 1e6;
    println!(
        "| the program's size | {size:.1} MB | goal: at most 20 MB | {:.2} |",
        size / 20.0
    );
    for (consumers, goal) in [(0, 15), (1_000, 40), (10_000, 120)] {
        let cost = measure(program, consumers).await?;
        if consumers == 10_000 {
            let seconds = cost.start.as_secs_f64();
            println!(
                "| cold start with {consumers} consumers, until all are read | {seconds:.2} s, {} calls * | goal: at most 2 s | {:.2} |",
                cost.start_calls,
                seconds / 2.0
            );
        }
        let resident = mebibytes(cost.resident);
        println!(
            "| memory with {consumers} consumers, resident | {resident:.1} MiB | goal: at most {goal} MiB | {:.2} |",
            resident / f64::from(goal)
        );
        println!(
            "| calls for a block with {consumers} consumers | {:.2} | goal: at most 3 | {:.2} |",
            cost.calls,
            cost.calls / 3.0
        );
        println!(
            "| processor time for a block with {consumers} consumers | {:.2} ms * | no goal | - |",
            cost.processor.as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// What following so many consumers costs.
struct Cost {
    /// From the first call to the last of those that read everything.
    start: Duration,
    /// How many they were.
    start_calls: usize,
    /// Memory, in bytes.
    resident: u64,
    /// Calls for each block, in peace.
    calls: f64,
    /// Processor time for each block, in peace.
    processor: Duration,
}

async fn measure(program: &Path, consumers: u64) -> Result<Cost, Error> {
    let mut embedded = Embedded::start(Params::default()).await;
    populate(&mut embedded, consumers).await;
    embedded.pace(BLOCK, |_, _| {});
    let calls = Calls::default();
    embedded.node.set_faults(Some(Arc::new(calls.clone())));
    let config = configure(&embedded);
    let log = embedded.folder.path().join("alice.log");
    let mut monitor = MonitorProcess::spawn(program, &config, &log, Lifetime::Tied)?;
    monitor
        .wait_for_log("follows the provider", Duration::from_secs(30))
        .await?;
    let start = until_quiet(&calls).await;
    let begin = processor_time(monitor.pid());
    let (height, before) = (height(&embedded), calls.so_far().len());
    tokio::time::sleep(PEACE).await;
    let blocks = (self::height(&embedded) - height) as f64;
    let processor = (processor_time(monitor.pid()) - begin).div_f64(blocks);
    let cost = Cost {
        start: start
            .last()
            .zip(start.first())
            .map(|(last, first)| *last - *first)
            .unwrap_or_default(),
        start_calls: start.len(),
        resident: resident(monitor.pid()),
        calls: (calls.so_far().len() - before) as f64 / blocks,
        processor,
    };
    monitor.terminate().await?;
    Ok(cost)
}

/// Consumers in all phases but the last: of 20, 12 are registered, 5 initialized, 2 launched, 1 is
/// stopped.
async fn populate(embedded: &mut Embedded, consumers: u64) {
    // Soon by the chain's time, which stands still, and long ago by ours.
    let soon = past() + Duration::from_secs(600);
    let far = now() + Duration::from_secs(30 * 24 * 3600);
    let creates = (0..consumers).map(|number| {
        let spawn = match number % 20 {
            0..12 => None,
            12..17 => Some(far),
            _ => Some(soon),
        };
        embedded.create(number, spawn)
    });
    embedded.send("owner", creates.collect()).await;
    let launching = (0..consumers).filter(|number| number % 20 >= 17);
    let joins = launching.map(|number| embedded.opt_in("bob", number));
    embedded.send("bob", joins.collect()).await;
    embedded.pace(Duration::from_millis(20), |_, _| {});
    while embedded.count(Phase::Launched) < consumers as usize / 20 * 3 {
        tokio::time::sleep(BLOCK / 10).await;
    }
    let stopping = (0..consumers).filter(|number| number % 20 == 19);
    let removals = stopping.map(|number| embedded.remove(number));
    embedded.send("owner", removals.collect()).await;
}

/// The configuration of alice's monitor, which allows nothing.
fn configure(embedded: &Embedded) -> PathBuf {
    let folder = embedded.folder.path();
    let socket = std::env::var("DOCKER_HOST").unwrap_or_default();
    let text = json!({
        "instance": "bench",
        "data_dir": folder.join("alice"),
        "provider": {"rpc": embedded.node.url(), "chain_id": "provider-1"},
        "account": {"mnemonic_file": embedded.cast.mnemonic_file("alice")},
        "tx": {"gas_price": "0.005stake", "max_fee": 100_000},
        "docker": {
            "socket": socket.strip_prefix("unix://").unwrap_or("/var/run/docker.sock"),
            "publish_address": "127.0.0.1",
        },
    });
    let path = folder.join("alice.toml");
    let text = toml::to_string(&text).expect("it is TOML");
    fs::write(&path, text).expect("written");
    path
}

/// The calls until all was read: those before there were few for a while.
async fn until_quiet(calls: &Calls) -> Vec<Instant> {
    loop {
        tokio::time::sleep(BLOCK / 10).await;
        let (all, now) = (calls.so_far(), Instant::now());
        let quiet = now - QUIET;
        let recent = all.iter().rev().take_while(|call| **call > quiet).count();
        if all.first().is_some_and(|first| *first < quiet) && recent < FEW {
            return all[..all.len() - recent].to_vec();
        }
    }
}

/// When each call came; all are answered.
#[derive(Clone, Debug, Default)]
struct Calls {
    came: Arc<Mutex<Vec<Instant>>>,
}

impl Calls {
    fn so_far(&self) -> Vec<Instant> {
        self.came
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Faults for Calls {
    fn on(&self, _: &Asked<'_>) -> Fault {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.push(Instant::now());
        Fault::None
    }
}

fn height(embedded: &Embedded) -> u64 {
    embedded.node.with(|chain| chain.height())
}

/// The memory of a process that is in memory, in bytes.
fn resident(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(path).expect("the program runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    kibibytes
        .and_then(|text| text.trim().parse::<u64>().ok())
        .expect("a number")
        * 1024
}

/// The processor time that all threads of a process have had.
fn processor_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the program runs");
    let time = |thread: std::io::Result<fs::DirEntry>| -> Option<u64> {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(time).sum())
}
