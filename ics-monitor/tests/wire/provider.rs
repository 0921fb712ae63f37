//! The provider client against recorded answers, served by a scripted node.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::failure::FailureKind;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::peers::NodeId;
use ics_core::phase::Phase;
use ics_core::snapshot::{Decimal, LocalValidator, Snapshot};
use ics_core::time::{Height, UnixTime};
use ics_fixtures::{recorded, recorded_json, recorded_names};
use ics_monitor::provider::Provider;
use ics_monitor::wire::base::{Description, Duration as WireDuration, PageResponse};
use ics_monitor::wire::query::{Params, QueryConsumerChainsResponse, QueryParamsResponse};
use ics_monitor::wire::sdk::{
    Any, Ed25519PubKey, Pair, Pairs, QuerySigningInfoRequest, QuerySigningInfoResponse,
    QuerySlashingParamsResponse, QueryValidatorResponse, QueryValidatorsRequest,
    QueryValidatorsResponse, SlashingParams, Validator, ValidatorSigningInfo,
};
use prost::Message;
use serde_json::{Value, json};

use crate::node::{Answer, Node};

/// The steps of the recording, with the consumer that each is about.
const STEPS: [(&str, u64); 12] = [
    ("A1-registered", 0),
    ("A2-initialized", 0),
    ("A3-launched", 0),
    ("A4-launched-charlie-opted-in-before-epoch", 0),
    ("A5-launched-after-epoch", 0),
    ("B1-initialized", 1),
    ("B2-registered-after-failed-launch", 1),
    ("C1-launched", 2),
    ("C2-stopped", 2),
    ("C3-deleted", 2),
    ("D1-topn-initialized", 3),
    ("D2-topn-launched", 3),
];

/// The height at which everything is asked.
pub(crate) const AT: Height = Height(500);

/// When the stopped consumer is to be deleted, in Go's `MarshalBinary`: 1,000 s after 1970.
const REMOVAL: &str = "010000000e7791fae80000000effff";

pub(crate) fn value(bytes: &[u8], height: &Value) -> Answer {
    let value = (!bytes.is_empty()).then(|| BASE64.encode(bytes));
    Ok(
        json!({"response": {"code": 0, "log": "", "info": "", "index": "0", "key": null,
        "value": value, "proofOps": null, "height": height, "codespace": ""}}),
    )
}

fn refusal(code: u32, log: &str, height: &Value) -> Answer {
    Ok(
        json!({"response": {"code": code, "log": log, "info": "", "index": "0", "key": null,
        "value": null, "proofOps": null, "height": height, "codespace": "sdk"}}),
    )
}

/// The bonded validators of the recording.
fn staking() -> Vec<Validator> {
    let json = recorded_json("rest/generic.validators_bonded.200.json");
    let list = json["validators"].as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    list.iter()
        .map(|validator| {
            let key = BASE64.decode(text(&validator["consensus_pubkey"]["key"]));
            let key = Ed25519PubKey {
                key: key.expect("base64"),
            };
            Validator {
                operator_address: text(&validator["operator_address"]),
                consensus_pubkey: Some(Any {
                    type_url: text(&validator["consensus_pubkey"]["@type"]),
                    value: key.encode_to_vec(),
                }),
                jailed: false,
                status: Validator::BONDED,
                tokens: text(&validator["tokens"]),
                description: Some(Description {
                    moniker: text(&validator["description"]["moniker"]).into_bytes(),
                    // Not UTF-8, as a real one could be.
                    details: vec![b'p', 0xff],
                    ..Description::default()
                }),
            }
        })
        .collect()
}

fn slashing() -> Vec<u8> {
    let params = SlashingParams {
        downtime_jail_duration: Some(WireDuration::from(Duration::from_secs(600))),
        slash_fraction_double_sign: b"50000000000000000".to_vec(),
        slash_fraction_downtime: b"10000000000000000".to_vec(),
    };
    QuerySlashingParamsResponse {
        params: Some(params),
    }
    .encode_to_vec()
}

/// The provider module's parameters of the recording.
fn module_params() -> Vec<u8> {
    let json = &recorded_json("rest/generic.provider_params.200.json")["params"];
    let number = |name: &str| json[name].as_str().and_then(|text| text.parse().ok());
    let params = Params {
        trusting_period_fraction: json["trusting_period_fraction"]
            .as_str()
            .map(Into::into)
            .expect("text"),
        blocks_per_epoch: number("blocks_per_epoch").expect("a number"),
        max_provider_consensus_validators: number("max_provider_consensus_validators")
            .expect("a number"),
    };
    QueryParamsResponse {
        params: Some(params),
    }
    .encode_to_vec()
}

/// What the recording says of the signing of one validator.
fn signing(request: &[u8]) -> Option<Vec<u8>> {
    let asked = QuerySigningInfoRequest::decode(request).expect("a request");
    let json = recorded_json("rest/generic.slashing_signing_infos.200.json");
    let infos = json["info"].as_array().expect("a list");
    let info = infos
        .iter()
        .find(|it| it["address"] == asked.cons_address)?;
    let info = ValidatorSigningInfo {
        tombstoned: info["tombstoned"].as_bool()?,
    };
    let val_signing_info = Some(info);
    Some(QuerySigningInfoResponse { val_signing_info }.encode_to_vec())
}

/// One page a validator, so that there are several.
fn validators_page(request: &[u8]) -> Vec<u8> {
    let request = QueryValidatorsRequest::decode(request).expect("a request");
    assert_eq!(request.status, "BOND_STATUS_BONDED");
    let page = request.pagination.expect("a page");
    assert!(page.limit > 0 && !page.count_total);
    let index = page.key.first().copied().map_or(0, usize::from);
    let all = staking();
    let next_key = (index + 1 < all.len()).then_some(vec![index as u8 + 1]);
    QueryValidatorsResponse {
        validators: vec![all[index].clone()],
        pagination: Some(PageResponse {
            next_key: next_key.unwrap_or_default(),
            total: 0,
        }),
    }
    .encode_to_vec()
}

/// A node that is in the state of one step of the recording.
async fn node(step: &'static str) -> Node {
    Node::start(move |method, params| match method {
        "abci_info" => Ok(recorded_json("rpc/abci_info.json")["result"].clone()),
        "abci_query" => query(step, params),
        "header" => {
            let header = &recorded_json("rpc/commit.json")["result"]["signed_header"]["header"];
            Ok(json!({"header": header}))
        }
        "status" => Ok(recorded_json("rpc/status.json")["result"].clone()),
        "tx_search" => {
            let name = "rpc/tx_search.create_consumer_0.json";
            Ok(recorded_json(name)["result"].clone())
        }
        _ => Err(format!("no script for {method}")),
    })
    .await
}

pub(crate) fn query(step: &str, params: &Value) -> Answer {
    let path = params["path"].as_str().expect("a path");
    let data = hex::decode(params["data"].as_str().unwrap_or_default()).expect("hex");
    let height = match &params["height"] {
        Value::Null => json!("15"),
        height => height.clone(),
    };
    let file = |kind: &str| {
        let name = format!("grpc/{step}.{kind}.bin");
        if recorded_names("grpc").contains(&name) {
            return value(&recorded(&name), &height);
        }
        refusal(
            22,
            "rpc error: code = NotFound desc = no such thing",
            &height,
        )
    };
    match path {
        "/store/provider/subspace" => refusal(6, "store queries are off", &height),
        "/store/provider/key" => value(&hex::decode(REMOVAL).expect("hex"), &height),
        "/cosmos.slashing.v1beta1.Query/Params" => value(&slashing(), &height),
        "/cosmos.slashing.v1beta1.Query/SigningInfo" => match signing(&data) {
            Some(bytes) => value(&bytes, &height),
            None => refusal(22, "SigningInfo not found", &height),
        },
        "/cosmos.staking.v1beta1.Query/Validator" => {
            let validator = staking().into_iter().find(|v| {
                let needle = v.operator_address.as_bytes();
                data.windows(needle.len()).any(|window| window == needle)
            });
            match validator {
                Some(_) => value(
                    &QueryValidatorResponse { validator }.encode_to_vec(),
                    &height,
                ),
                None => refusal(22, "validator not found", &height),
            }
        }
        "/cosmos.staking.v1beta1.Query/Validators" => value(&validators_page(&data), &height),
        _ => match path.rsplit('/').next().expect("a name") {
            "QueryConsumerChain" if data.ends_with(b"999") => {
                let name = "rpc/abci_query.unknown_consumer.json";
                let unknown = recorded_json(name)["result"]["response"].clone();
                refusal(18, unknown["log"].as_str().expect("text"), &height)
            }
            "QueryConsumerChain" => file("consumer_chain"),
            "QueryParams" => value(&module_params(), &height),
            "QueryConsumerChains" => file("consumer_chains"),
            "QueryConsumerValidators" => file("consumer_validators"),
            "QueryConsumerChainOptedInValidators" => file("opted_in_validators"),
            "QueryAllPairsValConsAddrByConsumer" => file("address_pairs"),
            "QueryConsumerGenesis" => file("consumer_genesis"),
            other => panic!("{other} is asked, but nobody scripted it"),
        },
    }
}

/// One of the recording's validators, by its name.
pub(crate) fn local(moniker: &str) -> LocalValidator {
    let all = staking();
    let named = |v: &&Validator| {
        let description = v.description.clone().unwrap_or_default();
        description.moniker == moniker.as_bytes()
    };
    let validator = all.iter().find(named).expect("that validator");
    let text = &validator.operator_address;
    LocalValidator {
        operator: Address::from_bech32(text, "cosmosvaloper").expect("an address"),
        chain_id: ChainId::new("provider-1").expect("a chain id"),
        provider_key: validator.to_ed25519().expect("a key"),
        node_id: NodeId::new([0; 20]),
    }
}

pub(crate) async fn snapshot(step: &'static str, id: u64, moniker: &str) -> Snapshot {
    let node = node(step).await;
    let provider = Provider::new(node.rpc());
    let local = local(moniker);
    let read = provider.consumer(ConsumerId::new(id), AT, &local);
    read.await.expect("answers").expect("a consumer")
}

#[tokio::test]
async fn every_recorded_state_is_read_as_the_command_line_prints_it() {
    for (step, id) in STEPS {
        let snapshot = snapshot(step, id, "alice").await;
        let chain = recorded_json(&format!("cli/{step}.consumer-chain.json"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(snapshot.height, AT);
        assert_eq!(
            snapshot.consumer_id.to_string(),
            text(&chain["consumer_id"])
        );
        assert_eq!(
            snapshot.chain_id.as_str(),
            text(&chain["chain_id"]),
            "{step}"
        );
        assert_eq!(snapshot.owner, text(&chain["owner_address"]), "{step}");
        let phase = format!("CONSUMER_PHASE_{}", snapshot.phase);
        assert_eq!(phase, text(&chain["phase"]), "{step}");
        let init = &chain["init_params"];
        let spawn = UnixTime::from_rfc3339(&text(&init["spawn_time"]));
        let spawn = spawn.filter(|time| *time != UnixTime::GO_ZERO);
        assert_eq!(snapshot.spawn_time, spawn, "{step}");
        let height = snapshot.initial_height.height.to_string();
        assert_eq!(height, text(&init["initial_height"]["revision_height"]));
        let downtime = &chain["infraction_parameters"]["downtime"];
        let slash = Decimal::parse(&text(&downtime["slash_fraction"]));
        assert_eq!(Some(snapshot.infraction.downtime.slash), slash, "{step}");
        assert!(!snapshot.newer_provider, "{step}");
        let set = recorded_json(&format!("cli/{step}.consumer-validators.json"));
        let set = set["validators"].as_array().map_or(0, Vec::len);
        assert_eq!(snapshot.validators.size(), set, "{step}");
    }
}

#[tokio::test]
async fn a_launched_consumer_tells_our_part() {
    let snapshot = snapshot("A3-launched", 0, "alice").await;
    let key = PublicKey::from_base64("ZF0xG6ZmOArZ5KK/xUeXEg5D0s5eLqqhtqG1kG4wfz0=");
    let key = key.expect("a key");
    assert!(snapshot.opted_in);
    assert_eq!(snapshot.assigned_key, Some(key));
    assert_eq!(snapshot.launched_at, Some(Height(44)));
    let member = snapshot.member(&local("alice")).expect("a member");
    assert_eq!((member.power, member.consumer_key), (500, key));
    assert_eq!(member.moniker, "alice");

    let own = snapshot.infraction.double_sign;
    assert_eq!(own.jail, Duration::from_nanos(i64::MAX as u64));
    assert!(own.tombstone);
    assert_eq!(own, snapshot.provider_infraction.double_sign);
    let downtime = snapshot.provider_infraction.downtime;
    assert_eq!(downtime.jail, Duration::from_secs(600));
    assert_eq!(Some(downtime.slash), Decimal::parse("0.01"));
}

#[tokio::test]
async fn a_validator_that_stays_out_is_seen_as_out() {
    let snapshot = snapshot("A3-launched", 0, "charlie").await;
    assert!(!snapshot.opted_in);
    assert_eq!(snapshot.member(&local("charlie")), None);
    // He assigned a key before launch all the same.
    assert!(snapshot.assigned_key.is_some());
}

#[tokio::test]
async fn stopped_and_deleted_consumers_are_read_without_the_queries_that_fail() {
    let stopped = snapshot("C2-stopped", 2, "alice").await;
    assert_eq!(stopped.phase, Phase::Stopped);
    assert_eq!(stopped.launched_at, Some(Height(65)));
    assert_eq!(stopped.removal_time, Some(UnixTime::new(1000, 14)));
    let deleted = snapshot("C3-deleted", 2, "alice").await;
    assert_eq!(deleted.phase, Phase::Deleted);
    assert_eq!((deleted.launched_at, deleted.removal_time), (None, None));
}

#[tokio::test]
async fn an_unknown_id_is_no_consumer() {
    let node = node("A1-registered").await;
    let provider = Provider::new(node.rpc());
    let alice = local("alice");
    let answer = provider.consumer(ConsumerId::new(999), AT, &alice);
    assert_eq!(answer.await, Ok(None));
    let detail = provider.detail(ConsumerId::new(999), AT).await;
    assert_eq!(detail, Ok(None));
}

#[tokio::test]
async fn the_detail_serialises() {
    let node = node("D2-topn-launched").await;
    let detail = Provider::new(node.rpc())
        .detail(ConsumerId::new(3), AT)
        .await;
    let json = serde_json::to_value(detail.expect("answers")).expect("JSON");
    assert_eq!(json["power_shaping"]["top_n"], 66);
    assert_eq!(json["phase"], "LAUNCHED");
    assert_eq!(json["validators"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_launch_genesis_tells_how_the_consumer_starts() {
    let node = node("A3-launched").await;
    let provider = Provider::new(node.rpc());
    let genesis = provider
        .genesis(ConsumerId::new(0), AT)
        .await
        .expect("a genesis");
    assert_eq!(genesis.launched_at(), Some(Height(44)));
    let launch = &genesis.launch;
    let client = launch.client.as_ref().expect("a client");
    assert_eq!(client.chain_id, "provider-1");
    assert_eq!(client.trusting_period, Duration::from_millis(26_400));
    let powers: Vec<u64> = launch.first_set.iter().map(|member| member.power).collect();
    assert_eq!(powers, [500, 300]);
    let cli = recorded_json("cli/A3-launched.consumer-genesis.json");
    assert_eq!(genesis.json, cli);
    // The same genesis, asked for under another id.
    let other = provider.genesis(ConsumerId::new(1), AT).await;
    assert!(other.is_err_and(|failure| failure.message.contains("another consumer")));
}

#[tokio::test]
async fn a_consumer_before_launch_has_no_genesis() {
    let node = node("A2-initialized").await;
    let genesis = Provider::new(node.rpc())
        .genesis(ConsumerId::new(0), AT)
        .await;
    assert!(genesis.is_err_and(|failure| failure.kind == FailureKind::Transient));
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let node = node("D2-topn-launched").await;
    let provider = Provider::new(node.rpc());
    let bonded = provider.bonded(AT).await.expect("validators");
    let mut tokens: Vec<u128> = bonded.iter().map(|candidate| candidate.tokens).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [200_000_000, 300_000_000, 500_000_000]);
    let list = provider.list(AT).await.expect("consumers");
    let phases: Vec<Option<Phase>> = list.iter().map(|entry| entry.phase).collect();
    assert_eq!(phases.len(), 4);
    assert_eq!(phases[3], Some(Phase::Launched));
    // The scan is refused, so the hint comes from the list.
    let hint = provider.phases().await.expect("phases");
    let expected: BTreeMap<ConsumerId, Phase> = list
        .iter()
        .filter_map(|entry| Some((entry.consumer_id, entry.phase?)))
        .collect();
    assert_eq!(hint, expected);
}

#[tokio::test]
async fn one_scan_tells_all_phases() {
    let pair = Pair {
        key: hex::decode("31000000000000000130").expect("hex"),
        value: hex::decode("0000000300000000").expect("hex"),
    };
    let scan = Pairs { pairs: vec![pair] }.encode_to_vec();
    let node = Node::start(move |_, params| {
        assert_eq!(params["path"], "/store/provider/subspace");
        value(&scan, &json!("15"))
    })
    .await;
    let phases = Provider::new(node.rpc()).phases().await;
    let expected = BTreeMap::from([(ConsumerId::new(0), Phase::Launched)]);
    assert_eq!(phases, Ok(expected));
}

#[tokio::test]
async fn pages_that_go_in_a_circle_end() {
    let answer = QueryConsumerChainsResponse {
        chains: Vec::new(),
        pagination: Some(PageResponse {
            next_key: vec![1],
            total: 0,
        }),
    };
    let bytes = answer.encode_to_vec();
    let node = Node::start(move |_, params| value(&bytes, &params["height"])).await;
    let list = Provider::new(node.rpc()).list(AT).await;
    assert!(list.is_err_and(|failure| failure.message.contains("circle")));
}

#[tokio::test]
async fn a_pruned_height_names_the_cure() {
    let log = "failed to load state at height 500; version does not exist: not found";
    let node = Node::start(move |_, params| refusal(38, log, &params["height"])).await;
    let read = Provider::new(node.rpc());
    let read = read.consumer(ConsumerId::new(0), AT, &local("alice")).await;
    let failure = read.expect_err("pruned");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("pruning"), "{failure}");
}

#[tokio::test]
async fn the_node_says_where_it_is() {
    let node = node("A1-registered").await;
    let provider = Provider::new(node.rpc());
    let (height, time) = provider.latest().await.expect("a height");
    assert_eq!(height, Height(15));
    assert_eq!(time.to_string(), "2026-11-21T08:01:47.123180578Z");
    let chain = provider.chain().await.expect("a status");
    assert_eq!(chain.chain_id, "provider-1");
    let created = provider.created_at(ConsumerId::new(0)).await;
    // Recorded in another run than the rest.
    assert_eq!(created, Ok(Some(Height(31))));
}

#[tokio::test]
async fn a_node_without_an_index_does_not_know_the_creation() {
    let node = Node::start(|_, _| Err("transaction indexing is disabled".into())).await;
    let created = Provider::new(node.rpc())
        .created_at(ConsumerId::new(0))
        .await;
    assert_eq!(created, Ok(None));
}

#[tokio::test]
async fn a_validator_is_found_by_its_operator() {
    let node = node("A1-registered").await;
    let provider = Provider::new(node.rpc());
    let bob = local("bob");
    let found = provider.validator(&bob.operator).await.expect("an answer");
    let found = found.expect("a validator");
    assert_eq!(found.consensus_key, bob.provider_key);
    assert_eq!((found.moniker.as_str(), found.tokens), ("bob", 300_000_000));
    assert_eq!(found.details, "p\u{fffd}");
    assert!(found.bonded && !found.jailed);
    let nobody = Address::new([9; 20]).expect("20 bytes");
    assert_eq!(provider.validator(&nobody).await, Ok(None));
}
