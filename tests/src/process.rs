//! One long-running process: started, watched and ended by us and nobody else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::future::try_join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::command::shown;
use crate::error::last_lines;
use crate::{Error, wait};

/// Lines of its log that a process shows when it is dropped while still running.
const SHOWN_LINES: usize = 40;

/// How long a process may take to be gone after SIGKILL.
const KILLED: Duration = Duration::from_secs(5);

/// Whether a part of the test bed ends with its handle.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lifetime {
    /// Outlives the handle and the process that made it; a later command ends it.
    Detached,
    /// Ends when the handle is dropped.
    #[default]
    Tied,
}

/// A process as the kernel tells it from a later one with the same number.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
struct Identity {
    pid: i32,
    /// Start time in clock ticks since boot.
    started: u64,
}

/// A running or ended process whose output goes to a log file.
///
/// A tied process that is dropped without [`Process::stop`] or [`Process::kill`], or by a panic,
/// prints the end of its log on standard error, where a failing test shows it.
#[derive(Debug)]
pub struct Process {
    name: String,
    identity: Identity,
    child: Child,
    log: PathBuf,
    lifetime: Lifetime,
    ended: bool,
}

impl Process {
    /// Starts the command and appends its output to `log`.
    ///
    /// A detached process is recorded beside its log, for [`stop_recorded`].
    ///
    /// # Errors
    /// When the log cannot be written or the command does not start.
    pub fn spawn(
        name: &str,
        command: &mut Command,
        log: &Path,
        lifetime: Lifetime,
    ) -> Result<Self, Error> {
        let output = File::options().create(true).append(true).open(log);
        let output = output.map_err(Error::file("open", log))?;
        let errors = output.try_clone().map_err(Error::file("open", log))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        command.kill_on_drop(lifetime == Lifetime::Tied);
        if lifetime == Lifetime::Detached {
            // Ctrl-C at the command that starts it is not meant for it.
            command.process_group(0);
        }
        let child = command.spawn().map_err(|e| Error::Command {
            command: shown(command),
            outcome: format!("does not start: {e}"),
            output: String::new(),
        })?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let identity = pid.and_then(|pid| {
            Some(Identity {
                pid,
                started: stat(pid)?.1,
            })
        });
        // Nobody has reaped the child, so that even an ended one has its entry.
        let identity = identity
            .ok_or_else(|| Error::Setup("the processes cannot be seen: mount /proc".into()))?;
        if lifetime == Lifetime::Detached {
            record(&log.with_extension("pid"), identity)?;
        }
        let (name, log) = (name.to_owned(), log.to_owned());
        Ok(Self {
            name,
            identity,
            child,
            log,
            lifetime,
            ended: false,
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.identity.pid.unsigned_abs()
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        is_running(self.identity)
    }

    /// Ends the process with SIGTERM, or with SIGKILL when it is still there after `patience`.
    ///
    /// Returns the exit status.
    ///
    /// # Errors
    /// When the process does not go even so.
    pub async fn stop(&mut self, patience: Duration) -> Result<ExitStatus, Error> {
        self.ended = true;
        terminate(&self.name, self.identity, patience).await?;
        self.reap().await
    }

    /// Ends the process with SIGKILL, as a crash would. Returns the exit status.
    ///
    /// # Errors
    /// When the process does not go.
    pub async fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.ended = true;
        kill(&self.name, self.identity).await?;
        self.reap().await
    }

    /// Collects the exit status and forgets the record.
    async fn reap(&mut self) -> Result<ExitStatus, Error> {
        if self.lifetime == Lifetime::Detached {
            let record = self.log.with_extension("pid");
            fs::remove_file(&record).map_err(Error::file("remove", &record))?;
        }
        let status = self.child.wait().await;
        status.map_err(|e| Error::Reply(format!("the end of {}: {e}", self.name)))
    }
}

impl Drop for Process {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it with the failed test"
    )]
    fn drop(&mut self) {
        let unexpected = std::thread::panicking() || !self.ended;
        if self.lifetime == Lifetime::Tied && unexpected {
            let log = fs::read(&self.log).unwrap_or_default();
            let end = last_lines(&String::from_utf8_lossy(&log), SHOWN_LINES);
            eprintln!("=== {}: end of {}\n{end}", self.name, self.log.display());
        }
    }
}

/// Ends every process that a detached start recorded in the folder, and returns their names.
///
/// A record of a process that is gone, even if its number lives on in another, is only removed.
///
/// # Errors
/// When the folder or a record cannot be read, or a process does not go.
pub async fn stop_recorded(folder: &Path, patience: Duration) -> Result<Vec<String>, Error> {
    let ends = records(folder)?.into_iter().map(async |path| {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let identity = recorded(&path)?;
        let was_running = is_running(identity);
        if was_running {
            terminate(&name, identity, patience).await?;
        }
        fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        Ok(was_running.then_some(name))
    });
    Ok(try_join_all(ends).await?.into_iter().flatten().collect())
}

/// The records of detached processes directly in the folder, in order of name.
fn records(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let path = entry.map_err(Error::file("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "pid") {
            records.push(path);
        }
    }
    records.sort();
    Ok(records)
}

fn recorded(path: &Path) -> Result<Identity, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    serde_json::from_str(&text)
        .map_err(|e| Error::Reply(format!("{}: not a process record: {e}", path.display())))
}

fn record(path: &Path, identity: Identity) -> Result<(), Error> {
    let text = json!({"pid": identity.pid, "started": identity.started}).to_string();
    fs::write(path, text).map_err(Error::file("write", path))
}

async fn terminate(name: &str, identity: Identity, patience: Duration) -> Result<(), Error> {
    signal(identity, Signal::TERM);
    match gone(name, identity, patience).await {
        Ok(()) => Ok(()),
        Err(_) => kill(name, identity).await,
    }
}

async fn kill(name: &str, identity: Identity) -> Result<(), Error> {
    signal(identity, Signal::KILL);
    gone(name, identity, KILLED).await
}

async fn gone(name: &str, identity: Identity, patience: Duration) -> Result<(), Error> {
    let what = format!("the end of {name}");
    wait::until(&what, patience, async || {
        Ok((!is_running(identity)).then_some(()))
    })
    .await
}

/// Sends a signal, unless the number now belongs to somebody else.
fn signal(identity: Identity, signal: Signal) {
    if is_running(identity)
        && let Some(pid) = Pid::from_raw(identity.pid)
    {
        // It may end between the look and the signal, which is what the signal is for.
        kill_process(pid, signal).ok();
    }
}

fn is_running(identity: Identity) -> bool {
    let stat = stat(identity.pid);
    // A zombie only waits to be reaped.
    stat.is_some_and(|(state, started)| started == identity.started && !matches!(state, 'Z' | 'X'))
}

/// State and start time of a process, from proc(5).
fn stat(pid: i32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may hold anything; the fields behind it do not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The name is field 2, the state field 3 and the start time field 22.
    Some((
        fields.first()?.chars().next()?,
        fields.get(19)?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_detached_process_is_ended_by_its_record() -> Result<(), Error> {
        let folder = tempfile::tempdir().map_err(Error::file("create", Path::new("/tmp")))?;
        let log = folder.path().join("sleeper.log");
        let mut command = Command::new("sleep");
        let process = Process::spawn("sleeper", command.arg("600"), &log, Lifetime::Detached)?;
        let identity = process.identity;
        drop(process);
        assert!(is_running(identity));
        let stopped = stop_recorded(folder.path(), Duration::from_secs(5)).await?;
        assert_eq!(stopped.len(), 1);
        assert!(!is_running(identity));
        Ok(())
    }

    #[tokio::test]
    async fn a_record_of_an_earlier_process_ends_nobody() -> Result<(), Error> {
        let folder = tempfile::tempdir().map_err(Error::file("create", Path::new("/tmp")))?;
        let own = std::process::id().cast_signed();
        record(
            &folder.path().join("other.pid"),
            Identity {
                pid: own,
                started: 1,
            },
        )?;
        assert!(
            stop_recorded(folder.path(), Duration::from_secs(1))
                .await?
                .is_empty()
        );
        assert!(records(folder.path())?.is_empty());
        Ok(())
    }
}
