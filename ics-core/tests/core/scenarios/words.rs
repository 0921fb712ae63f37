//! Actions in words, and times of day.

use std::time::Duration;

use ics_core::action::{Action, Level, Notice, Query, Tx};
use ics_core::id::ConsumerId;
use ics_core::node::NodeSpec;
use ics_core::time::UnixTime;

use crate::world::chain::local;

/// The day on which all scenarios play.
const DAY: &str = "2027-01-15T";

/// An instant of that day: `10:30:00`.
pub(super) fn instant(text: &str) -> Result<UnixTime, String> {
    let instant = UnixTime::from_rfc3339(&format!("{DAY}{text}Z"));
    instant.ok_or_else(|| format!("no time of day: {text:?}"))
}

/// The time of day of an instant.
fn time_of_day(instant: UnixTime) -> String {
    let text = instant.to_string();
    text.trim_start_matches(DAY).trim_end_matches('Z').into()
}

/// What is shown at these instants; the same thing at equal intervals in one line.
pub(super) fn over_time(shown: &[(UnixTime, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = shown;
    while let Some(((first, text), after)) = rest.split_first() {
        let begin = time_of_day(*first);
        let every = after.first().map(|(second, _)| second.since(*first));
        let every = every.unwrap_or_default();
        let pairs = rest.windows(2).take_while(|pair| {
            let step = pair[1].0.since(pair[0].0);
            pair[1].1 == *text && step == every && !step.is_zero()
        });
        let repeats = pairs.count();
        if repeats > 1 {
            let end = time_of_day(rest[repeats].0);
            lines.push(format!("from {begin} to {end} every {every:?}: {text}"));
            rest = &rest[repeats + 1..];
        } else {
            lines.push(format!("at {begin}: {text}"));
            rest = after;
        }
    }
    lines
}

pub(super) fn consumer_id(text: &str) -> Result<ConsumerId, String> {
    text.parse()
        .map_err(|_| format!("no consumer id: {text:?}"))
}

/// A duration: `90s`, `5m`, `1h`, `20d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("no duration such as 90s, 5m, 1h or 20d: {text:?}");
    let split = text.len().checked_sub(1).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(number * seconds))
}

/// A text without the day, which is always the same.
pub(super) fn short(text: &str) -> String {
    text.replace(DAY, "")
}

/// What an action is called when it is answered.
pub(super) fn name(action: &Action) -> String {
    match action {
        Action::Apply { spec, .. } => format!("apply {}", spec.consumer_id),
        Action::Broadcast { tx, .. } => match tx {
            Tx::AssignKey(key) => format!("assign key {}", key.consumer_id),
            Tx::OptIn { consumer_id, .. } => format!("opt in {consumer_id}"),
            Tx::OptOut(consumer_id) => format!("opt out {consumer_id}"),
        },
        Action::BuildGenesis { consumer_id, .. } => format!("build genesis {consumer_id}"),
        Action::CheckReady { check, .. } => format!("check {}", check.consumer_id),
        Action::Delete { consumer_id, .. } => format!("delete {consumer_id}"),
        Action::ListNodes { .. } => "list nodes".into(),
        Action::Notify(notice) => match notice.consumer_id {
            Some(id) => format!("{} {id}", level(notice)),
            None => level(notice).into(),
        },
        Action::PrepareKey { consumer_id, .. } => format!("prepare key {consumer_id}"),
        Action::Query { query, .. } => match query {
            Query::Candidates { consumer_id, .. } => format!("select {consumer_id}"),
            Query::Consumer { consumer_id, .. } => format!("read {consumer_id}"),
            Query::ConsumerSet { consumer_id, .. } => format!("read set of {consumer_id}"),
            Query::HoldsKey(key, _) => format!("look for the key of {}", key.consumer_id),
            Query::Phases => "scan phases".into(),
        },
        Action::Stop { consumer_id, .. } => format!("stop {consumer_id}"),
    }
}

/// The whole action in words.
pub(super) fn told(action: &Action) -> String {
    let name = name(action);
    match action {
        Action::Apply { spec, .. } => format!("{name}: {}", node(spec)),
        Action::Broadcast { tx, .. } => match tx {
            Tx::OptIn { key: Some(_), .. } => format!("{name}, with a fresh key"),
            Tx::AssignKey(_) | Tx::OptIn { .. } | Tx::OptOut(_) => name,
        },
        Action::BuildGenesis { source, height, .. } => {
            format!("{name}, from {} and block {height}", source.path)
        }
        Action::Notify(notice) => format!("{name}: {}", short(&notice.text)),
        Action::Query { query, .. } => match query {
            Query::Candidates { created, .. } => match created {
                Some(height) => format!("{name}, among the validators of {height}"),
                None => format!("{name}, among the validators of now"),
            },
            Query::Consumer { height, .. } => match height {
                Some(height) => format!("{name} at {height}"),
                None => format!("{name} at the newest block"),
            },
            Query::ConsumerSet { .. } | Query::HoldsKey(..) | Query::Phases => name,
        },
        Action::CheckReady { .. }
        | Action::Delete { .. }
        | Action::ListNodes { .. }
        | Action::PrepareKey { .. }
        | Action::Stop { .. } => name,
    }
}

fn node(spec: &NodeSpec) -> String {
    let signs = match spec.signer.key() {
        Some(key) if key == local().provider_key => "signing with our provider key",
        Some(_) => "signing",
        None => "without a key",
    };
    let peers = spec.persistent_peers.len();
    format!(
        "{}, {signs}, P2P port {}, peers {peers}",
        spec.chain_id.as_str(),
        spec.ports.p2p
    )
}

const fn level(notice: &Notice) -> &'static str {
    match notice.level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}
