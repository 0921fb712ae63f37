//! Keys of `config.toml` and `app.toml` that the operator sets beside ours.
//!
//! The daemons read both files into one set of keys that knows no case and parts names at dots, so
//! a key is refused in either table if it is ours in one of them, or is not written plainly.

use serde::{Serialize, Serializer};
use toml::{Table, Value};

/// Keys for the files of every node; none of them is one that this program sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    app: Table,
    config: Table,
}

/// A key that the operator may not set this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// Not a key of these files.
    #[error(
        "{table}.{}: {part:?} is no key: it has lower-case letters, digits, - and _ only",
        key.escape_debug()
    )]
    Key {
        /// Which table: `config` or `app`.
        table: &'static str,
        /// The key, its parts joined by dots.
        key: String,
        /// The part that is wrong.
        part: String,
    },
    /// A key that this program sets.
    #[error("{table}.{key} cannot be set here: {cure}")]
    Ours {
        /// Which table: `config` or `app`.
        table: &'static str,
        /// The key, its parts joined by dots.
        key: String,
        /// Why not, and what to do.
        cure: &'static str,
    },
    /// A value where the files have a table.
    #[error("{table}.{key} is a table: write {table}.{key}.<key> = <value>")]
    Table {
        /// Which table: `config` or `app`.
        table: &'static str,
        /// The key, its parts joined by dots.
        key: String,
    },
}

const PLACE: &str = "where the node keeps this is fixed, or it would be lost with the container";
const PORT: &str = "ports follow from the chain id, so that peers know them";
const PRIVATE: &str = "set node.private_peers";
const PRUNING: &str = "set node.pruning";
const SIGNER: &str = "what a node signs with is decided for each consumer";
const SERVED: &str = "the monitor needs it as it is";

/// The keys that are ours, and why or by what else they are set.
const OURS: &[(&str, &str)] = &[
    ("api.address", PORT),
    ("api.enable", SERVED),
    ("chain-id", "it is the consumer's"),
    ("consensus.timeout_commit", "set node.timeout_commit"),
    ("consensus.wal_file", PLACE),
    ("db_dir", PLACE),
    ("genesis_file", PLACE),
    ("grpc-web.enable", SERVED),
    ("grpc.address", PORT),
    ("grpc.enable", SERVED),
    ("home", PLACE),
    ("minimum-gas-prices", "set node.min_gas_prices"),
    ("moniker", "set node.moniker"),
    ("node_key_file", PLACE),
    ("p2p.addr_book_file", PLACE),
    ("p2p.addr_book_strict", PRIVATE),
    ("p2p.allow_duplicate_ip", PRIVATE),
    ("p2p.external_address", "set node.external_ip"),
    ("p2p.laddr", PORT),
    (
        "p2p.persistent_peers",
        "peers are those that validators publish; others may stand in p2p.seeds",
    ),
    ("priv_validator_key_file", SIGNER),
    ("priv_validator_laddr", SIGNER),
    ("priv_validator_state_file", SIGNER),
    ("pruning", PRUNING),
    ("pruning-interval", PRUNING),
    ("pruning-keep-recent", PRUNING),
    ("rpc.laddr", PORT),
    (
        "rpc.pprof_laddr",
        "the nodes of one host would all listen there",
    ),
];

impl Overlay {
    /// Checks the operator's tables for `config.toml` and `app.toml`.
    ///
    /// What a value must be is for the program to say: only TOML is checked here.
    ///
    /// # Errors
    /// Names the first key that is ours, hides one of ours, or is not written plainly.
    pub fn new(config: Table, app: Table) -> Result<Self, OverlayError> {
        check("config", "", &config)?;
        check("app", "", &app)?;
        Ok(Self { app, config })
    }

    pub(super) fn app(&self) -> Table {
        self.app.clone()
    }

    pub(super) fn config(&self) -> Table {
        self.config.clone()
    }
}

fn check(table: &'static str, before: &str, entries: &Table) -> Result<(), OverlayError> {
    for (part, value) in entries {
        let key = format!("{before}{part}");
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if part.is_empty() || !part.bytes().all(is_plain) {
            let part = part.clone();
            return Err(OverlayError::Key { table, key, part });
        }
        if let Some((_, cure)) = OURS.iter().find(|(ours, _)| *ours == key) {
            return Err(OverlayError::Ours { table, key, cure });
        }
        let below = format!("{key}.");
        match value {
            Value::Table(inner) => check(table, &below, inner)?,
            _ if OURS.iter().any(|(ours, _)| ours.starts_with(&below)) => {
                return Err(OverlayError::Table { table, key });
            }
            _ => {}
        }
    }
    Ok(())
}

// Floats are all that keeps a table from being `Eq`, and a file has no use for NaN being unequal.
impl Eq for Overlay {}

impl Serialize for Overlay {
    /// Its text, which differs when anything in it does.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [&self.config, &self.app]
            .map(ToString::to_string)
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(config: &str, app: &str) -> Result<Overlay, OverlayError> {
        let read = |text: &str| text.parse::<Table>().expect("TOML");
        Overlay::new(read(config), read(app))
    }

    #[test]
    fn any_other_key_may_be_set() {
        let config = "log_format = \"json\"\n[p2p]\nseeds = \"a@b:1\"\n[mempool]\nsize = 9";
        let app = "iavl-cache-size = 7\n[telemetry]\nglobal-labels = [[\"a\", \"b\"]]";
        assert!(overlay(config, app).is_ok());
    }

    #[test]
    fn what_is_ours_is_refused_by_name_in_both_files() {
        for (ours, _) in OURS {
            let text = format!("{ours} = \"x\"");
            for (config, app, table) in [(text.as_str(), "", "config"), ("", &text, "app")] {
                let error = overlay(config, app).expect_err(ours).to_string();
                assert!(error.starts_with(&format!("{table}.{ours} ")), "{error}");
            }
        }
        let error = overlay("p2p.laddr.x = 1", "").expect_err("a table in its place");
        assert!(matches!(error, OverlayError::Ours { .. }), "{error}");
    }

    #[test]
    fn other_spellings_of_what_is_ours_are_refused() {
        for text in [
            "\"p2p.laddr\" = \"x\"",
            "Moniker = \"x\"",
            "[P2P]\nladdr = \"x\"",
            "[p2p]\nLaddr = \"x\"",
            "\"\" = 1",
            "\"a\\nb\" = 1",
        ] {
            let error = overlay(text, "").expect_err(text);
            assert!(matches!(error, OverlayError::Key { .. }), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_value_cannot_hide_a_table_of_ours() {
        let error = overlay("p2p = 3", "").expect_err("hidden");
        assert_eq!(
            error.to_string(),
            "config.p2p is a table: write config.p2p.<key> = <value>"
        );
    }
}
