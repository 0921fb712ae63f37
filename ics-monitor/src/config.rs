//! The configuration: one TOML file, over it the environment, over that the flags.
//!
//! [`File`] is what the operator writes, [`Config`] what the program needs. Reading checks
//! everything that can be checked without a network.

mod node;
mod policy;
mod rules;
mod schedule;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::policy::{Policy, PolicyError};
use ics_core::snapshot::Decimal;
use serde::{Deserialize, Deserializer};

use crate::tx::FeeSettings;

pub use node::NodeFile;
pub use policy::{OptInFile, PolicyFile};
pub use rules::RuleFile;
pub use schedule::ScheduleFile;

/// A configuration that cannot be used: one line that names the key and the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn missing(key: &str, flag: &str) -> Self {
        let variable = flag.to_uppercase().replace('-', "_");
        Self(format!(
            "{key} is not set: set it in the configuration file, as ICS_MONITOR_{variable}, or \
             with --{flag}"
        ))
    }
}

/// The configuration file. Every key may be missing: what a command needs, it asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// The name of this instance; names its containers.
    pub instance: Option<String>,
    /// The folder for keys, artifacts and the operator's overrides.
    pub data_dir: Option<PathBuf>,
    /// The provider chain.
    pub provider: ProviderFile,
    /// The account of the validator, or of a consumer's owner.
    pub account: AccountFile,
    /// Fees.
    pub tx: TxFile,
    /// Who takes part when.
    pub policy: PolicyFile,
    /// How often things are done again.
    pub schedule: ScheduleFile,
    /// Settings of every node.
    pub node: NodeFile,
    /// The Docker engine.
    pub docker: DockerFile,
    /// What is logged.
    pub log: LogFile,
    /// The rules, in order.
    pub rules: Vec<RuleFile>,
}

/// `[provider]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderFile {
    /// The RPC URL of a provider node.
    pub rpc: Option<String>,
    /// The provider's chain id; a node of another chain is refused.
    pub chain_id: Option<String>,
    /// The prefix of account addresses, `cosmos` unless set.
    pub bech32_prefix: Option<String>,
}

/// `[account]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountFile {
    /// A file, readable by its owner alone, with a BIP-39 mnemonic.
    pub mnemonic_file: Option<PathBuf>,
}

/// `[tx]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TxFile {
    /// Such as `0.005uatom`.
    pub gas_price: Option<String>,
    /// What simulated gas is multiplied by, such as `1.5`.
    pub gas_adjustment: Option<String>,
    /// The most that one transaction may cost, in the denomination of the gas price.
    pub max_fee: Option<u64>,
}

/// `[docker]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DockerFile {
    /// The engine's socket, `/var/run/docker.sock` unless set.
    pub socket: Option<PathBuf>,
    /// The address of this host on which P2P ports are published.
    pub publish_address: Option<IpAddr>,
    /// The address for RPC, gRPC and REST, 127.0.0.1 unless set.
    pub rpc_address: Option<IpAddr>,
}

/// `[log]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogFile {
    /// `error`, `warn`, `info`, `debug`, or a filter of tracing-subscriber.
    pub level: Option<String>,
    /// `text` or `json`.
    pub format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|e| serde::de::Error::custom(format!("{text:?} is not a duration like 30s: {e}")))
}

/// The provider chain, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// The RPC URL.
    pub rpc: String,
    /// The chain id.
    pub chain_id: String,
    /// The prefix of account addresses.
    pub prefix: String,
}

/// Everything that `run` needs, complete.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this instance.
    pub instance: String,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The provider.
    pub provider: ProviderConfig,
    /// The mnemonic's file.
    pub mnemonic_file: PathBuf,
    /// Fees.
    pub fees: FeeSettings,
    /// The rules, without overrides.
    pub policy: Policy,
    /// The Docker engine.
    pub docker: DockerConfig,
}

/// The Docker engine, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerConfig {
    /// The socket.
    pub socket: PathBuf,
    /// Where P2P is published.
    pub publish_address: IpAddr,
    /// Where the rest is published.
    pub rpc_address: IpAddr,
}

impl File {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key that does not exist.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|e| {
            ConfigError::new(format!(
                "cannot read the configuration {}: {e}",
                path.display()
            ))
        })?;
        toml::from_str(&text).map_err(|e| {
            let before = |end: usize| text.bytes().take(end).filter(|b| *b == b'\n').count();
            let line = e.span().map_or(1, |span| before(span.start) + 1);
            let message = e.message().lines().next().unwrap_or_default();
            ConfigError::new(format!("{}, line {line}: {message}", path.display()))
        })
    }

    /// What is needed to ask the provider.
    ///
    /// # Errors
    /// Names the first key that is missing.
    pub fn provider(&self) -> Result<ProviderConfig, ConfigError> {
        let provider = &self.provider;
        let rpc = provider.rpc.clone();
        let chain_id = provider.chain_id.clone();
        Ok(ProviderConfig {
            rpc: rpc.ok_or_else(|| ConfigError::missing("provider.rpc", "provider-rpc"))?,
            chain_id: chain_id
                .ok_or_else(|| ConfigError::missing("provider.chain_id", "provider-chain-id"))?,
            prefix: provider
                .bech32_prefix
                .clone()
                .unwrap_or_else(|| "cosmos".into()),
        })
    }

    /// The data folder.
    ///
    /// # Errors
    /// If it is not set.
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        self.data_dir
            .clone()
            .ok_or_else(|| ConfigError::missing("data_dir", "data-dir"))
    }

    /// The file with the mnemonic.
    ///
    /// # Errors
    /// If it is not set.
    pub fn mnemonic_file(&self) -> Result<PathBuf, ConfigError> {
        let file = self.account.mnemonic_file.clone();
        file.ok_or_else(|| ConfigError::missing("account.mnemonic_file", "mnemonic-file"))
    }

    /// What transactions may cost.
    ///
    /// # Errors
    /// Names the first key that is missing or wrong.
    pub fn fees(&self) -> Result<FeeSettings, ConfigError> {
        let price = self.tx.gas_price.as_deref();
        let price = price.ok_or_else(|| ConfigError::missing("tx.gas_price", "gas-price"))?;
        let max_fee = self
            .tx
            .max_fee
            .ok_or_else(|| ConfigError::missing("tx.max_fee", "max-fee"))?;
        let adjustment = self.tx.gas_adjustment.as_deref().unwrap_or("1.5");
        Ok(FeeSettings {
            gas_price: price
                .parse()
                .map_err(|e: Failure| ConfigError::new(format!("tx.gas_price: {e}")))?,
            gas_adjustment: Decimal::parse(adjustment)
                .filter(|adjustment| *adjustment >= Decimal::ONE)
                .ok_or_else(|| {
                    ConfigError::new(format!(
                        "tx.gas_adjustment: {adjustment:?} is not a number from 1 upwards like 1.5"
                    ))
                })?,
            max_fee: max_fee.into(),
        })
    }

    /// Everything that `run` needs.
    ///
    /// # Errors
    /// Names the first key that is missing or wrong.
    pub fn complete(&self) -> Result<Config, ConfigError> {
        let instance = self.instance.clone();
        let instance = instance.ok_or_else(|| ConfigError::missing("instance", "instance"))?;
        let provider = self.provider()?;
        Ok(Config {
            data_dir: self.data_dir()?,
            mnemonic_file: self.mnemonic_file()?,
            fees: self.fees()?,
            policy: self.policy(&instance, &provider.prefix)?,
            docker: self.docker()?,
            instance,
            provider,
        })
    }

    /// The Docker engine and its addresses.
    ///
    /// # Errors
    /// If `docker.publish_address` is not set.
    pub fn docker(&self) -> Result<DockerConfig, ConfigError> {
        let publish_address = self.docker.publish_address;
        Ok(DockerConfig {
            socket: self
                .docker
                .socket
                .clone()
                .unwrap_or_else(|| "/var/run/docker.sock".into()),
            publish_address: publish_address
                .ok_or_else(|| ConfigError::missing("docker.publish_address", "publish-address"))?,
            rpc_address: self
                .docker
                .rpc_address
                .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        })
    }

    fn policy(&self, instance: &str, prefix: &str) -> Result<Policy, ConfigError> {
        let node = self.node.complete(instance, self.docker.publish_address)?;
        let policy = Policy {
            share: self.policy.share()?,
            opt_in: self.policy.opt_in()?,
            caps: self.policy.caps()?,
            rules: rules::complete(&self.rules, prefix)?,
            schedule: self.schedule.complete(),
            ..Policy::new(node)
        };
        policy.check().map_err(|error| {
            ConfigError::new(match error {
                PolicyError::Schedule(error) => error.to_string(),
                of_a_rule => format!("rules, {of_a_rule}"),
            })
        })?;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use ics_core::policy::{Bounds, OptInFrom};

    use super::*;

    fn file(text: &str) -> Result<File, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.toml");
        fs::write(&path, text).expect("written");
        File::read(&path)
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = file("instance = \"a\"\n[provider]\nrcp = \"x\"\n").expect_err("unknown key");
        assert!(error.to_string().contains("line 3"), "{error}");
        assert!(error.to_string().contains("rcp"), "{error}");
    }

    #[test]
    fn the_configuration_in_the_readme_is_complete() {
        let readme = include_str!("../../README.md");
        let blocks = readme.split("```toml\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split_once("```"));
        let example: String = blocks.map(|(block, _)| block).collect();
        let address = ics_core::key::Address::new([1; 20])
            .expect("20 bytes")
            .to_bech32("cosmos");
        let file = file(&example.replace("cosmos1...", &address)).expect("TOML");
        let config = file.complete().expect("complete");
        assert_eq!(config.policy.rules.len(), 1);
        assert_ne!(config.policy.rules[0].bounds, Bounds::default());
        assert_eq!(config.policy.opt_in, OptInFrom::DEFAULT);
    }

    #[test]
    fn what_is_missing_is_named_with_all_three_ways_to_set_it() {
        let error = File::default()
            .complete()
            .expect_err("nothing is set")
            .to_string();
        for part in ["instance", "ICS_MONITOR_INSTANCE", "--instance"] {
            assert!(error.contains(part), "{error}");
        }
        let error = File::default()
            .provider()
            .expect_err("nothing is set")
            .to_string();
        assert!(error.contains("ICS_MONITOR_PROVIDER_RPC"), "{error}");
    }

    #[test]
    fn durations_are_checked() {
        assert!(file("[policy]\nopt_in_lead = \"soon\"\n").is_err());
    }
}
