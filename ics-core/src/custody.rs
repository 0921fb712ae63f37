//! The one-signer rule, for all deployers alike: whether a consensus key may sign on a storage, in
//! which order it gets there, and what becomes of it when it leaves.
//!
//! The order is: the state to go on from, read back; the binding; the key; then the node is started.
//! Bound or to be bound, it signs only under a chain id that the store does not know it to have signed
//! under for another consumer. Not bound means that nothing has ever been started with the key, so all of it is done again.
//! Bound means: only on that storage, and only if the state is there.

use std::collections::BTreeMap;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::deploy::NodeSigner;
use crate::failure::Failure;
use crate::home::{self, Entry, Role, SignerFile};
use crate::id::{ChainId, ConsumerId};
use crate::key::{PublicKey, SecretKey};
use crate::keystore::{KeyRef, KeyStanding, KeyStore, StorageId, StoredKey};
use crate::node::{NodeSpec, Signer};
use crate::signer::SignerState;

/// The home of one node on its storage, while the node does not run.
///
/// **Guarantees:** what was put is what is read, until the node or a person changes it.
#[async_trait]
pub trait Storage: Send + Sync {
    /// What it is called.
    fn place(&self) -> Place<'_>;

    /// A file, by its path from the home; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// Puts all of these, in order.
    ///
    /// # Errors
    /// If one cannot be put; some of the others may then be there.
    async fn put(&self, entries: Vec<Entry>) -> Result<(), Failure>;
}

/// A storage, as people are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What it is, such as `volume`.
    pub kind: &'a str,
    /// Which one, such as `ics-a-7`.
    pub name: &'a str,
    /// The label that holds its id.
    pub label: &'a str,
    /// Its id.
    pub id: &'a StorageId,
}

/// What a node may do with the signer of its spec. Holds secrets: has no `Debug`.
pub enum Decision {
    /// No key was asked for, for this consumer.
    FullNode(ConsumerId),
    /// A remote signer holds the key: nothing of it is put here.
    Remote(PublicKey),
    /// The key is bound to this storage and its state is there.
    SignAgain(Bearer),
    /// The key signs nowhere yet: bind it to this storage first, with this state in it unless a
    /// later one is there.
    SignFirst(Bearer, Option<SignerState>),
    /// The key must not sign here; the text says why and what to do.
    Withheld(KeyRef, String),
}

/// A key that is to sign. Holds secrets: has no `Debug`.
pub struct Bearer {
    name: KeyRef,
    key: SecretKey,
    /// The chain id that it signs under.
    chain_id: ChainId,
}

impl Decision {
    /// Looks at the key that this node is to sign with, at its binding and at the state in the storage.
    /// Changes nothing.
    ///
    /// # Errors
    /// If the store or the storage cannot be read.
    pub async fn make(
        keys: &dyn KeyStore,
        storage: &dyn Storage,
        spec: &NodeSpec,
    ) -> Result<Self, Failure> {
        let key = match &spec.signer {
            Signer::Key(key) => *key,
            Signer::None => return Ok(Self::FullNode(spec.consumer_id)),
            Signer::Remote { public_key, .. } => return Ok(Self::Remote(*public_key)),
        };
        let stored = keys.load(&key).await?;
        if stored.is_some()
            && let Some(why) = keys.refusal(&key, &spec.chain_id).await?
        {
            let text = format!("consensus key {} {why}", key.public_key);
            return Ok(Self::Withheld(key, text));
        }
        let found = state_in(storage, key.public_key).await?;
        Ok(Self::of(
            key,
            &spec.chain_id,
            stored,
            found,
            storage.place(),
        ))
    }

    fn of(
        key: KeyRef,
        chain_id: &ChainId,
        stored: Option<StoredKey>,
        found: Option<SignerState>,
        place: Place<'_>,
    ) -> Self {
        let public = key.public_key;
        let Place {
            kind,
            name,
            label,
            id,
        } = place;
        let withheld = |why: String| Self::Withheld(key, format!("consensus key {public} {why}"));
        let Some(StoredKey {
            key: secret,
            standing,
        }) = stored
        else {
            return withheld(format!(
                "of consumer {} is not in the key store (any more): restore the key store, or \
                 assign another key on the provider",
                key.consumer_id
            ));
        };
        let bearer = Bearer {
            name: key,
            key: secret,
            chain_id: chain_id.clone(),
        };
        let first = |bearer, from: SignerState| {
            let there = found.as_ref().is_some_and(|found| found.covers(&from));
            Self::SignFirst(bearer, (!there).then_some(from))
        };
        match standing {
            KeyStanding::Bound(other) if other != *id => withheld(format!(
                "is bound to storage {other}, but {kind} {name} is storage {id}: restore the \
                 {kind} labelled {label}={other}, for only its signer state says what the key has \
                 signed"
            )),
            KeyStanding::Bound(_) if found.is_some() => Self::SignAgain(bearer),
            KeyStanding::Bound(_) => withheld(format!(
                "has no signer state, or an empty one, in {kind} {name}, so what it has signed is \
                 unknown: restore the newest priv_validator_state.json there"
            )),
            KeyStanding::Lost => withheld(
                "was archived without its last signer state, so what it has signed is unknown: \
                 assign another key on the provider"
                    .into(),
            ),
            KeyStanding::Resumes(state) => first(bearer, state),
            KeyStanding::Unbound => first(bearer, SignerState::zero()),
        }
    }

    /// What the node signs with.
    #[must_use]
    pub fn signer(&self) -> NodeSigner {
        match self {
            Self::FullNode(_) => NodeSigner::None,
            Self::Remote(key) => NodeSigner::Remote(*key),
            Self::SignAgain(it) | Self::SignFirst(it, _) => NodeSigner::Key(it.name.public_key),
            Self::Withheld(_, reason) => NodeSigner::Withheld(reason.clone()),
        }
    }

    /// How the node's files are rendered.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self {
            Self::FullNode(_) | Self::Withheld(..) => Role::FullNode,
            Self::Remote(_) | Self::SignFirst(..) | Self::SignAgain(..) => Role::Signer,
        }
    }

    /// Whether a node that runs with this signer already may go on: nothing of the decision would
    /// have to be carried out.
    #[must_use]
    pub fn is_in_place(&self, running: &NodeSigner) -> bool {
        match (self, running) {
            // Not bound although it runs: the key store is not the one that it was started from.
            (Self::SignFirst(..), _) => false,
            (decision, NodeSigner::Withheld(_)) => matches!(decision, Self::Withheld(..)),
            (decision, signer) => decision.signer() == *signer,
        }
    }

    /// Puts the signer in place: the state to go on from, the binding, then the key.
    ///
    /// Interrupted before the binding, nothing was started with the key and all is done again; after
    /// it, the state is in the storage.
    ///
    /// # Errors
    /// If the storage or the key store refuses; or the storage holds a key of ours, put there by
    /// hand where a node whose configuration names none looks for one.
    pub async fn carry_out(
        self,
        keys: &dyn KeyStore,
        storage: &dyn Storage,
    ) -> Result<(), Failure> {
        let bearer = match self {
            Self::Remote(_) => return Ok(()),
            Self::FullNode(consumer_id) => {
                let Some(public_key) = stray_key(storage).await? else {
                    return Ok(());
                };
                let key = KeyRef {
                    consumer_id,
                    public_key,
                };
                let ours = keys.load(&key).await?.is_some();
                return refuse(storage, public_key, ours);
            }
            Self::Withheld(key, _) => {
                let found = stray_key(storage).await?;
                return refuse(storage, key.public_key, found == Some(key.public_key));
            }
            Self::SignAgain(bearer) => bearer,
            Self::SignFirst(bearer, state) => {
                if let Some(state) = state {
                    put_state(storage, bearer.name.public_key, &state).await?;
                }
                bearer
            }
        };
        // Also one that is bound already: what signs is recorded, with its chain id.
        let Bearer {
            name,
            key,
            chain_id,
        } = bearer;
        keys.bind(&name, storage.place().id, &chain_id).await?;
        storage.put(vec![home::signer_key(&key)]).await
    }
}

/// Puts the state that a key goes on from, and reads it back: the binding that follows cannot be
/// undone.
async fn put_state(
    storage: &dyn Storage,
    key: PublicKey,
    state: &SignerState,
) -> Result<(), Failure> {
    storage.put(home::signer_state(key, state)).await?;
    if state_in(storage, key).await?.as_ref() == Some(state) {
        return Ok(());
    }
    let Place { kind, name, .. } = storage.place();
    Err(Failure::transient(format!(
        "{} of {kind} {name} is not there although it was put there",
        home::state_path(key),
    )))
}

/// The key at the path where a node looks whose configuration names none.
async fn stray_key(storage: &dyn Storage) -> Result<Option<PublicKey>, Failure> {
    let found = storage.read(home::DEFAULT_KEY_FILE).await?;
    let found = found.map(Zeroizing::new);
    Ok(found.and_then(|it| home::public_half(&it)))
}

fn refuse(storage: &dyn Storage, key: PublicKey, is_ours: bool) -> Result<(), Failure> {
    if !is_ours {
        return Ok(());
    }
    let path = home::DEFAULT_KEY_FILE;
    let Place { kind, name, .. } = storage.place();
    Err(Failure::permanent(format!(
        "{path} in {kind} {name} is consensus key {key}, which must not sign there: remove this file"
    )))
}

/// The state of a key; `None` if there is none that can be read.
async fn state_in(storage: &dyn Storage, key: PublicKey) -> Result<Option<SignerState>, Failure> {
    let found = storage.read(&home::state_path(key)).await?;
    Ok(found.and_then(|it| SignerState::read(&it)))
}

/// What one signer folder holds.
#[derive(Default)]
struct Leftover {
    key: Option<PublicKey>,
    state: Option<Vec<u8>>,
}

/// Archives every key that signed on this storage, but for the one that is to sign there now, and
/// returns them. The node must have been ended; `files` are those of its signers, by path.
///
/// A key that is bound here without being in the storage was never started and stays as it is.
///
/// # Errors
/// If the key store cannot be read or written; the keys not yet archived are then still in use.
pub async fn retire_others(
    keys: &dyn KeyStore,
    consumer_id: ConsumerId,
    storage: &StorageId,
    now: Option<PublicKey>,
    files: Vec<(String, Vec<u8>)>,
) -> Result<Vec<PublicKey>, Failure> {
    let mut retired = Vec::new();
    let signers = by_address(files).into_values();
    for (public_key, state) in signers.filter_map(|it| Some((it.key?, it.state))) {
        let key = KeyRef {
            consumer_id,
            public_key,
        };
        if now == Some(public_key) {
            continue;
        }
        let bound_here = keys.load(&key).await?.is_some_and(
            |it| matches!(it.standing, KeyStanding::Bound(bound) if bound == *storage),
        );
        if bound_here {
            keys.archive(&key, state.as_deref()).await?;
            retired.push(public_key);
        }
    }
    Ok(retired)
}

/// Archives every key of a storage, and the one that was asked for, before the storage is removed.
///
/// # Errors
/// A permanent failure if the storage holds a state that cannot be archived for want of its key.
pub async fn retire_all(
    keys: &dyn KeyStore,
    consumer_id: ConsumerId,
    storage: Option<&StorageId>,
    asked: Option<PublicKey>,
    files: Vec<(String, Vec<u8>)>,
) -> Result<(), Failure> {
    let mut signers = by_address(files);
    if let Some(key) = asked {
        let address = key.address().to_string();
        signers.entry(address).or_default().key = Some(key);
    }
    for (address, signer) in signers {
        let Some(public_key) = signer.key else {
            refuse_nameless(consumer_id, &address, signer.state.as_deref())?;
            continue;
        };
        let key = KeyRef {
            consumer_id,
            public_key,
        };
        let zero = || SignerState::zero().text().as_bytes().to_vec();
        let state = match keys.load(&key).await?.map(|it| it.standing) {
            Some(KeyStanding::Bound(bound)) if Some(&bound) == storage => signer.state,
            // What it signed last is told elsewhere, and nobody says that this is still there.
            Some(KeyStanding::Bound(_)) => None,
            Some(KeyStanding::Unbound) => Some(signer.state.unwrap_or_else(zero)),
            Some(KeyStanding::Lost | KeyStanding::Resumes(_)) | None => continue,
        };
        keys.archive(&key, state.as_deref()).await?;
    }
    Ok(())
}

/// A state without its key's name cannot be archived; only one that says nothing may be lost.
fn refuse_nameless(
    consumer_id: ConsumerId,
    address: &str,
    state: Option<&[u8]>,
) -> Result<(), Failure> {
    let nothing = |it: &[u8]| it.is_empty() || SignerState::read(it).is_some_and(|it| it.is_zero());
    if state.is_none_or(nothing) {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "the data of consumer {consumer_id}'s node hold the signer state of key {address:?} but not the \
         key, so it cannot be archived and nothing was deleted: copy it away, then remove the data by hand"
    )))
}

fn by_address(files: Vec<(String, Vec<u8>)>) -> BTreeMap<String, Leftover> {
    let mut signers: BTreeMap<String, Leftover> = BTreeMap::new();
    for (path, bytes) in files {
        let Some((address, kind)) = home::signer_file(&path) else {
            continue;
        };
        let signer = signers.entry(address.to_owned()).or_default();
        match kind {
            // A key that is not the one its folder is named after names nothing.
            SignerFile::Key => {
                let key = home::public_half(&Zeroizing::new(bytes));
                signer.key = key.filter(|it| it.address().to_string() == address);
            }
            SignerFile::State => signer.state = Some(bytes),
        }
    }
    signers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretKey {
        SecretKey::from_seed(Zeroizing::new([7; 32]))
    }

    fn key() -> KeyRef {
        KeyRef {
            consumer_id: ConsumerId::new(1),
            public_key: secret().public(),
        }
    }

    fn state(height: u64) -> SignerState {
        let text = format!(r#"{{"height":"{height}","round":0,"step":3}}"#);
        SignerState::read(text.as_bytes()).expect("a state")
    }

    fn decide(standing: KeyStanding, found: Option<SignerState>) -> Decision {
        let stored = Some(StoredKey {
            key: secret(),
            standing,
        });
        decide_with(stored, found)
    }

    fn decide_with(stored: Option<StoredKey>, found: Option<SignerState>) -> Decision {
        let place = Place {
            kind: "volume",
            name: "v",
            label: "storage",
            id: &here(),
        };
        let chain_id = ChainId::new("x-1").expect("a chain id");
        Decision::of(key(), &chain_id, stored, found, place)
    }

    fn here() -> StorageId {
        StorageId::new("here").expect("an id")
    }

    #[test]
    fn a_key_signs_only_where_it_is_bound_and_its_state_is_there() {
        let again = decide(KeyStanding::Bound(here()), Some(state(5)));
        assert!(matches!(again, Decision::SignAgain(_)));
        let there = StorageId::new("there").expect("an id");
        for (stored, found, cure) in [
            (
                KeyStanding::Bound(there),
                Some(state(5)),
                "restore the volume labelled storage=there",
            ),
            (
                KeyStanding::Bound(here()),
                None,
                "restore the newest priv_validator_state",
            ),
            (KeyStanding::Lost, Some(state(5)), "assign another key"),
        ] {
            let decision = decide(stored, found);
            assert_eq!(decision.role(), Role::FullNode);
            let NodeSigner::Withheld(why) = decision.signer() else {
                panic!("{cure}");
            };
            assert!(why.contains(cure), "{why}");
        }
        assert!(matches!(decide_with(None, None), Decision::Withheld(..)));
    }

    #[test]
    fn a_key_in_use_nowhere_goes_on_from_the_later_of_two_states() {
        for (standing, found, put) in [
            (KeyStanding::Unbound, None, Some(SignerState::zero())),
            (KeyStanding::Unbound, Some(SignerState::zero()), None),
            (KeyStanding::Resumes(state(5)), None, Some(state(5))),
            (
                KeyStanding::Resumes(state(5)),
                Some(state(4)),
                Some(state(5)),
            ),
            (KeyStanding::Resumes(state(5)), Some(state(6)), None),
        ] {
            let Decision::SignFirst(_, state) = decide(standing, found) else {
                panic!("it may sign");
            };
            assert_eq!(state, put);
        }
    }

    #[test]
    fn a_node_whose_key_is_not_bound_may_not_go_on() {
        let running = NodeSigner::Key(key().public_key);
        assert!(!decide(KeyStanding::Unbound, None).is_in_place(&running));
        assert!(!decide(KeyStanding::Lost, None).is_in_place(&running));
        let bound = || decide(KeyStanding::Bound(here()), Some(state(5)));
        assert!(bound().is_in_place(&running));
        assert!(!bound().is_in_place(&NodeSigner::None));
        let withheld = NodeSigner::Withheld("for another reason".into());
        assert!(decide(KeyStanding::Lost, None).is_in_place(&withheld));
        assert!(!bound().is_in_place(&withheld));
    }
}
