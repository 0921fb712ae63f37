//! Why a transaction did not do what it was sent for.

use std::fmt;

use ics_core::failure::{Failure, FailureKind};
use ics_core::time::Height;

/// The codespace of the SDK's own error codes.
const SDK: &str = "sdk";

/// The code of a transaction signed for another sequence number than the account's next.
///
/// This and the other codes of codespace `sdk`: `types/errors/errors.go` of the Cosmos SDK.
pub(super) const WRONG_SEQUENCE: u32 = 32;

/// The code of a transaction that the mempool has already.
pub(super) const IN_MEMPOOL: u32 = 19;

/// The longest part of a chain's log that goes into a message.
const LOG_LEN: usize = 400;

/// Why a transaction did not do what it was sent for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxError {
    /// It did not get as far as the chain, or is certain not to be in a block.
    Failed(Failure),
    /// The chain refused it; its messages changed nothing.
    Rejected {
        /// Whose code it is, such as `sdk` or `provider`.
        codespace: String,
        /// The error code, never 0.
        code: u32,
        /// The chain's error text on one line.
        log: String,
        /// The block it is in, where it cost its fee; `None` if it was refused before.
        height: Option<Height>,
        /// The account that sent it.
        account: String,
    },
    /// It was sent, and whether it is or will be in a block is not known.
    Unknown {
        /// The SHA-256 of its bytes, by which the chain knows it.
        hash: [u8; 32],
    },
}

impl TxError {
    /// A rejection; the log may be any text.
    pub(super) fn rejected(
        codespace: String,
        code: u32,
        log: &str,
        height: Option<Height>,
        account: String,
    ) -> Self {
        Self::Rejected {
            codespace,
            code,
            log: one_line(log),
            height,
            account,
        }
    }

    /// Whether it is an opt-out that the provider refused, because the validator is among the top N
    /// (`ErrCannotOptOutFromTopN` in `x/ccv/provider/types/errors.go` of Interchain Security).
    #[must_use]
    pub fn is_of_top_n(&self) -> bool {
        matches!(self, Self::Rejected { codespace, code: 20, .. } if codespace == "provider")
    }

    /// Whether the chain refused it with this code of the SDK.
    pub(super) fn is_sdk(&self, wanted: u32) -> bool {
        matches!(self, Self::Rejected { codespace, code, .. } if codespace == SDK && *code == wanted)
    }
}

impl fmt::Display for TxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Unknown { hash } => write!(
                f,
                "transaction {} was sent and is not known to be in a block: look at the chain before sending it again",
                hex::encode_upper(hash)
            ),
            Self::Rejected {
                codespace,
                code,
                log,
                height,
                account,
            } => {
                write!(f, "the chain refused a transaction of {account} ")?;
                match height {
                    Some(height) => write!(f, "in block {height}")?,
                    None => f.write_str("before it was in a block")?,
                }
                write!(f, " ({codespace} code {code}): {log}")?;
                match cure(codespace, *code) {
                    Some((_, cure)) => write!(f, "; {cure}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for TxError {}

impl From<Failure> for TxError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<TxError> for Failure {
    /// A rejection is permanent, but for those that pass with the blocks to come.
    fn from(error: TxError) -> Self {
        let message = error.to_string();
        match error {
            TxError::Failed(failure) => failure,
            TxError::Unknown { .. } => Self::unknown(message),
            TxError::Rejected {
                codespace, code, ..
            } => Self {
                kind: cure(&codespace, code).map_or(FailureKind::Permanent, |(kind, _)| kind),
                message,
            },
        }
    }
}

/// What may be done about a code of the SDK.
fn cure(codespace: &str, code: u32) -> Option<(FailureKind, &'static str)> {
    use FailureKind::{Permanent, Transient};
    if codespace != SDK {
        return None;
    }
    Some(match code {
        4 => (
            Permanent,
            "check that the mnemonic file and chain_id are those of this account and chain",
        ),
        5 => (Permanent, "send coins to the account"),
        11 => (Permanent, "raise gas_adjustment"),
        13 => (Permanent, "raise gas_price to what the node asks for"),
        IN_MEMPOOL | 20 => (Transient, "the node's mempool must first empty"),
        30 => (Transient, "it came too late and may be sent again"),
        WRONG_SEQUENCE => (
            Transient,
            "another transaction of the account is not yet in a block: wait for it",
        ),
        _ => return None,
    })
}

/// A text of the chain without line ends and control characters, cut to [`LOG_LEN`] characters.
pub(super) fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(LOG_LEN).collect();
    if text.chars().nth(LOG_LEN).is_some() {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(codespace: &str, code: u32, height: Option<Height>) -> TxError {
        TxError::rejected(
            codespace.into(),
            code,
            "no\nno\u{1b}[1m",
            height,
            "cosmos1x".into(),
        )
    }

    #[test]
    fn a_rejection_says_code_place_and_cure_on_one_line() {
        let text = rejected("sdk", 5, None).to_string();
        assert_eq!(
            text,
            "the chain refused a transaction of cosmos1x before it was in a block (sdk code 5): no no [1m; send coins to the account"
        );
        let text = rejected("provider", 10, Some(Height(7))).to_string();
        assert!(
            text.ends_with("in block 7 (provider code 10): no no [1m"),
            "{text}"
        );
        let long = TxError::rejected("sdk".into(), 1, &"\u{e4}".repeat(9999), None, String::new());
        assert!(long.to_string().chars().count() < 500);
    }

    #[test]
    fn code_20_of_the_provider_is_that_of_the_top_n() {
        assert!(rejected("provider", 20, None).is_of_top_n());
        for (codespace, code) in [("sdk", 20), ("provider", 27)] {
            assert!(!rejected(codespace, code, None).is_of_top_n());
        }
    }

    #[test]
    fn only_what_passes_with_time_is_transient() {
        let kind = |codespace, code| Failure::from(rejected(codespace, code, None)).kind;
        for code in [19, 20, 30, 32] {
            assert_eq!(kind("sdk", code), FailureKind::Transient);
            assert_eq!(kind("provider", code), FailureKind::Permanent);
        }
        for code in [1, 4, 5, 11, 13] {
            assert_eq!(kind("sdk", code), FailureKind::Permanent);
        }
        let unknown = Failure::from(TxError::Unknown { hash: [0xab; 32] });
        assert_eq!(unknown.kind, FailureKind::Unknown);
        assert!(unknown.message.contains(&"AB".repeat(32)));
    }
}
