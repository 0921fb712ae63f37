//! `[[rules]]`: whom the operator allows, and what to run.

use ics_core::artifact::Digest;
use ics_core::genesis::VersionError;
use ics_core::id::ConsumerId;
use ics_core::key::Address;
use ics_core::node::{Program, Resources};
use ics_core::policy::{GenesisSource, KeySource, Match, Rule, Run, Verdict};
use serde::Deserialize;

use super::ConfigError;

/// One `[[rules]]` entry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// What to call it; `rule 1`, `rule 2` … unless set.
    name: Option<String>,
    #[serde(rename = "match", default)]
    matches: MatchFile,
    verdict: VerdictFile,
    run: Option<RunFile>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MatchFile {
    consumer_id: Option<ConsumerId>,
    owner: Option<String>,
    genesis_hash: Option<String>,
    binary_hash: Option<String>,
    any_owner: bool,
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
    let named = matches.consumer_id.is_some() || matches.owner.is_some();
    if matches.any_owner && named {
        let text = "any_owner stands beside consumer_id or owner; keep one of them";
        return Err(wrong(text.into()));
    }
    let verdict = match file.verdict {
        VerdictFile::Deny => Verdict::Deny,
        VerdictFile::Allow if named || matches.any_owner => Verdict::Allow,
        VerdictFile::Allow => {
            let text = "an allow rule must match a consumer_id or an owner, because anyone can \
                        create a consumer; any_owner = true allows them all";
            return Err(wrong(text.into()));
        }
    };
    if let Some(owner) = &matches.owner {
        Address::from_bech32(owner, prefix).map_err(|e| wrong(format!("match.owner: {e}")))?;
    }
    let digest = |key: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Digest::from_hex(text)
            .map(Some)
            .ok_or_else(|| wrong(format!("{key}: {text:?} is not the hex of a SHA-256"))),
    };
    Ok(Rule {
        matches: Match {
            consumer_id: matches.consumer_id,
            owner: matches.owner.clone(),
            genesis_hash: digest("match.genesis_hash", &matches.genesis_hash)?,
            binary_hash: digest("match.binary_hash", &matches.binary_hash)?,
        },
        verdict,
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
    let default = Resources::default();
    Ok(Run {
        program: Program {
            image: file.image.clone(),
            command: file.command.clone(),
            home: home.to_owned(),
        },
        resources: Resources {
            memory_bytes: file
                .memory_mib
                .map_or(default.memory_bytes, |mib| mib << 20),
            cpu_millis: file.cpu_millis.unwrap_or(default.cpu_millis),
            ..default
        },
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
    use super::*;

    fn rules(text: &str) -> Result<Vec<Rule>, String> {
        #[derive(Deserialize)]
        struct Rules {
            rules: Vec<RuleFile>,
        }
        let file: Rules = toml::from_str(text).map_err(|e| e.to_string())?;
        complete(&file.rules, "cosmos").map_err(|e| e.to_string())
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
    fn what_is_not_built_yet_is_an_error() {
        for text in [
            "verdict = \"allow\"\nmatch = { chain_id = \"a-*\" }",
            "verdict = \"allow\"\nmatch = { any_owner = true, top_n = 1 }",
            "verdict = \"maybe\"",
            "verdict = \"deny\"\nics_version = \"v5\"",
        ] {
            assert!(rules(&format!("[[rules]]\n{text}\n")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_part_is_named() {
        let run = |part: &str| {
            let run =
                "image = \"i\", command = [\"c\"], home = \"/data\", genesis = { path = \"/g\" }";
            let run = format!("{run}, {part}");
            rules(&format!(
                "[[rules]]\nverdict = \"deny\"\nrun = {{ {run} }}\n"
            ))
        };
        assert!(run("memory_mib = 512").is_ok());
        assert!(run("key = \"provider\"").is_err());
        let owner = "[[rules]]\nverdict = \"deny\"\nmatch = { owner = \"cosmos1x\" }\n";
        assert!(
            rules(owner)
                .expect_err("no address")
                .contains("match.owner")
        );
        let hash = "[[rules]]\nverdict = \"deny\"\nmatch = { genesis_hash = \"ab\" }\n";
        assert!(rules(hash).expect_err("no hash").contains("genesis_hash"));
    }
}
