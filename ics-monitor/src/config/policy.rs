//! `[policy]`: who takes part when.

use std::time::Duration;

use ics_core::policy::{Caps, OptInFrom};
use ics_core::select::Share;
use serde::Deserialize;

use super::{ConfigError, duration};

/// `[policy]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFile {
    /// `66` (percent), `66.5%`, `0.66` or `2/3`.
    pub share: Option<String>,
    /// From when on a rule may opt in.
    pub opt_in: OptInFile,
    /// How long before spawn a rule may opt in, such as `1h`.
    #[serde(deserialize_with = "duration")]
    pub opt_in_lead: Option<Duration>,
    /// How many consumers are run and opted in to, together, before rules opt in to no more.
    pub max_consumers: Option<u32>,
    /// How many are opted in to and not launched, before rules opt in to no more.
    pub max_awaiting: Option<u32>,
}

/// From when on a rule may opt in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptInFile {
    /// `opt_in_lead` before spawn.
    #[default]
    BeforeSpawn,
    /// As soon as a rule allows it.
    Registered,
}

impl PolicyFile {
    pub(super) fn share(&self) -> Result<Share, ConfigError> {
        match self.share.as_deref() {
            None => Ok(Share::PUBLISHED),
            Some(text) => Share::parse(text).ok_or_else(|| {
                ConfigError::new(format!(
                    "policy.share: {text:?} is no share; write it like \"66\" or \"66.5%\", both \
                     percent, \"0.66\" or \"2/3\""
                ))
            }),
        }
    }

    pub(super) fn opt_in(&self) -> Result<OptInFrom, ConfigError> {
        match (self.opt_in, self.opt_in_lead) {
            (OptInFile::BeforeSpawn, None) => Ok(OptInFrom::DEFAULT),
            (OptInFile::BeforeSpawn, Some(lead)) => Ok(OptInFrom::BeforeSpawn(lead)),
            (OptInFile::Registered, None) => Ok(OptInFrom::Registered),
            (OptInFile::Registered, Some(_)) => Err(ConfigError::new(
                "policy.opt_in_lead: with opt_in = \"registered\" nothing waits for spawn; keep \
                 one of them",
            )),
        }
    }

    pub(super) fn caps(&self) -> Result<Caps, ConfigError> {
        let (consumers, awaiting) = (self.max_consumers, self.max_awaiting);
        let zero = |key: &str| {
            ConfigError::new(format!(
                "policy.{key} is 0: rules could opt in to nothing; leave it out for no limit, or \
                 remove the allow rules"
            ))
        };
        match (consumers, awaiting) {
            (Some(0), _) => Err(zero("max_consumers")),
            (_, Some(0)) => Err(zero("max_awaiting")),
            _ => Ok(Caps {
                consumers,
                awaiting,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ics_core::policy::Policy;

    use super::super::File;
    use super::*;

    fn policy(text: &str) -> Result<Policy, ConfigError> {
        let file: File = toml::from_str(text).map_err(|e| ConfigError::new(e.message()))?;
        file.policy("a", "cosmos")
    }

    fn refused(text: &str) -> String {
        policy(text).expect_err(text).to_string()
    }

    #[test]
    fn a_share_is_exact_or_refused() {
        let share = policy("[policy]\nshare = \"66.67%\"\n").map(|p| p.share);
        assert_eq!(share.ok(), Share::new(6667, 10_000));
        assert!(refused("[policy]\nshare = \"1.5\"\n").contains("policy.share"));
    }

    #[test]
    fn rules_may_opt_in_from_registration_on() {
        let registered = policy("[policy]\nopt_in = \"registered\"\n").map(|p| p.opt_in);
        assert_eq!(registered, Ok(OptInFrom::Registered));
        let spawn = "opt_in = \"before-spawn\"\nopt_in_lead = \"2h\"\n";
        let lead = Duration::from_secs(7200);
        let found = policy(&format!("[policy]\n{spawn}")).map(|p| p.opt_in);
        assert_eq!(found, Ok(OptInFrom::BeforeSpawn(lead)));
        let both = "[policy]\nopt_in = \"registered\"\nopt_in_lead = \"2h\"\n";
        assert!(refused(both).contains("policy.opt_in_lead"));
        assert!(refused("[policy]\nopt_in = \"launched\"\n").contains("launched"));
    }

    #[test]
    fn caps_are_numbers_from_one_upwards() {
        let caps = policy("[policy]\nmax_consumers = 9\nmax_awaiting = 3\n").map(|p| p.caps);
        let (consumers, awaiting) = (Some(9), Some(3));
        assert_eq!(
            caps,
            Ok(Caps {
                consumers,
                awaiting
            })
        );
        for key in ["max_consumers", "max_awaiting"] {
            let error = refused(&format!("[policy]\n{key} = 0\n"));
            assert!(error.contains(&format!("policy.{key}")), "{error}");
            refused(&format!("[policy]\n{key} = -1\n"));
        }
    }

    #[test]
    fn what_the_core_refuses_of_a_policy_is_refused_with_its_place() {
        let error = refused("[schedule]\nsync = \"0s\"\n");
        assert!(error.starts_with("schedule.sync"), "{error}");
        let error = refused("[[rules]]\nname = \"wide\"\nverdict = \"allow\"\n");
        assert!(error.starts_with("rules, \"wide\": "), "{error}");
    }
}
