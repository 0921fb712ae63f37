//! How often a consumer is read, with headers and without.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ics_core::action::{Action, Input, Outcome, Query};
use ics_core::machine::Machine;
use ics_core::phase::Phase;
use ics_core::policy::Policy;
use ics_core::schedule::Schedule;
use ics_core::snapshot::Snapshot;
use ics_core::time::{Height, UnixTime};

use crate::world::chain::{Ask, Chain, Record, local};
use crate::world::setup::policy;
use crate::world::{BLOCK, START, at, id};

/// When the one consumer is read, in seconds, if it spawns at `spawn` and headers stop after
/// `headers`; each answer shows the same.
fn readings(policy: &Policy, owner: &str, spawn: u64, headers: u64, end: u64) -> Vec<u64> {
    readings_of(policy, &initialized(owner, spawn), headers, end)
}

/// A consumer that is to launch so many seconds after the start.
fn initialized(owner: &str, spawn: u64) -> Snapshot {
    let mut chain = Chain::new(START);
    let record = Record::new("alice-1", owner).spawning(at(spawn));
    chain.ask(Ask::Create(id(0), record.into()));
    chain.block(START);
    let found = chain.snapshot(id(0), chain.height).expect("a height");
    found.expect("a consumer")
}

/// When a consumer is read that always shows the same.
fn readings_of(policy: &Policy, snapshot: &Snapshot, headers: u64, end: u64) -> Vec<u64> {
    let mut machine = Machine::new(local(), policy.clone());
    let (mut now, mut block, mut next_block) = (START, snapshot.height, START + BLOCK);
    let mut read = Vec::new();
    let mut inputs = VecDeque::from([Input::Resync {
        height: block,
        time: now,
    }]);
    loop {
        let input = inputs.pop_front().unwrap_or_else(|| {
            let tick = machine.next_tick();
            if next_block <= at(headers) && tick.is_none_or(|tick| next_block <= tick) {
                (now, block) = (next_block, Height(block.0 + 1));
                next_block = now + BLOCK;
                return Input::Block {
                    height: block,
                    time: now,
                    events: Vec::new(),
                };
            }
            now = tick.expect("there is always something to wait for");
            Input::Tick
        });
        if now > at(end) {
            return read;
        }
        for action in machine.step(now, input) {
            if let Action::Query {
                query: Query::Consumer { .. },
                ..
            } = &action
            {
                read.push(now.since(START).as_secs());
            }
            inputs.extend(answer(&action, snapshot, block));
        }
    }
}

fn answer(action: &Action, snapshot: &Snapshot, block: Height) -> Option<Input> {
    let outcome = match action {
        Action::ListNodes { .. } => Outcome::Nodes(Vec::new()),
        Action::Query { query, .. } => match query {
            Query::Phases => Outcome::Phases {
                phases: BTreeMap::from([(id(0), snapshot.phase)]),
                blocks_per_epoch: 600,
            },
            Query::Consumer { height, .. } => Outcome::Consumer(Some(Box::new(Snapshot {
                height: height.unwrap_or(block),
                ..snapshot.clone()
            }))),
            Query::Candidates { .. } => Outcome::Candidates {
                candidates: Vec::new(),
                height: block,
                exact: true,
            },
            Query::ConsumerSet { .. } | Query::HoldsKey(..) => panic!("nothing is left"),
        },
        Action::Notify(_) => return None,
        other => panic!("we take no part: {other:?}"),
    };
    action.op().map(|op| Input::Done { op, outcome })
}

fn gaps(readings: &[u64]) -> Vec<u64> {
    readings.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn while_headers_flow_nothing_counts_down_or_polls() {
    // Read once at the start, and then in each block from its spawn time on.
    let read = readings(&policy(), "alice", 200, 300, 300);
    let blocks: Vec<_> = (200..=300).step_by(5).collect();
    assert_eq!(read, [&[0], &blocks[..]].concat());
}

#[test]
fn without_headers_the_last_minute_is_counted_down_and_then_polling_slows_down() {
    let read = readings(&policy(), "alice", 300, 50, 600);
    let before: Vec<_> = read
        .iter()
        .copied()
        .filter(|second| *second < 300)
        .collect();
    assert_eq!(before[0], 0);
    assert_eq!(before[1..], (240..300).step_by(5).collect::<Vec<_>>());
    let after: Vec<_> = read
        .iter()
        .copied()
        .filter(|second| *second >= 300)
        .collect();
    let expected = [vec![1; 30], vec![5; 18], vec![30; 6]].concat();
    assert_eq!(after[0], 300);
    assert_eq!(gaps(&after), expected);
}

#[test]
fn what_concerns_us_not_is_read_at_its_time_without_a_countdown() {
    let read = readings(&policy(), "mallory", 300, 50, 310);
    assert_eq!(read, [&[0], &(300..=310).collect::<Vec<_>>()[..]].concat());
}

#[test]
fn one_that_was_stopped_and_has_no_node_of_ours_concerns_us_not() {
    let stopped = Snapshot {
        phase: Phase::Stopped,
        ..initialized("bob", 1000)
    };
    assert_eq!(readings_of(&policy(), &stopped, 500, 500), [0]);
}

#[test]
fn one_that_may_draw_us_in_without_a_word_is_read_often() {
    let top_n = Snapshot {
        phase: Phase::Launched,
        top_n: 50,
        ..initialized("bob", 1000)
    };
    let read = readings_of(&policy(), &top_n, 200, 200);
    assert!(
        read.len() > 5 && gaps(&read).iter().all(|gap| *gap <= 40),
        "{read:?}"
    );
}

#[test]
fn every_interval_is_as_it_is_set() {
    let second = Duration::from_secs;
    let schedule = Schedule {
        silence: second(20),
        countdown: second(7),
        countdown_from: second(21),
        poll_fast: second(2),
        poll_fast_until: second(10),
        poll_medium: second(3),
        poll_medium_until: second(19),
        poll_slow: second(40),
        ..Schedule::DEFAULT
    };
    assert_eq!(schedule.check(), Ok(()));
    let policy = Policy {
        schedule,
        ..policy()
    };
    let read = readings(&policy, "alice", 300, 50, 400);
    let expected = [
        0, 279, 286, 293, 300, 302, 304, 306, 308, 310, 313, 316, 319, 359, 399,
    ];
    assert_eq!(read, expected);
}

#[test]
fn another_schedule_is_followed_at_once() {
    let rare = Duration::from_secs(24 * 3600);
    let schedule = Schedule {
        sync: rare,
        nodes: rare,
        ..Schedule::DEFAULT
    };
    let mut machine = Machine::new(
        local(),
        Policy {
            schedule,
            ..policy()
        },
    );
    let mut now = START;
    let asked = |machine: &mut Machine, now: UnixTime, input| {
        let actions = machine.step(now, input);
        let ops: Vec<_> = actions.iter().filter_map(Action::op).collect();
        for action in &actions {
            let outcome = match action {
                Action::ListNodes { .. } => Outcome::Nodes(Vec::new()),
                _ => Outcome::Phases {
                    phases: BTreeMap::new(),
                    blocks_per_epoch: 600,
                },
            };
            let done = action.op().map(|op| Input::Done { op, outcome });
            let more = done.map(|done| machine.step(now, done));
            assert_eq!(more, Some(Vec::new()));
        }
        ops.len()
    };
    let resync = Input::Resync {
        height: Height(5),
        time: now,
    };
    assert_eq!(asked(&mut machine, now, resync), 2);
    now = now + Duration::from_secs(3600);
    assert_eq!(asked(&mut machine, now, Input::Tick), 0);
    assert_eq!(asked(&mut machine, now, Input::Policy(policy().into())), 2);
}
