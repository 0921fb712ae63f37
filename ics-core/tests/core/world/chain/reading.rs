//! What a node of the chain answers: what it was at the last heights.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ics_core::id::{ChainId, ConsumerId};
use ics_core::peers::Published;
use ics_core::phase::Phase;
use ics_core::select::Candidate;
use ics_core::snapshot::{
    Bar, Bond, ConsumerValidator, Decimal, Infraction, InitialHeight, Punishment, Snapshot,
    Standing,
};
use ics_core::time::Height;

use super::{Chain, Index, Moment, Record, operator, provider_key};

impl Chain {
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(index, tokens): (Index, &u128)| Candidate {
            operator: operator(index),
            tokens: *tokens,
        };
        self.tokens.iter().enumerate().map(candidate).collect()
    }

    pub(crate) fn phases(&self) -> BTreeMap<ConsumerId, Phase> {
        let phases = self.consumers.iter();
        phases.map(|(id, record)| (*id, record.phase)).collect()
    }

    /// The record at a height; an error where the node does not have that height.
    pub(crate) fn record(&self, id: ConsumerId, height: Height) -> Result<Option<&Record>, String> {
        Ok(self.moment(height)?.consumers.get(&id).map(Rc::as_ref))
    }

    fn moment(&self, height: Height) -> Result<&Moment, String> {
        let kept = self.history.iter().find(|moment| moment.height == height);
        kept.ok_or_else(|| format!("height {height} is not ready"))
    }

    /// What it was at this height and at each after it.
    pub(crate) fn since(&self, height: Height) -> impl Iterator<Item = impl std::fmt::Debug> {
        let kept = self.history.iter();
        kept.filter(move |moment| moment.height >= height)
    }

    /// What a reading of the record at this height shows.
    pub(crate) fn snapshot(
        &self,
        id: ConsumerId,
        height: Height,
    ) -> Result<Option<Snapshot>, String> {
        let count = self.tokens.len();
        let moment = self.moment(height)?;
        let record = moment.consumers.get(&id);
        Ok(record.map(|record| {
            let mut shown = snapshot(id, record, height, &moment.idle, count);
            if let Some(standing) = &mut shown.standing {
                standing.jailed = moment.jailed.contains(&0);
            }
            shown
        }))
    }
}

/// What a reading of this record shows, where these of `count` validators are jailed.
pub(crate) fn snapshot(
    id: ConsumerId,
    record: &Record,
    height: Height,
    out: &BTreeSet<Index>,
    count: usize,
) -> Snapshot {
    let jailed = out.contains(&0);
    let standing = Standing {
        bond: if jailed {
            Bond::Unbonding
        } else {
            Bond::Bonded
        },
        jailed,
        tombstoned: false,
    };
    let set = match record.phase {
        Phase::Registered | Phase::Initialized => record.next_set(count, out),
        Phase::Launched => record.set.clone(),
        Phase::Stopped | Phase::Deleted => Vec::new(),
    };
    let chain_id = ChainId::new(record.chain_id.clone()).expect("a chain id");
    let validators = set.into_iter().map(|(index, key)| ConsumerValidator {
        provider_address: provider_key(index).address(),
        operator: operator(index),
        consumer_key: key,
        power: 1,
        active: !record.inactive.contains(&index),
        moniker: format!("validator {index}"),
        published: match record.details {
            Some(details) => Published::read(details, "same", &chain_id),
            None => {
                let details = format!("p2p={index:040}@node{index}.example");
                Published::read(&details, "", &chain_id)
            }
        },
    });
    let punishment = |slash| Punishment {
        slash,
        ..Punishment::default()
    };
    let provider = Decimal::parse("0.01").expect("a decimal");
    Snapshot {
        height,
        consumer_id: id,
        chain_id: chain_id.clone(),
        phase: record.phase,
        owner: record.owner.clone(),
        spawn_time: record.spawn,
        initial_height: InitialHeight {
            revision: 1,
            height: 1,
        },
        genesis_hash: vec![7; 32],
        binary_hash: Vec::new(),
        unbonding_period: record.unbonding,
        trusting_period_fraction: Decimal::parse("0.66").expect("a decimal"),
        connection_id: record.connection_id.clone(),
        top_n: record.top_n,
        infraction: Infraction {
            double_sign: punishment(Decimal::default()),
            downtime: punishment(record.downtime_slash),
        },
        provider_infraction: Infraction {
            double_sign: punishment(provider),
            downtime: punishment(provider),
        },
        // The genesis of a changeover holds no client, whose height would tell.
        launched_at: record.launched.filter(|_| record.connection_id.is_empty()),
        removal_time: record.removal,
        standing: Some(standing),
        barred: record.denied.contains(&0).then_some(Bar::Denylist),
        opted_in: record.opted_in.contains(&0),
        assigned_key: record.assigned.get(&0).copied(),
        validators: validators.collect::<Vec<_>>().into(),
        newer_provider: record.newer_provider,
    }
}
