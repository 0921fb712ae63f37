//! What the operator chooses for every node, checked before any node starts with it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Overlay;
use crate::snapshot::Decimal;

/// Settings of a node that the operator chooses for all consumers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeSettings {
    /// The node's name towards its peers.
    pub moniker: Moniker,
    /// Accept peers at private addresses, and several at one address.
    pub private_peers: bool,
    /// The address that the node tells its peers to dial; `None`: none, so that only those who
    /// read it elsewhere find it.
    pub external_ip: Option<IpAddr>,
    /// How long a node waits after a block, in milliseconds; `None`: the program's default.
    pub timeout_commit_ms: Option<u64>,
    /// What a transaction must pay at least.
    pub min_gas_prices: GasPrices,
    /// Which states are kept; `None`: the program's default.
    pub pruning: Option<Pruning>,
    /// All other keys of the node's files.
    pub overlay: Overlay,
}

impl NodeSettings {
    /// The settings of a node with this name, all others as a program has them by itself.
    #[must_use]
    pub fn named(moniker: Moniker) -> Self {
        Self {
            moniker,
            private_peers: false,
            external_ip: None,
            timeout_commit_ms: None,
            min_gas_prices: GasPrices::default(),
            pruning: None,
            overlay: Overlay::default(),
        }
    }
}

/// A setting that a node would not start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Not a list of gas prices.
    #[error(
        "{0:?} is not a list of gas prices: write a number with at most 18 decimals and a \
         denomination, each denomination once, such as \"0.025uatom,0stake\""
    )]
    GasPrices(String),
    /// Not a name.
    #[error("{0:?} is no name of a node: CometBFT wants printable ASCII, at least one character")]
    Moniker(String),
    /// Numbers that the SDK refuses.
    #[error(
        "keeping {keep_recent} states and pruning every {interval} blocks is refused by the SDK: \
         keep_recent is at least 2, interval at least 10"
    )]
    Pruning {
        /// How many states were to be kept.
        keep_recent: u64,
        /// How many blocks were to lie between two prunings.
        interval: u64,
    },
}

/// A node's name towards its peers; CometBFT refuses to start with another (`p2p/node_info.go`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Moniker(String);

impl Moniker {
    /// Reads a name.
    ///
    /// # Errors
    /// [`SettingError::Moniker`] if it is blank or not printable ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, SettingError> {
        let text = text.into();
        if text.trim().is_empty() || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(SettingError::Moniker(text));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a transaction must pay for its gas at least, in one of these denominations.
///
/// The default asks for nothing. Source: `ParseDecCoins` of the SDK's `types/dec_coin.go`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GasPrices(BTreeMap<String, Decimal>);

impl GasPrices {
    /// Whether transactions need not pay.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.0.values().all(|amount| *amount == Decimal::default())
    }
}

impl FromStr for GasPrices {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let refuse = || SettingError::GasPrices(text.to_owned());
        let mut prices = BTreeMap::new();
        for price in text.split(',').map(str::trim) {
            let split = price.find(|c: char| c.is_ascii_alphabetic());
            let (amount, denom) = price.split_at(split.ok_or_else(refuse)?);
            let amount = Decimal::parse(amount.trim_end()).ok_or_else(refuse)?;
            if !is_denom(denom) || prices.insert(denom.to_owned(), amount).is_some() {
                return Err(refuse());
            }
        }
        Ok(Self(prices))
    }
}

/// Whether the SDK takes it for a denomination (`types/coin.go`).
pub(crate) fn is_denom(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/:._-".contains(&b);
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic());
    starts && (3..=128).contains(&text.len()) && text.bytes().all(allowed)
}

impl fmt::Display for GasPrices {
    /// As `minimum-gas-prices` wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            // A node does not start without a price, and forgets a price of zero whatever its
            // denomination.
            return f.write_str("0stake");
        }
        for (place, (denom, amount)) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{amount}{denom}")?;
        }
        Ok(())
    }
}

impl Serialize for GasPrices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which past states a node keeps (`pruning/types/options.go` of the SDK's store).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pruning {
    /// The numbers of [`Pruning::custom`].
    #[non_exhaustive]
    Custom {
        /// How many states are kept.
        keep_recent: u64,
        /// How many blocks lie between two prunings.
        interval: u64,
    },
    /// Three weeks of blocks that take five seconds.
    Default,
    /// All but the last two.
    Everything,
    /// None is removed.
    Nothing,
}

impl Pruning {
    /// Pruning by these numbers.
    ///
    /// # Errors
    /// [`SettingError::Pruning`] if the SDK refuses them.
    pub const fn custom(keep_recent: u64, interval: u64) -> Result<Self, SettingError> {
        if keep_recent < 2 || interval < 10 {
            return Err(SettingError::Pruning {
                keep_recent,
                interval,
            });
        }
        Ok(Self::Custom {
            keep_recent,
            interval,
        })
    }

    /// The strategy with this name; `None` if there is none, or it needs numbers.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Default, Self::Everything, Self::Nothing]
            .into_iter()
            .find(|pruning| pruning.name() == name)
    }

    /// The strategy's name, as `app.toml` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Custom { .. } => "custom",
            Self::Default => "default",
            Self::Everything => "everything",
            Self::Nothing => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(text: &str) -> Result<String, SettingError> {
        text.parse::<GasPrices>().map(|prices| prices.to_string())
    }

    #[test]
    fn gas_prices_are_those_that_the_sdk_reads() {
        for (text, written) in [
            ("0.025uatom,0stake", "0stake,0.025uatom"),
            ("1uatom", "1uatom"),
            (
                " 0.10 ibc/27394FB0 , 2u.b:c_d-e ",
                "0.1ibc/27394FB0,2u.b:c_d-e",
            ),
        ] {
            assert_eq!(prices(text), Ok(written.to_owned()), "{text:?}");
        }
        for bad in [
            "",
            ",",
            "uatom",
            "0.025",
            "0.025 ",
            "1ua",
            "-1uatom",
            "1uatom,",
            "1uatom,2uatom",
            "1.uatom",
            "1uatom;2stake",
            "1uat\"om",
            "0.0000000000000000001uatom",
            "1uatoé",
        ] {
            assert_eq!(prices(bad), Err(SettingError::GasPrices(bad.into())));
        }
        assert!("0stake".parse::<GasPrices>().expect("prices").is_free());
        assert!(
            !"0stake,1uatom"
                .parse::<GasPrices>()
                .expect("prices")
                .is_free()
        );
        assert!(GasPrices::default().is_free());
    }

    #[test]
    fn a_node_that_asks_for_nothing_says_so_in_a_way_it_starts_with() {
        assert_eq!(GasPrices::default().to_string(), "0stake");
    }

    #[test]
    fn names_are_printable_ascii() {
        assert!(Moniker::new("a \"b\" ~").is_ok());
        for bad in ["", "  ", "a\n", "a\tb", "é", "a\u{7f}"] {
            assert_eq!(Moniker::new(bad), Err(SettingError::Moniker(bad.into())));
        }
    }

    #[test]
    fn pruning_is_what_the_sdk_allows() {
        assert!(Pruning::custom(2, 10).is_ok());
        assert!(Pruning::custom(1, 10).is_err());
        assert!(Pruning::custom(2, 9).is_err());
        assert_eq!(Pruning::named("nothing"), Some(Pruning::Nothing));
        assert_eq!(Pruning::named("custom"), None);
    }
}
