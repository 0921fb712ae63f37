//! A launch genesis is held against headers and the provider's state, as far as a node lets it.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::failure::{Failure, FailureKind};
use ics_core::genesis::Trust;
use ics_core::id::ConsumerId;
use ics_core::time::Height;
use ics_fixtures::recorded_json;
use ics_monitor::provider::Provider;
use ics_monitor::wire::genesis::ConsumerGenesisState;
use ics_monitor::wire::query::QueryConsumerGenesisResponse;
use prost::Message;
use serde_json::{Value, json};

use crate::node::{Answer, Node};

/// The application hash in header 9 of the recording, see `fixtures/recorded/README.md`.
const APP_HASH: &str = "041CEB9A284D0F3A37468B084817D16BF85B4D686A410711430ED36E29CFAE62";

/// The recorded answer to the query of the stored genesis, at height 8, with its proof.
fn stored() -> Value {
    recorded_json("rpc/abci_query.store_proof_genesis_0.json")["result"].clone()
}

fn genesis() -> ConsumerGenesisState {
    let stored = stored();
    let value = stored["response"]["value"].as_str().expect("text");
    let bytes = BASE64.decode(value).expect("base64");
    ConsumerGenesisState::decode(bytes.as_slice()).expect("a genesis")
}

/// The answer of the chain's own query, at the height asked for.
fn answered(genesis: ConsumerGenesisState, height: &Value) -> Answer {
    let answer = QueryConsumerGenesisResponse {
        genesis_state: Some(genesis),
    };
    let value = BASE64.encode(answer.encode_to_vec());
    Ok(
        json!({"response": {"code": 0, "log": "", "info": "", "index": "0", "key": null,
        "value": value, "proofOps": null, "height": height, "codespace": ""}}),
    )
}

/// A header as the recording's chain had it: that of the launch block is what the genesis repeats.
fn header(height: &str) -> Value {
    let mut header = recorded_json("rpc/commit.json")["result"]["signed_header"]["header"].clone();
    let info = genesis().provider.expect("a provider");
    let (client, consensus) = (
        info.client_state.expect("a client"),
        info.consensus_state.expect("a block"),
    );
    header["chain_id"] = json!(client.chain_id);
    header["height"] = json!(height);
    let launched = client.latest_height.expect("a height").revision_height;
    if height == launched.to_string() {
        let time = consensus.timestamp.and_then(|stamp| stamp.to_unix());
        header["time"] = json!(time.expect("a time").to_string());
        header["app_hash"] = json!(hex::encode_upper(consensus.root.expect("a root").hash));
        header["next_validators_hash"] = json!(hex::encode_upper(consensus.next_validators_hash));
    }
    if height == "9" {
        header["app_hash"] = json!(APP_HASH);
    }
    json!({ "header": header })
}

/// What a truthful node answers at height 8 or 9.
fn truth(method: &str, params: &Value) -> Answer {
    match method {
        "abci_query" if params["path"] == "/store/provider/key" => {
            assert_eq!(params["data"], "0E30");
            assert_eq!(params["height"], "8");
            assert_eq!(params["prove"], true);
            Ok(stored())
        }
        "abci_query" => answered(genesis(), &params["height"]),
        "header" => match params["height"].as_str() {
            Some(height @ ("6" | "9")) => Ok(header(height)),
            other => Err(format!("no script for header {other:?}")),
        },
        _ => Err(format!("no script for {method}")),
    }
}

/// Reads the genesis at a height from a node that answers by this, and verifies it.
async fn verify_at(
    height: u64,
    script: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
) -> Result<Trust, Failure> {
    let node = Node::start(script).await;
    let provider = Provider::new(node.rpc());
    let genesis = provider.genesis(ConsumerId::new(0), Height(height)).await;
    provider.verify(&genesis.expect("a genesis")).await
}

/// The truth, but for answers that this changes.
async fn but_for(
    change: impl Fn(&str, &Value) -> Option<Answer> + Send + Sync + 'static,
) -> Result<Trust, Failure> {
    let script = move |method: &str, params: &Value| {
        change(method, params).unwrap_or_else(|| truth(method, params))
    };
    verify_at(9, script).await
}

fn is_store(params: &Value) -> bool {
    params["path"] == "/store/provider/key"
}

#[tokio::test]
async fn a_launch_genesis_is_proved_by_the_header_after_its_height() {
    assert_eq!(verify_at(9, truth).await, Ok(Trust::Proved(Height(9))));
}

#[tokio::test]
async fn the_header_after_the_newest_height_is_waited_for() {
    let asked = AtomicU32::new(0);
    // Read at the launch height itself, no earlier height will do.
    let launched_at_8 = || {
        let mut genesis = genesis();
        let provider = genesis.provider.as_mut().expect("a provider");
        let client = provider.client_state.as_mut().expect("a client");
        client
            .latest_height
            .as_mut()
            .expect("a height")
            .revision_height = 8;
        genesis
    };
    let stored = BASE64.encode(launched_at_8().encode_to_vec());
    let script = move |method: &str, params: &Value| match method {
        "abci_query" if is_store(params) => {
            assert_eq!(params["height"], "8");
            let mut answer = self::stored();
            answer["response"]["value"] = json!(stored);
            Ok(answer)
        }
        "abci_query" => answered(launched_at_8(), &params["height"]),
        "header" if params["height"] == "8" => {
            let mut header = header("6");
            header["header"]["height"] = json!("8");
            Ok(header)
        }
        _ if asked.fetch_add(1, Ordering::Relaxed) < 2 => {
            Err("height 9 must be less than or equal to the current blockchain height 8".into())
        }
        _ => truth(method, params),
    };
    // It comes at the third look; the genesis was changed for this test, so its proof is false.
    let refused = verify_at(8, script).await.expect_err("a changed genesis");
    assert!(refused.message.contains("block 9 is false"), "{refused}");
}

#[tokio::test]
async fn a_false_value_proof_or_header_is_refused_for_good() {
    let altered = |place: &'static str, value: Value| {
        but_for(move |method, params| {
            (method == "abci_query" && is_store(params)).then(|| {
                let mut answer = stored();
                *answer.pointer_mut(place).expect("a place") = value.clone();
                Ok(answer)
            })
        })
    };
    let no_step = json!([stored()["response"]["proofOps"]["ops"][0]]);
    for (place, value) in [
        ("/response/value", json!("CgIIAQ==")),
        ("/response/proofOps/ops/0/key", json!("DjE=")),
        ("/response/proofOps/ops/1/data", json!("CgA=")),
        ("/response/proofOps/ops", no_step),
    ] {
        let refused = altered(place, value).await.expect_err(place);
        assert_eq!(refused.kind, FailureKind::Permanent, "{place}");
        let named = "launch genesis of consumer 0: ";
        assert!(refused.message.starts_with(named), "{refused}");
        assert!(refused.message.contains("another node"), "{refused}");
    }
    let other = header("9")["header"]["last_results_hash"].clone();
    for (height, field, value) in [
        ("9", "app_hash", other.clone()),
        ("6", "app_hash", other.clone()),
        ("6", "next_validators_hash", other),
        ("6", "time", json!("2026-01-01T00:00:00Z")),
        ("6", "chain_id", json!("provider-2")),
    ] {
        let refused = but_for(move |method, params| {
            (method == "header" && params["height"] == height).then(|| {
                let mut header = header(height);
                header["header"][field] = value.clone();
                Ok(header)
            })
        })
        .await
        .expect_err(field);
        assert_eq!(refused.kind, FailureKind::Permanent, "{field}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_what_is_stored_is_refused() {
    let refused = but_for(|method, params| {
        (method == "abci_query" && !is_store(params)).then(|| {
            let mut genesis = genesis();
            let provider = genesis.provider.as_mut().expect("a provider");
            provider.initial_val_set[0].power += 1;
            answered(genesis, &params["height"])
        })
    })
    .await
    .expect_err("another power");
    assert_eq!(refused.kind, FailureKind::Permanent);
    assert!(refused.message.contains("not what lies in its store"));
}

#[tokio::test]
async fn a_launch_in_the_future_is_refused() {
    for height in [10, u64::MAX] {
        let refused = but_for(move |method, params| {
            (method == "abci_query" && !is_store(params)).then(|| {
                let mut genesis = genesis();
                let provider = genesis.provider.as_mut().expect("a provider");
                let client = provider.client_state.as_mut().expect("a client");
                let latest = client.latest_height.as_mut().expect("a height");
                latest.revision_height = height;
                answered(genesis, &params["height"])
            })
        })
        .await
        .expect_err("not launched yet");
        assert!(
            refused.message.contains("after the one at which"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_node_that_gives_no_proof_leaves_the_genesis_unverified() {
    let unproved = |answer: Answer| {
        but_for(move |method, params| {
            (method == "abci_query" && is_store(params)).then(|| answer.clone())
        })
    };
    let with = |place: &str, value: Value| {
        let mut answer = stored();
        *answer.pointer_mut(place).expect("a place") = value;
        Ok(answer)
    };
    for (what, answer) in [
        ("refused", Err("not allowed".into())),
        ("an error", with("/response/code", json!(6))),
        ("no value", with("/response/value", Value::Null)),
        ("no proof", with("/response/proofOps", Value::Null)),
        ("no steps", with("/response/proofOps/ops", json!([]))),
        ("another height", with("/response/height", json!("7"))),
    ] {
        let trust = unproved(answer).await;
        assert!(
            matches!(trust, Ok(Trust::Unverified(_))),
            "{what}: {trust:?}"
        );
    }
}

#[tokio::test]
async fn a_pruned_launch_block_is_no_obstacle_and_a_pruned_header_leaves_it_unverified() {
    let gone = |height: &'static str| {
        but_for(move |method, params| {
            (method == "header" && params["height"] == height).then(|| {
                Err(format!(
                    "height {height} is not available, lowest height is 100"
                ))
            })
        })
    };
    assert_eq!(gone("6").await, Ok(Trust::Proved(Height(9))));
    let trust = gone("9").await;
    assert!(matches!(trust, Ok(Trust::Unverified(_))), "{trust:?}");
    // A launch block that cannot be read for another reason is read again later.
    let failed = but_for(|method, params| {
        (method == "header" && params["height"] == "6").then(|| Err("overloaded".into()))
    })
    .await;
    assert!(failed.is_err_and(|failure| failure.kind == FailureKind::Transient));
}
