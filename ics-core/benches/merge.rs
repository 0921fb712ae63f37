//! How fast a genesis of a gigabyte is merged, beside what reads, hashes and copies such a file.
//!
//! Each is a process of its own. The rounds take turns, and the best of each counts, because other
//! work on the machine only ever makes one slower.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark works on files, reads the clock and prints"
)]

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ics_core::genesis::{CcvConsumer, merge};
use ics_fixtures::recorded_json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const GIGABYTE: u64 = 1_000_000_000;
/// `jq` holds the whole file in memory, several times over: it gets a smaller one.
const OF_JQ: u64 = 200_000_000;
const ROUNDS: u32 = 5;
/// What is to be reached beside `sha256sum` and `cp`.
const GOAL: f64 = 0.7;

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().collect();
    if let [_, word, file, out] = args.as_slice()
        && word == "merge"
    {
        return merge_file(file.as_ref(), out.as_ref());
    }
    let folder = Folder::new()?;
    let beside_copy = beside_copy(&folder)?;
    println!("{beside_copy}");
    match beside_jq(&folder) {
        Ok(row) => println!("{row}"),
        Err(error) => println!("! no figure of jq ({error}): apt-get install jq"),
    }
    Ok(())
}

/// What the process that is measured does.
fn merge_file(file: &Path, out: &Path) -> Result<()> {
    merge(File::open(file)?, &launch_genesis()?, File::create(out)?)?;
    Ok(())
}

fn launch_genesis() -> Result<CcvConsumer> {
    let genesis = recorded_json("cli/A3-launched.consumer-genesis.json");
    Ok(CcvConsumer::new(genesis, None)?)
}

fn beside_copy(folder: &Folder) -> Result<String> {
    let (file, out) = (folder.file("genesis.json"), folder.file("out.json"));
    write_genesis(&file, GIGABYTE)?;
    let (mut merging, mut copying) = (Run::WORST, Run::WORST);
    for _ in 0..ROUNDS {
        let merged = Run::of(&mut merger(&file, &out)?)?;
        merging = merging.best(merged);
        fs::remove_file(&out)?;
        let hashed = Run::of(Command::new("sha256sum").arg(&file).stdout(Stdio::null()))?;
        let copied = Run::of(Command::new("cp").args([&file, &out]))?;
        copying = copying.best(hashed.then(copied));
        fs::remove_file(&out)?;
    }
    fs::remove_file(&file)?;
    Ok(format!(
        "| merging a genesis of 1 GB | {merging} * | `sha256sum` and `cp` of it: {copying} *; goal: at \
         least {GOAL} of their speed, at most 32 MiB | {:.2} |",
        merging.speed_beside(&copying),
    ))
}

fn beside_jq(folder: &Folder) -> Result<String> {
    let (file, out) = (folder.file("genesis.json"), folder.file("out.json"));
    let part = folder.file("ccv.json");
    fs::write(&part, launch_genesis()?.as_bytes())?;
    write_genesis(&file, OF_JQ)?;
    let merging = Run::of(&mut merger(&file, &out)?)?;
    let mut jq = Command::new("jq");
    jq.args(["--compact-output", "--slurpfile", "ccv"])
        .arg(&part);
    jq.arg(".app_state.ccvconsumer = $ccv[0]").arg(&file);
    let jq = Run::of(jq.stdout(File::create(&out)?))?;
    Ok(format!(
        "| merging a genesis of 0.2 GB | {merging} * | `jq`: {jq} * | {:.1} |",
        merging.speed_beside(&jq),
    ))
}

/// This program, as the process that merges.
fn merger(file: &Path, out: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("merge").args([file, out]);
    Ok(command)
}

/// Writes a genesis of about this many bytes: accounts and balances, as most of a genesis is.
fn write_genesis(path: &Path, len: u64) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write!(
        out,
        r#"{{"app_name":"consumerd","genesis_time":"2026-01-02T03:04:05Z","chain_id":"consumer-1","initial_height":1,"app_state":{{"auth":{{"accounts":["#
    )?;
    let account = |n: u64| {
        format!(
            r#"{{"@type":"/cosmos.auth.v1beta1.BaseAccount","address":"cosmos1{n:0>38}","pub_key":null,"account_number":"{n}","sequence":"{}"}}"#,
            n % 7
        )
    };
    let balance = |n: u64| {
        format!(
            r#"{{"address":"cosmos1{n:0>38}","coins":[{{"denom":"stake","amount":"{}"}}]}}"#,
            n * 1_000_003
        )
    };
    // Half of the bytes for each.
    list(&mut out, len / 2, account)?;
    write!(out, r#"]}},"bank":{{"balances":["#)?;
    list(&mut out, len / 2, balance)?;
    write!(out, r#"],"supply":[]}},"ccvconsumer":{{}}}}}}"#)?;
    out.flush()
}

fn list(out: &mut impl Write, len: u64, item: impl Fn(u64) -> String) -> io::Result<()> {
    let (mut written, mut number) = (0, 0);
    while written < len {
        let comma = if number == 0 { "" } else { "," };
        let text = item(number);
        write!(out, "{comma}{text}")?;
        written += (comma.len() + text.len()) as u64;
        number += 1;
    }
    Ok(())
}

/// How long something took, and the most memory that it held.
struct Run {
    time: Duration,
    /// In KiB.
    memory: u64,
}

impl Run {
    const WORST: Self = Self {
        time: Duration::MAX,
        memory: 0,
    };

    /// Runs a program to its end.
    fn of(command: &mut Command) -> Result<Self> {
        let begin = Instant::now();
        let mut child = command.spawn()?;
        let id = child.id();
        let watch = thread::spawn(move || most_memory(id));
        let status = child.wait()?;
        let time = begin.elapsed();
        let memory = watch.join().map_err(|_| "the watch ended")?;
        if !status.success() {
            return Err(format!("{command:?} failed: {status}").into());
        }
        Ok(Self { time, memory })
    }

    /// This and then another.
    fn then(self, next: Self) -> Self {
        Self {
            time: self.time + next.time,
            memory: self.memory.max(next.memory),
        }
    }

    /// The shorter time and the larger memory of two runs.
    fn best(self, other: Self) -> Self {
        Self {
            time: self.time.min(other.time),
            memory: self.memory.max(other.memory),
        }
    }

    fn speed_beside(&self, other: &Self) -> f64 {
        other.time.as_secs_f64() / self.time.as_secs_f64()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.memory.div_ceil(1024);
        write!(f, "{:.2} s, {mebibytes} MiB", self.time.as_secs_f64())
    }
}

/// The most memory that a process held, in KiB: what the kernel says until the process ends.
fn most_memory(id: u32) -> u64 {
    let mut most = 0;
    while let Some(now) = held(id) {
        most = now;
        thread::sleep(Duration::from_millis(2));
    }
    most
}

fn held(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A folder for large files, which goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("merge");
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            println!("{} is still there: {error}", self.0.display());
        }
    }
}
