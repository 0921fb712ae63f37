//! Why an action did not succeed, as far as the core needs to know.

use std::fmt;

/// The outcome of an action that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What may be done about it.
    pub kind: FailureKind,
    /// One line for people: what failed, where, and the cure. Holds no secret.
    pub message: String,
}

/// What a caller may do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// Trying the same again cannot help until a person or the chain changes something.
    Permanent,
    /// Nothing happened; the same may succeed later.
    Transient,
    /// It may have happened: look before trying again.
    Unknown,
}

impl Failure {
    /// A failure that needs a person or a change on chain.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Permanent,
            message: message.into(),
        }
    }

    /// A failure that left nothing behind and may pass by itself.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Transient,
            message: message.into(),
        }
    }

    /// A failure whose effect is not known.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Unknown,
            message: message.into(),
        }
    }

    /// Returns the same failure with `context` in front of its message.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        Self {
            kind: self.kind,
            message: format!("{context}: {}", self.message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
