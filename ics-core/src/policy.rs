//! Whom the operator allows to use this validator, and what to run for them.
//!
//! One ordered list of rules; the first that matches decides. Anyone can create a consumer and its
//! owner decides what its validators are slashed for, so nothing is allowed that no rule allows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::artifact::Digest;
use crate::genesis::{self, IcsVersion};
use crate::id::ConsumerId;
use crate::key::PublicKey;
use crate::node::{NodeSettings, Program, Resources};
use crate::select::Share;
use crate::snapshot::{Infraction, Snapshot};

/// All that the operator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The share of the provider's tokens that takes part in each consumer.
    pub share: Share,
    /// How long before spawn a rule may opt in.
    pub opt_in_lead: Duration,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// What the operator ordered for single consumers; stands above all rules.
    pub overrides: BTreeMap<ConsumerId, Override>,
    /// Settings of every node.
    pub node: NodeSettings,
}

/// What the operator ordered for one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Override {
    /// Take part, whatever rules and selection say.
    OptIn,
    /// Do not take part, whatever rules say.
    OptOut,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What people call it; appears in every explanation.
    pub name: String,
    /// Which consumers it is about.
    pub matches: Match,
    /// What it says of them.
    pub verdict: Verdict,
    /// What to run for them.
    pub run: Option<Run>,
}

/// What a rule says of the consumers it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take part if selected.
    Allow,
    /// Do not take part.
    Deny,
}

/// Which consumers a rule is about: all conditions given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Exactly this consumer.
    pub consumer_id: Option<ConsumerId>,
    /// Owned by this account, in bech32.
    pub owner: Option<String>,
    /// With this `genesis_hash` on chain.
    pub genesis_hash: Option<Digest>,
    /// With this `binary_hash` on chain.
    pub binary_hash: Option<Digest>,
}

/// What to run for a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The program.
    pub program: Program,
    /// What it may use.
    pub resources: Resources,
    /// Where the pre-CCV genesis comes from.
    pub genesis: GenesisSource,
    /// Where the consensus key comes from.
    pub key: KeySource,
}

/// Where the consensus key of a consumer comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A new key, made for this consumer alone.
    #[default]
    Fresh,
    /// A key that the operator put into the store for this consumer; none is ever made.
    Imported,
    /// The validator's key on the provider, of which the store holds a copy for this consumer.
    Provider,
    /// A key that only a remote signer holds.
    Remote {
        /// The key.
        public_key: PublicKey,
        /// Where the node waits for the signer.
        port: u16,
    },
}

/// Where a pre-CCV genesis comes from, and how it is known to be the right one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GenesisSource {
    /// The path of the file; the operator's word. `{consumer_id}` in it stands for the number.
    pub path: String,
    /// Its SHA-256; `None`: that in the consumer's `genesis_hash`.
    pub sha256: Option<Digest>,
    /// For which version of Interchain Security the launch genesis is written; `None`: the
    /// provider's.
    pub ics_version: Option<IcsVersion>,
}

/// What the policy says of one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take part: why, and whether selection is skipped.
    Allowed(String),
    /// Ordered by the operator for this consumer: take part at once.
    Ordered(String),
    /// Do not take part: why.
    Denied(String),
    /// No rule says anything: do not take part, but do not leave either.
    Unmentioned(String),
}

impl Match {
    fn holds(&self, snapshot: &Snapshot) -> bool {
        let hash = |wanted: Option<Digest>, found: &[u8]| {
            wanted.is_none_or(|wanted| genesis::published_digest(found) == Some(wanted))
        };
        self.consumer_id.is_none_or(|id| id == snapshot.consumer_id)
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| *owner == snapshot.owner)
            && hash(self.genesis_hash, &snapshot.genesis_hash)
            && hash(self.binary_hash, &snapshot.binary_hash)
    }
}

impl Policy {
    /// Decides about one consumer, in words that name the rule.
    #[must_use]
    pub fn decide(&self, snapshot: &Snapshot) -> Decision {
        match self.overrides.get(&snapshot.consumer_id) {
            Some(Override::OptIn) => {
                return Decision::Ordered("the operator ordered opt-in".into());
            }
            Some(Override::OptOut) => {
                return Decision::Denied("the operator ordered opt-out".into());
            }
            None => {}
        }
        let Some(rule) = self.rules.iter().find(|rule| rule.matches.holds(snapshot)) else {
            return Decision::Unmentioned("no rule matches".into());
        };
        match rule.verdict {
            Verdict::Deny => Decision::Denied(format!("{} denies it", rule.name)),
            Verdict::Allow => match excess(&snapshot.infraction, &snapshot.provider_infraction) {
                None => Decision::Allowed(format!("{} allows it", rule.name)),
                Some(excess) => Decision::Denied(format!("{} allows it, but {excess}", rule.name)),
            },
        }
    }

    /// What to run for a consumer: the first matching rule that says so, even a denying one.
    #[must_use]
    pub fn run_for(&self, snapshot: &Snapshot) -> Option<Run> {
        let matching = self
            .rules
            .iter()
            .filter(|rule| rule.matches.holds(snapshot));
        let run = matching.filter_map(|rule| rule.run.clone()).next()?;
        Some(Run {
            genesis: run.genesis.of_consumer(snapshot.consumer_id),
            ..run
        })
    }
}

impl GenesisSource {
    /// The source for one consumer: `{consumer_id}` in the path becomes its number.
    fn of_consumer(self, id: ConsumerId) -> Self {
        Self {
            path: self.path.replace("{consumer_id}", &id.to_string()),
            ..self
        }
    }
}

/// Names the first punishment that is harder than the provider's own.
fn excess(asked: &Infraction, bounds: &Infraction) -> Option<String> {
    let pairs = [
        (
            "double-sign",
            asked.double_sign.slash,
            bounds.double_sign.slash,
        ),
        ("downtime", asked.downtime.slash, bounds.downtime.slash),
    ];
    pairs
        .into_iter()
        .find(|(_, asked, bound)| asked > bound)
        .map(|(name, asked, bound)| {
            format!("its {name} slash fraction {asked} exceeds the provider's own, {bound}")
        })
}
