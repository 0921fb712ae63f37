//! Every rule in order, and what became of it for one consumer.

use std::fmt;

use serde::Serialize;

use super::{Decision, Override, Policy, Verdict};
use crate::snapshot::Snapshot;

/// How the policy came to its decision about one consumer.
///
/// Selection and caps are not part of it: they depend on more than the consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The operator's order for it, which stands above all rules.
    pub order: Option<Override>,
    /// All rules, in order.
    pub rules: Vec<Evaluation>,
    /// What follows.
    pub decision: Decision,
    /// The image that is run if it counts on our key; `None`: no rule that matches has a run part.
    pub image: Option<String>,
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// Its name.
    pub rule: String,
    /// What it says of those it matches.
    pub verdict: Verdict,
    /// Why it does not match: each condition that does not hold. Empty: it matches.
    pub unmet: Vec<String>,
    /// Which punishment exceeds its bounds.
    pub excess: Option<String>,
    /// Whether it is the first that matches, and so decides.
    pub decides: bool,
    /// Whether what is run comes from it.
    pub runs: bool,
}

impl Policy {
    /// Explains [`Policy::decide`] and [`Policy::run_for`], rule by rule.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot) -> Explanation {
        let order = self.overrides.get(&snapshot.consumer_id).copied();
        let (mut decided, mut run) = (order.is_some(), None);
        let mut rules = Vec::new();
        for rule in &self.rules {
            let unmet = rule.matches.unmet(snapshot);
            let matches = unmet.is_empty();
            let runs = matches && run.is_none() && rule.run.is_some();
            if runs {
                run = rule.run.as_ref();
            }
            rules.push(Evaluation {
                rule: rule.name.clone(),
                verdict: rule.verdict,
                unmet,
                excess: rule.excess(snapshot).filter(|_| matches),
                decides: matches && !decided,
                runs,
            });
            decided |= matches;
        }
        Explanation {
            order,
            rules,
            decision: self.decide(snapshot),
            image: run.map(|run| run.program.image.clone()),
        }
    }
}

impl fmt::Display for Explanation {
    /// One line for each rule, one for the decision, one for what is run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for evaluation in &self.rules {
            writeln!(f, "{evaluation}")?;
        }
        match &self.decision {
            Decision::Allowed(why) => writeln!(f, "allowed: {why}")?,
            Decision::Denied(why) => writeln!(f, "denied: {why}")?,
            Decision::Ordered(why) => writeln!(f, "ordered: {why}")?,
            Decision::Unmentioned(why) => writeln!(f, "not allowed: {why}")?,
        }
        match &self.image {
            Some(image) => write!(f, "would run: {}", image.escape_debug()),
            None => f.write_str("would run: nothing, for no rule that matches has a run part"),
        }
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        };
        write!(f, "{} ({verdict}): ", self.rule.escape_debug())?;
        if !self.unmet.is_empty() {
            return write!(f, "does not match: {}", self.unmet.join("; "));
        }
        f.write_str(if self.decides {
            "matches and decides"
        } else {
            "matches, but does not decide"
        })?;
        if let Some(excess) = &self.excess {
            write!(f, "; {excess}")?;
        }
        if self.runs {
            f.write_str("; says what to run")?;
        }
        Ok(())
    }
}
