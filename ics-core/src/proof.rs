//! Proof that a value lies in a store of the provider: ICS23, against the application hash.
//!
//! The application hash of a header is that of the state after the block before it. A value has a
//! proof in the tree of its store (`cosmossdk.io/store` `iavl/store.go`, `Query`), and the root of
//! that tree one among the roots of all stores (`rootmulti/store.go`). Whether the header itself
//! is the chain's, nothing here can say.

use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, HostFunctionsProvider, ProofSpec};
use prost::Message;
use sha2::{Digest as _, Sha256};

/// The type of the first operation: a value in the tree of its store.
const IN_STORE: &str = "ics23:iavl";

/// The type of the second operation: the root of a store among all stores.
const IN_APP: &str = "ics23:simple";

/// A tree deeper than this has more leaves than could ever be stored; it bounds the work.
const MAX_DEPTH: usize = 128;

/// One step of a proof, CometBFT's `crypto.ProofOp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofOp {
    /// How to read the rest.
    pub kind: String,
    /// What is proved to be there.
    pub key: Vec<u8>,
    /// A `cosmos.ics23.v1.CommitmentProof`.
    pub data: Vec<u8>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Its steps are not those of a value in a store.
    #[error("it has other steps than {IN_STORE} and {IN_APP}")]
    Steps,
    /// A step is of something else than was asked for.
    #[error("step {0} is of another key")]
    Key(&'static str),
    /// A step cannot be read as the proof that one thing is there.
    #[error("step {0} is no proof of existence")]
    Form(&'static str),
    /// The value, or anything between it and the application hash, is not what was proved.
    #[error("step {0} does not hold")]
    Broken(&'static str),
}

/// Checks that `value` lies under `key` in the store with this name, in the state with this
/// application hash.
///
/// # Errors
/// Which step of the proof does not hold, and why.
pub fn verify_stored(
    app_hash: &[u8],
    store: &str,
    key: &[u8],
    value: &[u8],
    ops: &[ProofOp],
) -> Result<(), ProofError> {
    let [in_store, in_app] = ops else {
        return Err(ProofError::Steps);
    };
    if in_store.kind != IN_STORE || in_app.kind != IN_APP {
        return Err(ProofError::Steps);
    }
    let leaf = existence(in_store, IN_STORE, key)?;
    let root = ics23::calculate_existence_root::<Sha256Alone>(&leaf)
        .map_err(|_| ProofError::Form(IN_STORE))?;
    holds(leaf, IN_STORE, &ics23::iavl_spec(), &root, key, value)?;
    let leaf = existence(in_app, IN_APP, store.as_bytes())?;
    let spec = ics23::tendermint_spec();
    holds(leaf, IN_APP, &spec, app_hash, store.as_bytes(), &root)
}

fn existence(op: &ProofOp, step: &'static str, key: &[u8]) -> Result<ExistenceProof, ProofError> {
    if op.key != key {
        return Err(ProofError::Key(step));
    }
    match CommitmentProof::decode(op.data.as_slice()) {
        Ok(CommitmentProof {
            proof: Some(Proof::Exist(leaf)),
        }) if leaf.path.len() <= MAX_DEPTH => Ok(leaf),
        _ => Err(ProofError::Form(step)),
    }
}

fn holds(
    leaf: ExistenceProof,
    step: &'static str,
    spec: &ProofSpec,
    root: &[u8],
    key: &[u8],
    value: &[u8],
) -> Result<(), ProofError> {
    let proof = CommitmentProof {
        proof: Some(Proof::Exist(leaf)),
    };
    let root = root.to_vec();
    if ics23::verify_membership::<Sha256Alone>(&proof, spec, &root, key, value) {
        Ok(())
    } else {
        Err(ProofError::Broken(step))
    }
}

/// The hash of both specifications.
///
/// The others are never part of a proof that holds, since each step's hash is compared with its
/// specification; a proof that asks for one gets zeros, which are the hash of nothing.
struct Sha256Alone;

impl HostFunctionsProvider for Sha256Alone {
    fn sha2_256(message: &[u8]) -> [u8; 32] {
        Sha256::digest(message).into()
    }

    fn sha2_512(_: &[u8]) -> [u8; 64] {
        [0; 64]
    }

    fn sha2_512_truncated(_: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn keccak_256(_: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn ripemd160(_: &[u8]) -> [u8; 20] {
        [0; 20]
    }

    fn blake2b_512(_: &[u8]) -> [u8; 64] {
        [0; 64]
    }

    fn blake2s_256(_: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn blake3(_: &[u8]) -> [u8; 32] {
        [0; 32]
    }
}
