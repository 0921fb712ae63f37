//! What tells two worlds apart: a digest of all that decides how they go on.

use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use ics_core::action::{Action, OpId, Query};
use ics_core::time::Height;

use super::chain::Ask;
use super::{Due, World};

/// Takes in what is printed into it. Ops count by their rank alone, so that worlds are the same which
/// have counted differently.
struct Print {
    text: String,
    /// The numbers of all ops, as they were met.
    ops: Vec<u64>,
    next: Next,
}

/// What the next piece is that `derive(Debug)` prints.
enum Next {
    Text,
    /// The number of an op.
    Op,
    /// How many ops there have been.
    Count,
}

impl Write for Print {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        match (piece, &self.next) {
            ("OpId", _) => self.next = Next::Op,
            ("next_op", _) => self.next = Next::Count,
            ("(" | ": ", _) | (_, Next::Text) => self.text.push_str(piece),
            (number, Next::Op) => {
                self.ops.push(number.parse().map_err(|_| fmt::Error)?);
                self.next = Next::Text;
            }
            (_, Next::Count) => self.next = Next::Text,
        }
        Ok(())
    }
}

impl Print {
    fn new() -> Self {
        Self {
            text: String::with_capacity(64 * 1024),
            ops: Vec::new(),
            next: Next::Text,
        }
    }

    fn add(&mut self, part: &dyn Debug) {
        write!(self, "{part:?};").expect("every op has a number");
    }

    fn finish(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        let mut ranks = self.ops.clone();
        ranks.sort_unstable();
        ranks.dedup();
        for op in self.ops {
            ranks.binary_search(&op).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl World {
    /// Two worlds with the same fingerprint go on in the same way.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut print = Print::new();
        print.add(&(self.time, self.next_block, self.silent_until > self.time));
        print.add(&(self.gap, self.deaf, self.mute, self.slow_lists));
        print.add(&self.machine);
        print.add(&(&self.missing, &self.unheard, &self.unreadable));
        print.add(&(&self.nodes.all, &self.keys));
        print.add(&(self.chain.height, &self.chain.jailed, &self.chain.unbonded));
        for moment in self.chain.since(self.oldest_height()) {
            print.add(&moment);
        }
        let mut under_way: Vec<_> = self.queue.values().collect();
        under_way.sort_by_key(|due| due.op());
        for due in under_way {
            match due {
                Due::Mined(op, number) => print.add(&(op, self.chain.results.get(number))),
                Due::Answer(..) | Due::Execute(_) => print.add(due),
            }
        }
        for ask in &self.chain.asked {
            match ask {
                // Its number only leads to the op that waits for it.
                Ask::Ours(number, tx) => print.add(&(tx, self.waits_for(*number))),
                ask => print.add(ask),
            }
        }
        print.finish()
    }

    /// From which height on the chain may yet be asked for what it was.
    fn oldest_height(&self) -> Height {
        let asked = self.queue.values().filter_map(|due| match due {
            Due::Execute(Action::BuildGenesis { height, .. }) => Some(*height),
            Due::Execute(Action::Query {
                query: Query::Consumer { height, .. },
                ..
            }) => *height,
            Due::Execute(_) | Due::Answer(..) | Due::Mined(..) => None,
        });
        asked
            .min()
            .map_or(self.shown, |asked| asked.min(self.shown))
    }

    fn waits_for(&self, sent: u64) -> Option<OpId> {
        self.queue.values().find_map(|due| match due {
            Due::Mined(op, number) if *number == sent => Some(*op),
            Due::Answer(..) | Due::Execute(_) | Due::Mined(..) => None,
        })
    }
}
