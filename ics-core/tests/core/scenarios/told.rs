//! What a scenario says of a consumer, and the readings that follow from it.

use std::collections::BTreeSet;

use ics_core::genesis;
use ics_core::id::ConsumerId;
use ics_core::key::PublicKey;
use ics_core::keystore::KeyOrigin;
use ics_core::phase::Phase;
use ics_core::snapshot::{Bar, Bond, Decimal, Snapshot, Standing};
use ics_core::time::Height;

use super::words::{duration, instant};
use crate::world::chain::{Index, Record, provider_key, snapshot};
use crate::world::nodes::Keys;

/// How many validators the provider has; the first is ours.
const VALIDATORS: usize = 2;

/// One consumer, as the scenario last described it.
#[derive(Clone)]
pub(super) struct Told {
    id: ConsumerId,
    record: Record,
    bond: Bond,
    tombstoned: bool,
    jailed: BTreeSet<Index>,
    bar: Option<Bar>,
}

impl Told {
    pub(super) fn new(id: ConsumerId) -> Self {
        Self {
            id,
            record: Record::new("alice-1", "alice"),
            bond: Bond::Bonded,
            tombstoned: false,
            jailed: BTreeSet::new(),
            bar: None,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.record.phase
    }

    /// The keys in the consumer's own set.
    pub(super) fn own_set(&self, with_us: bool) -> Vec<PublicKey> {
        let ours = with_us.then(|| self.key());
        ours.into_iter().chain([provider_key(1)]).collect()
    }

    /// How we stand in the set that it launched with, as far as that is still told.
    pub(super) fn standing(&self) -> genesis::Standing {
        let ours = self.record.set.iter().find(|(index, _)| *index == 0);
        match (ours, self.record.assigned.get(&0)) {
            (None, _) => genesis::Standing::Absent,
            (Some((_, key)), Some(assigned)) if key == assigned => genesis::Standing::Assigned,
            (Some(_), Some(_)) => genesis::Standing::Outdated,
            (Some(_), None) => genesis::Standing::Provider,
        }
    }

    fn key(&self) -> PublicKey {
        let assigned = self.record.assigned.get(&0).copied();
        assigned.unwrap_or_else(|| provider_key(0))
    }

    /// Changes what these words, separated by commas, say.
    pub(super) fn change(
        &mut self,
        words: &str,
        height: Height,
        keys: &mut Keys,
    ) -> Result<(), String> {
        words
            .split(", ")
            .try_for_each(|words| self.change_one(words, height, keys))
    }

    fn change_one(&mut self, words: &str, height: Height, keys: &mut Keys) -> Result<(), String> {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let record = &mut self.record;
        match (verb, rest) {
            ("as", "before") => {}
            ("registered", "") => record.phase = Phase::Registered,
            ("initialized", "") => record.phase = Phase::Initialized,
            ("launched", "") => {
                if record.phase != Phase::Launched {
                    record.phase = Phase::Launched;
                    record.launched = Some(height);
                    record.set = record.next_set(VALIDATORS, &self.jailed);
                }
            }
            ("stopped", "") => record.phase = Phase::Stopped,
            ("deleted", "") => {
                record.phase = Phase::Deleted;
                record.launched = None;
                record.opted_in.clear();
                record.assigned.clear();
            }
            ("owner", owner) => record.owner = owner.into(),
            ("chain", chain_id) => record.chain_id = chain_id.into(),
            ("no", "spawn time") => record.spawn = None,
            ("spawn", at) => record.spawn = Some(instant(at)?),
            ("removal", at) => record.removal = Some(instant(at)?),
            ("unbonding", period) => record.unbonding = duration(period)?,
            ("top", n) => {
                let n = n.trim_start_matches("N ").parse();
                record.top_n = n.map_err(|_| format!("not as top N 60: {words:?}"))?;
            }
            ("opted", "in") => {
                record.opted_in.insert(0);
            }
            ("opted", "out") => {
                record.opted_in.remove(&0);
            }
            ("nobody", "else") => {
                record.opted_in.remove(&1);
            }
            ("key", "fresh") => {
                let fresh = keys.prepare(self.id, KeyOrigin::Fresh);
                let fresh = fresh.map_err(|failure| failure.to_string())?.public_key;
                record.assigned.insert(0, fresh);
            }
            ("key", "foreign") => {
                record.assigned.insert(0, PublicKey::new([99; 32]));
            }
            ("key", "copied") => keys.bring(self.id, provider_key(0)),
            ("set", members) => self.set(members)?,
            ("connection", id) => record.connection_id = id.into(),
            ("downtime", slash) => {
                let slash = Decimal::parse(slash.trim_start_matches("slash "));
                record.downtime_slash = slash.ok_or_else(|| format!("no decimal: {words:?}"))?;
            }
            ("newer", "provider") => record.newer_provider = true,
            ("barred", by) => self.bar(by)?,
            ("jailed", "") => {
                self.jailed.insert(0);
                self.bond = Bond::Unbonding;
            }
            ("unbonded", "") => {
                self.jailed.clear();
                self.bond = Bond::Unbonded;
            }
            ("tombstoned", "") => self.tombstoned = true,
            ("bonded", "") => {
                self.jailed.clear();
                self.bond = Bond::Bonded;
            }
            _ => return Err(format!("nothing that a consumer can be: {words:?}")),
        }
        Ok(())
    }

    fn set(&mut self, members: &str) -> Result<(), String> {
        let (us, other) = ((0, self.key()), (1, provider_key(1)));
        self.record.set = match members {
            "us and others" => vec![us, other],
            "us by our provider key" => vec![(0, provider_key(0)), other],
            "others" => vec![other],
            "empty" => Vec::new(),
            _ => return Err(format!("no set: {members:?}")),
        };
        Ok(())
    }

    fn bar(&mut self, by: &str) -> Result<(), String> {
        self.bar = match by {
            "by allowlist" => Some(Bar::Allowlist),
            "by denylist" => Some(Bar::Denylist),
            "by min stake" => Some(Bar::MinStake),
            "by nothing" => None,
            _ => {
                return Err(format!(
                    "barred by allowlist, denylist, min stake or nothing: {by:?}"
                ));
            }
        };
        self.record.denied = self.bar.is_some().then_some(0).into_iter().collect();
        Ok(())
    }

    /// What a reading at this height shows.
    pub(super) fn reading(&self, height: Height) -> Snapshot {
        // Those that are not bonded are left out of sets like those that are jailed.
        let mut out = self.jailed.clone();
        out.extend((self.bond != Bond::Bonded).then_some(0));
        let standing = Standing {
            bond: self.bond,
            jailed: self.jailed.contains(&0),
            tombstoned: self.tombstoned,
        };
        Snapshot {
            standing: Some(standing),
            barred: self.bar,
            ..snapshot(self.id, &self.record, height, &out, VALIDATORS)
        }
    }
}
