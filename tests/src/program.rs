//! The `ics-monitor` program under test: built from this workspace, asked on its command line.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::Error;
use crate::command::run;

/// How long a call may take that is to end by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, built.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
}

/// What a call ended with.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Program {
    /// Returns the program at `$ICS_MONITOR_PROGRAM`, or else builds it in the profile of this one.
    ///
    /// # Errors
    /// When cargo refuses; the text holds its last lines.
    pub async fn build() -> Result<Self, Error> {
        if let Some(built) = std::env::var_os("ICS_MONITOR_PROGRAM").filter(|path| !path.is_empty())
        {
            return Ok(Self { path: built.into() });
        }
        let this = std::env::current_exe()
            .map_err(|e| Error::Setup(format!("this program does not know its own path: {e}")))?;
        // target/PROFILE/devnet, or target/PROFILE/deps/TEST-HASH.
        let mut folder = this.parent().unwrap_or(&this);
        if folder.ends_with("deps") {
            folder = folder.parent().unwrap_or(folder);
        }
        let mut command = Command::new(env!("CARGO"));
        // What cargo told this test about its package would be news to build scripts, which would
        // build half of the dependencies anew, and so would the next build without it.
        for (name, _) in std::env::vars_os() {
            let told = ["CARGO_MANIFEST_", "CARGO_PKG_"];
            if told
                .iter()
                .any(|start| name.to_string_lossy().starts_with(start))
            {
                command.env_remove(name);
            }
        }
        command.args([
            "build",
            "--quiet",
            "--package",
            "ics-monitor",
            "--bin",
            "ics-monitor",
        ]);
        command.args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"),
        ]);
        command
            .arg("--target-dir")
            .arg(folder.parent().unwrap_or(folder));
        if folder.ends_with("release") {
            command.arg("--release");
        }
        run(&mut command).await?;
        Ok(Self {
            path: folder.join("ics-monitor"),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs it with these arguments and `--output json`, and returns what it answers.
    ///
    /// # Errors
    /// When it ends with another code than 0, or answers no JSON.
    pub async fn ask(&self, config: &Path, arguments: &[&str]) -> Result<Value, Error> {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .arg("--config")
            .arg(config)
            .args(["--output", "json"]);
        let output = run(&mut command).await?;
        serde_json::from_str(&output.stdout)
            .map_err(|e| Error::Reply(format!("ics-monitor {}: {e}", arguments.join(" "))))
    }
    /// Runs it with these arguments and environment variables to its end, whatever that is.
    ///
    /// # Errors
    /// When it does not start, or does not end within 20 s; then it is killed.
    pub async fn call(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Ended, Error> {
        let shown = format!("ics-monitor {}", arguments.join(" "));
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let Ok(output) = tokio::time::timeout(PATIENCE, command.output()).await else {
            return Err(Error::Reply(format!(
                "{shown}: still runs after {PATIENCE:?}"
            )));
        };
        let output = output.map_err(|e| Error::Reply(format!("{shown}: {e}")))?;
        Ok(Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
