//! What can go wrong in a test bed: one error, made to be read by a person.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a part of the test bed could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command ended with another code than 0, or could not be started.
    #[error("{command}: {outcome}{}", tail(.output))]
    Command {
        /// Program and arguments.
        command: String,
        /// Exit status, or why it did not start.
        outcome: String,
        /// What the command wrote on its error stream.
        output: String,
    },
    /// The Docker engine refused a request.
    #[error("Docker engine: {action}: {source}")]
    Engine {
        /// What was asked of the engine.
        action: String,
        /// The engine's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// Verb: read, write, lock, ...
        action: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A daemon, a node or a file answered something unexpected.
    #[error("{0}")]
    Reply(String),
    /// This machine lacks something; the text names the cure.
    #[error("{0}")]
    Setup(String),
    /// A condition did not come true in time.
    #[error("waited {waited:.1?} for {what}; last seen: {last}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What the last look at it found.
        last: String,
    },
}

impl Error {
    /// An [`Error::File`] of the given action, for `map_err`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// An [`Error::Engine`] of the given action, for `map_err`.
    pub(crate) fn engine(action: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let action = action.into();
        move |source| Self::Engine {
            action,
            source: Box::new(source),
        }
    }
}

/// The last lines of a command's output, set off from the text before; empty stays empty.
fn tail(output: &str) -> String {
    let lines = last_lines(output, 8);
    if lines.is_empty() {
        String::new()
    } else {
        format!("\n{lines}")
    }
}

/// The last `count` lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
