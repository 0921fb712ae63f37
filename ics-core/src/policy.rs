//! Whom the operator allows to use this validator, and what to run for them.
//!
//! One ordered list of rules; the first that matches decides. Anyone can create a consumer and its
//! owner decides what its validators are slashed for, so nothing is allowed that no rule allows.

mod bounds;
mod explain;
mod matching;
mod pattern;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::artifact::Digest;
use crate::genesis::IcsVersion;
use crate::id::ConsumerId;
use crate::key::PublicKey;
use crate::node::{NodeSettings, Program, Resources};
use crate::schedule::{Schedule, ScheduleError};
use crate::select::Share;
use crate::snapshot::{Decimal, Snapshot};

pub use bounds::{Bounds, PunishmentBounds};
pub use explain::{Evaluation, Explanation};
pub use matching::{ChainKind, Match};
pub use pattern::{ChainIdPattern, PatternError};

/// All that the operator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The share of the provider's tokens that takes part in each consumer.
    pub share: Share,
    /// From when on a rule may opt in.
    pub opt_in: OptInFrom,
    /// How many consumers rules may opt in to.
    pub caps: Caps,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// What the operator ordered for single consumers; stands above all rules.
    pub overrides: BTreeMap<ConsumerId, Override>,
    /// Settings of every node.
    pub node: NodeSettings,
    /// How often things are done again.
    pub schedule: Schedule,
}

/// From when on a rule may opt in. An opt-in cannot be taken back before launch, and until then
/// the owner may change everything about the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptInFrom {
    /// At most this long before spawn, once everything is ready.
    BeforeSpawn(Duration),
    /// As soon as a rule allows it, in REGISTERED already, where nothing can be checked yet.
    Registered,
}

impl OptInFrom {
    /// One hour before spawn.
    pub const DEFAULT: Self = Self::BeforeSpawn(Duration::from_secs(3600));
}

/// How many consumers rules may opt in to; `None`: any number.
///
/// Those that the operator ordered and those that the chain forces on us (top N, our key in the
/// set) are counted too, but never held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// How many we run and will run: those opted in to and not launched are counted, because they
    /// can launch at any time and can no longer be refused then.
    pub consumers: Option<u32>,
    /// How many of them may be opted in to and not launched.
    pub awaiting: Option<u32>,
}

impl Caps {
    /// The cap that is reached by this many others, in words.
    pub(crate) fn full(&self, awaiting: usize, running: usize) -> Option<String> {
        let reached = |cap: &u32, taken: usize| usize::try_from(*cap).is_ok_and(|cap| taken >= cap);
        if let Some(cap) = self.awaiting.filter(|cap| reached(cap, awaiting)) {
            return Some(format!(
                "by max_awaiting = {cap}: {awaiting} are opted in to and not launched"
            ));
        }
        let cap = self
            .consumers
            .filter(|cap| reached(cap, awaiting + running))?;
        Some(format!(
            "by max_consumers = {cap}: {running} are run, {awaiting} opted in to and not launched"
        ))
    }
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
    /// How hard they may punish, if it allows them.
    pub bounds: Bounds,
    /// What to run for them.
    pub run: Option<Run>,
}

/// What a rule says of the consumers it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Take part if selected.
    Allow,
    /// Do not take part.
    Deny,
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
///
/// It says which key is assigned where none is; one that is assigned already is never overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A new key, made for this consumer alone.
    #[default]
    Fresh,
    /// The key that the operator imported last into the store for this consumer; none is ever made.
    Imported,
    /// The validator's key on the provider, of which the store holds a copy for this consumer: none
    /// is assigned. Where that would sign on two chains of one chain id, a new key is.
    Provider,
    /// A key that only a remote signer holds, for one consumer alone; the store knows nothing of it.
    /// The validator's key on the provider may be one, and is then not assigned.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Take part if selected: why.
    Allowed(String),
    /// Ordered by the operator for this consumer: take part at once.
    Ordered(String),
    /// Do not take part: why.
    Denied(String),
    /// No rule says anything: do not take part, but do not leave either.
    Unmentioned(String),
}

/// A policy that contradicts itself or leaves out what it must say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// An allow rule that says neither whom it allows nor that it allows everyone.
    #[error(
        "{0:?}: an allow rule must match a consumer_id or an owner, because anyone can create a \
         consumer; any_owner = true allows them all"
    )]
    AllowsAnyone(String),
    /// A rule that names someone and says that anyone will do.
    #[error("{0:?}: any_owner stands beside consumer_id or owner; keep one of them")]
    AnyoneAndSomeone(String),
    /// A deny rule with bounds.
    #[error("{0:?}: a deny rule has no bounds; they say what an allow rule accepts")]
    BoundsOfDeny(String),
    /// A bound on a slash fraction above 1.
    #[error("{0:?}: the bound on a slash fraction is {1}; nothing can lose more than 1")]
    BoundTooLarge(String, Decimal),
    /// A rule with a remote signer for consumers that it does not name.
    #[error("{0:?}: a remote signer's key serves one consumer: say which with match.consumer_id")]
    RemoteForMany(String),
    /// One remote key, or the port of one remote signer, for two consumers.
    #[error(
        "{0:?}: another rule gives this remote signer's key or port to another consumer: each \
         consumer needs a key and a port of its own"
    )]
    RemoteTwice(String),
    /// An interval that cannot be.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl Policy {
    /// A policy that allows nothing, with the published share and the default schedule.
    #[must_use]
    pub const fn new(node: NodeSettings) -> Self {
        Self {
            share: Share::PUBLISHED,
            opt_in: OptInFrom::DEFAULT,
            caps: Caps {
                consumers: None,
                awaiting: None,
            },
            rules: Vec::new(),
            overrides: BTreeMap::new(),
            node,
            schedule: Schedule::DEFAULT,
        }
    }

    /// Checks what no single field can show. To be called wherever a policy comes from people.
    ///
    /// # Errors
    /// Names the rule or the interval, and the cure.
    pub fn check(&self) -> Result<(), PolicyError> {
        self.schedule.check()?;
        self.rules.iter().try_for_each(Rule::check)?;
        self.check_remote_signers()
    }

    /// A key that signs for two consumers may sign twice, if they have one chain id.
    fn check_remote_signers(&self) -> Result<(), PolicyError> {
        let mut seen: Vec<(ConsumerId, PublicKey, u16)> = Vec::new();
        for rule in &self.rules {
            let source = rule.run.as_ref().map(|run| run.key);
            let Some(KeySource::Remote { public_key, port }) = source else {
                continue;
            };
            let Some(id) = rule.matches.consumer_id else {
                return Err(PolicyError::RemoteForMany(rule.name.clone()));
            };
            let clashes = |(other, other_key, other_port): &(ConsumerId, PublicKey, u16)| {
                *other != id && (*other_key == public_key || *other_port == port)
            };
            if seen.iter().any(clashes) {
                return Err(PolicyError::RemoteTwice(rule.name.clone()));
            }
            seen.push((id, public_key, port));
        }
        Ok(())
    }

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
            Verdict::Allow => match rule.excess(snapshot) {
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

impl Rule {
    fn check(&self) -> Result<(), PolicyError> {
        let name = || self.name.clone();
        let matches = &self.matches;
        if matches.any_owner && matches.names_someone() {
            return Err(PolicyError::AnyoneAndSomeone(name()));
        }
        let allows = self.verdict == Verdict::Allow;
        if allows && !matches.any_owner && !matches.names_someone() {
            return Err(PolicyError::AllowsAnyone(name()));
        }
        if !allows && self.bounds != Bounds::default() {
            return Err(PolicyError::BoundsOfDeny(name()));
        }
        let slashes = [self.bounds.double_sign.slash, self.bounds.downtime.slash];
        match slashes
            .into_iter()
            .flatten()
            .find(|slash| *slash > Decimal::ONE)
        {
            Some(slash) => Err(PolicyError::BoundTooLarge(name(), slash)),
            None => Ok(()),
        }
    }

    /// Which punishment of a consumer is harder than this rule allows.
    fn excess(&self, snapshot: &Snapshot) -> Option<String> {
        let bounds = || {
            self.bounds
                .excess(&snapshot.infraction, &snapshot.provider_infraction)
        };
        (self.verdict == Verdict::Allow).then(bounds).flatten()
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
