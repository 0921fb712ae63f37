//! What is not done, and what people are told instead.

use ics_core::action::{Input, Level, OpId, Outcome};
use ics_core::id::ConsumerId;
use ics_core::key::PublicKey;
use ics_core::phase::Phase;
use ics_core::policy::Override;
use ics_core::snapshot::Decimal;
use ics_core::status::Stage;
use ics_core::time::UnixTime;

use crate::world::chain::{Ask, Record};
use crate::world::setup::{denying_alice, ordering, policy};
use crate::world::{World, at, id, short};

fn world_with(record: Record) -> World {
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(60);
    world
}

fn alice() -> Record {
    Record::new("alice-1", "alice").spawning(at(300))
}

fn has_alarm(world: &World, level: Level, text: &str) -> bool {
    let alarms = world.status(0).alarms;
    alarms
        .iter()
        .any(|alarm| alarm.level == level && alarm.text.contains(text))
}

fn did(world: &mut World) -> Vec<String> {
    world.done().iter().map(short).collect()
}

/// Nothing that changes the world was done up to this second.
#[track_caller]
fn nothing_is_done(mut world: World, seconds: u64) {
    world.run_to(seconds);
    assert_eq!(did(&mut world), Vec::<String>::new());
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_denied_consumer_is_ignored() {
    let world = world_with(Record::new("bad-1", "mallory").spawning(at(300)));
    assert_eq!(world.status(0).stage, Stage::Ignored);
    assert_eq!(world.status(0).why, "the rule for mallory denies it");
    nothing_is_done(world, 400);
}

#[test]
fn what_no_rule_mentions_is_ignored() {
    let world = world_with(Record::new("new-1", "nobody").spawning(at(300)));
    assert_eq!(world.status(0).why, "no rule matches");
    nothing_is_done(world, 400);
}

#[test]
fn a_harder_punishment_than_the_providers_is_denied() {
    let mut record = alice();
    record.downtime_slash = Decimal::ONE;
    let mut world = world_with(record);
    let why = world.status(0).why;
    assert!(why.contains("downtime slash fraction"), "{why}");
    assert_eq!(did(&mut world), Vec::<String>::new());
    world.ask(Ask::Update(id(0), |r| {
        r.downtime_slash = Decimal::default()
    }));
    world.run_to(80);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
}

#[test]
fn one_who_is_not_selected_only_watches() {
    let mut world = World::new(policy());
    world.chain.tokens = vec![1, 70, 29];
    world.ask(Ask::Create(id(0), Box::new(alice())));
    world.run_to(60);
    let why = world.status(0).why;
    assert!(why.contains("not selected: 1 of 3 validators"), "{why}");
    nothing_is_done(world, 400);
}

#[test]
fn the_operators_opt_out_stands_above_all_rules() {
    let mut world = World::new(ordering(0, Override::OptOut));
    world.ask(Ask::Create(id(0), Box::new(alice())));
    world.run_to(60);
    assert_eq!(world.status(0).why, "the operator ordered opt-out");
    nothing_is_done(world, 400);
}

#[test]
fn no_opt_in_is_sent_before_everything_is_ready() {
    let mut world = World::new(policy());
    world.missing.insert(id(0), "no image".into());
    world.ask(Ask::Create(id(0), Box::new(alice())));
    world.run_to(60);
    let why = world.status(0).why;
    assert!(why.contains("allowed, not ready: no image"), "{why}");
    assert!(did(&mut world).iter().all(|action| action == "check 0"));
    world.missing.clear();
    world.run_to(80);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
}

#[test]
fn what_comes_to_be_missing_after_the_opt_in_is_told() {
    let mut world = world_with(alice());
    world.missing.insert(id(0), "no image".into());
    world.run_to(130);
    assert!(has_alarm(
        &world,
        Level::Critical,
        "opted in, but not ready: no image"
    ));
    world.missing.clear();
    world.run_to(200);
    assert!(world.status(0).alarms.is_empty());
}

#[test]
fn an_assigned_key_that_we_do_not_hold_is_not_overwritten() {
    let mut world = World::new(policy());
    let foreign = PublicKey::new([99; 32]);
    let mut record = alice();
    record.assigned.insert(0, foreign);
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(60);
    let why = world.status(0).why;
    assert!(why.contains("the assigned key is not here"), "{why}");
    // Opted in by hand, the node runs without a key and says why.
    world.ask(Ask::OptIn(id(0), 0));
    world.run_to(320);
    assert!(world.nodes.runs(id(0)));
    assert!(has_alarm(
        &world,
        Level::Critical,
        "the node runs without its key"
    ));
    assert_eq!(world.chain.consumers[&id(0)].assigned[&0], foreign);
    assert!(world.keys.of(id(0)).is_empty());
}

#[test]
fn another_genesis_than_the_nodes_is_refused() {
    let mut world = world_with(alice());
    world.run_to(320);
    let before = world.nodes.all.clone();
    let mut other = policy();
    if let Some(run) = &mut other.rules[1].run {
        run.genesis.path = "/files/other.json".into();
    }
    world.set_policy(other);
    world.run_to(340);
    assert!(has_alarm(&world, Level::Critical, "nothing is changed"));
    assert_eq!(world.nodes.all, before);
    // The same after a restart, which has to build the genesis again.
    world.crash();
    world.run_to(400);
    assert!(has_alarm(&world, Level::Critical, "nothing is changed"));
    assert_eq!(world.nodes.all, before);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_consumer_that_the_provider_does_not_know_loses_nothing() {
    let mut world = world_with(alice());
    world.run_to(320);
    world.chain.consumers.clear();
    world.run_to(400);
    assert!(has_alarm(
        &world,
        Level::Critical,
        "that it does not know it"
    ));
    world.crash();
    world.run_to(700);
    assert!(has_alarm(
        &world,
        Level::Critical,
        "does not know this consumer"
    ));
    assert!(world.nodes.runs(id(0)));
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_phase_that_cannot_follow_is_refused() {
    let mut world = world_with(alice());
    world.run_to(320);
    world.ask(Ask::Update(id(0), |record| {
        record.phase = Phase::Registered
    }));
    world.done();
    world.run_to(500);
    assert!(has_alarm(&world, Level::Critical, "cannot follow LAUNCHED"));
    assert_eq!(world.status(0).phase, Some(Phase::Launched));
    assert!(world.nodes.runs(id(0)));
    assert_eq!(did(&mut world), Vec::<String>::new());
    world.ask(Ask::Update(id(0), |record| record.phase = Phase::Launched));
    world.run_to(700);
    assert!(world.status(0).alarms.is_empty());
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_deletion_that_is_taken_back_deletes_nothing() {
    let mut world = world_with(alice());
    world.run_to(320);
    world.ask(Ask::Update(id(0), |record| record.phase = Phase::Deleted));
    world.run_to(340);
    assert_eq!(world.status(0).stage, Stage::Deleting);
    world.ask(Ask::Update(id(0), |record| record.phase = Phase::Launched));
    world.run_to(600);
    assert!(has_alarm(&world, Level::Critical, "cannot follow DELETED"));
    assert!(world.nodes.deleted.is_empty());
    assert!(world.nodes.runs(id(0)));
}

#[test]
fn a_deletion_must_be_seen_twice_without_another_word_between() {
    let mut world = world_with(alice());
    world.run_to(320);
    world.ask(Ask::Update(id(0), |record| record.phase = Phase::Deleted));
    world.run_to(330);
    world.ask(Ask::Update(id(0), |record| record.phase = Phase::Launched));
    world.run_to(340);
    assert!(has_alarm(&world, Level::Critical, "cannot follow DELETED"));
    world.ask(Ask::Update(id(0), |record| record.phase = Phase::Deleted));
    // The refused reading is repeated after a minute: from then on ten blocks count anew.
    world.run_to(430);
    assert!(world.status(0).alarms.is_empty());
    assert!(world.nodes.deleted.is_empty());
    world.run_to(470);
    assert!(world.nodes.deleted.contains(&id(0)));
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_newer_provider_or_a_reused_connection_gets_no_opt_in() {
    let mut newer = alice();
    newer.newer_provider = true;
    nothing_is_done(world_with(newer), 250);
    let mut changeover = alice();
    changeover.connection_id = "connection-0".into();
    nothing_is_done(world_with(changeover), 250);
}

#[test]
fn a_transaction_without_effect_is_not_sent_again_at_once() {
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(alice())));
    world.chain.void = true;
    world.run_to(200);
    let sent = did(&mut world)
        .iter()
        .filter(|a| a.starts_with("opt in"))
        .count();
    assert_eq!(sent, 3, "once a minute");
}

#[test]
fn repeated_ticks_change_nothing() {
    let mut world = world_with(alice());
    let before: Vec<_> = world.machine.consumers().collect();
    let now = UnixTime::new(at(60).seconds(), 0);
    for _ in 0..10 {
        assert_eq!(world.machine.step(now, Input::Tick), []);
    }
    assert_eq!(world.machine.consumers().collect::<Vec<_>>(), before);
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let mut world = world_with(alice());
    let before: Vec<_> = world.machine.consumers().collect();
    for op in 0..10_000 {
        let (op, outcome) = (OpId(op), Outcome::Gone);
        assert_eq!(world.machine.step(at(60), Input::Done { op, outcome }), []);
    }
    assert_eq!(world.machine.consumers().collect::<Vec<_>>(), before);
}

#[test]
fn a_denial_before_the_opt_in_window_is_in_time() {
    let mut record = alice();
    record.spawn = Some(at(800));
    let mut world = world_with(record);
    world.set_policy(denying_alice());
    assert_eq!(world.status(0).stage, Stage::Ignored);
    nothing_is_done(world, 900);
}

#[test]
fn thousands_of_strangers_are_read_a_few_at_a_time() {
    let mut world = World::new(policy());
    let strangers = 2_000;
    for number in 0..strangers {
        let record = Record::new("x-1", "nobody");
        world
            .chain
            .consumers
            .insert(ConsumerId::new(number), record.into());
    }
    world.run_to(30);
    let read = world.machine.consumers().filter(|c| c.phase.is_some());
    assert_eq!(u64::try_from(read.count()).ok(), Some(strangers));
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_list_that_is_older_than_the_node_says_nothing() {
    let mut world = world_with(alice());
    world.done();
    // A list is asked for at 305 together with the block that launches.
    world.slow_lists = true;
    world.run_to(330);
    let done = did(&mut world);
    let applied = done.iter().filter(|action| *action == "apply 0").count();
    assert_eq!(applied, 1, "{done:?}");
    assert_eq!(world.status(0).stage, Stage::Running);
}

#[test]
fn what_may_have_happened_is_looked_for_and_not_repeated() {
    let mut world = World::new(policy());
    world.unheard = ["opt in 0 with key", "stop 0", "delete 0"]
        .map(String::from)
        .into();
    world.ask(Ask::Create(id(0), Box::new(alice())));
    world.run_to(320);
    world.ask(Ask::Remove(id(0)));
    world.slow_lists = true;
    world.run_to(600);
    assert_eq!(world.status(0).stage, Stage::Deleted);
    assert!(world.unheard.is_empty());
    let done = did(&mut world);
    for once in ["opt in 0 with key", "apply 0", "stop 0", "delete 0"] {
        let count = done.iter().filter(|action| *action == once).count();
        assert_eq!(count, 1, "{once}: {done:?}");
    }
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn one_that_cannot_be_read_holds_up_no_other() {
    let mut world = World::new(policy());
    world.unreadable = [id(1)].into();
    world.ask(Ask::Create(id(0), Box::new(alice().spawning(at(100)))));
    world.ask(Ask::Create(id(1), Box::new(alice().spawning(at(100)))));
    world.run_to(130);
    assert_eq!(world.status(0).stage, Stage::Running);
    let unread = world.status(1);
    assert_eq!(unread.stage, Stage::Watching);
    assert!(
        unread.why.contains("its chain id is no chain id"),
        "{}",
        unread.why
    );
}
