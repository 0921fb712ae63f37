//! The one correct genesis: a published pre-CCV file with the provider's `ccvconsumer` in it.
//!
//! The file is streamed and changed in nothing but `app_state.ccvconsumer`, so that validators who
//! merge by hand reach the same chain, and so that a file of any size needs little memory.

mod ccv;
mod copy;
mod expect;
mod launch;
mod relayers;
mod splice;
mod template;
mod version;

use std::io::{self, Read, Write};

pub use self::ccv::{CcvConsumer, CcvError};
pub use self::expect::{Expectation, published_digest};
pub use self::launch::{
    FirstValidator, Header, KeyKind, Launch, LaunchError, OurKeys, ProviderClient, Standing, Trust,
};
pub use self::relayers::{Coin, Relayers, RelayersError};
pub use self::template::Template;
pub use self::version::{IcsVersion, VersionError};
use crate::artifact::Digest;
use crate::time::UnixTime;

/// What a genesis file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreCcv {
    /// The SHA-256 of the file as it was read.
    pub digest: Digest,
    /// `chain_id`.
    pub chain_id: String,
    /// `initial_height`; 1 where it is missing or 0, as CometBFT reads it.
    pub initial_height: u64,
    /// `genesis_time`; `None` where it is missing or Go's zero, so that each node takes its own.
    pub genesis_time: Option<UnixTime>,
    /// `validators` or `consensus.validators`; empty in a file that leaves them to the provider.
    pub validators: Vec<FirstValidator>,
}

/// Why a file is not a genesis that can be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Reading the file or writing the result failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not JSON.
    #[error("not JSON at byte {at}: {what}")]
    Syntax {
        /// How many bytes were read before.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// JSON, but not such a genesis.
    #[error("{0}")]
    Shape(String),
}

/// Reads a genesis file through, checking that it could be merged.
///
/// # Errors
/// If it is not JSON, has no `app_state` or `chain_id`, has any key twice that matters here, or one
/// in another case, which Go would read all the same.
pub fn read(file: impl Read) -> Result<PreCcv, GenesisError> {
    splice::splice(file, b"{}", io::sink())
}

/// Writes the genesis with `ccvconsumer` in `app_state`, replaced or inserted.
///
/// Every other byte is copied as it is. The caller compares [`PreCcv::digest`] afterwards, and
/// throws the result away if it is another file than was checked before.
///
/// # Errors
/// As [`read`], and if writing fails.
pub fn merge(
    file: impl Read,
    ccvconsumer: &CcvConsumer,
    out: impl Write,
) -> Result<PreCcv, GenesisError> {
    splice::splice(file, ccvconsumer.as_bytes(), out)
}

/// The beginning of a stranger's text, to be shown in an error.
fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rest: &str) -> String {
        format!(r#"{{"chain_id":"c","app_state":{{}}{rest}}}"#)
    }

    fn refusal(file: &str) -> String {
        match read(file.as_bytes()) {
            Ok(found) => panic!("{file} is taken: {found:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_not_json_is_refused_by_its_place() {
        for (bad, at) in [
            ("", 0),
            ("[]", 0),
            ("nul", 0),
            (r#"{"chain_id":"c","app_state":{}} x"#, 32),
            (r#"{"chain_id":"c","app_state":{}}{}"#, 31),
            (r#"{"chain_id":"c","app_state":[]}"#, 28),
            (r#"{"chain_id":"c","app_state":{"a":1,}}"#, 35),
            (r#"{"chain_id":"c","app_state":{"a":01}}"#, 34),
            (r#"{"chain_id":"c","app_state":{"a":1.}}"#, 35),
            (r#"{"chain_id":"c","app_state":{"a":1e}}"#, 35),
            (r#"{"chain_id":"c","app_state":{"a":-}}"#, 34),
            (r#"{"chain_id":"c","app_state":{"a":"\x"}}"#, 36),
            (r#"{"chain_id":"c","app_state":{"a":"\u00g0"}}"#, 38),
            (r#"{"chain_id":"c","app_state":{"a":tru}}"#, 36),
            (r#"{"chain_id":"c","app_state":{"a":NaN}}"#, 33),
            (r#"{"chain_id":"c","app_state":{'a':1}}"#, 29),
            (r#"{"chain_id":"c","app_state":{}, /* */}"#, 32),
            ("{\"chain_id\":\"c\",\"app_state\":{\"a\":\"\n\"}}", 34),
            ("\u{feff}{}", 0),
        ] {
            let place = format!("at byte {at}:");
            assert!(refusal(bad).contains(&place), "{bad}: {}", refusal(bad));
        }
    }

    #[test]
    fn what_is_no_genesis_is_refused() {
        for (bad, why) in [
            ("{}".into(), "no app_state"),
            (r#"{"chain_id":"c"}"#.into(), "no app_state"),
            (r#"{"app_state":{}}"#.into(), "no chain_id"),
            (file(r#","chain_id":"d""#), "chain_id stands there twice"),
            (file(r#","app_state":{}"#), "app_state stands there twice"),
            (
                file(r#","initial_height":1,"initial_height":1"#),
                "initial_height stands there twice",
            ),
            (
                file(r#","genesis_time":"2026-01-02T03:04:05Z","genesis_time":"x""#),
                "genesis_time stands there twice",
            ),
            (
                file(r#","consensus":{},"consensus":{}"#),
                "consensus stands there twice",
            ),
            (
                file(r#","validators":[],"consensus":{"validators":[]}"#),
                "validators stands there twice",
            ),
            (
                r#"{"chain_id":"c","app_state":{"ccvconsumer":{},"ccvconsumer":{}}}"#.into(),
                "ccvconsumer stands there twice",
            ),
            (
                r#"{"chain_id":"c","app_state":{"ccvconsumer":{},"\u0063cvconsumer":{}}}"#.into(),
                "ccvconsumer stands there twice",
            ),
            (file(r#","genesis_time":"today""#), "not RFC 3339"),
            (file(r#","genesis_time":null"#), "a string is expected"),
            (file(r#","initial_height":-1"#), "not a height"),
            (file(r#","initial_height":1.5"#), "not a height"),
            (file(r#","initial_height":"""#), "not a height"),
            (file(r#","initial_height":"+1""#), "not a height"),
            (
                file(r#","initial_height":9223372036854775808"#),
                "not a height",
            ),
            (file(r#","validators":{}"#), "not as CometBFT writes them"),
        ] {
            assert!(refusal(&bad).contains(why), "{bad}: {}", refusal(&bad));
        }
    }

    #[test]
    fn a_long_text_is_cut_in_the_error() {
        let long = "1".repeat(50_000);
        for bad in [
            file(&format!(r#","genesis_time":"{long}""#)),
            file(&format!(r#","initial_height":{long}"#)),
        ] {
            assert!(refusal(&bad).len() < 200, "{}", refusal(&bad).len());
        }
    }

    #[test]
    fn a_key_that_go_reads_all_the_same_is_refused() {
        for key in [
            "Chain_Id",
            "APP_STATE",
            "app_\u{17f}tate",
            "consen\u{17f}us",
            "Validators",
            "initial_Height",
            "genesis_TIME",
        ] {
            let why = refusal(&file(&format!(r#","{key}":1"#)));
            assert!(why.contains("write it so"), "{key}: {why}");
        }
        assert!(refusal(&file(r#","consensus":{"VALIDATORS":[]}"#)).contains("write it so"));
        // Modules are looked up as they are written.
        let module = r#"{"chain_id":"c","app_state":{"CcvConsumer":{},"ccvconsumer":{}}}"#;
        assert!(read(module.as_bytes()).is_ok());
    }

    #[test]
    fn a_file_says_what_it_is() {
        let text = r#"{"genesis_time":"2026-01-02T03:04:05+01:00","chain_id":"c\u002d1","initial_height":"5",
            "app_hash":null,"app_state":{"bank":{"a":[1,"}",{}]}},"consensus":{"validators":[
            {"address":"","name":"a","power":"7","pub_key":
                {"type":"tendermint/PubKeyEd25519","value":"AAAA"}},
            {"power":8,"pub_key":{"type":"tendermint/PubKeySecp256k1","value":"AQ=="}}]}}"#;
        let member = |kind, key: &[u8], power| FirstValidator {
            kind,
            key: key.to_vec(),
            power,
        };
        let expected = PreCcv {
            digest: Digest::of(text.as_bytes()),
            chain_id: "c-1".into(),
            initial_height: 5,
            genesis_time: UnixTime::from_rfc3339("2026-01-02T02:04:05Z"),
            validators: vec![
                member(KeyKind::Ed25519, &[0, 0, 0], 7),
                member(KeyKind::Secp256k1, &[1], 8),
            ],
        };
        assert_eq!(read(text.as_bytes()).expect("a genesis"), expected);
    }

    #[test]
    fn a_height_that_is_missing_or_zero_is_one_and_a_zero_time_is_none() {
        for rest in ["", r#","initial_height":0"#, r#","initial_height":"0""#] {
            let found = read(file(rest).as_bytes()).expect("a genesis");
            assert_eq!((found.initial_height, found.genesis_time), (1, None));
        }
        let zero = file(r#","genesis_time":"0001-01-01T00:00:00Z""#);
        assert_eq!(read(zero.as_bytes()).expect("a genesis").genesis_time, None);
        for none in ["[]", "null"] {
            let empty = file(&format!(r#","validators":{none}"#));
            assert_eq!(read(empty.as_bytes()).expect("a genesis").validators, []);
        }
    }

    #[test]
    fn hostile_sizes_end_in_an_error_or_stream_through() {
        let long = "x".repeat(1 << 20);
        for too_long in [
            format!(r#"{{"{long}":1}}"#),
            file(&format!(r#","genesis_time":"{long}""#)),
            file(&format!(r#","initial_height":{}"#, "1".repeat(1 << 20))),
            format!(r#"{{"chain_id":"{long}","app_state":{{}}}}"#),
            format!(r#"{{"chain_id":"c","app_state":{{"{long}":1}}}}"#),
            file(&format!(r#","validators":[{}1]"#, "1,".repeat(3 << 20))),
        ] {
            assert!(refusal(&too_long).contains("longer than any genesis has"));
        }
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |depth: usize| {
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                format!(r#"{{"chain_id":"c","app_state":{{"a":{open}1{close}}}}}"#)
            };
            assert!(read(nested(190).as_bytes()).is_ok());
            assert!(refusal(&nested(1_000_000)).contains("nested too deeply"));
        }
        for streams in [
            format!(r#"{{"chain_id":"c","app_state":{{"a":{{"{long}":"{long}"}}}}}}"#),
            format!(
                r#"{{"chain_id":"c","app_state":{{"a":{}}}}}"#,
                "1".repeat(1 << 20)
            ),
            file(&" ".repeat(1 << 20)),
        ] {
            assert!(read(streams.as_bytes()).is_ok());
        }
    }
}
