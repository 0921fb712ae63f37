//! What the provider chain itself remembers: the evidence against which monitors are held.

use serde_json::Value;

use super::{Consumer, World};
use crate::{Error, rpc};

/// One opt-in that the provider took.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OptIn {
    /// Height of its block.
    pub height: u64,
    /// The consumer key that it assigned, in base64; empty if none.
    pub key: String,
}

impl World {
    /// All opt-ins of a validator to a consumer, in order.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn opt_ins(&self, validator: &str, consumer: &Consumer) -> Result<Vec<OptIn>, Error> {
        let operator = self.chain.operator_address(validator)?;
        let query = format!("opt_in.consumer_id='{}'", consumer.id);
        let found = self.chain.rpc("alice")?.txs(&query).await?;
        let mut opt_ins = Vec::new();
        for tx in &found {
            let height = rpc::number(&tx["height"])?;
            let events = tx["tx_result"]["events"].as_array();
            for event in events.into_iter().flatten() {
                let ours = event["type"] == "opt_in"
                    && attribute(event, "consumer_id") == consumer.id
                    && attribute(event, "provider_validator_address") == operator;
                if ours {
                    let key = consensus_key(attribute(event, "consumer_consensus_pub_key"))?;
                    opt_ins.push(OptIn { height, key });
                }
            }
        }
        Ok(opt_ins)
    }

    /// The phase that the provider had a consumer in at a height, such as `LAUNCHED`.
    ///
    /// # Errors
    /// When no node answers, or the consumer was not there.
    pub async fn phase_at(&self, consumer: &Consumer, height: u64) -> Result<String, Error> {
        let height = height.to_string();
        let query = [
            "query",
            "provider",
            "consumer-chain",
            &consumer.id,
            "--height",
            &height,
        ];
        let answer = self.chain.query(&query).await?;
        let phase = answer["phase"].as_str().unwrap_or_default();
        Ok(phase.trim_start_matches("CONSUMER_PHASE_").to_owned())
    }

    /// The first height from `height` on at which the provider has a consumer in this phase.
    ///
    /// # Errors
    /// When there is none up to now.
    pub async fn first_height(
        &self,
        consumer: &Consumer,
        phase: &str,
        height: u64,
    ) -> Result<u64, Error> {
        let latest = self.chain.latest().await?;
        for height in height..=latest {
            if self.phase_at(consumer, height).await? == phase {
                return Ok(height);
            }
        }
        let id = &consumer.id;
        let text = format!("consumer {id} is not {phase} from height {height} to {latest}");
        Err(Error::Reply(text))
    }
}

/// The number behind `at height ` in a line of a log.
///
/// # Errors
/// When the line has none.
pub fn height_in(line: &str) -> Result<u64, Error> {
    let rest = line.split_once("at height ").map(|(_, rest)| rest);
    let digits = rest.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let height = digits.flatten().and_then(|digits| digits.parse().ok());
    height.ok_or_else(|| Error::Reply(format!("no height in {line:?}")))
}

fn attribute<'a>(event: &'a Value, key: &str) -> &'a str {
    let attributes = event["attributes"].as_array();
    let found = attributes.into_iter().flatten().find(|it| it["key"] == key);
    found
        .and_then(|it| it["value"].as_str())
        .unwrap_or_default()
}

/// The base64 in the JSON of an SDK key; empty stays empty.
fn consensus_key(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let key: Value = serde_json::from_str(text)
        .map_err(|e| Error::Reply(format!("not a key in JSON: {e}: {text:?}")))?;
    Ok(key["key"].as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_height_of_a_line_is_read() {
        let line = "INFO chain a-1: REGISTERED again at height 41: the launch failed";
        assert_eq!(height_in(line).expect("a height"), 41);
        assert!(height_in("INFO ends: nodes run on").is_err());
    }
}
