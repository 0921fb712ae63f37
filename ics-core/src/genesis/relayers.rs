//! The accounts of relayers in a pre-CCV file: made by the owner, checked by anyone.
//!
//! Who connects a consumer with its provider pays in the consumer's coins, before any can be sent
//! there. So relayers have them from the start, in the one file that all validators share.
//! Source: `x/auth/types/genesis.go`, `x/bank/types/genesis.go` and `x/bank/keeper/genesis.go` of
//! Cosmos SDK 0.50.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use bech32::Hrp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{GenesisError, excerpt};
use crate::key::Address;
use crate::node::is_denom;

/// How many accounts an error names.
const NAMED: usize = 3;

/// An amount of one denomination, such as `1000000stake`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    amount: u128,
    denom: String,
}

/// Those who relay for a consumer, and what each of them has at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayers {
    prefix: String,
    each: Coin,
    accounts: BTreeSet<Address>,
}

/// What is no coin or prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayersError {
    /// Not an amount above zero and a denomination.
    #[error("{0:?} is no coin: write an amount and a denomination, such as 1000000stake")]
    Coin(String),
    /// Not what addresses may begin with.
    #[error("{0:?} is no prefix of addresses: write it like cosmos, in lower case")]
    Prefix(String),
}

impl Coin {
    fn new(amount: &str, denom: &str) -> Option<Self> {
        let digits = amount.bytes().all(|byte| byte.is_ascii_digit());
        let amount = amount.parse().ok().filter(|amount| digits && *amount > 0)?;
        is_denom(denom).then(|| Self {
            amount,
            denom: denom.to_owned(),
        })
    }
}

impl FromStr for Coin {
    type Err = RelayersError;

    fn from_str(text: &str) -> Result<Self, RelayersError> {
        let split = text.find(|c: char| !c.is_ascii_digit());
        let (amount, denom) = text.split_at(split.unwrap_or(text.len()));
        Self::new(amount, denom).ok_or_else(|| RelayersError::Coin(text.to_owned()))
    }
}

impl fmt::Display for Coin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.amount, self.denom)
    }
}

impl Relayers {
    /// These accounts, with the prefix that addresses have on the consumer and with what each of
    /// them has at least.
    ///
    /// # Errors
    /// [`RelayersError::Prefix`].
    pub fn new(
        prefix: &str,
        each: Coin,
        accounts: impl IntoIterator<Item = Address>,
    ) -> Result<Self, RelayersError> {
        let upper = prefix.bytes().any(|byte| byte.is_ascii_uppercase());
        if upper || Hrp::parse(prefix).is_err() {
            return Err(RelayersError::Prefix(prefix.to_owned()));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            each,
            accounts: accounts.into_iter().collect(),
        })
    }

    /// Checks that each of them has an account and coins in a pre-CCV file, and that its supply is
    /// the sum of its balances. Its accounts are read into memory, and nothing else of it.
    ///
    /// # Errors
    /// Who has too little, or why no node would start with the accounts of this file.
    pub fn check(&self, file: &[u8]) -> Result<(), GenesisError> {
        let ledger = Ledger::read(file, &self.prefix)?;
        let lacks = |account: &&Address| {
            let held = ledger.balances.get(account);
            let held = held.and_then(|balance| balance.coins.get(&self.each.denom));
            ledger.accounts.get(account) != Some(&Kind::Plain)
                || held.is_none_or(|held| *held < self.each.amount)
        };
        let poor: Vec<&Address> = self.accounts.iter().filter(lacks).collect();
        if poor.is_empty() {
            return Ok(());
        }
        let named = poor.iter().take(NAMED);
        let named: Vec<String> = named.map(|account| self.text(account)).collect();
        let more = match poor.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(GenesisError::Shape(format!(
            "these relayers have no plain account with {}: {}{more}: its owner must fund them",
            self.each,
            named.join(", ")
        )))
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Gives each of them an account and what it lacks, and sets the supply to the new sum.
    pub(super) fn fund(
        &self,
        mut ledger: Ledger,
        app_state: &mut Value,
    ) -> Result<(), GenesisError> {
        let mut accounts = taken(&mut app_state["auth"]["accounts"]);
        let mut balances = taken(&mut app_state["bank"]["balances"]);
        for relayer in &self.accounts {
            let address = self.text(relayer);
            match ledger.accounts.get(relayer) {
                Some(Kind::Plain) => {}
                Some(Kind::Bound) => {
                    return Err(GenesisError::Shape(format!(
                        "the account of relayer {address} vests or is a module's: it needs another"
                    )));
                }
                // The SDK numbers accounts itself when several have one number.
                None => accounts.push(json!({
                    "@type": "/cosmos.auth.v1beta1.BaseAccount", "address": address,
                    "pub_key": null, "account_number": "0", "sequence": "0",
                })),
            }
            let balance = ledger.balances.entry(relayer.clone()).or_default();
            let held = balance.coins.entry(self.each.denom.clone()).or_default();
            *held = self.each.amount.max(*held);
            let coins = listed(&balance.coins);
            match balance.at.and_then(|at| balances.get_mut(at)) {
                Some(balance) => balance["coins"] = coins,
                None => balances.push(json!({ "address": address, "coins": coins })),
            }
        }
        app_state["auth"]["accounts"] = Value::Array(accounts);
        app_state["bank"]["balances"] = Value::Array(balances);
        app_state["bank"]["supply"] = listed(&ledger.sum()?);
        Ok(())
    }

    fn text(&self, account: &Address) -> String {
        account.to_bech32(&self.prefix)
    }
}

/// Who has what in a genesis.
pub(super) struct Ledger {
    accounts: BTreeMap<Address, Kind>,
    balances: BTreeMap<Address, Balance>,
}

/// Who decides about an account.
#[derive(PartialEq, Eq)]
enum Kind {
    /// A key alone.
    Plain,
    /// A module, or time: it vests, so that its coins may not be there to spend.
    Bound,
}

#[derive(Default)]
struct Balance {
    /// Its place in the file; `None` where it has none yet.
    at: Option<usize>,
    coins: BTreeMap<String, u128>,
}

impl Ledger {
    /// Reads all accounts and balances, as a node would that has addresses with this prefix.
    pub(super) fn read(file: &[u8], prefix: &str) -> Result<Self, GenesisError> {
        let File { app_state } = serde_json::from_slice(file).map_err(|error| {
            let error = excerpt(&error.to_string());
            GenesisError::Shape(format!("its accounts cannot be read: {error}"))
        })?;
        let address = |text: &str| {
            Address::from_bech32(text, prefix).map_err(|_| {
                GenesisError::Shape(format!(
                    "its account \"{}\" is no address with prefix {prefix}",
                    excerpt(text)
                ))
            })
        };
        let mut ledger = Self {
            accounts: BTreeMap::new(),
            balances: BTreeMap::new(),
        };
        for account in app_state.auth.accounts.unwrap_or_default() {
            let (text, kind) = account.read().ok_or_else(|| {
                GenesisError::Shape("an account in it has no address that can be read".into())
            })?;
            if ledger.accounts.insert(address(text)?, kind).is_some() {
                return Err(twice("account", text));
            }
        }
        let balances = app_state.bank.balances.unwrap_or_default();
        for (
            at,
            FileBalance {
                address: text,
                coins,
            },
        ) in balances.iter().enumerate()
        {
            let balance = Balance {
                at: Some(at),
                coins: read_coins(coins)?,
            };
            if ledger.balances.insert(address(text)?, balance).is_some() {
                return Err(twice("balance", text));
            }
        }
        let (supply, sum) = (
            read_coins(&app_state.bank.supply.unwrap_or_default())?,
            ledger.sum()?,
        );
        // A node that finds none adds it up itself.
        if !supply.is_empty() && supply != sum {
            return Err(GenesisError::Shape(format!(
                "its supply {} is not the sum of its balances {}: no node starts with that",
                excerpt(&listed(&supply).to_string()),
                excerpt(&listed(&sum).to_string())
            )));
        }
        Ok(ledger)
    }

    fn sum(&self) -> Result<BTreeMap<String, u128>, GenesisError> {
        let mut sum = BTreeMap::<String, u128>::new();
        for (denom, amount) in self.balances.values().flat_map(|balance| &balance.coins) {
            let total = sum.entry(denom.clone()).or_default();
            *total = total.checked_add(*amount).ok_or_else(|| {
                GenesisError::Shape(format!("there is more of {denom} than can be counted"))
            })?;
        }
        Ok(sum)
    }
}

fn twice(what: &str, address: &str) -> GenesisError {
    GenesisError::Shape(format!("{address} has more than one {what}: keep one"))
}

fn read_coins(coins: &[FileCoin]) -> Result<BTreeMap<String, u128>, GenesisError> {
    let mut read = BTreeMap::new();
    for FileCoin { amount, denom } in coins {
        let coin = Coin::new(amount, denom);
        if coin.is_none_or(|coin| read.insert(coin.denom, coin.amount).is_some()) {
            return Err(GenesisError::Shape(format!(
                "its coin \"{}\" of \"{}\" is none, or is there twice",
                excerpt(amount),
                excerpt(denom)
            )));
        }
    }
    Ok(read)
}

/// Coins as the SDK writes them, in the order that it wants.
fn listed(coins: &BTreeMap<String, u128>) -> Value {
    let coin =
        |(denom, amount): (&String, &u128)| json!({ "denom": denom, "amount": amount.to_string() });
    coins.iter().map(coin).collect()
}

fn taken(list: &mut Value) -> Vec<Value> {
    match list.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// The parts of a genesis that tell who has what.
#[derive(Deserialize)]
struct File {
    app_state: AppState,
}

#[derive(Deserialize)]
struct AppState {
    auth: Auth,
    bank: Bank,
}

#[derive(Deserialize)]
struct Auth {
    accounts: Option<Vec<Account>>,
}

/// An account, or one that wraps another.
#[derive(Deserialize)]
struct Account {
    address: Option<String>,
    base_account: Option<Box<Self>>,
    base_vesting_account: Option<Box<Self>>,
    /// Only modules have them.
    permissions: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Bank {
    balances: Option<Vec<FileBalance>>,
    supply: Option<Vec<FileCoin>>,
}

#[derive(Deserialize)]
struct FileBalance {
    address: String,
    coins: Vec<FileCoin>,
}

#[derive(Deserialize)]
struct FileCoin {
    amount: String,
    denom: String,
}

impl Account {
    fn read(&self) -> Option<(&str, Kind)> {
        if let Some(vesting) = &self.base_vesting_account {
            return Some((vesting.read()?.0, Kind::Bound));
        }
        match (&self.address, &self.base_account) {
            (Some(address), _) => Some((address, Kind::Plain)),
            (None, Some(account)) if self.permissions.is_none() => account.read(),
            (None, Some(account)) => Some((account.read()?.0, Kind::Bound)),
            (None, None) => None,
        }
    }
}
