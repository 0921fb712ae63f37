//! The feed against a scripted node: gaps, cancelled subscriptions, silence, lost connections.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ics_core::event::Event;
use ics_core::id::ConsumerId;
use ics_core::time::Height;
use ics_fixtures::recorded_json;
use ics_monitor::feed::{Feed, FeedItem, FeedSettings, follow};
use serde_json::{Value, json};

use crate::node::{Answer, Node, Push};

/// A chain whose block at height H has the time 08:00 plus H seconds; block 44 launches consumer 0.
#[derive(Debug)]
struct Chain {
    newest: u64,
    /// Below this the node has nothing.
    oldest: u64,
    /// Fails this many times to give the results of a block.
    failures: u32,
}

type Shared = Arc<Mutex<Chain>>;

fn chain(newest: u64) -> Shared {
    Arc::new(Mutex::new(Chain {
        newest,
        oldest: 1,
        failures: 0,
    }))
}

fn header(height: u64) -> Value {
    let mut header = recorded_json("ws/launch.h44.NewBlockHeader.0.json")
        .pointer("/result/data/value/header")
        .expect("a header")
        .clone();
    header["height"] = json!(height.to_string());
    header["time"] = json!(format!(
        "2026-11-21T08:{:02}:{:02}Z",
        height / 60,
        height % 60
    ));
    header
}

fn frame(height: u64) -> Push {
    let mut frame = recorded_json("ws/launch.h44.NewBlockHeader.0.json");
    frame["result"]["data"]["value"]["header"] = header(height);
    Push::Text(frame.to_string())
}

fn answer(chain: &Shared, method: &str, params: &Value) -> Answer {
    let mut chain = chain.lock().expect("no panic while locked");
    let height: u64 = match params["height"].as_str() {
        Some(text) => text.parse().expect("a height"),
        None => chain.newest,
    };
    let available = height >= chain.oldest;
    match method {
        "abci_info" => Ok(json!({"response": {"last_block_height": chain.newest.to_string()}})),
        "block_results" if chain.failures > 0 => {
            chain.failures -= 1;
            Err("try again".into())
        }
        _ if !available => Err(format!(
            "height {height} is not available, lowest height is {}",
            chain.oldest
        )),
        "block_results" if height == 44 => {
            Ok(recorded_json("rpc/block_results.launch.h44.json")["result"].clone())
        }
        "block_results" => {
            let mut empty = recorded_json("rpc/block_results.launch_minus_1.h43.json");
            empty["result"]["height"] = json!(height.to_string());
            Ok(empty["result"].take())
        }
        "header" => Ok(json!({"header": header(height)})),
        _ => Err(format!("no script for {method}")),
    }
}

async fn start(chain: &Shared) -> Node {
    let chain = chain.clone();
    Node::start(move |method, params| answer(&chain, method, params)).await
}

/// Short times, except for silence: most tests send no header for a while.
fn settings() -> FeedSettings {
    FeedSettings {
        reconnect_min: Duration::from_millis(10),
        reconnect_max: Duration::from_millis(50),
        block_deadline: Duration::from_secs(2),
        max_backfill: 5,
        min_silence: Duration::from_secs(20),
        ..FeedSettings::default()
    }
}

/// A new block: the chain has it, and subscribers hear of it.
fn produce(node: &Node, chain: &Shared, height: u64) {
    chain.lock().expect("no panic while locked").newest = height;
    node.push(frame(height));
}

async fn next(feed: &mut Feed) -> FeedItem {
    let item = tokio::time::timeout(Duration::from_secs(20), feed.next()).await;
    item.expect("an item in time").expect("a feed")
}

/// The next item's height, which must be a block with the right time.
async fn next_block(feed: &mut Feed) -> u64 {
    match next(feed).await {
        FeedItem::Block { height, time, .. } => {
            let expected = header(height.0)["time"].clone();
            assert_eq!(json!(time.to_string()), expected);
            height.0
        }
        other => panic!("expected a block, got {other:?}"),
    }
}

async fn next_resync(feed: &mut Feed) -> (u64, String) {
    match next(feed).await {
        FeedItem::Resync { height, reason, .. } => (height.0, reason),
        other => panic!("expected a resync, got {other:?}"),
    }
}

async fn next_lost(feed: &mut Feed) -> String {
    match next(feed).await {
        FeedItem::Lost(reason) => reason,
        other => panic!("expected a loss, got {other:?}"),
    }
}

#[tokio::test]
async fn it_starts_with_a_resync_and_goes_on_block_by_block() {
    let chain = chain(42);
    let node = start(&chain).await;
    let mut feed = follow(node.rpc(), settings());
    assert_eq!(next_resync(&mut feed).await, (42, "start".into()));
    produce(&node, &chain, 43);
    assert_eq!(next_block(&mut feed).await, 43);
    produce(&node, &chain, 44);
    let FeedItem::Block { height, events, .. } = next(&mut feed).await else {
        panic!("no block");
    };
    assert_eq!(height, Height(44));
    assert_eq!(events, [Event::Touched(ConsumerId::new(0))]);
}

#[tokio::test]
async fn a_gap_is_filled_in_order() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut feed = follow(node.rpc(), settings());
    next_resync(&mut feed).await;
    produce(&node, &chain, 44);
    for height in 41..=44 {
        assert_eq!(next_block(&mut feed).await, height);
    }
    // A header that comes twice changes nothing.
    produce(&node, &chain, 44);
    produce(&node, &chain, 45);
    assert_eq!(next_block(&mut feed).await, 45);
}

#[tokio::test]
async fn a_gap_beyond_the_bound_is_a_resync() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut feed = follow(node.rpc(), settings());
    next_resync(&mut feed).await;
    produce(&node, &chain, 47);
    let (height, reason) = next_resync(&mut feed).await;
    assert_eq!(height, 47);
    assert!(reason.contains('6'), "{reason}");
    produce(&node, &chain, 48);
    assert_eq!(next_block(&mut feed).await, 48);
}

#[tokio::test]
async fn heights_that_the_node_no_longer_has_are_a_resync_at_once() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut patient = settings();
    patient.block_deadline = Duration::from_secs(60);
    let mut feed = follow(node.rpc(), patient);
    next_resync(&mut feed).await;
    chain.lock().expect("no panic while locked").oldest = 43;
    produce(&node, &chain, 44);
    let (height, reason) = next_resync(&mut feed).await;
    assert_eq!(height, 44);
    assert!(reason.contains("lowest height"), "{reason}");
}

#[tokio::test]
async fn a_block_that_cannot_be_read_is_tried_again_and_then_a_resync() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut feed = follow(node.rpc(), settings());
    next_resync(&mut feed).await;
    chain.lock().expect("no panic while locked").failures = 2;
    produce(&node, &chain, 41);
    assert_eq!(next_block(&mut feed).await, 41);
    chain.lock().expect("no panic while locked").failures = u32::MAX;
    produce(&node, &chain, 42);
    let (height, reason) = next_resync(&mut feed).await;
    assert_eq!(height, 42);
    assert!(reason.contains("try again"), "{reason}");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_its_gap_filled() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut feed = follow(node.rpc(), settings());
    next_resync(&mut feed).await;
    // Blocks that nobody heard of.
    chain.lock().expect("no panic while locked").newest = 42;
    node.push(Push::Close);
    assert!(!next_lost(&mut feed).await.is_empty());
    assert_eq!(next_block(&mut feed).await, 41);
    assert_eq!(next_block(&mut feed).await, 42);
    node.subscribed(2).await;
    produce(&node, &chain, 43);
    assert_eq!(next_block(&mut feed).await, 43);
}

#[tokio::test]
async fn a_cancelled_subscription_is_made_again() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut feed = follow(node.rpc(), settings());
    next_resync(&mut feed).await;
    let cancelled = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Server error",
        "data":"subscription was canceled (reason: out of capacity)"}}"#;
    node.push(Push::Text(cancelled.into()));
    let reason = next_lost(&mut feed).await;
    assert!(reason.contains("out of capacity"), "{reason}");
    node.subscribed(2).await;
    produce(&node, &chain, 41);
    assert_eq!(next_block(&mut feed).await, 41);
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut impatient = settings();
    impatient.min_silence = Duration::from_millis(300);
    impatient.max_silence = Duration::from_millis(300);
    impatient.ping_every = Duration::from_millis(50);
    let mut feed = follow(node.rpc(), impatient);
    next_resync(&mut feed).await;
    chain.lock().expect("no panic while locked").newest = 41;
    // Pongs come, headers do not.
    let reason = next_lost(&mut feed).await;
    assert!(reason.contains("no block header"), "{reason}");
    assert_eq!(next_block(&mut feed).await, 41);
}

#[tokio::test]
async fn a_node_that_went_back_is_waited_for() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut feed = follow(node.rpc(), settings());
    next_resync(&mut feed).await;
    chain.lock().expect("no panic while locked").newest = 10;
    node.push(Push::Close);
    next_lost(&mut feed).await;
    let reason = next_lost(&mut feed).await;
    assert!(
        reason.contains("height 10") && reason.contains("40"),
        "{reason}"
    );
    node.subscribed(2).await;
    for height in 11..=42 {
        produce(&node, &chain, height);
    }
    assert_eq!(next_block(&mut feed).await, 41);
    assert_eq!(next_block(&mut feed).await, 42);
}

#[tokio::test]
async fn a_node_that_is_down_is_waited_for() {
    // Nothing listens on port 1.
    let rpc = ics_monitor::rpc::Rpc::new("http://127.0.0.1:1").expect("a URL");
    let mut feed = follow(rpc, settings());
    for _ in 0..3 {
        assert!(next_lost(&mut feed).await.contains("127.0.0.1:1"));
    }
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let chain = chain(40);
    let node = start(&chain).await;
    let mut narrow = settings();
    narrow.buffer = 1;
    narrow.max_backfill = 100;
    let mut feed = follow(node.rpc(), narrow);
    node.subscribed(1).await;
    for height in 41..=59 {
        produce(&node, &chain, height);
    }
    // How many of them the start already covers depends on who is faster.
    let (start, _) = next_resync(&mut feed).await;
    for height in start + 1..=59 {
        assert_eq!(next_block(&mut feed).await, height);
    }
}
