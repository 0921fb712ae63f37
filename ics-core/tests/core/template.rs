//! The owner's pre-CCV file: relayers can pay from the first block, and nothing else changes.

use std::collections::BTreeMap;

use ics_core::artifact::Digest;
use ics_core::genesis::{Coin, Expectation, Relayers, RelayersError, Template, read};
use ics_core::id::ChainId;
use ics_core::key::Address;
use ics_core::policy::GenesisSource;
use ics_core::snapshot::InitialHeight;
use ics_core::time::UnixTime;
use ics_fixtures::{recorded, recorded_json};
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use serde_json::{Value, json};

fn account(byte: u8) -> Address {
    Address::new([byte; 20]).expect("20 bytes")
}

fn text(byte: u8) -> String {
    account(byte).to_bech32("consumer")
}

fn relayers(each: &str, accounts: impl IntoIterator<Item = u8>) -> Relayers {
    let each = each.parse().expect("a coin");
    Relayers::new("consumer", each, accounts.into_iter().map(account)).expect("a prefix")
}

fn template(relayers: Relayers) -> Template {
    Template {
        chain_id: ChainId::new("new\"-7").expect("a chain id"),
        initial_height: 5,
        genesis_time: UnixTime::new(1_800_000_000, 5),
        relayers,
    }
}

fn plain(byte: u8) -> Value {
    json!({
        "@type": "/cosmos.auth.v1beta1.BaseAccount", "address": text(byte),
        "pub_key": null, "account_number": "0", "sequence": "0",
    })
}

fn coins(coins: &[(&str, u128)]) -> Value {
    let coin =
        |(denom, amount): &(&str, u128)| json!({"denom": denom, "amount": amount.to_string()});
    coins.iter().map(coin).collect()
}

/// What `init` writes, with these accounts and balances.
fn init(accounts: Value, balances: Value, supply: Value) -> Value {
    json!({
        "chain_id": "c", "initial_height": 1, "genesis_time": "2026-01-02T03:04:05Z",
        "app_state": {
            "auth": {"accounts": accounts, "params": {"a": "1"}},
            "bank": {"balances": balances, "supply": supply, "denom_metadata": []},
            "ccvconsumer": {"params": {"enabled": false}},
            "other": {"accounts": [], "float": "0.1"},
        },
    })
}

fn filled(template: &Template, init: &Value) -> Result<Value, String> {
    let file = template.fill(init.to_string().as_bytes());
    let file = file.map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&file).expect("JSON"))
}

fn refusal(init: &Value) -> String {
    match filled(&template(relayers("5stake", [1])), init) {
        Ok(made) => panic!("{init} is taken: {made}"),
        Err(why) => {
            assert!(why.len() < 400, "{why}");
            why
        }
    }
}

#[test]
fn the_init_of_a_real_consumer_becomes_the_owners_file() {
    let mut expected = recorded_json("consumer/pre_ccv_genesis.json");
    let file =
        template(relayers("7stake", [2, 1, 1])).fill(&recorded("consumer/pre_ccv_genesis.json"));
    let file = file.expect("a template");
    expected["chain_id"] = json!("new\"-7");
    expected["initial_height"] = json!(5);
    expected["genesis_time"] = json!("2027-01-15T08:00:00.000000005Z");
    let app_state = &mut expected["app_state"];
    for byte in [1, 2] {
        let accounts = app_state["auth"]["accounts"]
            .as_array_mut()
            .expect("a list");
        accounts.push(plain(byte));
        let balances = app_state["bank"]["balances"]
            .as_array_mut()
            .expect("a list");
        balances.push(json!({"address": text(byte), "coins": coins(&[("stake", 7)])}));
    }
    app_state["bank"]["supply"] = coins(&[("stake", 1_000_000_000_014)]);
    let found: Value = serde_json::from_slice(&file).expect("JSON");
    assert_eq!(found, expected);
}

#[test]
fn what_an_owner_makes_is_what_a_validator_accepts() {
    let template = template(relayers("7stake", [1]));
    let file = template
        .fill(&recorded("consumer/pre_ccv_genesis.json"))
        .expect("a template");
    let found = read(file.as_slice()).expect("a genesis");
    assert_eq!(found.genesis_time, Some(template.genesis_time));
    let expectation = Expectation {
        chain_id: "new\"-7".into(),
        initial_height: InitialHeight {
            revision: 7,
            height: 5,
        },
        published_hash: Digest::of(&file).as_bytes().to_vec(),
    };
    let source = GenesisSource {
        path: "g.json".into(),
        sha256: None,
        ics_version: None,
    };
    assert_eq!(expectation.check(&source, &found), Ok(()));
}

#[test]
fn who_has_enough_keeps_it_and_who_has_less_gets_the_rest() {
    let balances = json!([
        {"address": text(1), "coins": coins(&[("atom", 3), ("stake", 4)])},
        {"address": text(2), "coins": coins(&[("stake", 6)])},
        {"address": text(3), "coins": coins(&[("zoo", 1)])},
    ]);
    let accounts = json!([plain(2), plain(1), plain(4)]);
    let supply = coins(&[("atom", 3), ("stake", 10), ("zoo", 1)]);
    let made = filled(
        &template(relayers("5stake", [1, 2, 3])),
        &init(accounts, balances, supply),
    );
    let app_state = made.expect("a template")["app_state"].clone();
    let expected = json!([
        {"address": text(1), "coins": coins(&[("atom", 3), ("stake", 5)])},
        {"address": text(2), "coins": coins(&[("stake", 6)])},
        {"address": text(3), "coins": coins(&[("stake", 5), ("zoo", 1)])},
    ]);
    assert_eq!(app_state["bank"]["balances"], expected);
    let supply = coins(&[("atom", 3), ("stake", 16), ("zoo", 1)]);
    assert_eq!(app_state["bank"]["supply"], supply);
    let accounts = json!([plain(2), plain(1), plain(4), plain(3)]);
    assert_eq!(app_state["auth"]["accounts"], accounts);
}

#[test]
fn lists_that_are_null_are_empty() {
    let made = filled(
        &template(relayers("5stake", [1])),
        &init(json!(null), json!(null), json!(null)),
    );
    let app_state = made.expect("a template")["app_state"].clone();
    assert_eq!(app_state["auth"]["accounts"], json!([plain(1)]));
    assert_eq!(app_state["bank"]["supply"], coins(&[("stake", 5)]));
}

#[test]
fn accounts_that_no_node_would_start_with_are_refused() {
    let (none, one) = (json!([]), coins(&[("stake", 1)]));
    let balance = |byte: u8, coins: &Value| json!({"address": text(byte), "coins": coins});
    let huge = coins(&[("stake", u128::MAX)]);
    let other = json!({"address": account(2).to_bech32("cosmos"), "coins": one});
    let amount = |amount: &str| json!([{"address": text(2), "coins": [{"denom": "stake", "amount": amount}]}]);
    let denom = json!([{"address": text(2), "coins": [{"denom": "1", "amount": "1"}]}]);
    for (init, why) in [
        (
            init(
                none.clone(),
                json!([balance(2, &one)]),
                coins(&[("stake", 2)]),
            ),
            "is not the sum",
        ),
        (
            init(
                none.clone(),
                json!([balance(2, &one)]),
                coins(&[("atom", 1), ("stake", 1)]),
            ),
            "is not the sum",
        ),
        (
            init(json!([plain(2), plain(2)]), none.clone(), none.clone()),
            "more than one account",
        ),
        (
            init(
                none.clone(),
                json!([balance(2, &one), balance(2, &one)]),
                none.clone(),
            ),
            "more than one balance",
        ),
        (
            init(
                none.clone(),
                json!([balance(1, &huge), balance(2, &one)]),
                none.clone(),
            ),
            "more of stake",
        ),
        (
            init(none.clone(), json!([balance(2, &huge)]), none.clone()),
            "more of stake",
        ),
        (
            init(none.clone(), json!([other]), none.clone()),
            "no address with prefix consumer",
        ),
        (
            init(
                json!([{"address": "x".repeat(9999)}]),
                none.clone(),
                none.clone(),
            ),
            "no address with prefix",
        ),
        (
            init(
                json!([{"@type": "/new.Account"}]),
                none.clone(),
                none.clone(),
            ),
            "no address that can be read",
        ),
        (
            init(none.clone(), amount("0"), none.clone()),
            "is none, or is there twice",
        ),
        (
            init(none.clone(), amount("-1"), none.clone()),
            "is none, or is there twice",
        ),
        (
            init(none.clone(), amount("+1"), none.clone()),
            "is none, or is there twice",
        ),
        (
            init(none.clone(), amount("1.5"), none.clone()),
            "is none, or is there twice",
        ),
        (
            init(none.clone(), amount(&"9".repeat(9999)), none.clone()),
            "is none, or is there twice",
        ),
        (
            init(none.clone(), denom, none.clone()),
            "is none, or is there twice",
        ),
        (
            init(
                none.clone(),
                json!([balance(2, &coins(&[("stake", 1), ("stake", 1)]))]),
                none.clone(),
            ),
            "is none, or is there twice",
        ),
        (
            init(
                none.clone(),
                json!([{"address": text(2), "coins": {}}]),
                none,
            ),
            "cannot be read",
        ),
    ] {
        assert!(refusal(&init).contains(why), "{why}: {}", refusal(&init));
    }
}

#[test]
fn what_is_no_consumers_genesis_is_refused() {
    let good = init(json!([]), json!([]), json!([]));
    for module in ["auth", "bank", "ccvconsumer"] {
        let mut without = good.clone();
        without["app_state"]
            .as_object_mut()
            .expect("an object")
            .remove(module);
        assert!(refusal(&without).contains(module), "{}", refusal(&without));
    }
    let mut own = good.clone();
    own["validators"] =
        json!([{"power": "1", "pub_key": {"type": "tendermint/PubKeyEd25519", "value": "AA=="}}]);
    assert!(refusal(&own).contains("leave them out"));
    let twice = good.to_string().replacen('{', r#"{"chain_id":"d","#, 1);
    assert!(
        template(relayers("5stake", [1]))
            .fill(twice.as_bytes())
            .is_err()
    );
    for (height, seconds) in [(0, 0), (u64::MAX, 0), (5, -62_135_596_800), (5, i64::MAX)] {
        let impossible = Template {
            initial_height: height,
            genesis_time: UnixTime::new(seconds, 0),
            ..template(relayers("5stake", [1]))
        };
        assert!(filled(&impossible, &good).is_err(), "{height} {seconds}");
    }
}

#[test]
fn a_relayer_whose_coins_may_not_be_spendable_is_refused() {
    let vesting = json!({"@type": "/cosmos.vesting.v1beta1.DelayedVestingAccount",
        "base_vesting_account": {"base_account": plain(1), "end_time": "1"}});
    let module = json!({"@type": "/cosmos.auth.v1beta1.ModuleAccount",
        "base_account": plain(1), "name": "m", "permissions": []});
    for bound in [vesting, module] {
        let file = init(json!([bound]), json!([]), json!([]));
        assert!(refusal(&file).contains("it needs another"));
        let other = filled(&template(relayers("5stake", [2])), &file);
        assert!(other.is_ok(), "{other:?}");
    }
    // An account of an EVM wraps another, too, and pays like any.
    let wrapped = json!({"@type": "/ethermint.types.v1.EthAccount", "base_account": plain(1), "code_hash": "0x"});
    let made = filled(
        &template(relayers("5stake", [1])),
        &init(json!([wrapped]), json!([]), json!([])),
    );
    assert_eq!(
        made.expect("a template")["app_state"]["auth"]["accounts"],
        json!([wrapped])
    );
}

#[test]
fn a_published_file_is_checked_for_relayers_by_anyone() {
    let accounts: Value = (1..=3).map(plain).collect();
    let balances = json!([
        {"address": text(1), "coins": coins(&[("stake", 5)])},
        {"address": text(2), "coins": coins(&[("stake", 4)])},
        {"address": text(3), "coins": coins(&[("atom", 9)])},
        {"address": text(4), "coins": coins(&[("stake", 9)])},
    ]);
    let file = init(accounts, balances, json!([])).to_string();
    let check = |accounts: &[u8]| {
        let checked = relayers("5stake", accounts.to_vec()).check(file.as_bytes());
        checked
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert_eq!(check(&[]), "");
    assert_eq!(check(&[1]), "");
    for poor in 2..=5 {
        let why = check(&[1, poor]);
        assert!(
            why.contains(&text(poor)) && !why.contains(&text(1)),
            "{why}"
        );
    }
    assert!(check(&[1, 2, 3, 4, 5]).contains(" and 1 more: its owner must fund them"));
    assert!(relayers("5stake", []).check(b"{}").is_err());
    let wrong = file.replace(
        r#""supply":[]"#,
        r#""supply":[{"amount":"1","denom":"stake"}]"#,
    );
    assert!(relayers("5stake", [1]).check(wrong.as_bytes()).is_err());
}

#[test]
fn accounts_that_wrap_each_other_without_end_are_an_error() {
    for depth in [3, 50, 10_000] {
        let (open, close) = (r#"{"base_account":"#.repeat(depth), "}".repeat(depth));
        let file = init(json!(["?"]), json!([]), json!([])).to_string();
        let file = file.replace(r#""?""#, &format!("{open}{{}}{close}"));
        assert!(relayers("5stake", [1]).check(file.as_bytes()).is_err());
    }
}

#[test]
fn a_coin_and_a_prefix_are_read_as_the_sdk_reads_them() {
    for good in [
        "1stake",
        "340282366920938463463374607431768211455ibc/AB:c.d_e-f",
    ] {
        let coin: Coin = good.parse().expect("a coin");
        assert_eq!(coin.to_string(), good);
    }
    for bad in [
        "",
        "1",
        "stake",
        "0stake",
        "-1stake",
        "1 stake",
        "1st",
        "1stake,2atom",
        "1.5stake",
        "1s\u{e9}ake",
    ] {
        let refused = bad.parse::<Coin>();
        assert_eq!(refused, Err(RelayersError::Coin(bad.into())));
    }
    let coin = || "1stake".parse::<Coin>().expect("a coin");
    for bad in ["", "Consumer", "con sumer", "con\u{e9}", &"c".repeat(84)] {
        let refused = Relayers::new(bad, coin(), []);
        assert_eq!(refused, Err(RelayersError::Prefix(bad.into())));
    }
}

proptest! {
    #[test]
    fn relayers_are_funded_and_the_supply_stays_the_sum(
        before in btree_map(0_u8..20, btree_map("[a-c]{3}", 1_u64.., 0..3), 0..8),
        listed in btree_set(0_u8..20, 0..8),
        relaying in btree_set(0_u8..20, 0..8),
        each in 1_u64..,
        supply_is_told in any::<bool>(),
    ) {
        let balance = |(byte, held): (&u8, &BTreeMap<String, u64>)| {
            let held = held.iter().map(|(denom, amount)| {
                json!({"denom": denom, "amount": amount.to_string()})
            });
            json!({"address": text(*byte), "coins": held.collect::<Value>()})
        };
        let sum = |balances: &Value| {
            let mut sum = BTreeMap::<String, u128>::new();
            for coin in balances.as_array().into_iter().flatten().flat_map(|b| b["coins"].as_array()).flatten() {
                let amount: u128 = coin["amount"].as_str().expect("text").parse().expect("a number");
                *sum.entry(coin["denom"].as_str().expect("text").to_owned()).or_default() += amount;
            }
            sum.iter().map(|(denom, amount)| json!({"denom": denom, "amount": amount.to_string()})).collect::<Value>()
        };
        let balances: Value = before.iter().map(balance).collect();
        let supply = if supply_is_told { sum(&balances) } else { json!([]) };
        let init = init(listed.iter().copied().map(plain).collect(), balances.clone(), supply);
        let relayers = relayers(&format!("{each}abc"), relaying.clone());
        let template = template(relayers.clone());
        let file = template.fill(init.to_string().as_bytes()).expect("a template");
        prop_assert!(relayers.check(&file).is_ok());
        prop_assert_eq!(&template.fill(&file).expect("a template"), &file, "again");
        let made: Value = serde_json::from_slice(&file).expect("JSON");
        let bank = &made["app_state"]["bank"];
        prop_assert_eq!(&bank["supply"], &sum(&bank["balances"]));
        // Who does not relay keeps what he had, and nobody comes or goes unasked.
        let mut expected = before.clone();
        for byte in &relaying {
            let held = expected.entry(*byte).or_default().entry("abc".into()).or_default();
            *held = each.max(*held);
        }
        let found: BTreeMap<String, Value> = bank["balances"].as_array().expect("a list").iter()
            .map(|b| (b["address"].as_str().expect("text").to_owned(), b.clone())).collect();
        let expected: BTreeMap<String, Value> = expected.iter().map(|b| (text(*b.0), balance(b))).collect();
        prop_assert_eq!(found, expected);
        let accounts = made["app_state"]["auth"]["accounts"].as_array().expect("a list");
        prop_assert_eq!(accounts.len(), listed.union(&relaying).count());
        prop_assert_eq!(&made["app_state"]["other"], &init["app_state"]["other"]);
    }
}
