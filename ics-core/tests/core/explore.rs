//! Every order of things in a small world, breadth first.
//!
//! A fair run (what is asked for is done at once) leads through whole lives. From each point of it
//! every move of [`World::moves`] is tried, then every move after that, and so on to a depth:
//! answers in any order and as late as wanted, failures, lost answers, lost events, lost blocks and
//! crashes. Every world that is met keeps the invariants, and goes on fairly to a good end. Worlds
//! that differ in nothing that matters are entered once.

use std::collections::BTreeSet;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use ics_core::policy::KeySource;

use crate::ends::ended_well;
use crate::world::chain::{Ask, Record, provider_key};
use crate::world::moves::Move;
use crate::world::setup::{keyed, policy};
use crate::world::{World, at, id};

/// Until when orders are tried, and when everything must have settled, in seconds after the start.
const CALM: u64 = 280;
const END: u64 = CALM + 120;

/// How a world was come to: the last move, and the way before it.
struct Way(Option<Rc<Self>>, Move);

#[derive(Default)]
struct Search {
    /// Worlds whose moves are or will be tried.
    entered: BTreeSet<u64>,
    /// Worlds that go on to a good end.
    good: BTreeSet<u64>,
}

fn play(world: &mut World, next: Move) {
    world.play(next);
    world.done.clear();
    world.notices.clear();
}

fn told(way: Option<&Rc<Way>>) -> Vec<Move> {
    let steps = std::iter::successors(way, |way| way.0.as_ref());
    let mut moves: Vec<_> = steps.map(|way| way.1).collect();
    moves.reverse();
    moves
}

impl Search {
    /// Goes on fairly until the end, or until a world from which that is known to end well.
    fn goes_on_well(&mut self, mut world: World, mut mark: u64) -> Result<(), String> {
        let mut met = Vec::new();
        while !self.good.contains(&mark) {
            met.push(mark);
            let next = world.moves()[0];
            if next == Move::Wait && world.is_past(at(END)) {
                ended_well(&world)?;
                break;
            }
            play(&mut world, next);
            if !world.wrong().is_empty() {
                return Err(format!("{:#?}", world.wrong()));
            }
            mark = world.fingerprint();
        }
        self.good.extend(met);
        Ok(())
    }

    /// The points of a fair run.
    fn fair(&mut self, mut world: World) -> Vec<World> {
        let mut points = Vec::new();
        while !world.is_past(at(CALM)) {
            if self.entered.insert(world.fingerprint()) {
                points.push(world.clone());
            }
            let next = world.moves()[0];
            play(&mut world, next);
        }
        points
    }

    /// Tries all orders of `depth` moves from each point of a fair run.
    fn run(&mut self, name: &str, world: World, depth: usize) {
        self.goes_on_well(world.clone(), world.fingerprint())
            .expect("a fair run ends well");
        let mut points: Vec<_> = self.fair(world).into_iter().map(|it| (it, None)).collect();
        let first = points.len();
        for level in 1..=depth {
            let mut found = Vec::new();
            for (world, way) in points {
                for next in world.moves() {
                    let mut child = world.clone();
                    play(&mut child, next);
                    let mark = child.fingerprint();
                    if !self.entered.insert(mark) {
                        continue;
                    }
                    let way = Some(Rc::new(Way(way.clone(), next)));
                    // The moves of the last ones are not tried.
                    if level < depth {
                        found.push((child.clone(), way.clone()));
                    }
                    if let Err(text) = self.goes_on_well(child, mark) {
                        panic!("{name}: after {:?}:\n{text}", told(way.as_ref()));
                    }
                }
            }
            points = found;
        }
        let (entered, good) = (self.entered.len(), self.good.len());
        tell(&format!(
            "{name}: all orders of {depth} moves from {first} points: {entered} worlds, {good} with \
             those on their way to the end"
        ));
    }
}

/// What was visited is the result of a search, so it is told also where tests are quiet: what the
/// test harness holds back is what macros print.
fn tell(text: &str) {
    writeln!(std::io::stderr(), "explored {text}").expect("standard error can be written to");
}

fn search(name: &str, depth: usize, lives: &[&[(u64, Ask)]]) {
    search_in(World::new(policy()), name, depth, lives);
}

fn search_in(mut world: World, name: &str, depth: usize, lives: &[&[(u64, Ask)]]) {
    world.chain.unbonding = Duration::from_secs(20);
    for (block, ask) in lives.iter().copied().flatten() {
        world.chain.plan(*block, ask.clone());
    }
    Search::default().run(name, world, depth);
}

fn created(number: u64) -> Ask {
    Ask::Create(id(number), Box::new(Record::new("chain-1", "alice")))
}

/// Created, given a spawn time, launched, removed and deleted.
fn whole_life(number: u64) -> [(u64, Ask); 3] {
    [
        (2 + number, created(number)),
        (4 + number, Ask::Spawn(id(number), Some(at(45)))),
        (16, Ask::Remove(id(number))),
    ]
}

#[test]
fn every_order_of_one_consumers_life_ends_well() {
    search("one life", 5, &[&whole_life(0)]);
}

#[test]
fn every_order_of_two_consumers_lives_ends_well() {
    search("two lives", 3, &[&whole_life(0), &whole_life(1)]);
}

#[test]
fn every_order_of_a_life_that_fails_to_launch_at_first_ends_well() {
    let spawn = |block, at| (block, Ask::Spawn(id(0), at));
    let no_client = |record: &mut Record| record.unbonding = Duration::ZERO;
    let client = |record: &mut Record| record.unbonding = Duration::from_secs(1000);
    let life = [
        (2, created(0)),
        // The owner takes the spawn time back once.
        spawn(3, Some(at(40))),
        spawn(5, None),
        spawn(6, Some(at(40))),
        (6, Ask::Update(id(0), no_client)),
        (12, Ask::Update(id(0), client)),
        spawn(13, Some(at(0))),
    ];
    search("a failed launch", 3, &[&life]);
}

#[test]
fn every_order_of_a_life_that_we_leave_ends_well() {
    let life = [
        (2, created(0)),
        (3, Ask::Spawn(id(0), Some(at(30)))),
        (9, Ask::OptOut(id(0), 0)),
        (35, Ask::Remove(id(0))),
    ];
    search("leaving", 3, &[&life]);
}

#[test]
fn every_order_of_two_lives_of_one_chain_id_ends_well_where_our_provider_key_signs() {
    let mut world = World::new(keyed(KeySource::Provider));
    for number in [0, 1] {
        world.keys.bring(id(number), provider_key(0));
    }
    // The second one is given to us by hand.
    let by_hand = [(8, Ask::OptIn(id(1), 0))];
    let lives: [&[_]; 3] = [&whole_life(0), &whole_life(1), &by_hand];
    search_in(world, "our provider key", 3, &lives);
}
