//! Policies in words.

use ics_core::node::{Moniker, NodeSettings};
use ics_core::policy::{KeySource, OptInFrom, Override, Policy, Verdict};

use super::words::{consumer_id, duration};
use crate::world::setup::rule;

/// Reads a whole policy: clauses separated by commas, rules in their order.
pub(super) fn policy(text: &str) -> Result<Policy, String> {
    let moniker = Moniker::new("ours").map_err(|error| error.to_string())?;
    let mut policy = Policy::new(NodeSettings::named(moniker));
    for clause in text.split(", ") {
        read(&mut policy, clause)?;
    }
    policy.check().map_err(|error| error.to_string())?;
    Ok(policy)
}

fn read(policy: &mut Policy, clause: &str) -> Result<(), String> {
    let wrong = || format!("nothing that a policy can say: {clause:?}");
    let (verb, rest) = clause.split_once(' ').unwrap_or((clause, ""));
    match verb {
        "nothing" => {}
        "allow" => policy.rules.push(rule(rest, Verdict::Allow)),
        "deny" => policy.rules.push(rule(rest, Verdict::Deny)),
        "at" => {
            let (most, what) = rest
                .strip_prefix("most ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or_else(wrong)?;
            let most = Some(most.parse().map_err(|_| wrong())?);
            match what {
                "awaiting" => policy.caps.awaiting = most,
                "consumers" => policy.caps.consumers = most,
                _ => return Err(wrong()),
            }
        }
        "genesis" => {
            let runs = policy.rules.iter_mut().filter_map(|rule| rule.run.as_mut());
            for run in runs {
                run.genesis.path = rest.into();
            }
        }
        "key" if rest == "provider" => {
            let runs = policy.rules.iter_mut().filter_map(|rule| rule.run.as_mut());
            for run in runs {
                run.key = KeySource::Provider;
            }
        }
        "opt" => {
            policy.opt_in = match rest.strip_suffix(" before spawn") {
                Some(lead) => OptInFrom::BeforeSpawn(duration(lead.trim_start_matches("in "))?),
                None if rest == "in at registration" => OptInFrom::Registered,
                None => return Err(wrong()),
            };
        }
        "order" => {
            let (order, id) = rest.rsplit_once(' ').ok_or_else(wrong)?;
            let order = match order {
                "opt-in" => Override::OptIn,
                "opt-out" => Override::OptOut,
                _ => return Err(wrong()),
            };
            policy.overrides.insert(consumer_id(id)?, order);
        }
        "run" => {
            // A deny rule that only says what to run.
            policy
                .rules
                .push(rule(rest.trim_start_matches("for "), Verdict::Deny));
        }
        _ => return Err(wrong()),
    }
    Ok(())
}
