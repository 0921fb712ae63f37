//! What a consensus key has signed last, as CometBFT keeps it beside the key.

use std::fmt;

use serde::Deserialize;

/// The text of a `priv_validator_state.json` (`FilePVLastSignState` in CometBFT's
/// `privval/file.go`), with the position that it says.
///
/// It is kept as it was found: beside the position it holds the last signature, which a validator
/// that crashed gives again instead of another one.
#[derive(Clone, PartialEq, Eq)]
pub struct SignerState {
    text: String,
    position: Position,
}

/// Height, round and step: a key never signs at one that does not come after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    height: u64,
    round: u32,
    step: u8,
}

#[derive(Deserialize)]
struct File {
    height: String,
    #[serde(default)]
    round: u32,
    #[serde(default)]
    step: u8,
}

impl SignerState {
    /// The state of a key that has signed nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self {
            text: "{\n  \"height\": \"0\",\n  \"round\": 0,\n  \"step\": 0\n}\n".into(),
            position: Position {
                height: 0,
                round: 0,
                step: 0,
            },
        }
    }

    /// Reads the file; `None` if it is not what CometBFT writes: a power loss can leave an empty one.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let file: File = serde_json::from_str(text).ok()?;
        let position = Position {
            height: file.height.parse().ok()?,
            round: file.round,
            step: file.step,
        };
        Some(Self {
            text: text.to_owned(),
            position,
        })
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last height at which the key has signed.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.position.height
    }

    /// Whether the key has signed nothing by this state.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.position == Self::zero().position
    }

    /// Whether it is at the same position as `other` or at a later one, so that a key that goes on
    /// from here signs nothing again that `other` forbids.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.position >= other.position
    }
}

impl fmt::Debug for SignerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerState({:?})", self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(height: &str, round: u32, step: u8) -> SignerState {
        let text = format!(r#"{{"height":"{height}","round":{round},"step":{step}}}"#);
        SignerState::read(text.as_bytes()).expect("a state")
    }

    #[test]
    fn an_empty_or_cut_file_is_no_state() {
        let zero = SignerState::zero();
        assert_eq!(
            SignerState::read(zero.text().as_bytes()),
            Some(zero.clone())
        );
        assert!(zero.is_zero());
        for bad in [
            "",
            "{",
            "{}",
            "{\"height\": 5}",
            "{\"height\": \"x\"}",
            "{\"height\": \"-1\"}",
            "{\"height\": \"5\", \"round\": -1}",
            "{\"height\": \"5\", \"step\": 4000}",
        ] {
            assert_eq!(SignerState::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(SignerState::read(&[0xff]), None);
    }

    #[test]
    fn the_later_state_covers_the_earlier_one() {
        let order = [
            SignerState::zero(),
            state("4", 2, 3),
            state("5", 0, 1),
            state("5", 0, 2),
            state("5", 1, 1),
            state("10", 0, 1),
        ];
        for (n, earlier) in order.iter().enumerate() {
            assert!(earlier.covers(earlier));
            for later in &order[n + 1..] {
                assert!(later.covers(earlier), "{later:?} {earlier:?}");
                assert!(!earlier.covers(later), "{later:?} {earlier:?}");
            }
        }
    }

    #[test]
    fn the_last_signature_is_kept() {
        let text = r#"{"height":"5","round":0,"step":3,"signature":"AA==","signbytes":"00"}"#;
        let read = SignerState::read(text.as_bytes()).expect("a state");
        assert_eq!(read.text(), text);
        assert_eq!(format!("{read:?}").matches("AA==").count(), 0);
    }
}
