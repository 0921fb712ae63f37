//! One query of the application: asked at a height, answered at that height, or a clear failure.

use ics_core::failure::Failure;
use ics_core::time::Height;
use prost::Message;

use crate::rpc::{QueryAnswer, Rpc};

/// The longest text of a node that is repeated in a failure.
const EXCERPT: usize = 200;

/// Asks on a Query path; `None` if the application says that there is no such thing.
///
/// `height` pins the state; `None` asks for the newest.
///
/// # Errors
/// Transient, if the node cannot be reached or does not have the height yet; permanent, if it no
/// longer has it or refuses the query.
pub(super) async fn ask(
    rpc: &Rpc,
    path: &str,
    request: &impl Message,
    height: Option<Height>,
) -> Result<Option<Vec<u8>>, Failure> {
    let answer = rpc
        .abci_query(path, request.encode_to_vec(), height)
        .await?;
    read(&answer, path, height).map_err(|failure| failure.context(rpc.url()))
}

/// Asks for something that is always there.
///
/// # Errors
/// As [`ask`]; permanent, if the application says that there is no such thing.
pub(super) async fn ask_required(
    rpc: &Rpc,
    path: &str,
    request: &impl Message,
    height: Option<Height>,
) -> Result<Vec<u8>, Failure> {
    let answer = ask(rpc, path, request, height).await?;
    answer.ok_or_else(|| {
        Failure::permanent(format!(
            "{}: {path}: the node has no answer; is this the RPC address of a provider of \
             interchain-security v7?",
            rpc.url()
        ))
    })
}

fn read(
    answer: &QueryAnswer,
    path: &str,
    height: Option<Height>,
) -> Result<Option<Vec<u8>>, Failure> {
    if answer.code != 0 {
        return match Refusal::of(answer) {
            Refusal::Absent => Ok(None),
            refusal => Err(refusal.failure(answer, path, height)),
        };
    }
    match height {
        Some(height) if answer.height != height => Err(Failure::transient(format!(
            "{path}: asked at height {height}, answered at {}; the node or a proxy before it \
             ignores heights",
            answer.height
        ))),
        _ => Ok(Some(answer.value.clone())),
    }
}

/// Why the application did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// There is no such thing at that height.
    Absent,
    /// The query itself is refused; it would be again.
    Invalid,
    /// The node does not have that height yet.
    NotYet,
    /// The node no longer has that height.
    Pruned,
    /// Anything else, such as an internal error; may pass.
    Unclear,
}

impl Refusal {
    /// Reads the SDK's codes (`types/errors/errors.go`) and, where one code means several things,
    /// its text (`baseapp/abci.go`, `CreateQueryContext` and `gRPCErrorToSDKError`).
    fn of(answer: &QueryAnswer) -> Self {
        const NOT_YET: [&str; 3] = [
            "height in the future",
            "is not ready",
            "latest block height",
        ];
        let says = |text: &str| answer.log.contains(text);
        if answer.codespace != "sdk" {
            return Self::Unclear;
        }
        // SDK 0.50 answers a pruned height with 18, SDK 0.53 with 38; the text is the same.
        match answer.code {
            _ if says("failed to load state at height") => Self::Pruned,
            26 => Self::NotYet,
            _ if NOT_YET.iter().any(|text| says(text)) => Self::NotYet,
            22 => Self::Absent,
            18 if says("cannot retrieve chain id for consumer id") => Self::Absent,
            38 => Self::Pruned,
            4 | 18 => Self::Invalid,
            // The rest of 6 is what the SDK has no code for, internal errors among it.
            6 if says("unknown query path") => Self::Invalid,
            _ => Self::Unclear,
        }
    }

    fn failure(self, answer: &QueryAnswer, path: &str, height: Option<Height>) -> Failure {
        let at = height.map_or_else(|| "the newest height".into(), |h| format!("height {h}"));
        let text = format!(
            "{path} at {at}: code {} of {:?}: {}",
            answer.code,
            answer.codespace,
            excerpt(&answer.log)
        );
        match self {
            Self::Pruned => Failure::permanent(format!(
                "{text}; use a node that keeps this height (pruning = \"nothing\", or a larger \
                 pruning-keep-recent, in its app.toml)"
            )),
            Self::NotYet => Failure::transient(format!("{text}; the node is still catching up")),
            Self::Invalid => Failure::permanent(format!(
                "{text}; is this the RPC address of a provider of interchain-security v7?"
            )),
            Self::Absent | Self::Unclear => Failure::transient(text),
        }
    }
}

/// The first line of a text, cut and with control characters escaped.
pub(super) fn excerpt(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .take(EXCERPT)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ics_core::failure::FailureKind;

    fn refused(codespace: &str, code: u32, log: &str) -> Result<Option<Vec<u8>>, FailureKind> {
        let answer = QueryAnswer {
            code,
            codespace: codespace.into(),
            log: log.into(),
            value: Vec::new(),
            height: Height(0),
        };
        read(&answer, "/a.Query/B", Some(Height(9))).map_err(|failure| failure.kind)
    }

    #[test]
    fn codes_say_what_may_be_done() {
        use FailureKind::{Permanent, Transient};
        let unknown = "rpc error: code = InvalidArgument desc = cannot retrieve chain id for \
                       consumer id: 999: invalid request";
        assert_eq!(refused("sdk", 18, unknown), Ok(None));
        assert_eq!(refused("sdk", 22, "key not found"), Ok(None));
        let future = "cannot query with height in the future; please provide a valid height";
        assert_eq!(refused("sdk", 26, future), Err(Transient));
        assert_eq!(refused("sdk", 18, "height 9 is not ready"), Err(Transient));
        let pruned = "failed to load state at height 9; version does not exist";
        assert_eq!(refused("sdk", 38, pruned), Err(Permanent));
        assert_eq!(refused("sdk", 18, pruned), Err(Permanent));
        assert_eq!(refused("sdk", 6, "unknown query path"), Err(Permanent));
        assert_eq!(
            refused("sdk", 6, "rpc error: code = Internal"),
            Err(Transient)
        );
        assert_eq!(refused("undefined", 1, "internal error"), Err(Transient));
    }

    #[test]
    fn an_answer_at_another_height_is_none() {
        let answer = QueryAnswer {
            code: 0,
            codespace: String::new(),
            log: String::new(),
            value: vec![1],
            height: Height(8),
        };
        assert!(read(&answer, "/a", Some(Height(9))).is_err());
        assert_eq!(read(&answer, "/a", Some(Height(8))), Ok(Some(vec![1])));
        assert_eq!(read(&answer, "/a", None), Ok(Some(vec![1])));
    }

    #[test]
    fn a_nodes_text_is_cut_and_escaped() {
        assert_eq!(excerpt("a\u{1b}[31m\nsecond"), "a\\u{1b}[31m");
        assert_eq!(excerpt(&"x".repeat(5000)).len(), EXCERPT);
    }
}
