//! `[[rules]]`: whom the operator allows, and what to run.

use std::time::Duration;

use ics_core::artifact::Digest;
use ics_core::genesis::VersionError;
use ics_core::id::ConsumerId;
use ics_core::key::{Address, KeyError};
use ics_core::node::{Program, Resources};
use ics_core::policy::{
    Bounds, ChainIdPattern, ChainKind, GenesisSource, KeySource, Match, PatternError,
    PunishmentBounds, Rule, Run, Verdict,
};
use ics_core::snapshot::Decimal;
use serde::Deserialize;

use super::{ConfigError, duration};

/// One `[[rules]]` entry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// What to call it; `rule 1`, `rule 2` … unless set.
    name: Option<String>,
    #[serde(rename = "match", default)]
    matches: MatchFile,
    verdict: VerdictFile,
    #[serde(default)]
    bounds: BoundsFile,
    run: Option<RunFile>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MatchFile {
    consumer_id: Option<ConsumerId>,
    owner: Option<String>,
    any_owner: bool,
    chain_id: Option<String>,
    top_n: Option<bool>,
    genesis_hash: Option<String>,
    binary_hash: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BoundsFile {
    double_sign: PunishmentFile,
    downtime: PunishmentFile,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PunishmentFile {
    slash: Option<String>,
    #[serde(deserialize_with = "duration")]
    jail: Option<Duration>,
    tombstone: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum VerdictFile {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFile {
    image: String,
    command: Vec<String>,
    home: String,
    genesis: GenesisFile,
    /// Read by [`key_source`], whose errors name what may be written.
    key: Option<toml::Value>,
    ics_version: Option<String>,
    memory_mib: Option<u64>,
    cpu_millis: Option<u32>,
    pids: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GenesisFile {
    path: String,
    sha256: Option<String>,
}

/// Checks all rules and gives each its name.
pub(super) fn complete(files: &[RuleFile], prefix: &str) -> Result<Vec<Rule>, ConfigError> {
    files
        .iter()
        .zip(1..)
        .map(|(file, number)| rule(file, number, prefix))
        .collect()
}

fn rule(file: &RuleFile, number: usize, prefix: &str) -> Result<Rule, ConfigError> {
    let name = file
        .name
        .clone()
        .unwrap_or_else(|| format!("rule {number}"));
    let wrong = |text: String| ConfigError::new(format!("rules, {name:?}: {text}"));
    let matches = &file.matches;
    if let Some(owner) = &matches.owner {
        Address::from_bech32(owner, prefix).map_err(|e| wrong(format!("match.owner: {e}")))?;
    }
    let digest = |key: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Digest::from_hex(text)
            .map(Some)
            .ok_or_else(|| wrong(format!("{key}: {text:?} is not the hex of a SHA-256"))),
    };
    let chain_id = matches.chain_id.as_deref().map(str::parse).transpose();
    let chain_id: Option<ChainIdPattern> =
        chain_id.map_err(|e: PatternError| wrong(format!("match.chain_id: {e}")))?;
    let kind = matches.top_n.map(|top_n| match top_n {
        true => ChainKind::TopN,
        false => ChainKind::OptIn,
    });
    let double_sign = file.bounds.double_sign.complete("double_sign");
    let downtime = file.bounds.downtime.complete("downtime");
    Ok(Rule {
        matches: Match {
            consumer_id: matches.consumer_id,
            owner: matches.owner.clone(),
            any_owner: matches.any_owner,
            chain_id,
            kind,
            genesis_hash: digest("match.genesis_hash", &matches.genesis_hash)?,
            binary_hash: digest("match.binary_hash", &matches.binary_hash)?,
        },
        verdict: match file.verdict {
            VerdictFile::Allow => Verdict::Allow,
            VerdictFile::Deny => Verdict::Deny,
        },
        bounds: Bounds {
            double_sign: double_sign.map_err(wrong)?,
            downtime: downtime.map_err(wrong)?,
        },
        run: match &file.run {
            None => None,
            Some(run) => {
                let sha256 = digest("run.genesis.sha256", &run.genesis.sha256)?;
                Some(complete_run(run, sha256).map_err(wrong)?)
            }
        },
        name,
    })
}

impl PunishmentFile {
    fn complete(&self, name: &str) -> Result<PunishmentBounds, String> {
        let slash = self.slash.as_deref().map(|text| {
            let read = Decimal::parse(text).filter(|slash| *slash <= Decimal::ONE);
            read.ok_or_else(|| {
                format!("bounds.{name}.slash: {text:?} is not a fraction from 0 to 1 like \"0.05\"")
            })
        });
        Ok(PunishmentBounds {
            slash: slash.transpose()?,
            jail: self.jail,
            tombstone: self.tombstone,
        })
    }
}

impl RunFile {
    fn resources(&self) -> Result<Resources, String> {
        let default = Resources::default();
        let memory = self.memory_mib.map(|mib| {
            // Docker counts in signed 64 bits, and refuses less than 6 MiB, or 10 thousandths of a
            // core below.
            let bytes = mib
                .checked_mul(1 << 20)
                .filter(|bytes| i64::try_from(*bytes).is_ok());
            bytes.filter(|_| mib >= 6).ok_or_else(|| {
                format!(
                    "run.memory_mib: {mib} is no amount of memory; write mebibytes from 6 upwards"
                )
            })
        });
        let from = |least: u32, key: &str, number: Option<u32>, default: u32| match number {
            Some(less) if less < least => Err(format!(
                "run.{key}: {less} is too small; write a number from {least} upwards, or leave it \
                 out for {default}"
            )),
            number => Ok(number.unwrap_or(default)),
        };
        Ok(Resources {
            memory_bytes: memory.transpose()?.unwrap_or(default.memory_bytes),
            cpu_millis: from(10, "cpu_millis", self.cpu_millis, default.cpu_millis)?,
            pids: from(1, "pids", self.pids, default.pids)?,
        })
    }
}

/// Where the consensus key comes from: a word, or a remote signer with its key and our port.
fn key_source(value: &toml::Value) -> Result<KeySource, String> {
    let wrong = || {
        format!(
            "run.key: {value} is none of \"fresh\", \"imported\", \"provider\", and \
             {{ remote = \"<public key>\", port = 26659 }}"
        )
    };
    if let Some(word) = value.as_str() {
        return match word {
            "fresh" => Ok(KeySource::Fresh),
            "imported" => Ok(KeySource::Imported),
            "provider" => Ok(KeySource::Provider),
            _ => Err(wrong()),
        };
    }
    let table = value.as_table().ok_or_else(wrong)?;
    let (Some(key), Some(port), 2) = (table.get("remote"), table.get("port"), table.len()) else {
        return Err(wrong());
    };
    let public_key = key.as_str().ok_or_else(wrong)?.parse();
    let public_key = public_key.map_err(|e: KeyError| format!("run.key.remote: {e}"))?;
    let number = port.as_integer().and_then(|port| u16::try_from(port).ok());
    let number = number.filter(|number| *number > 0);
    let port = number.ok_or_else(|| format!("run.key.port: {port} is no port from 1 to 65535"))?;
    Ok(KeySource::Remote { public_key, port })
}

fn complete_run(file: &RunFile, sha256: Option<Digest>) -> Result<Run, String> {
    let key = file.key.as_ref().map_or(Ok(KeySource::Fresh), key_source)?;
    if file.image.trim().is_empty() {
        return Err("run.image is empty".into());
    }
    if file.command.is_empty() {
        return Err("run.command is empty: name the program and its arguments".into());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let home = file.home.trim_end_matches('/');
    if !home.starts_with('/') || !home.chars().all(plain) || home.split('/').any(|p| p == "..") {
        return Err(format!(
            "run.home: {:?} is not an absolute folder like \"/data\"",
            file.home
        ));
    }
    if !file.genesis.path.starts_with('/') {
        return Err(format!(
            "run.genesis.path: {:?} is not absolute",
            file.genesis.path
        ));
    }
    let ics_version = file.ics_version.as_deref().map(str::parse).transpose();
    let ics_version = ics_version.map_err(|e: VersionError| format!("run.ics_version: {e}"))?;
    Ok(Run {
        program: Program {
            image: file.image.clone(),
            command: file.command.clone(),
            home: home.to_owned(),
        },
        resources: file.resources()?,
        genesis: GenesisSource {
            path: file.genesis.path.clone(),
            sha256,
            ics_version,
        },
        key,
    })
}

#[cfg(test)]
mod tests {
    use ics_core::key::PublicKey;

    use super::super::File;
    use super::*;

    fn rules(text: &str) -> Result<Vec<Rule>, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let policy = file.policy("a", "cosmos");
        policy.map(|policy| policy.rules).map_err(|e| e.to_string())
    }

    /// The one rule that denies, with this beside it.
    fn deny(part: &str) -> Result<Rule, String> {
        let mut all = rules(&format!("[[rules]]\nverdict = \"deny\"\n{part}\n"))?;
        Ok(all.remove(0))
    }

    /// The one rule that allows consumer 3, with this beside it.
    fn allow(part: &str) -> Result<Rule, String> {
        let three = "verdict = \"allow\"\nmatch = { consumer_id = \"3\" }";
        let mut all = rules(&format!("[[rules]]\n{three}\n{part}\n"))?;
        Ok(all.remove(0))
    }

    fn run(part: &str) -> Result<Run, String> {
        let run = "image = \"i\", command = [\"c\"], home = \"/data\", genesis = { path = \"/g\" }";
        let rule = deny(&format!("run = {{ {run}, {part} }}"))?;
        Ok(rule.run.expect("a run part"))
    }

    #[test]
    fn an_allow_rule_names_whom_it_allows() {
        let error = rules("[[rules]]\nverdict = \"allow\"\n").expect_err("too wide");
        assert!(error.contains("any_owner"), "{error}");
        assert!(rules("[[rules]]\nverdict = \"allow\"\nmatch = { any_owner = true }\n").is_ok());
        assert!(rules("[[rules]]\nverdict = \"allow\"\nmatch = { consumer_id = \"3\" }\n").is_ok());
        assert!(rules("[[rules]]\nverdict = \"deny\"\n").is_ok());
    }

    #[test]
    fn conditions_that_only_narrow_do_not_name_anyone() {
        for narrow in ["chain_id = \"a-*\"", "top_n = true", "top_n = false"] {
            let rule = format!("[[rules]]\nverdict = \"allow\"\nmatch = {{ {narrow} }}\n");
            let error = rules(&rule).expect_err("too wide");
            assert!(error.contains("any_owner"), "{error}");
        }
        let both = "[[rules]]\nverdict = \"deny\"\n\
                    match = { consumer_id = \"3\", any_owner = true }\n";
        assert!(rules(both).expect_err("both").contains("keep one of them"));
    }

    #[test]
    fn every_condition_is_read() {
        let rule = deny("match = { consumer_id = \"3\", chain_id = \"a-*\", top_n = true }");
        let matches = rule.expect("a rule").matches;
        assert_eq!(matches.consumer_id, Some(ConsumerId::new(3)));
        assert_eq!(matches.chain_id, "a-*".parse().ok());
        assert_eq!(matches.kind, Some(ChainKind::TopN));
        let opt_in = deny("match = { top_n = false }").expect("a rule");
        assert_eq!(opt_in.matches.kind, Some(ChainKind::OptIn));
        let error = deny("match = { chain_id = \" \" }").expect_err("blank");
        assert!(error.contains("match.chain_id"), "{error}");
    }

    #[test]
    fn bounds_are_those_of_the_provider_unless_written() {
        assert_eq!(allow("").map(|rule| rule.bounds), Ok(Bounds::default()));
        let written = "[rules.bounds]\ndouble_sign = { slash = \"0.1\" }\n\
                       downtime = { slash = \"0\", jail = \"1h\", tombstone = false }\n";
        let bounds = allow(written).expect("a rule").bounds;
        assert_eq!(bounds.double_sign.slash, Decimal::parse("0.1"));
        assert_eq!(bounds.double_sign.jail, None);
        assert_eq!(bounds.downtime.slash, Some(Decimal::default()));
        assert_eq!(bounds.downtime.jail, Some(Duration::from_secs(3600)));
        assert_eq!(bounds.downtime.tombstone, Some(false));
        for bad in ["1.1", "5%", "-0.1", ""] {
            let bounds = format!("bounds = {{ downtime = {{ slash = {bad:?} }} }}");
            let error = allow(&bounds).expect_err("no fraction");
            assert!(error.contains("bounds.downtime.slash"), "{error}");
        }
        assert!(allow("bounds = { downtime = { jail = \"long\" } }").is_err());
        assert!(allow("bounds = { slash = \"0.1\" }").is_err());
        let error = deny("bounds = { downtime = { slash = \"0.1\" } }").expect_err("of a deny");
        assert!(error.contains("a deny rule has no bounds"), "{error}");
    }

    #[test]
    fn resources_are_amounts_that_an_engine_accepts() {
        let all = run("memory_mib = 512, cpu_millis = 500, pids = 100").expect("a run part");
        let (memory_bytes, cpu_millis, pids) = (512 << 20, 500, 100);
        assert_eq!(
            all.resources,
            Resources {
                memory_bytes,
                cpu_millis,
                pids
            }
        );
        let one = run("pids = 100").expect("a run part").resources;
        assert_eq!(one.memory_bytes, Resources::default().memory_bytes);
        for (bad, key) in [
            ("memory_mib = 0", "memory_mib"),
            ("memory_mib = 5", "memory_mib"),
            ("memory_mib = 9223372036854775807", "memory_mib"),
            ("memory_mib = 8796093022208", "memory_mib"),
            ("cpu_millis = 0", "cpu_millis"),
            ("cpu_millis = 9", "cpu_millis"),
            ("cpu_millis = 4294967296", "4294967296"),
            ("pids = 0", "pids"),
            ("pids = -1", "-1"),
        ] {
            let error = run(bad).expect_err(bad);
            assert!(error.contains(key), "{error}");
        }
    }

    /// The one rule that denies this consumer, with this key.
    fn keyed(id: u64, name: &str, key: &str) -> String {
        let run = "image = \"i\", command = [\"c\"], home = \"/data\", genesis = { path = \"/g\" }";
        format!(
            "[[rules]]\nname = \"{name}\"\nverdict = \"deny\"\nmatch = {{ consumer_id = \"{id}\" }}\n\
             run = {{ {run}, key = {key} }}\n"
        )
    }

    #[test]
    fn a_key_is_fresh_unless_a_rule_says_where_it_is() {
        let source = |key: &str| run(&format!("key = {key}")).map(|run| run.key);
        assert_eq!(run("pids = 9").map(|run| run.key), Ok(KeySource::Fresh));
        assert_eq!(source("\"fresh\""), Ok(KeySource::Fresh));
        assert_eq!(source("\"imported\""), Ok(KeySource::Imported));
        assert_eq!(source("\"provider\""), Ok(KeySource::Provider));
        let public_key = PublicKey::new([7; 32]);
        let remote = format!("{{ remote = \"{public_key}\", port = 26659 }}");
        let read = rules(&keyed(3, "a", &remote)).expect("a rule");
        let read = read[0].run.as_ref().map(|run| run.key);
        let port = 26_659;
        assert_eq!(read, Some(KeySource::Remote { public_key, port }));
        for bad in [
            "\"horcrux\"",
            "7",
            "{ remote = \"x\" }",
            "{ port = 1 }",
            "{ remote = 7, port = 1 }",
        ] {
            let error = source(bad).expect_err(bad);
            assert!(
                error.contains("none of \"fresh\", \"imported\", \"provider\""),
                "{error}"
            );
        }
        let error = source("{ remote = \"x\", port = 26659 }").expect_err("no key");
        assert!(error.contains("run.key.remote: not an ed25519"), "{error}");
        for port in ["0", "65536", "-1", "\"26659\""] {
            let key = format!("{{ remote = \"{public_key}\", port = {port} }}");
            let error = source(&key).expect_err(port);
            assert!(error.contains("run.key.port"), "{error}");
        }
    }

    #[test]
    fn a_remote_signer_serves_one_consumer() {
        let key = |byte, port: u16| {
            let key = PublicKey::new([byte; 32]);
            format!("{{ remote = \"{key}\", port = {port} }}")
        };
        let unnamed = run(&format!("key = {}", key(1, 1))).expect_err("for all");
        assert!(unnamed.contains("match.consumer_id"), "{unnamed}");
        let two = |id, second: &str| rules(&(keyed(3, "a", &key(1, 1)) + &keyed(id, "b", second)));
        assert!(two(4, &key(2, 2)).is_ok());
        assert!(two(3, &key(1, 1)).is_ok());
        for second in [key(1, 2), key(2, 1)] {
            let error = two(4, &second).expect_err("shared");
            assert!(error.contains("\"b\": another rule"), "{error}");
        }
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        for text in [
            "match = { moniker = \"a\" }",
            "match = { top_n = 1 }",
            "ics_version = \"v5\"",
            "bounds = { liveness = {} }",
        ] {
            assert!(deny(text).is_err(), "{text}");
        }
        assert!(rules("[[rules]]\nverdict = \"maybe\"\n").is_err());
    }

    #[test]
    fn a_wrong_part_is_named() {
        let owner = deny("match = { owner = \"cosmos1x\" }");
        assert!(owner.expect_err("no address").contains("match.owner"));
        let hash = deny("match = { genesis_hash = \"ab\" }");
        assert!(hash.expect_err("no hash").contains("genesis_hash"));
    }
}
