//! `[schedule]`: how often things are done again.

use std::time::Duration;

use ics_core::schedule::Schedule;
use serde::Deserialize;

use super::duration;

/// `[schedule]`: each a duration such as `30s`; what is not set keeps its default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleFile {
    #[serde(deserialize_with = "duration")]
    sync: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    nodes: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    refresh: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    survey: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    silence: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    countdown: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    countdown_from: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    poll_fast: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    poll_fast_until: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    poll_medium: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    poll_medium_until: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    poll_slow: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    ready: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    not_ready: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    leaving: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    retry_first: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    retry_most: Option<Duration>,
}

impl ScheduleFile {
    pub(super) fn complete(&self) -> Schedule {
        let default = Schedule::DEFAULT;
        Schedule {
            sync: self.sync.unwrap_or(default.sync),
            nodes: self.nodes.unwrap_or(default.nodes),
            refresh: self.refresh.unwrap_or(default.refresh),
            survey: self.survey.unwrap_or(default.survey),
            silence: self.silence.unwrap_or(default.silence),
            countdown: self.countdown.unwrap_or(default.countdown),
            countdown_from: self.countdown_from.unwrap_or(default.countdown_from),
            poll_fast: self.poll_fast.unwrap_or(default.poll_fast),
            poll_fast_until: self.poll_fast_until.unwrap_or(default.poll_fast_until),
            poll_medium: self.poll_medium.unwrap_or(default.poll_medium),
            poll_medium_until: self.poll_medium_until.unwrap_or(default.poll_medium_until),
            poll_slow: self.poll_slow.unwrap_or(default.poll_slow),
            ready: self.ready.unwrap_or(default.ready),
            not_ready: self.not_ready.unwrap_or(default.not_ready),
            leaving: self.leaving.unwrap_or(default.leaving),
            retry_first: self.retry_first.unwrap_or(default.retry_first),
            retry_most: self.retry_most.unwrap_or(default.retry_most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table `[schedule]` of the README.
    fn example() -> toml::Table {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once("[schedule]\n").expect("an example");
        let (example, _) = rest.split_once("```").expect("its end");
        toml::from_str(example).expect("TOML")
    }

    #[test]
    fn the_readme_shows_every_interval_with_its_default() {
        let file: ScheduleFile = example().try_into().expect("a schedule");
        assert_eq!(file.complete(), Schedule::DEFAULT);
        // Each of them is read: another value gives another schedule.
        let all = example();
        assert_eq!(all.len(), 17);
        for key in all.keys() {
            let mut changed = all.clone();
            changed[key] = "77s".into();
            let file: ScheduleFile = changed.try_into().expect("a schedule");
            assert_ne!(file.complete(), Schedule::DEFAULT, "{key}");
        }
    }

    #[test]
    fn an_interval_that_does_not_exist_is_an_error() {
        let wrong = toml::from_str::<ScheduleFile>("scan = \"30s\"\n");
        assert!(wrong.expect_err("no key").message().contains("scan"));
    }
}
