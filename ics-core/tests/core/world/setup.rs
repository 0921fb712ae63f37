//! The policy of the tests: alice is allowed, mallory denied, of all others nothing is said.

use std::collections::BTreeMap;
use std::time::Duration;

use ics_core::genesis;
use ics_core::node::{Moniker, NodeSettings, Program, Resources};
use ics_core::policy::{
    Bounds, GenesisSource, KeySource, Match, OptInFrom, Override, Policy, Rule, Run, Verdict,
};

/// How long before spawn a rule may opt in.
pub(crate) const LEAD: Duration = Duration::from_secs(300);

pub(crate) fn run() -> Run {
    Run {
        program: Program {
            image: "example/consumer:1".into(),
            command: vec!["/consumer-d".into(), "start".into()],
            home: "/data".into(),
        },
        resources: Resources::default(),
        genesis: GenesisSource {
            path: "/files/{consumer_id}.json".into(),
            sha256: None,
            ics_version: None,
        },
        key: KeySource::Fresh,
    }
}

pub(crate) fn rule(owner: &str, verdict: Verdict) -> Rule {
    Rule {
        name: format!("the rule for {owner}"),
        matches: Match {
            owner: Some(owner.into()),
            ..Match::default()
        },
        verdict,
        bounds: Bounds::default(),
        run: Some(run()),
    }
}

pub(crate) fn policy() -> Policy {
    // The digest that every consumer of the fake chain publishes is one that can be read.
    assert!(genesis::published_digest(&[7; 32]).is_some());
    Policy {
        opt_in: OptInFrom::BeforeSpawn(LEAD),
        rules: vec![
            rule("mallory", Verdict::Deny),
            rule("alice", Verdict::Allow),
        ],
        ..Policy::new(NodeSettings::named(Moniker::new("ours").expect("a name")))
    }
}

/// The same rules, with keys of this source.
pub(crate) fn keyed(source: KeySource) -> Policy {
    let mut policy = policy();
    for run in policy.rules.iter_mut().filter_map(|rule| rule.run.as_mut()) {
        run.key = source;
    }
    policy
}

pub(crate) fn denying_alice() -> Policy {
    Policy {
        rules: vec![rule("alice", Verdict::Deny)],
        ..policy()
    }
}

pub(crate) fn ordering(number: u64, order: Override) -> Policy {
    Policy {
        overrides: BTreeMap::from([(super::id(number), order)]),
        ..policy()
    }
}
