//! Plays a scenario: builds inputs from its lines and tells the actions they lead to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ics_core::action::{Action, Input, OpId, Outcome, Query};
use ics_core::event::Event;
use ics_core::id::ConsumerId;
use ics_core::machine::Machine;
use ics_core::policy::Policy;
use ics_core::time::{Height, UnixTime};

use super::policy::policy;
use super::told::Told;
use super::words::{self, consumer_id, instant};
use super::{answers, words::name};
use crate::world::chain::local;
use crate::world::nodes::{Keys, Nodes};
use crate::world::watch::Watch;

/// The time between two blocks that a scenario leaves to the player.
const BLOCK: Duration = Duration::from_secs(6);
/// How long an epoch of the provider is.
const BLOCKS_PER_EPOCH: u64 = 600;
/// More steps than this at one instant are a machine that spins.
const SPINNING: usize = 20_000;

/// Who answers what is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The scenario, line by line.
    Lines,
    /// The player, from what the scenario has said; what it answers is not shown.
    Blocks,
    /// The player, from what the scenario has said; readings are shown.
    Silence,
}

pub(super) struct Player {
    machine: Machine,
    policy: Policy,
    watch: Watch,
    keys: Keys,
    nodes: Nodes,
    consumers: BTreeMap<ConsumerId, Told>,
    /// Those that the player answers for and never shows.
    strangers: BTreeSet<ConsumerId>,
    /// What was asked for and not answered yet, in order.
    pending: Vec<(OpId, Action)>,
    height: Height,
    now: UnixTime,
    shows_all: bool,
    shows_readings: bool,
}

impl Player {
    /// Begins with the first input, which gives the policy.
    pub(super) fn new(first: &str) -> Result<Self, String> {
        let words = first
            .strip_prefix("policy ")
            .ok_or("a scenario begins with the policy")?;
        let policy = policy(words)?;
        Ok(Self {
            machine: Machine::new(local(), policy.clone()),
            policy,
            watch: Watch::default(),
            keys: Keys::default(),
            nodes: Nodes::default(),
            consumers: BTreeMap::new(),
            strangers: BTreeSet::new(),
            pending: Vec::new(),
            height: Height(0),
            now: instant("00:00:00")?,
            shows_all: false,
            shows_readings: false,
        })
    }

    /// What must never be and was.
    pub(super) fn wrong(&self) -> Vec<String> {
        let (watch, nodes) = (&self.watch.wrong, &self.nodes.wrong);
        watch.iter().chain(nodes).cloned().collect()
    }

    /// Gives one input; returns what is to be shown of what it leads to.
    pub(super) fn play(&mut self, input: &str) -> Result<Vec<String>, String> {
        let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
        match verb {
            "block" => self.block(rest),
            "blocks" => self.blocks(rest),
            "node" => self.node(rest),
            "opted" => self.opted_in(rest),
            "policy" => {
                self.policy = policy(rest)?;
                self.feed(Input::Policy(self.policy.clone().into()), Mode::Lines)
            }
            "restart" => {
                self.machine = Machine::new(local(), self.policy.clone());
                self.watch.rebuilt();
                self.pending.clear();
                Ok(Vec::new())
            }
            "resync" => {
                self.height_and_time(rest)?;
                let (height, time) = (self.height, self.now);
                self.feed(Input::Resync { height, time }, Mode::Lines)
            }
            "running" => self.running(rest),
            "show" => self.show(rest),
            "silence" => self.silence(rest),
            "silently" => {
                let (id, words) = rest.split_once(' ').ok_or("silently 3 stopped")?;
                self.describe(consumer_id(id)?, words)?;
                Ok(Vec::new())
            }
            "strangers" => self.strangers(rest),
            "time" => {
                self.now = instant(rest)?;
                self.feed(Input::Tick, Mode::Lines)
            }
            _ if verb.parse::<u64>().is_ok() => self.reading(consumer_id(verb)?, rest),
            _ => self.answer(input),
        }
    }

    /// Begins at block 1002 with a consumer that we have opted in to: `opted in 3, spawn 10:05:00`.
    fn opted_in(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let wrong = "opted in 3, spawn 10:05:00";
        let rest = rest.strip_prefix("in ").ok_or(wrong)?;
        let (id, spawn) = rest.split_once(", ").ok_or(wrong)?;
        self.play_all(&[
            "resync 1000 10:00:00",
            &format!("block 1001 10:00:06: create_consumer {id}"),
            &format!("{id} initialized, owner alice, chain alice-1, {spawn}"),
            &format!("select {id}: selected"),
            &format!("check {id}: ready"),
            &format!("prepare key {id}: done"),
            &format!("block 1002 10:00:12: opt_in {id}"),
            &format!("opt in {id}: in block 1002"),
            &format!("{id} opted in, key fresh"),
            &format!("check {id}: ready"),
        ])
    }

    /// Begins at block 1005 with a consumer that has just launched and whose node runs.
    fn running(&mut self, id: &str) -> Result<Vec<String>, String> {
        self.opted_in(&format!("in {id}, spawn 10:00:30"))?;
        self.play_all(&[
            "blocks to 10:00:24",
            &format!("block 1005 10:00:30: consumer_client_created {id}"),
            &format!("{id} launched"),
            &format!("build genesis {id}: done"),
            &format!("apply {id}: runs"),
        ])
    }

    /// Plays these without showing what they lead to.
    fn play_all(&mut self, inputs: &[&str]) -> Result<Vec<String>, String> {
        for input in inputs {
            self.play(input)
                .map_err(|error| format!("{input}: {error}"))?;
        }
        Ok(Vec::new())
    }

    fn height_and_time(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("no height and time: {text:?}");
        let (height, time) = text.split_once(' ').ok_or_else(wrong)?;
        self.height = Height(height.parse().map_err(|_| wrong())?);
        self.now = instant(time)?;
        Ok(())
    }

    fn block(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let (block, events) = rest.split_once(": ").unwrap_or((rest, ""));
        self.height_and_time(block)?;
        let events = events.split(", ").filter(|event| !event.is_empty());
        let events = events.filter_map(event).collect();
        self.next_block(events, Mode::Lines)
    }

    fn next_block(&mut self, events: Vec<Event>, mode: Mode) -> Result<Vec<String>, String> {
        let (height, time) = (self.height, self.now);
        let block = Input::Block {
            height,
            time,
            events,
        };
        self.feed(block, mode)
    }

    /// Blocks without events up to this time.
    fn blocks(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let end = instant(rest.strip_prefix("to ").ok_or("blocks to 10:00:00")?)?;
        let mut shown = Vec::new();
        while self.now + BLOCK <= end {
            self.now = self.now + BLOCK;
            self.height.0 += 1;
            let found = self.next_block(Vec::new(), Mode::Blocks)?;
            shown.extend(found.into_iter().map(|line| (self.now, line)));
        }
        Ok(words::over_time(&shown))
    }

    /// No block up to this time: only the ticks that the machine wants.
    fn silence(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let end = instant(rest.strip_prefix("to ").ok_or("silence to 10:00:00")?)?;
        let mut shown = Vec::new();
        while let Some(tick) = self.machine.next_tick().filter(|tick| *tick <= end) {
            self.now = self.now.max(tick);
            let found = self.feed(Input::Tick, Mode::Silence)?;
            shown.extend(found.into_iter().map(|line| (self.now, line)));
        }
        self.now = end;
        Ok(words::over_time(&shown))
    }

    fn node(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let (id, state) = rest.split_once(' ').ok_or("node 3 stops")?;
        let id = consumer_id(id)?;
        match state {
            "stops" => self.nodes.stop(id),
            "vanishes" => self.nodes.delete(id),
            _ => return Err(format!("a node stops or vanishes: {state:?}")),
        }
        Ok(Vec::new())
    }

    fn show(&mut self, what: &str) -> Result<Vec<String>, String> {
        match what {
            "all" => self.shows_all = true,
            "readings" => self.shows_readings = true,
            id => return self.status(consumer_id(id)?),
        }
        Ok(Vec::new())
    }

    fn status(&self, id: ConsumerId) -> Result<Vec<String>, String> {
        let mut all = self.machine.consumers();
        let status = all.find(|status| status.consumer_id == id);
        let status = status.ok_or("the machine does not know it")?;
        let mut lines = vec![format!("{}: {}", status.stage, status.why)];
        lines.extend(
            status
                .prediction
                .as_ref()
                .map(|it| format!("prediction: {it}")),
        );
        let alarms = status.alarms.iter();
        lines.extend(alarms.map(|alarm| format!("alarm: {}", alarm.text)));
        Ok(lines.iter().map(|line| words::short(line)).collect())
    }

    fn strangers(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let wrong = "strangers 10-214 initialized, owner nobody";
        let (ids, words) = rest.split_once(' ').ok_or(wrong)?;
        let (first, last) = ids.split_once('-').ok_or(wrong)?;
        for id in consumer_id(first)?.number()..=consumer_id(last)?.number() {
            let id = ConsumerId::new(id);
            self.strangers.insert(id);
            self.describe(id, words)?;
        }
        Ok(Vec::new())
    }

    fn describe(&mut self, id: ConsumerId, words: &str) -> Result<(), String> {
        let told = self.consumers.entry(id).or_insert_with(|| Told::new(id));
        told.change(words, self.height, &mut self.keys)
    }

    /// Answers the reading that was asked for.
    fn reading(&mut self, id: ConsumerId, words: &str) -> Result<Vec<String>, String> {
        let (op, action) = self.take(&format!("read {id}"))?;
        let (words, height) = match words.rsplit_once(", read at ") {
            Some((words, at)) => {
                let height = at.parse().map_err(|_| format!("no height: {at:?}"))?;
                (words, Some(Height(height)))
            }
            None => (words, asked_height(&action)),
        };
        let height = height.unwrap_or(self.height);
        if words == "unknown" {
            let outcome = Outcome::Consumer(None);
            return self.feed(Input::Done { op, outcome }, Mode::Lines);
        }
        self.describe(id, words)?;
        let outcome = self.reading_of(id, height)?;
        self.feed(Input::Done { op, outcome }, Mode::Lines)
    }

    fn reading_of(&self, id: ConsumerId, height: Height) -> Result<Outcome, String> {
        let told = self.told(id)?;
        Ok(Outcome::Consumer(Some(told.reading(height).into())))
    }

    fn told(&self, id: ConsumerId) -> Result<&Told, String> {
        let told = self.consumers.get(&id);
        told.ok_or_else(|| format!("nothing has been said of consumer {id} yet"))
    }

    /// Answers `name: result`; `late name: result` what was asked for first of several.
    fn answer(&mut self, input: &str) -> Result<Vec<String>, String> {
        let (name, result) = input.split_once(": ").ok_or("no such input")?;
        let (op, action) = match name.strip_prefix("late ") {
            Some(name) => self.take_first(name)?,
            None => self.take(name)?,
        };
        let failed = answers::failure(result).map(Outcome::Failed);
        let outcome = match failed {
            Some(failed) => failed,
            None => self.outcome(&action, result)?,
        };
        self.feed(Input::Done { op, outcome }, Mode::Lines)
    }

    fn outcome(&mut self, action: &Action, result: &str) -> Result<Outcome, String> {
        let wrong = || format!("no result of this: {result:?}");
        Ok(match (action, result) {
            (Action::Apply { spec, .. }, "runs") => {
                let own_set = self.told(spec.consumer_id)?.own_set(true);
                Outcome::Applied(self.nodes.apply(spec, &mut self.keys, &own_set))
            }
            (Action::Broadcast { .. }, "refused to the top N") => Outcome::CannotOptOut,
            (Action::Broadcast { .. }, _) => {
                let height = result.strip_prefix("in block ").ok_or_else(wrong)?;
                Outcome::Included(Height(height.parse().map_err(|_| wrong())?))
            }
            (
                Action::BuildGenesis {
                    consumer_id,
                    source,
                    expect,
                    height,
                    ..
                },
                "done",
            ) => answers::genesis(source, expect, *height, self.told(*consumer_id)?.standing()),
            (Action::CheckReady { .. }, "ready") => Outcome::Ready,
            (Action::Delete { consumer_id, .. }, "done") => {
                self.nodes.delete(*consumer_id);
                Outcome::Gone
            }
            (
                Action::PrepareKey {
                    consumer_id,
                    origin,
                    ..
                },
                "done",
            ) => match self.keys.prepare(*consumer_id, *origin) {
                Ok(key) => Outcome::Key(key),
                Err(failure) => Outcome::Failed(failure),
            },
            (Action::Query { query, .. }, _) => match query {
                Query::Candidates { created, .. } => {
                    let height = created.unwrap_or(self.height);
                    answers::candidates(result, height, created.is_some()).ok_or_else(wrong)?
                }
                Query::ConsumerSet { consumer_id, .. } => {
                    let with_us = match result {
                        "with us" => true,
                        "without us" => false,
                        _ => return Err(wrong()),
                    };
                    Outcome::ConsumerSet(self.told(*consumer_id)?.own_set(with_us))
                }
                Query::Consumer { .. } | Query::HoldsKey(..) | Query::Phases => return Err(wrong()),
            },
            (Action::Stop { consumer_id, .. }, "done") => {
                self.nodes.stop(*consumer_id);
                Outcome::Gone
            }
            _ => return Err(wrong()),
        })
    }

    /// The newest of what was asked for under this name.
    fn take(&mut self, name: &str) -> Result<(OpId, Action), String> {
        let position = self
            .pending
            .iter()
            .rposition(|it| self::name(&it.1) == name);
        self.take_at(position, name)
    }

    fn take_first(&mut self, name: &str) -> Result<(OpId, Action), String> {
        let position = self.pending.iter().position(|it| self::name(&it.1) == name);
        self.take_at(position, name)
    }

    fn take_at(&mut self, position: Option<usize>, name: &str) -> Result<(OpId, Action), String> {
        let waiting = || {
            let names = self.pending.iter().map(|it| self::name(&it.1));
            let names: Vec<_> = names.collect();
            format!("nobody asked for {name:?}, only for {names:?}")
        };
        let position = position.ok_or_else(waiting)?;
        Ok(self.pending.remove(position))
    }

    /// Gives an input, and the answers that the player gives itself; returns what is shown.
    fn feed(&mut self, input: Input, mode: Mode) -> Result<Vec<String>, String> {
        let mut inputs = VecDeque::from([input]);
        let mut shown = Vec::new();
        let mut steps = 0;
        while let Some(input) = inputs.pop_front() {
            steps += 1;
            if steps > SPINNING {
                return Err("the machine spins".into());
            }
            for action in self.step(input) {
                let answer = self.own_answer(&action, mode)?;
                if self.is_shown(&action, answer.is_some(), mode) {
                    shown.push(match asked_height(&action) {
                        // Which block it is, the time says already.
                        Some(height) if mode == Mode::Blocks && height == self.height => {
                            name(&action)
                        }
                        _ => words::told(&action),
                    });
                }
                match (action.op(), answer) {
                    (Some(op), Some(outcome)) => inputs.push_back(Input::Done { op, outcome }),
                    (Some(op), None) => self.pending.push((op, action)),
                    (None, _) => {}
                }
            }
        }
        Ok(shown)
    }

    fn step(&mut self, input: Input) -> Vec<Action> {
        self.watch.told(self.now, &input);
        let actions = self.machine.step(self.now, input);
        self.watch.next_tick(self.now, self.machine.next_tick());
        for action in &actions {
            self.watch.asked(action, &self.policy, &self.keys);
        }
        actions
    }

    /// The answer that the scenario leaves to the player, if it does.
    fn own_answer(&self, action: &Action, mode: Mode) -> Result<Option<Outcome>, String> {
        let by_player = mode != Mode::Lines;
        Ok(Some(match action {
            Action::ListNodes { .. } => Outcome::Nodes(self.nodes.list()),
            Action::CheckReady { .. } if by_player => Outcome::Ready,
            Action::Query { query, .. } => match query {
                Query::HoldsKey(key, chain_id) => {
                    Outcome::HoldsKey(self.keys.may_sign(key, chain_id))
                }
                Query::Phases => Outcome::Phases {
                    phases: self
                        .consumers
                        .iter()
                        .map(|(id, told)| (*id, told.phase()))
                        .collect(),
                    blocks_per_epoch: BLOCKS_PER_EPOCH,
                },
                Query::Consumer { consumer_id, .. }
                    if by_player || self.strangers.contains(consumer_id) =>
                {
                    let height = asked_height(action).unwrap_or(self.height);
                    self.reading_of(*consumer_id, height)?
                }
                Query::Candidates { .. } | Query::Consumer { .. } | Query::ConsumerSet { .. } => {
                    return Ok(None);
                }
            },
            _ => return Ok(None),
        }))
    }

    fn is_shown(&self, action: &Action, answered: bool, mode: Mode) -> bool {
        match action {
            Action::Notify(notice) => {
                let about = notice.consumer_id;
                !about.is_some_and(|id| self.strangers.contains(&id))
            }
            Action::Query {
                query: Query::Consumer { consumer_id, .. },
                ..
            } => {
                let stranger = self.strangers.contains(consumer_id);
                !stranger && (!answered || mode == Mode::Silence || self.shows_readings)
            }
            _ => !answered || self.shows_all,
        }
    }
}

const fn asked_height(action: &Action) -> Option<Height> {
    match action {
        Action::Query {
            query: Query::Consumer { height, .. },
            ..
        } => *height,
        _ => None,
    }
}

/// An event as the chain emits it: its type, the consumer, and attributes that matter.
fn event(text: &str) -> Option<Event> {
    let mut words = text.split(' ');
    let kind = words.next()?;
    let attributes = words.map(|word| match word.parse::<u64>() {
        Ok(_) => ("consumer_id", word),
        Err(_) => (word, "x"),
    });
    Event::read(kind, attributes.collect::<Vec<_>>())
}
