//! A world whose order of things is chosen from outside instead of by its clock.

use ics_core::action::{Input, Outcome};
use ics_core::failure::Failure;
use ics_core::time::UnixTime;

use super::{Due, World};

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Time goes on to the next block or to the next tick that is wanted.
    Wait,
    /// As [`Move::Wait`], but the events of the block do not arrive.
    WaitDeaf,
    /// As [`Move::Wait`], but the block is not shown.
    WaitBlind,
    /// This one of what is under way is done, and answered where the answer is known at once.
    Do(usize),
    /// This one is done; its answer is still to come.
    Begin(usize),
    /// This one fails, and nothing was done.
    Fail(usize),
    /// This one is done, but what came of it is not known.
    Unheard(usize),
    /// The machine is thrown away and built anew.
    Crash,
}

impl World {
    /// All that can happen next, the most ordinary first.
    pub(crate) fn moves(&self) -> Vec<Move> {
        let mut ready = Vec::new();
        let mut faults = Vec::new();
        for (index, due) in self.queue.values().enumerate() {
            match due {
                Due::Execute(_) => {
                    ready.extend([Move::Do(index), Move::Begin(index)]);
                    faults.extend([Move::Fail(index), Move::Unheard(index)]);
                }
                Due::Answer(..) => ready.push(Move::Do(index)),
                Due::Mined(_, number) if self.chain.results.contains_key(number) => {
                    ready.push(Move::Do(index));
                }
                Due::Mined(..) => {}
            }
        }
        ready.push(Move::Wait);
        if self.is_block_next() {
            ready.extend([Move::WaitDeaf, Move::WaitBlind]);
        }
        ready.extend(faults);
        ready.push(Move::Crash);
        ready
    }

    /// Does one of [`World::moves`].
    pub(crate) fn play(&mut self, next: Move) {
        match next {
            Move::Wait | Move::WaitDeaf | Move::WaitBlind => self.wait(next),
            Move::Do(index) => match self.take(index) {
                Due::Execute(action) => {
                    let op = action.op();
                    match (op, self.execute(action)) {
                        (Some(op), Some(outcome)) => self.feed(Input::Done { op, outcome }),
                        (Some(op), None) => self.schedule(Due::Mined(op, self.sent)),
                        (None, _) => {}
                    }
                }
                due => self.perform(due),
            },
            Move::Begin(index) => self.perform_at(index, None),
            Move::Fail(index) => {
                if let Due::Execute(action) = self.take(index)
                    && let Some(op) = action.op()
                {
                    let outcome = Outcome::Failed(Failure::transient("a blip"));
                    self.feed(Input::Done { op, outcome });
                }
            }
            Move::Unheard(index) => {
                let failure = Failure::unknown("the answer got lost");
                self.perform_at(index, Some(failure));
            }
            Move::Crash => {
                // What was begun is done; nothing else is.
                self.queue.clear();
                self.crash();
            }
        }
    }

    /// Does an action, and schedules its answer or this failure.
    fn perform_at(&mut self, index: usize, failure: Option<Failure>) {
        let Due::Execute(action) = self.take(index) else {
            return;
        };
        let Some(op) = action.op() else { return };
        let outcome = self.execute(action);
        let due = match (failure, outcome) {
            (Some(failure), _) => Due::Answer(op, Outcome::Failed(failure)),
            (None, Some(outcome)) => Due::Answer(op, outcome),
            (None, None) => Due::Mined(op, self.sent),
        };
        self.schedule(due);
    }

    pub(crate) fn is_past(&self, end: UnixTime) -> bool {
        self.time >= end
    }

    fn take(&mut self, index: usize) -> Due {
        let key = *self
            .queue
            .keys()
            .nth(index)
            .expect("a move that was offered");
        self.queue.remove(&key).expect("it is there")
    }

    fn is_block_next(&self) -> bool {
        self.tick().is_none_or(|tick| self.next_block <= tick)
    }

    fn wait(&mut self, next: Move) {
        if self.is_block_next() {
            self.time = self.next_block;
            let deaf = std::mem::replace(&mut self.deaf, next == Move::WaitDeaf);
            if next == Move::WaitBlind {
                self.silent_until = self.time + super::LAG;
            }
            self.make_block();
            self.deaf = deaf;
        } else if let Some(tick) = self.tick() {
            self.time = self.time.max(tick);
            self.feed(Input::Tick);
        }
    }
}
