//! The lines of a script: who does what, what is waited for, what is looked at.

use std::collections::BTreeMap;

use ics_core::phase::Phase;

/// A script, each line with its number and its text.
pub(crate) struct Script {
    pub(crate) lines: Vec<Numbered>,
}

/// A line and where it stands.
pub(crate) struct Numbered {
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) line: Line,
    /// Whether it stands under an `epoch` or a spawn time, before whose end it must be done.
    pub(crate) hurried: bool,
}

/// What a message sets, by name.
pub(crate) type Settings = BTreeMap<String, String>;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Waits until the votes on all proposals are counted.
    Count,
    /// Waits until a new epoch has begun.
    Epoch,
    /// A proposal of a message, and the vote that it needs.
    Govern(Order),
    /// All that can be asked; of one consumer, or of all and the chain.
    Look(Option<String>),
    /// A transaction with one message.
    Send {
        order: Order,
        /// Whether it goes to the chain even if the simulation says that it would be refused.
        forced: bool,
    },
    /// Waits until a consumer is in a phase.
    Wait(String, Phase),
    /// Notes the time.
    Mark,
    /// Waits until so many seconds of the chain have passed since the time was noted.
    Until(u64),
}

/// A message: its kind, who sends it, what it is about, and what it sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) kind: String,
    pub(crate) who: String,
    /// The consumer's id, its chain id where it is created, or a validator.
    pub(crate) what: String,
    pub(crate) settings: Settings,
}

/// The kinds of messages.
const KINDS: [&str; 10] = [
    "assign",
    "commission",
    "create",
    "delegate",
    "opt-in",
    "opt-out",
    "remove",
    "undelegate",
    "unjail",
    "update",
];

impl Order {
    /// Whether it is about a validator and not about a consumer.
    pub(crate) fn is_of_staking(&self) -> bool {
        matches!(self.kind.as_str(), "delegate" | "undelegate" | "unjail")
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The line that cannot be read.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (number, full) in (1..).zip(text.lines()) {
            let text = full.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let line = Line::read(text)
                .ok_or_else(|| format!("line {number}: {text:?} is no line of a script"))?;
            lines.push(Numbered {
                number,
                text: text.to_owned(),
                line,
                hurried: full.starts_with(' '),
            });
        }
        Ok(Self { lines })
    }
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(match words[..] {
            ["look"] => Self::Look(None),
            ["look", id] => Self::Look(Some(id.to_owned())),
            ["count"] => Self::Count,
            ["epoch"] => Self::Epoch,
            ["mark"] => Self::Mark,
            ["until", seconds] => Self::Until(seconds.parse().ok()?),
            ["wait", id, phase] => {
                let phase = Phase::ALL
                    .into_iter()
                    .find(|known| known.to_string() == phase)?;
                Self::Wait(id.to_owned(), phase)
            }
            ["govern", kind, what, ref rest @ ..] => Self::Govern(order(kind, "gov", what, rest)?),
            ["!", kind, who, what, ref rest @ ..] => Self::Send {
                order: order(kind, who, what, rest)?,
                forced: true,
            },
            [kind, who, what, ref rest @ ..] => Self::Send {
                order: order(kind, who, what, rest)?,
                forced: false,
            },
            _ => return None,
        })
    }
}

fn order(kind: &str, who: &str, what: &str, settings: &[&str]) -> Option<Order> {
    let setting = |word: &&str| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), repeated(value)))
    };
    Some(Order {
        kind: KINDS.contains(&kind).then(|| kind.to_owned())?,
        who: who.to_owned(),
        what: repeated(what),
        settings: settings.iter().map(setting).collect::<Option<_>>()?,
    })
}

/// A text, where `49*xyz` stands for `x` 49 times, and `yz`; `_` for a blank.
fn repeated(text: &str) -> String {
    let plain = |text: &str| text.replace('_', " ");
    let Some((count, rest)) = text.split_once('*') else {
        return plain(text);
    };
    let mut chars = rest.chars();
    match (count.parse(), chars.next()) {
        (Ok(count), Some(first)) => {
            let first = plain(&first.to_string()).repeat(count);
            first + &plain(chars.as_str())
        }
        _ => plain(text),
    }
}
