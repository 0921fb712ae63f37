//! What a sender asks the chain: its account, its balance, what a transaction would use.

use cosmrs::proto::Any;
use cosmrs::proto::cosmos::auth::v1beta1::{
    BaseAccount, QueryAccountRequest, QueryAccountResponse,
};
use cosmrs::proto::cosmos::bank::v1beta1::{QueryBalanceRequest, QueryBalanceResponse};
use ics_core::failure::Failure;
use ics_core::time::Height;
use prost::Message;

use super::error::{TxError, one_line};
use crate::rpc::{QueryAnswer, Rpc};

/// The SDK's `ErrKeyNotFound`, which a query's `NotFound` becomes (`baseapp/abci.go`).
const NOT_FOUND: u32 = 22;

/// An account as a block left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// Its number on this chain, part of what is signed.
    pub(super) number: u64,
    /// The sequence number that its next transaction must have.
    pub(super) sequence: u64,
    /// The block.
    pub(super) height: Height,
}

/// The part that every vesting account has (`cosmos/vesting/v1beta1/vesting.proto`: field 1 of
/// each is the `BaseVestingAccount`, and field 1 of that the `BaseAccount`).
#[derive(Clone, PartialEq, Message)]
struct VestingAccount {
    #[prost(message, optional, tag = "1")]
    base_vesting_account: Option<BaseVestingAccount>,
}

#[derive(Clone, PartialEq, Message)]
struct BaseVestingAccount {
    #[prost(message, optional, tag = "1")]
    base_account: Option<BaseAccount>,
}

/// Reads an account.
///
/// # Errors
/// A permanent failure if the chain has no such account or one that cannot sign alone.
pub(super) async fn account(rpc: &Rpc, address: &str) -> Result<Seat, Failure> {
    const PATH: &str = "/cosmos.auth.v1beta1.Query/Account";
    let request = QueryAccountRequest {
        address: address.to_owned(),
    };
    let answer = rpc.abci_query(PATH, request.encode_to_vec(), None).await?;
    if answer.code == NOT_FOUND {
        return Err(Failure::permanent(format!(
            "{}: the account {address} is not on this chain yet: send it some coins",
            rpc.url()
        )));
    }
    if answer.log.contains("bech32 prefix") {
        return Err(Failure::permanent(format!(
            "{}: {address} is no address of this chain: {}; correct the address prefix",
            rpc.url(),
            one_line(&answer.log)
        )));
    }
    let height = answer.height;
    let response: QueryAccountResponse = decoded(rpc, PATH, answer)?;
    let any = response.account.unwrap_or_default();
    let base = base_account(&any).ok_or_else(|| {
        Failure::permanent(format!(
            "{}: the account {address} is a {:?}, not one that a mnemonic signs for: use another account",
            rpc.url(),
            any.type_url
        ))
    })?;
    Ok(Seat {
        number: base.account_number,
        sequence: base.sequence,
        height,
    })
}

/// The account inside one of the types that a single key signs for.
fn base_account(any: &Any) -> Option<BaseAccount> {
    match any.type_url.as_str() {
        "/cosmos.auth.v1beta1.BaseAccount" => BaseAccount::decode(&*any.value).ok(),
        "/cosmos.vesting.v1beta1.BaseVestingAccount" => {
            BaseVestingAccount::decode(&*any.value).ok()?.base_account
        }
        url if url.starts_with("/cosmos.vesting.v1beta1.") => {
            let account = VestingAccount::decode(&*any.value).ok()?;
            account.base_vesting_account?.base_account
        }
        _ => None,
    }
}

/// Reads how much of a coin an address has.
pub(super) async fn balance(rpc: &Rpc, address: &str, denom: &str) -> Result<u128, Failure> {
    const PATH: &str = "/cosmos.bank.v1beta1.Query/Balance";
    let request = QueryBalanceRequest {
        address: address.to_owned(),
        denom: denom.to_owned(),
    };
    let answer = rpc.abci_query(PATH, request.encode_to_vec(), None).await?;
    let response: QueryBalanceResponse = decoded(rpc, PATH, answer)?;
    let amount = response.balance.unwrap_or_default().amount;
    match amount.as_str() {
        "" => Ok(0),
        // The SDK's integers have 256 bits; more than 128 is enough for anything.
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(digits.parse().unwrap_or(u128::MAX))
        }
        other => Err(unreadable(rpc, PATH, &format!("the amount {other:?}"))),
    }
}

/// Returns the gas that a transaction would use on top of the mempool's state.
///
/// Asks `/app/simulate` (`handleQueryApp` in the SDK's `baseapp/abci.go`): it is there even where
/// gRPC and REST are off, and unlike the gRPC service it keeps the application's error codes.
///
/// # Errors
/// [`TxError::Rejected`] if the chain would refuse it.
pub(super) async fn simulate(rpc: &Rpc, address: &str, tx_bytes: Vec<u8>) -> Result<u64, TxError> {
    const PATH: &str = "/app/simulate";
    let answer = rpc.abci_query(PATH, tx_bytes, None).await?;
    if answer.code != 0 {
        let (codespace, log) = (answer.codespace, &answer.log);
        return Err(TxError::rejected(
            codespace,
            answer.code,
            log,
            None,
            address.to_owned(),
        ));
    }
    // The JSON form of a protobuf message: 64-bit integers are texts.
    let response: serde_json::Value =
        serde_json::from_slice(&answer.value).map_err(|e| unreadable(rpc, PATH, &e.to_string()))?;
    let gas = response["gas_info"]["gas_used"]
        .as_str()
        .and_then(|gas| gas.parse().ok());
    gas.ok_or_else(|| unreadable(rpc, PATH, "no gas_used").into())
}

fn decoded<T: Message + Default>(rpc: &Rpc, path: &str, answer: QueryAnswer) -> Result<T, Failure> {
    if answer.code != 0 {
        return Err(Failure::transient(format!(
            "{}: {path}: {} code {}: {}",
            rpc.url(),
            answer.codespace,
            answer.code,
            one_line(&answer.log)
        )));
    }
    T::decode(&*answer.value).map_err(|e| unreadable(rpc, path, &e.to_string()))
}

fn unreadable(rpc: &Rpc, path: &str, what: &str) -> Failure {
    Failure::permanent(format!(
        "{}: {path}: the answer cannot be read: {what}; check that this is a node of the provider chain",
        rpc.url()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmrs::proto::cosmos::auth::v1beta1::ModuleAccount;
    use cosmrs::proto::cosmos::vesting::v1beta1 as vesting;

    #[test]
    fn the_account_is_found_in_every_type_that_one_key_signs_for() {
        let base = BaseAccount {
            account_number: 7,
            sequence: 9,
            ..BaseAccount::default()
        };
        let base_vesting = vesting::BaseVestingAccount {
            base_account: Some(base.clone()),
            end_time: 5,
            ..vesting::BaseVestingAccount::default()
        };
        let continuous = vesting::ContinuousVestingAccount {
            base_vesting_account: Some(base_vesting.clone()),
            start_time: 3,
        };
        let periodic = vesting::PeriodicVestingAccount {
            base_vesting_account: Some(base_vesting.clone()),
            vesting_periods: vec![vesting::Period::default()],
            ..vesting::PeriodicVestingAccount::default()
        };
        let found = |url: &str, value: Vec<u8>| {
            base_account(&Any {
                type_url: url.to_owned(),
                value,
            })
        };
        for (url, value) in [
            ("/cosmos.auth.v1beta1.BaseAccount", base.encode_to_vec()),
            (
                "/cosmos.vesting.v1beta1.BaseVestingAccount",
                base_vesting.encode_to_vec(),
            ),
            (
                "/cosmos.vesting.v1beta1.ContinuousVestingAccount",
                continuous.encode_to_vec(),
            ),
            (
                "/cosmos.vesting.v1beta1.PeriodicVestingAccount",
                periodic.encode_to_vec(),
            ),
        ] {
            assert_eq!(found(url, value), Some(base.clone()), "{url}");
        }
        let module = ModuleAccount {
            base_account: Some(base),
            ..ModuleAccount::default()
        };
        assert_eq!(
            found("/cosmos.auth.v1beta1.ModuleAccount", module.encode_to_vec()),
            None
        );
        assert_eq!(found("/cosmos.auth.v1beta1.BaseAccount", vec![0xff]), None);
        assert_eq!(found("", Vec::new()), None);
    }
}
