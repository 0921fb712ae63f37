//! What a node's files say, and that no text can make them say anything else.

use proptest::prelude::*;
use toml::{Table, Value};

use super::*;
use crate::key::PublicKey;
use crate::peers::{Host, NodeId};
use crate::ports::Offset;

fn spec(chain_id: &str) -> NodeSpec {
    let chain_id = ChainId::new(chain_id).expect("a chain id");
    let consumer_id = ConsumerId::new(3);
    NodeSpec {
        consumer_id,
        ports: Offset::of(&chain_id).ports(),
        chain_id,
        program: Program {
            image: "example/consumer:1".into(),
            command: vec!["/consumer-d".into(), "start".into()],
            home: "/data".into(),
        },
        resources: Resources::default(),
        genesis: ArtifactRef {
            digest: Digest::new([1; 32]),
            len: 9,
        },
        settings: NodeSettings::named(Moniker::new("val1").expect("a name")),
        signer: Signer::Key(KeyRef {
            consumer_id,
            public_key: PublicKey::new([7; 32]),
        }),
        persistent_peers: Vec::new(),
    }
}

/// A spec with everything set that can be.
fn full() -> NodeSpec {
    let mut spec = spec("consumer-1");
    let settings = &mut spec.settings;
    settings.private_peers = true;
    settings.external_ip = Some([203, 0, 113, 7].into());
    settings.timeout_commit_ms = Some(700);
    settings.min_gas_prices = "0.025uatom".parse().expect("prices");
    settings.pruning = Some(Pruning::custom(100, 10).expect("allowed"));
    spec
}

fn read(spec: &NodeSpec, file: &str, signs: bool) -> Table {
    let text = &spec.files(signs)[format!("config/{file}.toml").as_str()];
    text.parse().expect("TOML")
}

fn peer(host: &str) -> Peer {
    Peer {
        node_id: NodeId::new([1; 20]),
        host: Host::parse(host).expect("a host"),
        port: 1,
    }
}

fn overlay(config: &str, app: &str) -> Overlay {
    let table = |text: &str| text.parse().expect("TOML");
    Overlay::new(table(config), table(app)).expect("nothing of ours")
}

/// The paths of all values, such as `p2p.laddr`.
fn leaves(before: &str, table: &Table) -> Vec<String> {
    let below = |(key, value): (&String, &Value)| match value {
        Value::Table(inner) => leaves(&format!("{before}{key}."), inner),
        _ => vec![format!("{before}{key}")],
    };
    table.iter().flat_map(below).collect()
}

#[test]
fn settings_stand_where_the_programs_look_for_them() {
    let config = read(&full(), "config", true);
    let p2p = &config["p2p"];
    assert_eq!(p2p["laddr"].as_str(), Some("tcp://0.0.0.0:28746"));
    assert_eq!(p2p["external_address"].as_str(), Some("203.0.113.7:28746"));
    assert_eq!(p2p["addr_book_strict"].as_bool(), Some(false));
    assert_eq!(
        config["consensus"]["timeout_commit"].as_str(),
        Some("700ms")
    );
    let app = read(&full(), "app", true);
    assert_eq!(app["minimum-gas-prices"].as_str(), Some("0.025uatom"));
    assert_eq!(app["pruning"].as_str(), Some("custom"));
    assert_eq!(app["pruning-keep-recent"].as_str(), Some("100"));
    assert_eq!(app["pruning-interval"].as_str(), Some("10"));
    assert_eq!(app["grpc"]["address"].as_str(), Some("0.0.0.0:11180"));
}

#[test]
fn what_is_not_set_is_left_to_the_program() {
    let spec = spec("consumer-1");
    let keys: Vec<_> = leaves("", &read(&spec, "app", true))
        .into_iter()
        .chain(leaves("", &read(&spec, "config", true)))
        .collect();
    for key in [
        "pruning",
        "consensus.timeout_commit",
        "p2p.external_address",
    ] {
        assert!(!keys.iter().any(|found| found == key), "{key}");
    }
}

#[test]
fn only_a_signing_node_names_signer_files() {
    let spec = spec("consumer-1");
    let key = "priv_validator_key_file";
    assert!(read(&spec, "config", true)[key].as_str() > Some("signers/"));
    assert!(!read(&spec, "config", false).contains_key(key));
}

#[test]
fn a_remote_signer_gets_a_port_and_no_files() {
    let remote = NodeSpec {
        signer: Signer::Remote {
            public_key: PublicKey::new([7; 32]),
            port: 26_659,
        },
        ..spec("consumer-1")
    };
    let config = |signs| read(&remote, "config", signs);
    let address = Some("tcp://0.0.0.0:26659");
    assert_eq!(config(true)["priv_validator_laddr"].as_str(), address);
    assert!(!config(true).contains_key("priv_validator_key_file"));
    assert!(!config(false).contains_key("priv_validator_laddr"));
}

#[test]
fn peers_alone_do_not_change_the_digest() {
    let before = spec("consumer-1");
    let mut after = before.clone();
    after.persistent_peers = vec![peer("a")];
    assert_eq!(before.digest(), after.digest());
    after.signer = Signer::None;
    assert_ne!(before.digest(), after.digest());
}

#[test]
fn every_setting_changes_the_digest() {
    let plain = spec("consumer-1");
    let changes: [fn(&mut NodeSettings); 7] = [
        |s| s.private_peers = true,
        |s| s.external_ip = Some([1, 1, 1, 1].into()),
        |s| s.timeout_commit_ms = Some(1),
        |s| s.min_gas_prices = "1uatom".parse().expect("prices"),
        |s| s.pruning = Some(Pruning::Nothing),
        |s| s.overlay = overlay("a = 1", ""),
        |s| s.overlay = overlay("", "a = 1"),
    ];
    let mut digests = vec![plain.digest()];
    for change in changes {
        let mut changed = plain.clone();
        change(&mut changed.settings);
        digests.push(changed.digest());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), changes.len() + 1);
}

#[test]
fn an_overlay_may_touch_nothing_that_is_ever_rendered() {
    let remote = NodeSpec {
        signer: Signer::Remote {
            public_key: PublicKey::new([7; 32]),
            port: 1,
        },
        ..full()
    };
    for (spec, file) in [
        (&full(), "config"),
        (&full(), "app"),
        (&full(), "client"),
        (&remote, "config"),
    ] {
        for key in leaves("", &read(spec, file, true)) {
            let table: Table = format!("{key} = 1").parse().expect("TOML");
            // The client's file has no overlay, and its node is where ours listens.
            let is_free = Overlay::new(table, Table::new()).is_ok();
            assert_eq!(is_free, key == "node", "{key}");
        }
    }
}

#[test]
fn an_overlay_stands_beside_what_is_ours() {
    let mut spec = full();
    spec.settings.overlay = overlay(
        "log_format = \"json\"\n[p2p]\nmax_num_inbound_peers = 80",
        "[state-sync]\nsnapshot-interval = 1000",
    );
    let config = read(&spec, "config", true);
    assert_eq!(config["log_format"].as_str(), Some("json"));
    assert_eq!(
        config["p2p"]["max_num_inbound_peers"].as_integer(),
        Some(80)
    );
    assert_eq!(config["p2p"]["laddr"].as_str(), Some("tcp://0.0.0.0:28746"));
    let app = read(&spec, "app", true);
    assert_eq!(
        app["state-sync"]["snapshot-interval"].as_integer(),
        Some(1000)
    );
}

proptest! {
    #[test]
    fn no_text_breaks_out_of_its_string(
        chain_id in prop_oneof!["\\PC{1,12}", "[\"'\\\\\n\r\t#=\\[\\]x\u{0}\u{7f}\u{85}é]{1,25}"],
        moniker in "[ -~]{1,70}",
        value in ".{0,40}",
        host in "[a-z][a-z0-9-]{0,20}[a-z]\\.[a-z]{2,6}",
    ) {
        let (Ok(chain_id), Ok(moniker)) = (ChainId::new(chain_id), Moniker::new(moniker)) else {
            return Ok(());
        };
        let mut spec = full();
        let shape = |spec: &NodeSpec| {
            ["app", "client", "config"].map(|file| leaves("", &read(spec, file, true)))
        };
        let table: Table = [("k".to_owned(), Value::from(""))].into_iter().collect();
        spec.settings.overlay = Overlay::new(table.clone(), table).expect("nothing of ours");
        spec.persistent_peers = vec![peer("a"), peer("b")];
        let before = shape(&spec);

        let table: Table = [("k".to_owned(), Value::from(value.clone()))].into_iter().collect();
        spec.settings.overlay = Overlay::new(table.clone(), table).expect("nothing of ours");
        spec.settings.moniker = moniker.clone();
        spec.chain_id = chain_id.clone();
        spec.persistent_peers = vec![peer(&host), peer("b")];
        prop_assert_eq!(shape(&spec), before);

        let (config, client) = (read(&spec, "config", true), read(&spec, "client", true));
        prop_assert_eq!(client["chain-id"].as_str(), Some(chain_id.as_str()));
        prop_assert_eq!(config["moniker"].as_str(), Some(moniker.as_str()));
        prop_assert_eq!(config["k"].as_str(), Some(value.as_str()));
        let app = read(&spec, "app", true);
        prop_assert_eq!(app["k"].as_str(), Some(value.as_str()));
        let peers = format!("{},{}", peer(&host), peer("b"));
        prop_assert_eq!(config["p2p"]["persistent_peers"].as_str(), Some(peers.as_str()));
    }
}
