//! CometBFT RPC over HTTP: the calls this program makes, in its own types.
//!
//! `tendermint-rpc` does the work; none of its types leave this file.

use std::str::FromStr;
use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::genesis::Header;
use ics_core::key::PublicKey;
use ics_core::proof::ProofOp;
use ics_core::time::{Height, UnixTime};
use tendermint::{Hash, Time, abci, block};
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::endpoint::{block_results, tx};
use tendermint_rpc::query::Query as SearchQuery;
use tendermint_rpc::{Client, HttpClient, HttpClientUrl, Order, Paging};

/// A call that takes longer than this is given up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One CometBFT node, spoken to over HTTP.
#[derive(Clone, Debug)]
pub struct Rpc {
    http: HttpClient,
    url: String,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// The id of the chain it follows.
    pub chain_id: String,
    /// Its newest block.
    pub height: Height,
    /// The time in that block's header.
    pub time: UnixTime,
    /// The oldest block it still has.
    pub earliest_height: Height,
    /// Whether it is still catching up with its chain.
    pub catching_up: bool,
}

/// What a node answered to `abci_query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryAnswer {
    /// 0, or the application's error code.
    pub code: u32,
    /// Whose code it is; `sdk` for most.
    pub codespace: String,
    /// The error text.
    pub log: String,
    /// The protobuf of the answer.
    pub value: Vec<u8>,
    /// The height at which it was answered.
    pub height: Height,
}

/// The result of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxResult {
    /// The block it is in; 0 while it only passed the mempool's check.
    pub height: Height,
    /// 0, or the application's error code.
    pub code: u32,
    /// Whose code it is.
    pub codespace: String,
    /// The error text.
    pub log: String,
    /// Its events: type, then attributes.
    pub events: Vec<RawEvent>,
}

/// An event as text: bytes that are not UTF-8 (`valset_hash`) come replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// The event's type.
    pub kind: String,
    /// Its attributes, in order.
    pub attributes: Vec<(String, String)>,
}

/// One validator of a CometBFT chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CometValidator {
    /// Its consensus key.
    pub public_key: PublicKey,
    /// Its voting power.
    pub power: u64,
}

impl Rpc {
    /// A client of the node at this `http://` or `https://` URL; connects at the first call.
    ///
    /// # Errors
    /// A permanent failure if that is no such URL.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let bad = |error: &dyn std::fmt::Display| {
            Failure::permanent(format!(
                "{url:?} is not a CometBFT RPC address: {error}; write it like http://127.0.0.1:26657"
            ))
        };
        let parsed = HttpClientUrl::from_str(url).map_err(|e| bad(&e))?;
        let http = HttpClient::builder(parsed)
            .compat_mode(CompatMode::V0_38)
            .timeout(TIMEOUT)
            .build()
            .map_err(|e| bad(&e))?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// The URL it was made with, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks `/status`.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached or answers no status.
    pub async fn status(&self) -> Result<NodeInfo, Failure> {
        let status = self
            .http
            .status()
            .await
            .map_err(|e| self.failed("status", &e))?;
        let sync = status.sync_info;
        Ok(NodeInfo {
            chain_id: status.node_info.network.to_string(),
            height: Height(sync.latest_block_height.value()),
            time: unix_time(sync.latest_block_time),
            earliest_height: Height(sync.earliest_block_height.value()),
            catching_up: sync.catching_up,
        })
    }

    /// The newest height that the application has committed, so that its state can be asked for.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached.
    pub async fn committed_height(&self) -> Result<Height, Failure> {
        let info = self
            .http
            .abci_info()
            .await
            .map_err(|e| self.failed("abci_info", &e))?;
        Ok(Height(info.last_block_height.value()))
    }

    /// Asks `/abci_query` at a height (`None`: the newest), without a proof.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached. An application's error is an answer.
    pub async fn abci_query(
        &self,
        path: &str,
        data: Vec<u8>,
        height: Option<Height>,
    ) -> Result<QueryAnswer, Failure> {
        let (answer, _) = self.query(path, data, height, false).await?;
        Ok(answer)
    }

    /// Asks `/abci_query` at a height, with a proof against the next header's application hash;
    /// without steps where the application gives none.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached. An application's error is an answer.
    pub async fn abci_query_proved(
        &self,
        path: &str,
        data: Vec<u8>,
        height: Height,
    ) -> Result<(QueryAnswer, Vec<ProofOp>), Failure> {
        self.query(path, data, Some(height), true).await
    }

    async fn query(
        &self,
        path: &str,
        data: Vec<u8>,
        height: Option<Height>,
        prove: bool,
    ) -> Result<(QueryAnswer, Vec<ProofOp>), Failure> {
        let height = height.map(comet_height).transpose()?;
        let answer = self
            .http
            .abci_query(Some(path.to_owned()), data, height, prove)
            .await
            .map_err(|e| self.failed(path, &e))?;
        let steps = answer.proof.map(|proof| proof.ops).unwrap_or_default();
        let step = |op: tendermint::merkle::proof::ProofOp| ProofOp {
            kind: op.field_type,
            key: op.key,
            data: op.data,
        };
        let found = QueryAnswer {
            code: answer.code.value(),
            codespace: answer.codespace,
            log: answer.log,
            value: answer.value,
            height: Height(answer.height.value()),
        };
        Ok((found, steps.into_iter().map(step).collect()))
    }

    /// A block's header, as the node tells it.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached, does not have the block or answers for another.
    pub async fn header(&self, height: Height) -> Result<Header, Failure> {
        let answer = self
            .http
            .header(comet_height(height)?)
            .await
            .map_err(|e| self.failed("header", &e))?;
        let header = answer.header;
        let found = Height(header.height.value());
        if found != height {
            return Err(Failure::transient(format!(
                "{}: header: asked at height {height}, answered at {found}",
                self.url
            )));
        }
        Ok(Header {
            chain_id: header.chain_id.to_string(),
            height: found,
            time: unix_time(header.time),
            app_hash: header.app_hash.as_bytes().to_vec(),
            next_validators_hash: header.next_validators_hash.as_bytes().to_vec(),
        })
    }

    /// The time in a block's header.
    ///
    /// # Errors
    /// As [`Self::header`].
    pub async fn block_time(&self, height: Height) -> Result<UnixTime, Failure> {
        Ok(self.header(height).await?.time)
    }

    /// All events of a block: those of its successful transactions, then the block's own.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached or does not keep the results of that block.
    pub async fn block_events(&self, height: Height) -> Result<Vec<RawEvent>, Failure> {
        let answer = self
            .http
            .block_results(comet_height(height)?)
            .await
            .map_err(|e| self.failed("block_results", &e))?;
        Ok(events_of(answer))
    }

    /// Hands a signed transaction to the node's mempool; returns the check's result and its hash.
    ///
    /// # Errors
    /// Unknown, if the node did not answer: the transaction may be on its way.
    pub async fn broadcast(&self, tx: Vec<u8>) -> Result<(TxResult, [u8; 32]), Failure> {
        let answer = self
            .http
            .broadcast_tx_sync(tx)
            .await
            .map_err(|e| Failure::unknown(self.failed("broadcast_tx_sync", &e).message))?;
        let mut hash = [0; 32];
        let bytes = answer.hash.as_bytes();
        if bytes.len() == hash.len() {
            hash.copy_from_slice(bytes);
        }
        let result = TxResult {
            height: Height(0),
            code: answer.code.value(),
            codespace: answer.codespace,
            log: answer.log,
            events: Vec::new(),
        };
        Ok((result, hash))
    }

    /// Looks up a transaction by its SHA-256; `None` if the node does not have it in a block.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached.
    pub async fn tx(&self, hash: [u8; 32]) -> Result<Option<TxResult>, Failure> {
        match self.http.tx(Hash::Sha256(hash), false).await {
            Ok(answer) => Ok(Some(tx_result(answer))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed("tx", &error)),
        }
    }

    /// The oldest transactions (at most 10) whose events match `key='value'`; needs the node's
    /// transaction index.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached or has no index.
    pub async fn tx_search(&self, key: &str, value: &str) -> Result<Vec<TxResult>, Failure> {
        let answer = self
            .http
            .tx_search(SearchQuery::eq(key, value), false, 1, 10, Order::Ascending)
            .await
            .map_err(|e| self.failed("tx_search", &e))?;
        Ok(answer.txs.into_iter().map(tx_result).collect())
    }

    /// The oldest blocks (at most 10) whose own events match `key='value'`; needs the node's block
    /// index.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached or has no index.
    pub async fn block_search(&self, key: &str, value: &str) -> Result<Vec<Height>, Failure> {
        let answer = self
            .http
            .block_search(SearchQuery::eq(key, value), 1, 10, Order::Ascending)
            .await
            .map_err(|e| self.failed("block_search", &e))?;
        let heights = answer.blocks.iter();
        Ok(heights
            .map(|found| Height(found.block.header.height.value()))
            .collect())
    }

    /// The validator set at a height (`None`: the newest).
    ///
    /// # Errors
    /// Transient, if the node cannot be reached or does not have that height.
    pub async fn validators(&self, height: Option<Height>) -> Result<Vec<CometValidator>, Failure> {
        let height = match height {
            Some(height) => height,
            None => self.status().await?.height,
        };
        let answer = self
            .http
            .validators(comet_height(height)?, Paging::All)
            .await
            .map_err(|e| self.failed("validators", &e))?;
        // A validator with a key of another type than ed25519 is never one of ours.
        let read = |validator: tendermint::validator::Info| {
            let public_key = PublicKey::from_slice(&validator.pub_key.to_bytes()).ok()?;
            Some(CometValidator {
                public_key,
                power: validator.power.value(),
            })
        };
        Ok(answer.validators.into_iter().filter_map(read).collect())
    }

    fn failed(&self, call: &str, error: &tendermint_rpc::Error) -> Failure {
        // These errors print the name of what traced them, and may go on for lines.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let line = line.strip_prefix("StringTracer: ").unwrap_or(line);
        Failure::transient(format!("{}: {call}: {line}", self.url))
    }
}

/// Reads all events of `/block_results`, whose layout changed between CometBFT 0.37 and 0.38.
fn events_of(answer: block_results::Response) -> Vec<RawEvent> {
    let of_txs = answer
        .txs_results
        .unwrap_or_default()
        .into_iter()
        .filter(|result| result.code.is_ok())
        .flat_map(|result| result.events);
    let of_block = [
        answer.begin_block_events.unwrap_or_default(),
        answer.finalize_block_events,
        answer.end_block_events.unwrap_or_default(),
    ];
    of_txs
        .chain(of_block.into_iter().flatten())
        .map(raw_event)
        .collect()
}

fn raw_event(event: abci::Event) -> RawEvent {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let attributes = event.attributes.iter();
    RawEvent {
        attributes: attributes
            .map(|a| (text(a.key_bytes()), text(a.value_bytes())))
            .collect(),
        kind: event.kind,
    }
}

fn tx_result(answer: tx::Response) -> TxResult {
    TxResult {
        height: Height(answer.height.value()),
        code: answer.tx_result.code.value(),
        codespace: answer.tx_result.codespace,
        log: answer.tx_result.log,
        events: answer.tx_result.events.into_iter().map(raw_event).collect(),
    }
}

/// Whether the node said that it no longer has a block (`rpc/core/env.go` of CometBFT 0.38).
pub(crate) fn is_gone(failure: &Failure) -> bool {
    failure.message.contains("lowest height is")
}

/// Whether the node said that it does not have the transaction, rather than failing.
fn is_absent(error: &tendermint_rpc::Error) -> bool {
    error.to_string().contains("not found")
}

fn unix_time(time: Time) -> UnixTime {
    let time = time::OffsetDateTime::from(time);
    UnixTime::new(time.unix_timestamp(), time.nanosecond())
}

fn comet_height(height: Height) -> Result<block::Height, Failure> {
    height
        .0
        .try_into()
        .map_err(|_| Failure::permanent(format!("height {height} is above what CometBFT can hold")))
}
