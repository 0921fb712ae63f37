//! Rules on consumers whose owners chose every text, punishment and hash.

use std::collections::BTreeSet;

use ics_core::policy::{Decision, Override, Verdict};
use ics_core::time::Height;

use crate::assert_plain;
use crate::draw::Source;

/// Draws a policy and some consumers, and decides about each.
///
/// A decision and its explanation agree, the first rule that matches decides, and what a stranger
/// wrote stays on its line and out of every path.
///
/// # Panics
/// Where that does not hold.
pub fn policy(data: &[u8]) {
    let mut source = Source::new(data);
    let policy = source.policy();
    if let Err(refused) = policy.check() {
        assert_plain(&refused.to_string());
    }
    while !source.is_empty() {
        let id = source.id();
        let snapshot = source.snapshot(id, Height(7));
        let (decision, told) = (policy.decide(&snapshot), policy.explain(&snapshot));
        assert_eq!(told.decision, decision);
        assert_eq!(told.order, policy.overrides.get(&id).copied());
        let matching: Vec<_> = told.rules.iter().filter(|it| it.unmet.is_empty()).collect();
        let deciding: Vec<_> = told.rules.iter().filter(|it| it.decides).collect();
        assert!(deciding.len() <= 1);
        let expected = match (told.order, matching.first()) {
            (Some(Override::OptIn), _) => matches!(decision, Decision::Ordered(_)),
            (Some(Override::OptOut), _) => matches!(decision, Decision::Denied(_)),
            (None, None) => matches!(decision, Decision::Unmentioned(_)),
            (None, Some(first)) => {
                assert_eq!(deciding.first(), Some(first));
                let allows = first.verdict == Verdict::Allow && first.excess.is_none();
                matches!(decision, Decision::Allowed(_)) == allows
            }
        };
        assert!(expected, "{decision:?} by {told:#?}");
        for line in told.to_string().lines() {
            assert_plain(line);
        }
        assert_eq!(told.to_string().lines().count(), told.rules.len() + 2);
        let run = policy.run_for(&snapshot);
        assert_eq!(run.is_some(), matching.iter().any(|it| it.runs));
        if let Some(run) = run {
            // Of the chain's, nothing but the number reaches the path.
            let number = id.to_string();
            let all: BTreeSet<_> = [format!("/files/{number}.json"), number.repeat(2)].into();
            assert!(all.contains(&run.genesis.path), "{:?}", run.genesis.path);
        }
    }
}
