//! Under which chain ids a key was bound, for good: under one chain id it signs for one consumer.

use ics_core::failure::Failure;
use ics_core::id::ChainId;
use ics_core::keystore::{KeyRef, signed_for};

use super::{BINDING_FILE, Entry, Place, Store, folders};
use crate::durable;

/// The file that lists, as JSON, the chain ids that a key was bound under.
pub(super) const CHAINS_FILE: &str = "chain_ids";

impl Store {
    pub(super) fn refusal(
        &self,
        key: &KeyRef,
        chain_id: &ChainId,
    ) -> Result<Option<String>, Failure> {
        if let (Some((_, entry)), Some(ours)) = (self.find(key)?, self.provider_key)
            && entry.is_provider_key()
            && ours != key.public_key
        {
            return Ok(Some(format!(
                "must not sign: it was imported as a copy of the validator's key on the provider, \
                 which is {ours}: stop ics-monitor, move {} away and import the right one",
                entry.path.display()
            )));
        }
        for (holder, entry) in self.holders(&key.public_key.address().to_string())? {
            if holder == key.consumer_id.to_string() {
                continue;
            }
            match entry.chain_ids()? {
                None => {
                    return Ok(Some(format!(
                        "must not sign here: it was bound for consumer {holder} under a chain id that \
                         was not recorded: assign another key on the provider, or write that chain \
                         id to {}, as [\"chain-1\"]",
                        entry.path.join(CHAINS_FILE).display()
                    )));
                }
                Some(known) if known.iter().any(|it| it == chain_id.as_str()) => {
                    return Ok(Some(signed_for(holder, chain_id)));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// Records that the key of an entry signs under this chain id.
    pub(super) fn record(entry: &Entry, chain_id: &ChainId) -> Result<(), Failure> {
        let mut known = entry.chain_ids()?.unwrap_or_default();
        if known.iter().any(|it| it == chain_id.as_str()) {
            // Whoever wrote it may have died before it could sync.
            return durable::sync_folder(&entry.path);
        }
        known.push(chain_id.as_str().to_owned());
        durable::replace(&entry.path, CHAINS_FILE, &text(&known))
    }

    /// Where the key with this address lies, whatever consumers it is for.
    pub(super) fn holders(&self, address: &str) -> Result<Vec<(String, Entry)>, Failure> {
        let mut found = Vec::new();
        for place in [Place::Active, Place::Archived] {
            for consumer in folders(&self.place(place))? {
                let name = consumer.file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                let entries = folders(&consumer)?.into_iter().filter_map(Entry::read);
                let same = entries.filter(|entry| entry.address == address);
                found.extend(same.map(|entry| (name.clone(), entry)));
            }
        }
        Ok(found)
    }
}

impl Entry {
    /// The chain ids that its key was bound under; `None` if an older version bound it, which did not
    /// record them.
    fn chain_ids(&self) -> Result<Option<Vec<String>>, Failure> {
        let path = self.path.join(CHAINS_FILE);
        if !path.exists() {
            let bound = self.path.join(BINDING_FILE).exists();
            return Ok((!bound).then(Vec::new));
        }
        let text = std::fs::read(&path).map_err(|e| durable::failed("read", &path, &e))?;
        serde_json::from_slice(&text).map(Some).map_err(|e| {
            Failure::permanent(format!(
                "{}: {e}: put the right file back; it lists the chain ids that the key has signed \
                 under, as [\"chain-1\"]",
                path.display()
            ))
        })
    }
}

/// The file that lists these chain ids.
pub(super) fn text(chain_ids: &[String]) -> Vec<u8> {
    serde_json::json!(chain_ids).to_string().into_bytes()
}
