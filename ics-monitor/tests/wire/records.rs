//! Recorded protobuf: it decodes, encodes to the same bytes, and a genesis prints as recorded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_fixtures::{recorded, recorded_json, recorded_names};
use ics_monitor::wire::query::{
    QueryAllPairsValConsAddrByConsumerResponse, QueryConsumerChainOptedInValidatorsResponse,
    QueryConsumerChainResponse, QueryConsumerChainsResponse, QueryConsumerGenesisResponse,
    QueryConsumerValidatorsResponse,
};
use ics_monitor::wire::sdk::Any;
use ics_monitor::wire::tx::{
    MsgAssignConsumerKey, MsgCreateConsumer, MsgOptIn, MsgOptOut, MsgRemoveConsumer,
    MsgUpdateConsumer,
};
use ics_monitor::wire::{decode_exact, genesis_json};
use prost::Message;

/// Decodes to the last byte or panics.
fn exact<M: Message + Default>(name: &str, bytes: &[u8]) -> M {
    decode_exact(name, bytes).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn every_recorded_answer_is_known_to_the_last_byte() {
    let mut seen = 0;
    for name in recorded_names("grpc") {
        let bytes = recorded(&name);
        let Some(kind) = name.strip_suffix(".bin").and_then(|n| n.rsplit('.').next()) else {
            continue;
        };
        match kind {
            "address_pairs" => {
                exact::<QueryAllPairsValConsAddrByConsumerResponse>(&name, &bytes);
            }
            "consumer_chain" => {
                exact::<QueryConsumerChainResponse>(&name, &bytes);
            }
            "consumer_chains" => {
                exact::<QueryConsumerChainsResponse>(&name, &bytes);
            }
            "consumer_genesis" => {
                exact::<QueryConsumerGenesisResponse>(&name, &bytes);
            }
            "consumer_validators" => {
                exact::<QueryConsumerValidatorsResponse>(&name, &bytes);
            }
            "opted_in_validators" => {
                exact::<QueryConsumerChainOptedInValidatorsResponse>(&name, &bytes);
            }
            other => panic!("{name}: nothing reads {other}"),
        }
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_genesis_prints_as_the_chains_own_tools_print_it() {
    let mut seen = 0;
    for name in recorded_names("grpc") {
        let Some(step) = name
            .strip_prefix("grpc/")
            .and_then(|n| n.strip_suffix(".consumer_genesis.bin"))
        else {
            continue;
        };
        let answer: QueryConsumerGenesisResponse = exact(&name, &recorded(&name));
        let state = answer.genesis_state.expect("a genesis");
        let json = genesis_json::to_json(&state).expect("JSON");
        let cli = recorded_json(&format!("cli/{step}.consumer-genesis.json"));
        assert_eq!(json, cli, "{step}, command line");
        let rest = recorded_json(&format!("rest/{step}.consumer_genesis.200.json"));
        assert_eq!(json, rest["genesis_state"], "{step}, REST");
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn a_genesis_with_one_more_byte_of_meaning_is_refused() {
    let mut bytes = recorded("grpc/A3-launched.consumer_genesis.bin");
    // Field 2 of the answer, which v7 does not have.
    bytes.extend([0x10, 1]);
    let refused = decode_exact::<QueryConsumerGenesisResponse>("genesis", &bytes);
    assert!(refused.is_err_and(|failure| failure.message.contains("upgrade")));
}

#[test]
fn the_stored_genesis_is_the_one_that_is_answered() {
    let answer = recorded_json("rpc/abci_query.store_proof_genesis_0.json");
    let value = answer["result"]["response"]["value"]
        .as_str()
        .expect("text");
    let bytes = BASE64.decode(value).expect("base64");
    let state = exact::<ics_monitor::wire::genesis::ConsumerGenesisState>("stored", &bytes);
    assert_eq!(state.params.expect("parameters").consumer_id, "0");
}

/// `cosmos.tx.v1beta1.Tx`, as far as its messages.
#[derive(Clone, PartialEq, Message)]
struct Tx {
    #[prost(message, optional, tag = "1")]
    body: Option<Messages>,
}

/// `cosmos.tx.v1beta1.TxBody` and `cosmos.gov.v1.MsgSubmitProposal`: both begin with messages.
#[derive(Clone, PartialEq, Message)]
struct Messages {
    #[prost(message, repeated, tag = "1")]
    messages: Vec<Any>,
}

/// Checks a message, and what a proposal would do; returns its name if it is the provider's.
fn check(any: &Any) -> Vec<String> {
    let (name, bytes) = (any.type_url.as_str(), any.value.as_slice());
    let provider = "/interchain_security.ccv.provider.v1.";
    match name.strip_prefix(provider).unwrap_or(name) {
        "MsgAssignConsumerKey" => drop(exact::<MsgAssignConsumerKey>(name, bytes)),
        "MsgCreateConsumer" => drop(exact::<MsgCreateConsumer>(name, bytes)),
        "MsgOptIn" => drop(exact::<MsgOptIn>(name, bytes)),
        "MsgOptOut" => drop(exact::<MsgOptOut>(name, bytes)),
        "MsgRemoveConsumer" => drop(exact::<MsgRemoveConsumer>(name, bytes)),
        "MsgUpdateConsumer" => drop(exact::<MsgUpdateConsumer>(name, bytes)),
        "/cosmos.gov.v1.MsgSubmitProposal" => {
            let inner = Messages::decode(bytes).expect("a proposal");
            return inner.messages.iter().flat_map(check).collect();
        }
        _ => return Vec::new(),
    }
    vec![name.to_owned()]
}

#[test]
fn every_recorded_transaction_encodes_to_the_same_bytes() {
    let mut seen = Vec::new();
    for name in recorded_names("rpc")
        .iter()
        .filter(|n| n.contains("/block."))
    {
        let block = recorded_json(name);
        let txs = block["result"]["block"]["data"]["txs"].as_array().cloned();
        for tx in txs.unwrap_or_default() {
            let bytes = BASE64.decode(tx.as_str().expect("text")).expect("base64");
            let tx = Tx::decode(bytes.as_slice()).expect("a transaction");
            seen.extend(tx.body.unwrap_or_default().messages.iter().flat_map(check));
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "{seen:?}");
}
