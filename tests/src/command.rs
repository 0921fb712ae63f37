//! Running a command to its end.

use std::process::Stdio;

use tokio::process::Command;

use crate::Error;

/// What a command that succeeded wrote.
pub(crate) struct Finished {
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs the command with no input and collects what it writes.
///
/// # Errors
/// [`Error::Command`] when it cannot start or ends with another code than 0.
pub(crate) async fn run(command: &mut Command) -> Result<Finished, Error> {
    let shown = shown(command);
    let failed = |outcome: String, output: String| Error::Command {
        command: shown.clone(),
        outcome,
        output,
    };
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| failed(format!("does not start: {e}"), String::new()))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let said = if stderr.trim().is_empty() {
            stdout
        } else {
            stderr
        };
        return Err(failed(output.status.to_string(), said));
    }
    Ok(Finished { stdout, stderr })
}

/// Program and arguments in one line.
pub(crate) fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
