//! Outcomes from the words of a scenario.

use ics_core::action::Outcome;
use ics_core::artifact::{ArtifactRef, Digest};
use ics_core::failure::Failure;
use ics_core::genesis::{Expectation, Standing, Trust};
use ics_core::policy::GenesisSource;
use ics_core::select::Candidate;
use ics_core::time::Height;

use crate::world::chain::operator;

/// `fails, ..`: it may be tried again; `refused, ..`: for good; `lost, ..`: it may have happened.
pub(super) fn failure(result: &str) -> Option<Failure> {
    let (how, why) = result.split_once(", ")?;
    match how {
        "fails" => Some(Failure::transient(why)),
        "refused" => Some(Failure::permanent(why)),
        "lost" => Some(Failure::unknown(why)),
        _ => None,
    }
}

/// A genesis that is the same for the same source and consumer.
pub(super) fn genesis(
    source: &GenesisSource,
    expect: &Expectation,
    height: Height,
    standing: Standing,
) -> Outcome {
    let text = format!("{source:?} {expect:?}");
    Outcome::Genesis {
        artifact: ArtifactRef {
            digest: Digest::of(text.as_bytes()),
            len: 1,
        },
        trust: Trust::Proved(height),
        standing,
    }
}

/// All bonded validators, of which we are selected or not.
pub(super) fn candidates(result: &str, height: Height, exact: bool) -> Option<Outcome> {
    let tokens = match result {
        "selected" => [40, 30, 30],
        "not selected" => [1, 70, 29],
        _ => return None,
    };
    let candidates = (0..).zip(tokens).map(|(index, tokens)| Candidate {
        operator: operator(index),
        tokens,
    });
    Some(Outcome::Candidates {
        candidates: candidates.collect(),
        height,
        exact,
    })
}
