//! What of a launch genesis is believed, and how it is written for each version of a consumer.

use std::time::Duration;

use ics_core::action::Level;
use ics_core::genesis::{
    CcvConsumer, CcvError, FirstValidator, Header, IcsVersion, KeyKind, Launch, LaunchError,
    OurKeys, PreCcv, ProviderClient, Standing, Trust, read,
};
use ics_core::key::PublicKey;
use ics_core::snapshot::InitialHeight;
use ics_core::time::{Height, UnixTime};
use ics_fixtures::{recorded, recorded_json};
use serde_json::{Value, json};

use crate::world::chain::{Ask, Record};
use crate::world::setup::policy;
use crate::world::{World, at, id};

fn recorded_genesis() -> Value {
    recorded_json("cli/A3-launched.consumer-genesis.json")
}

fn version(text: &str) -> IcsVersion {
    text.parse().expect("a version")
}

fn written(genesis: Value, version: Option<&str>) -> Value {
    let version = version.map(self::version);
    let ccv = CcvConsumer::new(genesis, version).expect("known fields");
    serde_json::from_slice(ccv.as_bytes()).expect("JSON")
}

/// The paths of all objects in a value, as JSON pointers.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (key, value) in fields {
                objects(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_recorded_genesis_has_known_fields_only_and_is_written_as_it_is() {
    let mut seen = 0;
    for name in ics_fixtures::recorded_names("cli") {
        if name.ends_with(".consumer-genesis.json") {
            let genesis = recorded_json(&name);
            assert_eq!(written(genesis.clone(), None), genesis, "{name}");
            assert_eq!(written(genesis.clone(), Some("v7.0.1")), genesis, "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn an_unknown_field_is_refused_wherever_it_stands() {
    let genesis = recorded_genesis();
    let mut places = Vec::new();
    objects(&genesis, "", &mut places);
    assert!(places.len() > 15, "{places:?}");
    for place in places {
        let mut changed = genesis.clone();
        changed.pointer_mut(&place).expect("an object")["from_the_future"] = json!(1);
        let refused = CcvConsumer::new(changed, None);
        assert!(
            matches!(&refused, Err(CcvError::Unknown(path)) if path.ends_with(".from_the_future")),
            "{place}: {refused:?}"
        );
    }
}

#[test]
fn the_forms_that_a_real_consumer_panics_on_are_refused() {
    // Each was tried: the consumer says "unknown field" and never starts.
    for (place, key) in [
        ("", "genesis_state"),
        ("", "pre_ccv"),
        ("/provider/client_state", "@type"),
        ("/provider/initial_val_set/0/pub_key", "@type"),
    ] {
        let mut genesis = recorded_genesis();
        genesis.pointer_mut(place).expect("an object")[key] = json!("x");
        assert!(CcvConsumer::new(genesis, None).is_err(), "{place} {key}");
    }
    let mut other_case = recorded_genesis();
    other_case["PARAMS"] = json!({});
    assert!(CcvConsumer::new(other_case, None).is_err());
}

#[test]
fn another_form_than_in_any_version_is_refused_by_its_place() {
    for (place, value, at) in [
        ("/params", json!([]), "ccvconsumer.params"),
        (
            "/provider/initial_val_set",
            json!({}),
            "ccvconsumer.provider.initial_val_set",
        ),
        (
            "/provider/initial_val_set/0",
            json!("x"),
            "ccvconsumer.provider.initial_val_set[0]",
        ),
        (
            "/params/enabled",
            json!({"a": 1}),
            "ccvconsumer.params.enabled",
        ),
    ] {
        let mut genesis = recorded_genesis();
        *genesis.pointer_mut(place).expect("a place") = value;
        let refused = CcvConsumer::new(genesis, None);
        assert!(
            matches!(&refused, Err(CcvError::Form { path, .. }) if path == at),
            "{place}: {refused:?}"
        );
    }
    for genesis in [json!(null), json!([]), json!("{}")] {
        assert!(CcvConsumer::new(genesis.clone(), None).is_err());
        assert!(CcvConsumer::new(genesis, Some(version("v5.0"))).is_err());
    }
}

#[test]
fn a_name_from_the_chain_is_escaped_and_cut_in_the_error() {
    let key = format!("\u{1b}[31m{}", "x".repeat(10_000));
    let refused = CcvConsumer::new(json!({ key: 1 }), None).expect_err("unknown");
    let text = refused.to_string();
    assert!(text.len() < 500 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn each_version_gets_the_fields_it_knows() {
    for (version, consumer_id, connection_id) in [
        ("v4.0.0", false, false),
        ("v4.4.1", false, false),
        ("v4.5.0", true, false),
        ("5.2", false, false),
        ("v6.0.0", false, false),
        ("v6.1.0", false, false),
        ("v6.2", true, false),
        ("v6.3.0", true, false),
        ("6.4", true, true),
        ("v7.0.1", true, true),
    ] {
        let mut expected = recorded_genesis();
        let params = expected["params"].as_object_mut().expect("an object");
        if !consumer_id {
            params.remove("consumer_id");
        }
        if !connection_id {
            expected
                .as_object_mut()
                .expect("an object")
                .remove("connection_id");
        }
        assert_eq!(
            written(recorded_genesis(), Some(version)),
            expected,
            "{version}"
        );
    }
}

#[test]
fn a_version_that_cannot_be_served_is_refused() {
    let mut reusing = recorded_genesis();
    reusing["connection_id"] = json!("connection-0");
    for old in ["v4.5.0", "v5.0", "v6.3"] {
        let refused = CcvConsumer::new(reusing.clone(), Some(version(old)));
        assert_eq!(refused, Err(CcvError::Connection(version(old))));
    }
    assert!(CcvConsumer::new(reusing, Some(version("v6.4"))).is_ok());
    for old in ["v3.3.0", "v2.0", "v0.1"] {
        let refused = CcvConsumer::new(recorded_genesis(), Some(version(old)));
        assert_eq!(refused, Err(CcvError::TooOld(version(old))));
    }
}

/// A launch at block 44 with two validators, and the header of that block.
fn launch() -> (Launch, Header) {
    let time = UnixTime::new(1_800_000_000, 5);
    let client = ProviderClient {
        chain_id: "provider-1".into(),
        height: InitialHeight {
            revision: 1,
            height: 44,
        },
        time,
        app_hash: vec![1; 32],
        next_validators_hash: vec![2; 32],
        trusting_period: Duration::from_secs(100),
    };
    let header = Header {
        chain_id: "provider-1".into(),
        height: Height(44),
        time,
        app_hash: vec![1; 32],
        next_validators_hash: vec![2; 32],
    };
    let launch = Launch {
        client: Some(client),
        first_set: vec![member(1, 500), member(2, 300)],
    };
    (launch, header)
}

fn member(key: u8, power: u64) -> FirstValidator {
    FirstValidator {
        kind: KeyKind::Ed25519,
        key: vec![key; 32],
        power,
    }
}

#[test]
fn what_a_launch_genesis_repeats_of_its_header_is_compared() {
    let (launch, header) = launch();
    assert_eq!(launch.check_header(&header), Ok(()));
    let others = [
        (
            "provider",
            Header {
                chain_id: "provider-2".into(),
                ..header.clone()
            },
        ),
        (
            "height",
            Header {
                height: Height(45),
                ..header.clone()
            },
        ),
        (
            "time",
            Header {
                time: header.time + Duration::from_nanos(1),
                ..header.clone()
            },
        ),
        (
            "application hash",
            Header {
                app_hash: vec![3; 32],
                ..header.clone()
            },
        ),
        (
            "application hash",
            Header {
                app_hash: Vec::new(),
                ..header.clone()
            },
        ),
        (
            "hash of the next validators",
            Header {
                next_validators_hash: vec![3; 32],
                ..header.clone()
            },
        ),
    ];
    for (what, other) in others {
        let refused = launch.check_header(&other).expect_err(what);
        let text = refused.to_string();
        assert!(text.starts_with(&format!("its {what} is ")), "{text}");
    }
    // Where a connection is reused, the genesis repeats nothing.
    let reusing = Launch {
        client: None,
        ..launch
    };
    assert_eq!(reusing.check_header(&header), Ok(()));
}

#[test]
fn a_file_that_would_start_with_an_expired_client_is_refused() {
    let (launch, header) = launch();
    let file = |time| PreCcv {
        genesis_time: Some(time),
        ..read(&br#"{"chain_id":"c","app_state":{}}"#[..]).expect("a genesis")
    };
    let end = header.time + Duration::from_secs(100);
    for good in [
        UnixTime::new(0, 0),
        header.time,
        end - Duration::from_nanos(1),
    ] {
        assert_eq!(launch.check_file(&file(good)), Ok(()));
    }
    for late in [end, end + Duration::from_secs(1)] {
        let refused = launch.check_file(&file(late));
        assert!(
            matches!(refused, Err(LaunchError::Expired { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_client_whose_revision_is_not_its_chains_is_refused() {
    let file = read(&br#"{"chain_id":"c","app_state":{}}"#[..]).expect("a genesis");
    for (chain_id, revision, fits) in [
        ("provider-1", 1, true),
        ("provider-1", 9, false),
        ("provider-1", 0, false),
        ("provider", 0, true),
        ("", 0, false),
    ] {
        let (mut launch, _) = launch();
        if let Some(client) = &mut launch.client {
            client.chain_id = chain_id.into();
            client.height.revision = revision;
        }
        assert_eq!(
            launch.check_file(&file).is_ok(),
            fits,
            "{chain_id} {revision}"
        );
    }
}

#[test]
fn validators_of_the_file_itself_are_none_or_those_of_the_launch() {
    let (launch, _) = launch();
    let file = |validators: Vec<FirstValidator>| PreCcv {
        validators,
        ..read(&br#"{"chain_id":"c","app_state":{}}"#[..]).expect("a genesis")
    };
    for good in [
        vec![],
        vec![member(1, 500), member(2, 300)],
        vec![member(2, 300), member(1, 500)],
    ] {
        assert_eq!(launch.check_file(&file(good)), Ok(()));
    }
    let other_kind = FirstValidator {
        kind: KeyKind::Secp256k1,
        ..member(2, 300)
    };
    for bad in [
        vec![member(1, 500)],
        vec![member(1, 500), member(2, 301)],
        vec![member(1, 500), member(3, 300)],
        vec![member(1, 500), other_kind],
        vec![member(1, 500), member(2, 300), member(2, 300)],
    ] {
        let count = bad.len();
        assert_eq!(
            launch.check_file(&file(bad)),
            Err(LaunchError::Validators(count))
        );
    }
}

#[test]
fn our_key_is_looked_for_in_the_first_set() {
    let (launch, _) = launch();
    let key = |byte| PublicKey::new([byte; 32]);
    let standing = |assigned: Option<u8>, provider| {
        launch.standing(OurKeys {
            assigned: assigned.map(key),
            provider: key(provider),
        })
    };
    assert_eq!(standing(Some(1), 9), Standing::Assigned);
    assert_eq!(standing(Some(8), 1), Standing::Outdated);
    assert_eq!(standing(None, 2), Standing::Provider);
    assert_eq!(standing(Some(2), 2), Standing::Provider);
    assert_eq!(standing(Some(8), 9), Standing::Absent);
    assert_eq!(standing(None, 9), Standing::Absent);
}

#[test]
fn how_far_a_genesis_is_believed_is_said_once_and_stands_in_the_status() {
    let why = "the node gives no proof";
    let unverified = Trust::Unverified(why.into());
    for (trust, standing, level, word) in [
        (
            Trust::Proved(Height(9)),
            Standing::Assigned,
            Level::Info,
            "proved by",
        ),
        (
            Trust::Proved(Height(9)),
            Standing::Outdated,
            Level::Warning,
            "our provider key",
        ),
        (unverified.clone(), Standing::Assigned, Level::Warning, why),
        (
            unverified,
            Standing::Absent,
            Level::Warning,
            "unverified, one node's word",
        ),
    ] {
        let mut world = World::new(policy());
        (world.trust, world.standing) = (trust.clone(), standing);
        let record = Record::new("alice-1", "alice").spawning(at(1000));
        world.ask(Ask::Create(id(0), Box::new(record)));
        world.run_to(900);
        assert_eq!(world.status(0).genesis, None);
        world.run_to(2000);
        assert_eq!(world.status(0).genesis, Some(trust));
        let told = world.notices.iter();
        let told: Vec<_> = told
            .filter(|notice| notice.text.contains("launch genesis"))
            .collect();
        let [notice] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!(notice.level, level, "{notice:?}");
        assert!(notice.text.contains(word), "{notice:?}");
        // The header that a proof rests on is one node's word, too.
        assert!(notice.text.contains("unverified"), "{notice:?}");
    }
}

#[test]
fn the_recorded_merge_is_reproduced_from_its_two_parts() {
    let ccv = recorded_json("consumer/ccv_genesis_state.json");
    let ccv = CcvConsumer::new(ccv, None).expect("known fields");
    let pre_ccv = recorded("consumer/pre_ccv_genesis.json");
    let mut merged = Vec::new();
    ics_core::genesis::merge(pre_ccv.as_slice(), &ccv, &mut merged).expect("merged");
    let merged: Value = serde_json::from_slice(&merged).expect("JSON");
    assert_eq!(merged, recorded_json("consumer/final_genesis.json"));
}
