//! Who checks a run: looks at blocks, at the folder of keys and at what nodes did, never at what the
//! monitor says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ics_core::id::ConsumerId;
use ics_core::key::PublicKey;
use ics_core::keystore::{KeyRef, KeyStanding, KeyStore as _};
use ics_core::phase::Phase;
use ics_fixtures::chain::{Msg, MsgOptIn};
use ics_fixtures::local::{InProcess, Run};
use ics_monitor::keystore::FileKeyStore;
use ics_monitor::wire::sdk::Any;
use prost::Message as _;

use crate::provider::Provider;

/// `TxRaw` of the SDK.
#[derive(Clone, PartialEq, prost::Message)]
struct TxRaw {
    #[prost(bytes = "vec", tag = "1")]
    body: Vec<u8>,
}

/// `TxBody` of the SDK.
#[derive(Clone, PartialEq, prost::Message)]
struct TxBody {
    #[prost(message, repeated, tag = "1")]
    messages: Vec<Any>,
}

/// What is in the provider's blocks of our validator's transactions.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How many opt-ins of each consumer succeeded.
    opt_ins: BTreeMap<ConsumerId, u32>,
    /// Every key that a transaction named.
    pub(crate) named: BTreeSet<KeyRef>,
}

impl Sent {
    pub(crate) fn read(provider: &Provider) -> Self {
        let mut sent = Self::default();
        provider.node.with(|chain| {
            for height in 1..=chain.height() {
                let block = chain.block(height).expect("a block");
                for (tx, result) in block.txs.iter().zip(&block.results) {
                    for msg in messages(tx) {
                        sent.note(&msg, result.refusal.is_none());
                    }
                }
            }
        });
        sent
    }

    fn note(&mut self, msg: &Msg, succeeded: bool) {
        let (Msg::OptIn(it) | Msg::AssignKey(it)) = msg else {
            return;
        };
        let id: ConsumerId = it.consumer_id.parse().expect("an id");
        if let Some(public_key) = named(it) {
            self.named.insert(KeyRef {
                consumer_id: id,
                public_key,
            });
        }
        if succeeded && matches!(msg, Msg::OptIn(_)) {
            *self.opt_ins.entry(id).or_default() += 1;
        }
    }

    /// More than one opt-in where one was needed, and no lie made it look so.
    pub(crate) fn wrong(&self, lies: usize) -> Vec<String> {
        let most = 1 + u32::try_from(lies).unwrap_or(u32::MAX - 1);
        let many = self.opt_ins.iter().filter(|(_, count)| **count > most);
        many.map(|(id, count)| format!("{count} opt-ins of consumer {id}"))
            .collect()
    }
}

fn messages(tx: &[u8]) -> Vec<Msg> {
    let raw = TxRaw::decode(tx).expect("a transaction");
    let body = TxBody::decode(raw.body.as_slice()).expect("a body");
    body.messages
        .iter()
        .filter_map(|any| Msg::read(any).ok())
        .collect()
}

fn named(msg: &MsgOptIn) -> Option<PublicKey> {
    let key: serde_json::Value = serde_json::from_str(&msg.consumer_key).ok()?;
    PublicKey::from_base64(key["key"].as_str()?).ok()
}

/// The folder of a consumer's node.
pub(crate) fn node_folder(nodes: &Path, id: ConsumerId) -> PathBuf {
    nodes.join(format!("ics-fault-{id}"))
}

/// What does not yet fit what the chain says of a consumer; `None`: all fits. Where its data were
/// lost, its node runs without a key that signed on them.
pub(crate) fn unfit(
    provider: &Provider,
    processes: &InProcess,
    folder: &Path,
    id: ConsumerId,
    lost: bool,
) -> Option<String> {
    let runs = processes.runs();
    let of_consumer = |run: &&Run| run.folder == folder && run.ended.is_none();
    let live: Vec<_> = runs.iter().filter(of_consumer).collect();
    let phase = provider.phase(id)?;
    let ours = provider.our_key(id);
    let fits = match (phase, ours) {
        (Phase::Launched, Some(key)) => {
            live.len() == 1 && (live[0].key == Some(key) || lost && live[0].key.is_none())
        }
        (Phase::Deleted, _) => live.is_empty() && !folder.exists(),
        _ => live.is_empty(),
    };
    (!fits).then(|| {
        format!(
            "consumer {id} is {phase:?}, our key in its set {ours:?}, its folder {}, running {live:?}",
            if folder.exists() { "there" } else { "gone" }
        )
    })
}

/// What is wrong with the keys: one that was named is lost, or its state without its data being so, or one of a deleted consumer is still in
/// use.
pub(crate) async fn wrong_keys(
    provider: &Provider,
    keys: &FileKeyStore,
    named: impl IntoIterator<Item = KeyRef>,
    lost: &[ConsumerId],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for key in named {
        let stored = keys.load(&key).await.expect("a key store that can be read");
        let deleted = provider.phase(key.consumer_id) == Some(Phase::Deleted);
        match stored.map(|stored| stored.standing) {
            None => wrong.push(format!("{key:?} is lost")),
            Some(KeyStanding::Bound(_) | KeyStanding::Lost) if lost.contains(&key.consumer_id) => {}
            Some(KeyStanding::Lost) => wrong.push(format!("what {key:?} signed is lost")),
            Some(KeyStanding::Bound(_)) if deleted => {
                wrong.push(format!("{key:?} of a deleted consumer is still bound"));
            }
            Some(_) => {}
        }
    }
    wrong
}
