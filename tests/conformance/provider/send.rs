//! Sends the transactions of a script and tells what each stage says of them.

use cosmrs::proto::cosmos::auth::v1beta1::{
    BaseAccount, QueryAccountRequest, QueryAccountResponse,
};
use ics_core::time::{Height, UnixTime};
use ics_monitor::rpc::RawEvent;
use ics_monitor::tx::Message;
use prost::Message as _;

use crate::names::time;
use crate::play::{EVENTS, Ended, Player};
use crate::script::Order;
use crate::signed::{Signer, Terms};

/// How often a transaction is looked for before it is known to have got lost.
const LOOKS: usize = 600;

impl Player<'_> {
    /// Sends a transaction and tells what each stage says of it; its height, if it did something.
    pub(crate) async fn send(
        &mut self,
        who: &str,
        messages: &[Message],
        order: &Order,
        forced: bool,
    ) -> Result<Option<Height>, Ended> {
        let signer = self.target.signer(who)?;
        let terms = self.terms(signer, order).await?;
        let bytes = signer.sign(messages, &terms);
        let simulated = self
            .rpc()
            .abci_query("/app/simulate", bytes.clone(), None)
            .await;
        let simulated = simulated.map_err(|failure| failure.to_string())?;
        if simulated.code != 0 {
            self.refused(
                "simulated",
                &simulated.codespace,
                simulated.code,
                &simulated.log,
            );
            if !forced {
                return Ok(None);
            }
        }
        let checked = self.rpc().broadcast(bytes).await;
        let (checked, hash) = checked.map_err(|failure| failure.to_string())?;
        if checked.code != 0 {
            self.refused("checked", &checked.codespace, checked.code, &checked.log);
            return Ok(None);
        }
        for _ in 0..LOOKS {
            let found = self
                .rpc()
                .tx(hash)
                .await
                .map_err(|failure| failure.to_string())?;
            let Some(result) = found else {
                self.target.next_block().await;
                continue;
            };
            self.read_blocks(result.height).await?;
            if result.code != 0 {
                self.refused("delivered", &result.codespace, result.code, &result.log);
                return Ok(None);
            }
            let of_tx = |event: &&RawEvent| EVENTS.contains(&event.kind.as_str());
            for event in result.events.iter().filter(of_tx) {
                let line = self.event(event);
                self.tell(line);
            }
            return Ok(Some(result.height));
        }
        Err(Ended::Wrong("it got lost".into()))
    }

    /// Tells of a refusal, without the numbers in it that differ.
    fn refused(&mut self, stage: &str, codespace: &str, code: u32, log: &str) {
        const DIFFERS: [&str; 3] = [
            "out of gas in location: ",
            "account sequence mismatch, ",
            "block height: ",
        ];
        // A panic is told with its stack on further lines.
        let line = log.lines().next().unwrap_or_default();
        let ends = DIFFERS
            .iter()
            .filter_map(|what| Some(line.find(what)? + what.len()));
        let line = ends.min().map_or(line, |end| &line[..end]);
        self.tell(format!("{stage}: {codespace} {code}: {}", line.trim_end()));
    }

    /// What a transaction of this account is signed with, but for what the order sets.
    async fn terms(&self, signer: &Signer, order: &Order) -> Result<Terms, Ended> {
        let path = "/cosmos.auth.v1beta1.Query/Account";
        let request = QueryAccountRequest {
            address: signer.account(),
        };
        let answer = self
            .rpc()
            .abci_query(path, request.encode_to_vec(), None)
            .await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        let account = QueryAccountResponse::decode(&*answer.value).ok();
        let account = account
            .and_then(|answer| answer.account)
            .unwrap_or_default();
        let account = BaseAccount::decode(&*account.value).map_err(|error| error.to_string())?;
        let number = |name: &str, default: u64| match order.settings.get(name) {
            None => Ok(default),
            Some(text) => match text.strip_prefix('+') {
                Some(more) => more.parse().map(|more: u64| default + more),
                None => text.parse(),
            },
        };
        let read = || -> Result<Terms, std::num::ParseIntError> {
            Ok(Terms {
                chain_id: order
                    .settings
                    .get("signed-for")
                    .map_or("provider-1", String::as_str)
                    .into(),
                number: account.account_number,
                sequence: number("sequence", account.sequence)?,
                gas: number("gas", 2_000_000)?,
                fee: number("fee", 0)?,
                timeout: number("timeout", 0)?,
                memo: order.settings.get("memo").cloned().unwrap_or_default(),
            })
        };
        Ok(read().map_err(|error| error.to_string())?)
    }

    pub(crate) fn event(&self, event: &RawEvent) -> String {
        let attribute = |(key, value): &(String, String)| match key.as_str() {
            "consumer_spawn_time" => format!("{key}={}", self.spawn_text(value)),
            // Bytes that JSON cannot show.
            "valset_hash" => key.clone(),
            _ => format!("{key}={value}"),
        };
        let attributes: Vec<String> = event.attributes.iter().map(attribute).collect();
        format!("event {}: {}", event.kind, attributes.join(", "))
    }

    /// A time as Go prints it, without what differs.
    fn spawn_text(&self, text: &str) -> String {
        let read = text
            .strip_suffix(" +0000 UTC")
            .map(|text| text.replace(' ', "T") + "Z");
        match read.and_then(|text| UnixTime::from_rfc3339(&text)) {
            Some(at) if time(Some(at), self.now) == "about now" => "about now".to_owned(),
            _ => text.to_owned(),
        }
    }
}
