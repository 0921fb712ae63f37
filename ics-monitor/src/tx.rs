//! Sends transactions from one account, one at a time, and says what became of each.
//!
//! Every transaction has a timeout height. Once the chain has passed it, the account's sequence
//! number proves that a transaction which was not seen in a block will never be in one, so an
//! answer that got lost on the way becomes a definite one.

mod document;
mod error;
mod fee;
mod inclusion;
mod query;

use std::time::Duration;

use ics_core::failure::{Failure, FailureKind};
use ics_core::schedule::TX_BLOCKS;
use ics_core::time::Height;
use tokio::sync::Mutex;

use self::document::{Cost, Draft, Signed};
use self::error::{IN_MEMPOOL, WRONG_SEQUENCE};
use self::query::Seat;
use crate::account::Account;
use crate::retry::until_deadline;
use crate::rpc::{RawEvent, Rpc};

pub use self::error::TxError;
pub use self::fee::{FeeSettings, GasPrice};

/// How often a transaction is signed anew because its sequence number was not the next.
const ATTEMPTS: usize = 4;

/// How long a transaction of somebody else from the same account may take to be in a block.
const NEXT_BLOCK: Duration = Duration::from_secs(30);

/// A message of a transaction, in protobuf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type, such as `/cosmos.bank.v1beta1.MsgSend`.
    pub type_url: String,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// A transaction that is in a block and did what it was sent for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// The block.
    pub height: Height,
    /// The SHA-256 of its bytes, by which the chain knows it.
    pub hash: [u8; 32],
    /// Its events.
    pub events: Vec<RawEvent>,
}

/// How long a transaction may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// It is valid for this many blocks after it was signed.
    pub blocks: u64,
    /// A chain that makes no blocks is waited for this long; then the result is unknown.
    pub patience: Duration,
}

impl Default for Timeout {
    /// 20 blocks and 5 minutes.
    fn default() -> Self {
        Self {
            blocks: TX_BLOCKS,
            patience: Duration::from_secs(300),
        }
    }
}

/// Sends transactions from one account.
///
/// **Guarantees:** one transaction at a time; the same messages are signed again only after the
/// chain refused them for their sequence number. The bytes of one transaction may be handed in
/// several times, of which the chain executes at most one.
/// **Assumptions:** the node indexes transactions (`indexer = "kv"`, the default).
/// **Caveats:** others may send from the account too; that costs a block of waiting.
pub struct Sender {
    rpc: Rpc,
    account: Account,
    chain_id: String,
    fees: FeeSettings,
    timeout: Timeout,
    // What the account's next transaction needs; `None`: to be read from the chain.
    seat: Mutex<Option<Seat>>,
}

impl Sender {
    /// A sender on the chain with this id, with the default [`Timeout`].
    #[must_use]
    pub fn new(rpc: Rpc, account: Account, chain_id: String, fees: FeeSettings) -> Self {
        Self {
            rpc,
            account,
            chain_id,
            fees,
            timeout: Timeout::default(),
            seat: Mutex::new(None),
        }
    }

    /// The same sender with another [`Timeout`].
    #[must_use]
    pub fn with_timeout(self, timeout: Timeout) -> Self {
        Self { timeout, ..self }
    }

    /// The account that it sends from.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Sends one transaction with these messages and waits until it is in a block.
    ///
    /// Waits first for the transactions that are being sent. Dropping the future leaves a
    /// transaction that was sent to its fate.
    ///
    /// # Errors
    /// [`TxError::Rejected`] with the chain's code, whether the simulation, the mempool's check or
    /// the block refused it; [`TxError::Unknown`] if the chain must be looked at before this is
    /// sent again; [`TxError::Failed`] if it is certain that nothing happened.
    pub async fn send(&self, messages: Vec<Message>, memo: &str) -> Result<Included, TxError> {
        let mut seat = self.seat.lock().await;
        let mut attempt = 1;
        loop {
            // Taken, so that after an error, or a caller that stops waiting, it is read anew.
            let known = seat.take();
            let error = match self.attempt(known, &messages, memo).await {
                Ok((included, next)) => {
                    *seat = Some(next);
                    return Ok(included);
                }
                Err(error) => error,
            };
            if !error.is_sdk(WRONG_SEQUENCE) || attempt == ATTEMPTS {
                return Err(error);
            }
            if known.is_none() {
                // The node's mempool holds another transaction of this account.
                self.next_block().await?;
            }
            attempt += 1;
        }
    }

    /// Returns how much of a coin the account has.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached.
    pub async fn balance(&self, denom: &str) -> Result<u128, Failure> {
        query::balance(&self.rpc, &self.account.address_text(), denom).await
    }

    /// Checks that the account can pay for a transaction that uses about this much gas.
    ///
    /// # Errors
    /// A permanent failure with the numbers if its fee is above the cap or above the balance;
    /// a transient one if the node cannot be reached.
    pub async fn can_pay(&self, gas_used: u64) -> Result<(), Failure> {
        let fee = self.fees.fee(self.fees.gas_limit(gas_used))?;
        let denom = &self.fees.gas_price.denom;
        let balance = self.balance(denom).await?;
        if balance >= fee {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "{account} has {balance}{denom} and a transaction costs {fee}{denom}: send coins to {account}",
            account = self.account.address_text(),
        )))
    }

    async fn attempt(
        &self,
        known: Option<Seat>,
        messages: &[Message],
        memo: &str,
    ) -> Result<(Included, Seat), TxError> {
        let height = self.ready_height().await?;
        let address = self.account.address_text();
        let seat = match known {
            Some(seat) => seat,
            None => query::account(&self.rpc, &address).await?,
        };
        let draft = Draft {
            messages,
            memo,
            timeout_height: Height(height.0.saturating_add(self.timeout.blocks)),
            sequence: seat.sequence,
        };
        let unsigned = draft.unsigned(&self.account);
        let gas_used = query::simulate(&self.rpc, &address, unsigned).await?;
        let gas_limit = self.fees.gas_limit(gas_used);
        let cost = Cost {
            gas_limit,
            fee: self.fees.fee(gas_limit)?,
            denom: &self.fees.gas_price.denom,
        };
        let signed = draft.sign(&self.account, seat.number, &self.chain_id, &cost)?;
        self.hand_in(&signed, &cost).await?;
        let included = self.included(&signed).await?;
        let next = Seat {
            sequence: seat.sequence.saturating_add(1),
            ..seat
        };
        Ok((included, next))
    }

    /// The newest height of a node that follows this chain and is not behind.
    async fn ready_height(&self) -> Result<Height, Failure> {
        let status = self.rpc.status().await?;
        let url = self.rpc.url();
        if status.chain_id != self.chain_id {
            return Err(Failure::permanent(format!(
                "{url} is a node of {:?}, not of {:?}: correct its address or chain_id",
                status.chain_id, self.chain_id
            )));
        }
        if status.catching_up {
            return Err(Failure::transient(format!(
                "{url} is still catching up with its chain: wait, or name another node"
            )));
        }
        Ok(status.height)
    }

    /// Hands a transaction to the mempool; succeeds also where the answer was lost.
    async fn hand_in(&self, signed: &Signed, cost: &Cost<'_>) -> Result<(), TxError> {
        let hash = hex::encode_upper(signed.hash);
        tracing::info!(%hash, gas = cost.gas_limit, fee = cost.fee, denom = cost.denom, "sending a transaction");
        match self.rpc.broadcast(signed.bytes.clone()).await {
            Ok((check, _)) if check.code == 0 => Ok(()),
            Ok((check, _)) => {
                let address = self.account.address_text();
                let error =
                    TxError::rejected(check.codespace, check.code, &check.log, None, address);
                if error.is_sdk(IN_MEMPOOL) {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            // Also a full mempool comes this way; the same bytes are handed in again later.
            Err(failure) if failure.kind == FailureKind::Unknown => {
                tracing::warn!(%hash, %failure, "no answer to a transaction, looking for it");
                Ok(())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn next_block(&self) -> Result<(), Failure> {
        let before = self.rpc.status().await?.height;
        until_deadline(NEXT_BLOCK, || async {
            let now = self.rpc.status().await?.height;
            if now > before {
                return Ok(());
            }
            Err(Failure::transient(format!(
                "{}: no block after {before}: wait until the chain goes on",
                self.rpc.url()
            )))
        })
        .await
    }
}
