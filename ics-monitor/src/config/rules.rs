//! `[[rules]]`: whom the operator allows, and what to run.

use std::time::Duration;

use ics_core::artifact::Digest;
use ics_core::genesis::VersionError;
use ics_core::id::ConsumerId;
use ics_core::key::Address;
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
    #[serde(default)]
    key: KeyFile,
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

/// Where the consensus key comes from.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyFile {
    /// A new one for each consumer.
    #[default]
    Fresh,
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

fn complete_run(file: &RunFile, sha256: Option<Digest>) -> Result<Run, String> {
    let key = match file.key {
        KeyFile::Fresh => KeySource::Fresh,
    };
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
        assert!(run("key = \"provider\"").is_err());
        let owner = deny("match = { owner = \"cosmos1x\" }");
        assert!(owner.expect_err("no address").contains("match.owner"));
        let hash = deny("match = { genesis_hash = \"ab\" }");
        assert!(hash.expect_err("no hash").contains("genesis_hash"));
    }
}
