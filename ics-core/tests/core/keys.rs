//! Keys and addresses against what a real chain wrote: every one in every recorded JSON.

use std::collections::BTreeMap;

use ics_core::key::{Address, Form, KeyError, Prefixes, PublicKey};
use serde_json::Value;

/// Calls `visit` for this value and for all values in it, those in JSON texts included.
fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Array(all) => all.iter().for_each(|it| walk(it, visit)),
        Value::Object(fields) => fields.values().for_each(|it| walk(it, visit)),
        Value::String(text) if text.starts_with('{') => {
            if let Ok(inner) = serde_json::from_str(text) {
                walk(&inner, visit);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn everything_recorded(mut visit: impl FnMut(&Value)) {
    for folder in ["cli", "consumer", "relay", "rest", "rpc", "tx", "ws"] {
        let names = ics_fixtures::recorded_names(folder).into_iter();
        for name in names.filter(|name| name.ends_with(".json")) {
            walk(&ics_fixtures::recorded_json(&name), &mut visit);
        }
    }
}

fn is_key(value: &Value) -> bool {
    let names = |field: &str| value[field].as_str().unwrap_or_default();
    names("@type").ends_with("PubKey")
        || names("type").starts_with("tendermint/PubKey")
        || value["ed25519"].is_string()
        || value["Sum"].is_object()
}

fn key(value: &Value) -> PublicKey {
    value.to_string().parse().expect("an ed25519 key")
}

#[test]
fn every_recorded_key_is_read_and_written_as_it_was() {
    let (mut written, mut refused) = (BTreeMap::<String, u32>::new(), 0);
    everything_recorded(|value| {
        if !is_key(value) {
            return;
        }
        match value.to_string().parse::<PublicKey>() {
            Ok(key) => {
                let json = |form: &Form| serde_json::from_str::<Value>(&key.to_form(*form)).ok();
                let form = Form::ALL
                    .iter()
                    .find(|form| json(form).as_ref() == Some(value));
                let form = form.unwrap_or_else(|| panic!("{value} is written in no form"));
                *written.entry(format!("{form:?}")).or_default() += 1;
            }
            Err(KeyError::Scheme(name)) => {
                assert_eq!(name, "/cosmos.crypto.secp256k1.PubKey");
                refused += 1;
            }
            Err(error) => panic!("{value}: {error}"),
        }
    });
    let forms: Vec<_> = written.keys().map(String::as_str).collect();
    assert_eq!(forms, ["Amino", "Comet", "Oneof", "Sdk"], "{written:?}");
    assert!(written.values().sum::<u32>() > 150, "{written:?}");
    // Those of accounts, in transactions.
    assert!(refused > 0);
}

#[test]
fn consensus_addresses_are_those_that_the_chain_derives() {
    let prefixes = Prefixes::default();
    let (mut hex, mut bech32) = (0, 0);
    everything_recorded(|value| {
        let fields = [("address", "pub_key"), ("consumer_address", "consumer_key")];
        let pairs = fields.map(|(address, key)| (value[address].as_str(), &value[key]));
        for (address, recorded) in pairs.into_iter().filter(|(_, key)| is_key(key)) {
            let Some(address) = address else { continue };
            let found = key(recorded).address();
            if address.starts_with("cosmos") {
                assert_eq!(found.to_bech32(&prefixes.consensus), address);
                bech32 += 1;
            } else {
                // CometBFT knows no prefixes.
                assert_eq!(found.to_string(), address);
                hex += 1;
            }
        }
    });
    assert!(hex > 50 && bech32 > 5, "{hex} {bech32}");
}

#[test]
fn an_operator_and_its_account_are_one_address() {
    let (prefixes, mut compared) = (Prefixes::default(), 0);
    everything_recorded(|value| {
        let attribute = |name: &str| {
            let all = value["attributes"].as_array()?;
            all.iter().find(|it| it["key"] == name)?["value"].as_str()
        };
        let (Some(operator), Some(account)) = (
            attribute("provider_validator_address"),
            attribute("submitter_address"),
        ) else {
            return;
        };
        let address = Address::from_bech32(operator, &prefixes.operator).expect("an operator");
        assert_eq!(address.to_bech32(&prefixes.account), account);
        assert_eq!(address.to_bech32(&prefixes.operator), operator);
        compared += 1;
    });
    assert!(compared > 5, "{compared}");
}
