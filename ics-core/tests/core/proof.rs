//! The proof of a stored genesis: the recorded one holds, and no alteration of it does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::proof::{ProofError, ProofOp, verify_stored};
use ics_fixtures::recorded_json;
use ics23::CommitmentProof;
use ics23::commitment_proof::Proof;
use prost::Message;

/// The application hash in header 9 of the recording, see `fixtures/recorded/README.md`.
const APP_HASH: &str = "041CEB9A284D0F3A37468B084817D16BF85B4D686A410711430ED36E29CFAE62";

/// What a node answered to a query with a proof.
#[derive(Clone)]
struct Stored {
    app_hash: Vec<u8>,
    store: String,
    key: Vec<u8>,
    value: Vec<u8>,
    ops: Vec<ProofOp>,
}

impl Stored {
    fn recorded() -> Self {
        let answer =
            &recorded_json("rpc/abci_query.store_proof_genesis_0.json")["result"]["response"];
        let bytes = |value: &serde_json::Value| {
            BASE64
                .decode(value.as_str().expect("text"))
                .expect("base64")
        };
        let ops = answer["proofOps"]["ops"].as_array().expect("steps");
        let op = |op: &serde_json::Value| ProofOp {
            kind: op["type"].as_str().expect("text").into(),
            key: bytes(&op["key"]),
            data: bytes(&op["data"]),
        };
        Self {
            app_hash: hex::decode(APP_HASH).expect("hex"),
            store: "provider".into(),
            key: vec![14, b'0'],
            value: bytes(&answer["value"]),
            ops: ops.iter().map(op).collect(),
        }
    }

    fn verify(&self) -> Result<(), ProofError> {
        verify_stored(
            &self.app_hash,
            &self.store,
            &self.key,
            &self.value,
            &self.ops,
        )
    }

    /// The result after a change.
    fn with(change: impl FnOnce(&mut Self)) -> Result<(), ProofError> {
        let mut stored = Self::recorded();
        change(&mut stored);
        stored.verify()
    }
}

#[test]
fn the_recorded_genesis_is_proved_by_the_next_header() {
    assert_eq!(Stored::recorded().verify(), Ok(()));
}

#[test]
fn every_altered_bit_of_the_value_or_the_application_hash_breaks_the_proof() {
    let whole = Stored::recorded();
    for bit in 0..whole.value.len() * 8 {
        let broken = Stored::with(|stored| stored.value[bit / 8] ^= 1 << (bit % 8));
        assert_eq!(broken, Err(ProofError::Broken("ics23:iavl")), "bit {bit}");
    }
    for bit in 0..whole.app_hash.len() * 8 {
        let broken = Stored::with(|stored| stored.app_hash[bit / 8] ^= 1 << (bit % 8));
        assert_eq!(broken, Err(ProofError::Broken("ics23:simple")), "bit {bit}");
    }
}

#[test]
fn a_value_or_an_application_hash_of_another_length_breaks_the_proof() {
    assert!(Stored::with(|stored| stored.value.push(0)).is_err());
    assert!(Stored::with(|stored| stored.value.truncate(9)).is_err());
    assert!(Stored::with(|stored| stored.value.clear()).is_err());
    assert!(Stored::with(|stored| stored.app_hash.push(0)).is_err());
    assert!(Stored::with(|stored| stored.app_hash.truncate(31)).is_err());
    assert!(Stored::with(|stored| stored.app_hash.clear()).is_err());
}

#[test]
fn a_proof_of_another_key_or_store_is_none() {
    let of = ProofError::Key;
    // Asked for another than the answer is of.
    assert_eq!(
        Stored::with(|stored| stored.key[1] = b'1'),
        Err(of("ics23:iavl"))
    );
    assert_eq!(
        Stored::with(|stored| stored.store = "staking".into()),
        Err(of("ics23:simple"))
    );
    // The answer pretends to be of what was asked for.
    let renamed = |stored: &mut Stored| {
        stored.key[1] = b'1';
        stored.ops[0].key[1] = b'1';
    };
    assert_eq!(Stored::with(renamed), Err(ProofError::Broken("ics23:iavl")));
    let moved = |stored: &mut Stored| {
        stored.store = "staking".into();
        stored.ops[1].key = b"staking".to_vec();
    };
    assert_eq!(Stored::with(moved), Err(ProofError::Broken("ics23:simple")));
}

#[test]
fn every_altered_bit_of_a_step_breaks_the_proof() {
    let whole = Stored::recorded();
    for (step, op) in whole.ops.iter().enumerate() {
        for bit in 0..op.data.len() * 8 {
            let broken = Stored::with(|stored| {
                stored.ops[step].data[bit / 8] ^= 1 << (bit % 8);
            });
            assert!(broken.is_err(), "step {step}, bit {bit}");
        }
    }
}

#[test]
fn steps_that_are_missing_swapped_repeated_or_of_another_type_prove_nothing() {
    let steps = Err(ProofError::Steps);
    assert_eq!(Stored::with(|stored| stored.ops.clear()), steps);
    assert_eq!(Stored::with(|stored| drop(stored.ops.remove(0))), steps);
    assert_eq!(Stored::with(|stored| drop(stored.ops.remove(1))), steps);
    assert_eq!(Stored::with(|stored| stored.ops.swap(0, 1)), steps);
    for step in [0, 1] {
        assert_eq!(
            Stored::with(|stored| stored.ops.push(stored.ops[step].clone())),
            steps
        );
        assert_eq!(
            Stored::with(|stored| stored.ops[step].kind = "simple:v".into()),
            steps
        );
    }
}

#[test]
fn a_step_cut_short_is_no_proof() {
    for step in [0, 1] {
        let length = Stored::recorded().ops[step].data.len();
        for cut in 0..length {
            let cut = Stored::with(|stored| stored.ops[step].data.truncate(cut));
            assert!(cut.is_err(), "step {step}");
        }
    }
}

#[test]
fn a_step_deeper_than_any_tree_is_given_up_at_once() {
    let deep = |stored: &mut Stored| {
        let data = stored.ops[0].data.as_slice();
        let mut proof = CommitmentProof::decode(data).expect("a proof");
        let Some(Proof::Exist(leaf)) = &mut proof.proof else {
            panic!("not of existence");
        };
        let step = leaf.path[0].clone();
        leaf.path.resize(129, step);
        stored.ops[0].data = proof.encode_to_vec();
    };
    assert_eq!(Stored::with(deep), Err(ProofError::Form("ics23:iavl")));
}
