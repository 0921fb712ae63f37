//! The monitor as a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::process::{Lifetime, Process};
use crate::{Error, wait};

/// How long a monitor may take to end in good order.
const PATIENCE: Duration = Duration::from_secs(30);

/// A monitor that runs or has ended, and its log.
#[derive(Debug)]
pub struct MonitorProcess {
    binary: PathBuf,
    config: PathBuf,
    log: PathBuf,
    lifetime: Lifetime,
    process: Process,
    /// Length of the log when the present run began.
    start: usize,
}

impl MonitorProcess {
    /// Starts `BINARY run --config CONFIG`, whose output goes to `log`.
    ///
    /// The log's file name without its ending is the monitor's name.
    ///
    /// # Errors
    /// When it does not start, or the log cannot be written.
    pub fn spawn(
        binary: &Path,
        config: &Path,
        log: &Path,
        lifetime: Lifetime,
    ) -> Result<Self, Error> {
        let start = read(log)?.len();
        let process = run(binary, config, log, lifetime)?;
        let (binary, config, log) = (binary.to_owned(), config.to_owned(), log.to_owned());
        Ok(Self {
            binary,
            config,
            log,
            lifetime,
            process,
            start,
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Ends the monitor with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// When the process does not go.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.process.kill().await.map(drop)
    }

    /// Ends the monitor with SIGTERM; returns its exit status and how long it took.
    ///
    /// After 30 s it is killed, which the exit status tells.
    ///
    /// # Errors
    /// When the process does not go even so.
    pub async fn terminate(&mut self) -> Result<(ExitStatus, Duration), Error> {
        let start = Instant::now();
        let status = self.process.stop(PATIENCE).await?;
        Ok((status, start.elapsed()))
    }

    /// Starts the monitor again after [`MonitorProcess::kill`] or [`MonitorProcess::terminate`].
    ///
    /// # Errors
    /// When it still runs or does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.is_running() {
            let name = self.log.display();
            return Err(Error::Reply(format!(
                "the monitor that writes {name} runs already"
            )));
        }
        self.start = read(&self.log)?.len();
        self.process = run(&self.binary, &self.config, &self.log, self.lifetime)?;
        Ok(())
    }

    /// Returns what the present run, or else the last, has written.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String, Error> {
        let log = read(&self.log)?;
        Ok(String::from_utf8_lossy(log.get(self.start..).unwrap_or_default()).into_owned())
    }

    /// Waits until the present run has written a line with `pattern`, and returns the line.
    ///
    /// # Errors
    /// When the time passes, or the monitor ends without the line.
    pub async fn wait_for_log(&self, pattern: &str, timeout: Duration) -> Result<String, Error> {
        self.wait_for_line(&[pattern], timeout).await
    }

    /// Waits until the present run has written a line with all of `patterns`, and returns the line.
    ///
    /// # Errors
    /// When the time passes, or the monitor ends without the line.
    pub async fn wait_for_line(
        &self,
        patterns: &[&str],
        timeout: Duration,
    ) -> Result<String, Error> {
        let what = format!("a line with {patterns:?} in {}", self.log.display());
        wait::until(&what, timeout, async || {
            // In this order: what it wrote just before its end still counts.
            let running = self.is_running();
            let log = self.log()?;
            let all = |line: &&str| patterns.iter().all(|pattern| line.contains(pattern));
            if let Some(line) = log.lines().find(all) {
                return Ok(Some(Ok(line.to_owned())));
            }
            let ended = || Err(Error::Reply(format!("the monitor ended without {what}")));
            Ok((!running).then(ended))
        })
        .await?
    }
}

fn run(binary: &Path, config: &Path, log: &Path, lifetime: Lifetime) -> Result<Process, Error> {
    let name = log.file_stem().unwrap_or_default().to_string_lossy();
    let mut command = Command::new(binary);
    command.args(["run", "--config"]).arg(config);
    Process::spawn(&name, &mut command, log, lifetime)
}

/// The log's bytes; none before the first start.
fn read(log: &Path) -> Result<Vec<u8>, Error> {
    match fs::read(log) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(Error::file("read", log)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_log_is_that_of_the_present_run() -> Result<(), Error> {
        let folder = tempfile::tempdir().map_err(Error::file("create", Path::new("/tmp")))?;
        let (config, log) = (
            folder.path().join("alice.toml"),
            folder.path().join("alice.log"),
        );
        // It writes its arguments and ends.
        let echo = Path::new("echo");
        let mut monitor = MonitorProcess::spawn(echo, &config, &log, Lifetime::Tied)?;
        let line = format!("run --config {}", config.display());
        let patience = Duration::from_secs(5);
        assert_eq!(monitor.wait_for_log("run", patience).await?, line);
        assert!(monitor.wait_for_log("ready", patience).await.is_err());
        assert!(monitor.terminate().await?.0.success());
        monitor.restart()?;
        assert_eq!(monitor.wait_for_log("run", patience).await?, line);
        assert_eq!(monitor.log()?.lines().count(), 1);
        monitor.kill().await
    }
}
