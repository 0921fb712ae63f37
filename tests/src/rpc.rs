//! Plain GET requests to a node's CometBFT RPC.

use std::time::Duration;

use serde_json::Value;

use crate::Error;

/// The RPC of one node.
#[derive(Clone, Debug)]
pub struct Rpc {
    url: String,
    client: reqwest::Client,
}

impl Rpc {
    /// Makes a client for an address like `http://127.0.0.1:26657`; nothing is sent yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(url: &str) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5));
        let client = builder
            .build()
            .map_err(|e| Error::Setup(format!("no HTTP client: {e}")))?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the `result` of a method with its arguments, such as `validators?height=3`.
    ///
    /// # Errors
    /// When the node does not answer, or answers with an error.
    pub async fn get(&self, method: &str) -> Result<Value, Error> {
        let url = format!("{}/{method}", self.url);
        // reqwest's own text stops before the cause.
        let failed = |e: reqwest::Error| {
            let cause = std::error::Error::source(&e).map(|c| format!(": {c}"));
            Error::Reply(format!("{e}{}", cause.unwrap_or_default()))
        };
        let answer = self.client.get(&url).send().await.map_err(failed)?;
        let text = answer.text().await.map_err(failed)?;
        let mut answer: Value = serde_json::from_str(&text)
            .map_err(|e| Error::Reply(format!("{url}: {e} in {text:?}")))?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(Error::Reply(format!("{url}: {}", answer["error"]))),
        }
    }

    /// Returns the height of the node's latest block, 0 before the first.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn height(&self) -> Result<u64, Error> {
        let status = self.get("status").await?;
        number(&status["sync_info"]["latest_block_height"])
    }

    /// Returns the validators at a height as pairs of address (upper-case hex) and voting power.
    ///
    /// # Errors
    /// When the node does not answer, or does not have the height.
    pub async fn validators(&self, height: u64) -> Result<Vec<(String, u64)>, Error> {
        let validators = self.validator_list(height).await?;
        let pair = |validator: &Value| {
            let address = validator["address"].as_str().unwrap_or_default().to_owned();
            Ok((address, number(&validator["voting_power"])?))
        };
        validators.iter().map(pair).collect()
    }

    async fn validator_list(&self, height: u64) -> Result<Vec<Value>, Error> {
        let method = format!("validators?height={height}&per_page=100");
        match self.get(&method).await?["validators"].take() {
            Value::Array(validators) => Ok(validators),
            other => Err(Error::Reply(format!("no list of validators: {other}"))),
        }
    }

    /// Returns the validators at a height as pairs of public key (base64) and voting power, the
    /// strongest first.
    ///
    /// # Errors
    /// When the node does not answer, or does not have the height.
    pub async fn validator_keys(&self, height: u64) -> Result<Vec<(String, u64)>, Error> {
        let validators = self.validator_list(height).await?;
        let pair = |validator: &Value| {
            let key = validator["pub_key"]["value"].as_str().unwrap_or_default();
            Ok((key.to_owned(), number(&validator["voting_power"])?))
        };
        validators.iter().map(pair).collect()
    }

    /// Returns the transactions of the whole chain that a query of the node's index finds, such as
    /// `opt_in.consumer_id='0'`, oldest first; at most 100.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn txs(&self, query: &str) -> Result<Vec<Value>, Error> {
        let query = query.replace(' ', "%20");
        let method = format!("tx_search?query=%22{query}%22&order_by=%22asc%22&per_page=100");
        match self.get(&method).await?["txs"].take() {
            Value::Array(txs) => Ok(txs),
            other => Err(Error::Reply(format!("no list of transactions: {other}"))),
        }
    }

    /// Returns the block at a height, as the RPC gives it.
    ///
    /// # Errors
    /// When the node does not answer, or does not have the block.
    pub async fn block(&self, height: u64) -> Result<Value, Error> {
        Ok(self.get(&format!("block?height={height}")).await?["block"].take())
    }
}

/// A 64-bit number, which the RPC writes as text.
pub(crate) fn number(value: &Value) -> Result<u64, Error> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Error::Reply(format!("not a number in text: {value}")))
}
