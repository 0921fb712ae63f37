//! Proofs of what the provider stores: bytes of a node that may lie.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::genesis::{CcvConsumer, IcsVersion};
use ics_core::proof::{ProofOp, verify_stored};
use serde_json::Value;

use crate::assert_plain;

/// The application hash in header 9 of the recording, see `fixtures/recorded/README.md`.
const APP_HASH: &str = "041CEB9A284D0F3A37468B084817D16BF85B4D686A410711430ED36E29CFAE62";

/// What a node answered to a query with a proof.
struct Stored {
    app_hash: Vec<u8>,
    value: Vec<u8>,
    ops: [ProofOp; 2],
}

static RECORDED: LazyLock<Stored> = LazyLock::new(|| {
    let name = "rpc/abci_query.store_proof_genesis_0.json";
    let answer = &ics_fixtures::recorded_json(name)["result"]["response"];
    let bytes = |value: &Value| {
        BASE64
            .decode(value.as_str().expect("text"))
            .expect("base64")
    };
    let op = |place: usize| {
        let op = &answer["proofOps"]["ops"][place];
        ProofOp {
            kind: op["type"].as_str().expect("text").into(),
            key: bytes(&op["key"]),
            data: bytes(&op["data"]),
        }
    };
    Stored {
        app_hash: hex::decode(APP_HASH).expect("hex"),
        value: bytes(&answer["value"]),
        ops: [op(0), op(1)],
    }
});

/// Checks altered proofs of altered values against a recorded application hash.
///
/// Nothing but the recorded value is ever proved. The first byte says what is altered: the value,
/// one of the two steps, or one of their keys; a second and third one where. What follows takes
/// the place of the bytes there, or of all of them.
///
/// # Panics
/// Where that does not hold.
pub fn proof(data: &[u8]) {
    ccv(data);
    let Some(([what, place, length], new)) = data.split_first_chunk::<3>() else {
        return;
    };
    let recorded = &*RECORDED;
    let (mut value, mut ops) = (recorded.value.clone(), recorded.ops.clone().to_vec());
    let altered = match what % 5 {
        0 => &mut value,
        1 => &mut ops[0].data,
        2 => &mut ops[1].data,
        3 => &mut ops[0].key,
        _ => &mut ops[1].key,
    };
    // A byte reaches every place of a step; the value is longer.
    let from = usize::from(*place) * altered.len() / 256;
    let to = (from + usize::from(*length)).min(altered.len());
    if *length == u8::MAX {
        *altered = new.to_vec();
    } else {
        altered.splice(from..to, new.iter().copied());
    }
    let result = verify_stored(&recorded.app_hash, "provider", &[14, b'0'], &value, &ops);
    if result.is_ok() {
        assert!(value == recorded.value, "another value is proved");
    }
}

/// Takes the bytes for a launch genesis: what is written for a consumer, is so once and for all.
fn ccv(data: &[u8]) {
    let Ok(genesis) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    for version in [None, Some("v4.5.0"), Some("v5.2"), Some("v6.1")] {
        let version = version.map(|text| text.parse::<IcsVersion>().expect("a version"));
        match CcvConsumer::new(genesis.clone(), version) {
            Ok(once) => {
                let again = serde_json::from_slice(once.as_bytes()).expect("JSON");
                assert_eq!(CcvConsumer::new(again, version), Ok(once));
            }
            Err(refused) => assert_plain(&refused.to_string()),
        }
    }
}
