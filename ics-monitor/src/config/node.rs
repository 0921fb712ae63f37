//! `[node]`: settings of every node that this program runs.

use std::net::IpAddr;
use std::time::Duration;

use ics_core::node::{GasPrices, Moniker, NodeSettings, Overlay, Pruning, SettingError};
use ics_core::peers::{Host, Reach};
use serde::Deserialize;
use toml::{Table, Value};

use super::{ConfigError, duration};

/// `[node]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeFile {
    /// The name towards peers; the instance's unless set.
    pub moniker: Option<String>,
    /// Whether peers at private addresses, and several at one address, are accepted.
    pub private_peers: bool,
    /// The address that nodes tell their peers; `docker.publish_address` unless set.
    pub external_ip: Option<IpAddr>,
    /// Such as `700ms`; the program's default unless set.
    #[serde(deserialize_with = "duration")]
    pub timeout_commit: Option<Duration>,
    /// Such as `0.01ucon,0.02uother`; nothing unless set.
    pub min_gas_prices: Option<String>,
    /// `default`, `everything`, `nothing`, or a table of `keep_recent` and `interval`.
    pub pruning: Option<Value>,
    /// Further keys of `config.toml`.
    pub config: Table,
    /// Further keys of `app.toml`.
    pub app: Table,
}

impl NodeFile {
    /// The settings, for an instance whose nodes publish their P2P ports at this address.
    ///
    /// # Errors
    /// Names the first key that is wrong.
    pub(super) fn complete(
        &self,
        instance: &str,
        publish_address: Option<IpAddr>,
    ) -> Result<NodeSettings, ConfigError> {
        let wrong =
            |key: &'static str| move |e: SettingError| ConfigError::new(format!("node.{key}: {e}"));
        let moniker = self.moniker.as_deref().unwrap_or(instance);
        let prices = self.min_gas_prices.as_deref();
        let timeout = self.timeout_commit;
        let overlay = Overlay::new(self.config.clone(), self.app.clone());
        Ok(NodeSettings {
            moniker: Moniker::new(moniker).map_err(wrong("moniker"))?,
            private_peers: self.private_peers,
            external_ip: self.external_ip(publish_address)?,
            timeout_commit_ms: timeout.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
            min_gas_prices: match prices {
                None => GasPrices::default(),
                Some(text) => text.parse().map_err(wrong("min_gas_prices"))?,
            },
            pruning: match &self.pruning {
                None => None,
                Some(value) => Some(pruning(value)?),
            },
            overlay: overlay.map_err(|e| ConfigError::new(format!("node.{e}")))?,
        })
    }

    /// What is written, else the address of the ports if it means the same to those who dial.
    fn external_ip(&self, publish_address: Option<IpAddr>) -> Result<Option<IpAddr>, ConfigError> {
        if let Some(ip) = self.external_ip {
            return match Host::parse(&ip.to_string()) {
                Some(_) => Ok(Some(ip)),
                None => Err(ConfigError::new(format!(
                    "node.external_ip: {ip} is no address that a peer can dial"
                ))),
            };
        }
        let dialled = publish_address.filter(|ip| {
            let host = Host::parse(&ip.to_string());
            host.is_some_and(|host| self.private_peers || host.reach() == Reach::Public)
        });
        Ok(dialled)
    }
}

fn pruning(value: &Value) -> Result<Pruning, ConfigError> {
    let numbers = |table: &Table| {
        let number = |key| u64::try_from(table.get(key)?.as_integer()?).ok();
        let both = Some((number("keep_recent")?, number("interval")?));
        both.filter(|_| table.len() == 2)
    };
    let found = match value {
        Value::String(name) => Pruning::named(name),
        Value::Table(table) => match numbers(table) {
            Some((keep, interval)) => Some(
                Pruning::custom(keep, interval)
                    .map_err(|e| ConfigError::new(format!("node.pruning: {e}")))?,
            ),
            None => None,
        },
        _ => None,
    };
    found.ok_or_else(|| {
        ConfigError::new(format!(
            "node.pruning: {value} is none; write \"default\", \"everything\", \"nothing\" or \
             {{ keep_recent = 100, interval = 10 }}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> Result<NodeSettings, String> {
        let file: NodeFile = toml::from_str(text).map_err(|e| e.to_string())?;
        let at = Some(IpAddr::from([203, 0, 114, 7]));
        file.complete("val1", at).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_not_set_has_a_value_that_nodes_start_with() {
        let settings = complete("").expect("complete");
        assert_eq!(settings.moniker.as_str(), "val1");
        assert_eq!(settings.min_gas_prices.to_string(), "0stake");
        assert_eq!(settings.external_ip, Some([203, 0, 114, 7].into()));
    }

    #[test]
    fn an_address_that_others_cannot_dial_is_not_told_to_them() {
        let told = |text: &str, ip: &str| {
            let file: NodeFile = toml::from_str(text).expect("TOML");
            let settings = file.complete("val1", ip.parse().ok()).expect("complete");
            settings.external_ip.map(|ip| ip.to_string())
        };
        assert_eq!(told("", "10.0.0.1"), None);
        let private = "private_peers = true";
        assert_eq!(told(private, "10.0.0.1"), Some("10.0.0.1".into()));
        assert_eq!(told(private, "0.0.0.0"), None);
        let set = "external_ip = \"1.1.1.1\"";
        assert_eq!(told(set, "10.0.0.1"), Some("1.1.1.1".into()));
    }

    #[test]
    fn pruning_is_a_name_or_two_numbers() {
        let pruning = |value: &str| complete(&format!("pruning = {value}")).map(|s| s.pruning);
        assert_eq!(pruning("\"nothing\""), Ok(Some(Pruning::Nothing)));
        let custom = pruning("{ keep_recent = 100, interval = 10 }").expect("allowed");
        assert_eq!(custom, Pruning::custom(100, 10).ok());
        for bad in [
            "\"custom\"",
            "7",
            "{ keep_recent = 100 }",
            "{ keep_recent = 1, interval = 10 }",
            "{ keep_recent = -1, interval = 10 }",
            "{ keep_recent = 100, interval = 10, x = 1 }",
        ] {
            let error = pruning(bad).expect_err(bad);
            assert!(error.starts_with("node.pruning: "), "{error}");
        }
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_key() {
        for (text, start) in [
            ("moniker = \"é\"", "node.moniker: "),
            ("min_gas_prices = \"1\"", "node.min_gas_prices: "),
            ("external_ip = \"0.0.0.0\"", "node.external_ip: "),
            ("[config]\nmoniker = \"a\"", "node.config.moniker cannot"),
            ("[app.api]\nenable = false", "node.app.api.enable cannot"),
            ("[app]\nAPI = 1", "node.app.API: "),
        ] {
            let error = complete(text).expect_err(text);
            assert!(error.starts_with(start), "{error}");
        }
    }
}
