//! Faults between the monitor and the provider's node, as chance has it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ics_fixtures::node::{Asked, Fault, Faults};
use serde_json::{Value, json};

use crate::counts::Counts;
use crate::dice::Dice;
use crate::kill::Kill;
use crate::story::Story;

/// How a lie is noted.
pub(crate) const LIE: &str = "a lie";

/// How many answers to each question are remembered.
const REMEMBERED: usize = 20;

/// Decides about each call.
pub(crate) struct Network {
    dice: Dice,
    /// How often a call has a fault, in a thousand.
    rate: u64,
    lies: bool,
    on: AtomicBool,
    /// Whether the node is away: it refuses everything.
    away: AtomicBool,
    kill: Arc<Kill>,
    counts: Arc<Counts>,
    past: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    pub(crate) fn new(seed: u64, story: &Story, kill: Arc<Kill>, counts: Arc<Counts>) -> Self {
        Self {
            dice: Dice::new(!seed),
            rate: story.rate,
            lies: story.lies,
            on: AtomicBool::new(true),
            away: AtomicBool::new(false),
            kill,
            counts,
            past: Arc::default(),
        }
    }

    /// From now on everything is answered truly.
    pub(crate) fn heal(&self) {
        self.on.store(false, Ordering::Relaxed);
        self.away.store(false, Ordering::Relaxed);
    }

    /// Takes the node away, or brings it back.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// Remembers the true answer to a question, to give it again when it is no longer true.
    fn remember(&self, question: String) -> Fault {
        let past = Arc::clone(&self.past);
        Fault::Change(Arc::new(move |answer| {
            let mut past = past.lock().expect("no panic holds it");
            let answers = past.entry(question.clone()).or_default();
            if answers.len() < REMEMBERED {
                answers.push(answer.clone());
            }
        }))
    }

    /// An answer to the same question from before.
    fn repeat(&self, question: &str) -> Option<Value> {
        let past = self.past.lock().expect("no panic holds it");
        let answers = past.get(question)?;
        let which = self.dice.roll(answers.len() as u64);
        answers.get(usize::try_from(which).ok()?).cloned()
    }

    fn lie(&self, question: &str) -> Fault {
        match self.dice.roll(5) {
            0 => Fault::Say(json!({"nonsense": [1, null, "\u{202e}"]})),
            1 => Fault::Change(Arc::new(|answer| shift(answer, "height"))),
            2 => Fault::Change(Arc::new(|answer| {
                if let Some(value) = answer.pointer_mut("/response/value") {
                    *value = Value::Null;
                }
            })),
            3 => Fault::Change(Arc::new(garble)),
            _ => match self.repeat(question) {
                Some(old) => {
                    self.counts.note("an answer of before");
                    Fault::Say(old)
                }
                None => Fault::None,
            },
        }
    }
}

impl Faults for Network {
    fn on(&self, asked: &Asked<'_>) -> Fault {
        if self.away.load(Ordering::Relaxed) {
            self.counts.note("a call to a node that is away");
            return Fault::Refuse;
        }
        let sends = asked.method == "broadcast_tx_sync";
        if sends && self.kill.strikes_at_broadcast() {
            self.counts.note("a death at a broadcast");
            // Handed in or not: the monitor never learns.
            return if self.dice.happens(500) {
                Fault::Lose
            } else {
                Fault::Refuse
            };
        }
        if !self.on.load(Ordering::Relaxed) {
            return Fault::None;
        }
        let path = asked.params.get("path").and_then(Value::as_str);
        if sends {
            self.counts.note("(a transaction)");
        }
        let question = format!("{} {}", asked.method, path.unwrap_or_default());
        if !self.dice.happens(self.rate) {
            return if self.dice.happens(100) {
                self.remember(question)
            } else {
                Fault::None
            };
        }
        let (kind, fault) = match self.dice.roll(if sends || !self.lies { 4 } else { 6 }) {
            0 => ("a call that never arrived", Fault::Refuse),
            1 => ("an answer that got lost", Fault::Lose),
            2 => (
                "a call that failed",
                Fault::Fail("a fault of the test".into()),
            ),
            3 => ("a late answer", Fault::Delay(self.dice.millis(20, 900))),
            _ => (LIE, self.lie(&question)),
        };
        self.counts.note(kind);
        fault
    }
}

/// Makes numbers of this name a little wrong, wherever they are.
fn shift(value: &mut Value, name: &str) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|it| shift(it, name)),
        Value::Object(all) => {
            for (key, value) in all {
                match value.as_str().and_then(|text| text.parse::<u64>().ok()) {
                    Some(number) if key.ends_with(name) => {
                        *value = Value::String(number.saturating_sub(2).to_string());
                    }
                    _ => shift(value, name),
                }
            }
        }
        _ => {}
    }
}

/// Cuts the last part of an answer's bytes off.
fn garble(answer: &mut Value) {
    if let Some(Value::String(text)) = answer.pointer_mut("/response/value") {
        let keep = text.len() / 8 * 4;
        text.truncate(keep);
    }
}

/// How long a node that is started anew is away.
pub(crate) fn restart(dice: &Dice) -> Duration {
    dice.millis(100, 700)
}
