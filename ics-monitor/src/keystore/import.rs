//! Keys that were made elsewhere.

use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::SecretKey;
use ics_core::keystore::KeyRef;
use ics_core::signer::SignerState;

use super::chains::{self, CHAINS_FILE};
use super::{
    FileKeyStore, IMPORTED_FILE, PROVIDER_KEY_FILE, Place, STATE_FILE, Store, read_key, read_state,
};

/// What a key that was made elsewhere has signed there, under the chain id of the consumer that it is
/// for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// Nothing.
    NeverSigned,
    /// It signed up to this state, and signs there no more.
    Signed(SignerState),
}

/// A key that was made elsewhere. Holds a secret: has no `Debug`.
pub struct Import {
    /// The key.
    pub key: SecretKey,
    /// What it has signed.
    pub past: Past,
    /// Under which chain id.
    pub chain_id: Option<ChainId>,
    /// Whether it is the validator's key on the provider, which goes on signing there: the one key of
    /// which there may be copies for several consumers.
    pub is_provider_key: bool,
}

impl FileKeyStore {
    /// Puts a key into the store, for this consumer alone.
    ///
    /// # Errors
    /// A permanent failure if the store holds the key already; if it is a copy of the provider key
    /// that has signed, without its chain id, or under one that another copy signs under; else why it
    /// could not be written.
    pub async fn import(&self, consumer_id: ConsumerId, import: Import) -> Result<KeyRef, Failure> {
        self.run(move |store| store.import(consumer_id, &import))
            .await
    }
}

impl Store {
    /// One that has signed is put where archived keys are: to be bound with its state.
    fn import(&self, consumer_id: ConsumerId, import: &Import) -> Result<KeyRef, Failure> {
        let key = KeyRef {
            consumer_id,
            public_key: import.key.public(),
        };
        for (holder, entry) in self.holders(&key.public_key.address().to_string())? {
            let copies = import.is_provider_key && entry.is_provider_key();
            if holder == consumer_id.to_string() || !copies {
                return Err(Failure::permanent(format!(
                    "{} is this key already: a key serves one consumer, and is imported once; only \
                     the validator's key on the provider may serve several, each by a copy of its own \
                     (--provider-key)",
                    entry.path.display()
                )));
            }
        }
        let signed = matches!(import.past, Past::Signed(_));
        if signed && import.is_provider_key && import.chain_id.is_none() {
            return Err(Failure::permanent(
                "a copy of the provider key that has signed needs its consumer's chain id \
                 (--chain-id): it must sign for no other under that",
            ));
        }
        let chain_ids = import.chain_id.iter();
        for chain_id in chain_ids.clone() {
            if let Some(why) = self.refusal(&key, chain_id)? {
                let text = format!("key {} {why}", key.public_key);
                return Err(Failure::permanent(text));
            }
        }
        let chain_ids: Vec<_> = chain_ids.map(|it| it.as_str().to_owned()).collect();
        let chain_ids = chains::text(&chain_ids);
        let mark = match import.is_provider_key {
            true => PROVIDER_KEY_FILE,
            false => IMPORTED_FILE,
        };
        let mut files: Vec<(&str, &[u8])> = vec![(mark, &[])];
        if import.chain_id.is_some() {
            files.push((CHAINS_FILE, &chain_ids));
        }
        let place = match &import.past {
            Past::NeverSigned => Place::Active,
            Past::Signed(state) => {
                files.push((STATE_FILE, state.text().as_bytes()));
                Place::Archived
            }
        };
        let entry = self.add(place, consumer_id, &import.key, &files)?;
        self.sync(&entry)?;
        Ok(key)
    }

    /// The key that was imported last for a consumer.
    pub(super) fn imported(&self, consumer_id: ConsumerId) -> Result<KeyRef, Failure> {
        let mut found = Vec::new();
        for place in [Place::Active, Place::Archived] {
            let entries = self.entries(place, consumer_id)?.into_iter();
            found.extend(entries.map(|entry| (place, entry)));
        }
        found.retain(|(_, entry)| entry.is_imported());
        let last = found.into_iter().max_by_key(|(_, entry)| entry.number);
        let Some((place, entry)) = last else {
            return Err(Failure::permanent(format!(
                "no key was imported for consumer {consumer_id}: stop ics-monitor, run ics-monitor \
                 keys import {consumer_id} FILE --state FILE, or --never-signed, start it again"
            )));
        };
        if place == Place::Archived && read_state(&entry.path)?.is_none() {
            return Err(Failure::permanent(format!(
                "{}: the imported key was archived without its last signer state, so what it has \
                 signed is unknown: import another",
                entry.path.display()
            )));
        }
        let key = read_key(&entry)?;
        self.sync(&entry)?;
        Ok(KeyRef {
            consumer_id,
            public_key: key.public(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ics_core::failure::FailureKind;
    use ics_core::keystore::{KeyOrigin, KeyStanding, KeyStore as _, StorageId};
    use zeroize::Zeroizing;

    use super::*;

    const CONSUMER: ConsumerId = ConsumerId::new(7);

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(Zeroizing::new([seed; 32]))
    }

    fn store() -> (tempfile::TempDir, FileKeyStore) {
        let root = tempfile::tempdir().expect("a folder");
        let store = FileKeyStore::open(root.path().join("keys")).expect("it opens");
        (root, store)
    }

    fn own(seed: u8, past: Past) -> Import {
        Import {
            key: key(seed),
            past,
            chain_id: None,
            is_provider_key: false,
        }
    }

    fn copy(seed: u8, past: Past, chain_id: Option<&str>) -> Import {
        Import {
            chain_id: chain_id.map(chain),
            is_provider_key: true,
            ..own(seed, past)
        }
    }

    fn chain(text: &str) -> ChainId {
        ChainId::new(text).expect("a chain id")
    }

    async fn standing(store: &FileKeyStore, key: &KeyRef) -> KeyStanding {
        let stored = store.load(key).await.expect("read").expect("held");
        stored.standing
    }

    #[tokio::test]
    async fn the_key_imported_last_is_the_imported_one_and_never_a_fresh_one() {
        let (_root, store) = store();
        let none = store.prepare(CONSUMER, KeyOrigin::Imported).await;
        let failure = none.expect_err("nothing imported");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains("keys import 7"), "{failure}");

        let first = store
            .import(CONSUMER, own(1, Past::NeverSigned))
            .await
            .expect("imported");
        let second = store
            .import(CONSUMER, own(2, Past::NeverSigned))
            .await
            .expect("imported");
        assert_eq!(standing(&store, &second).await, KeyStanding::Unbound);
        let fresh = store.prepare(CONSUMER, KeyOrigin::Fresh).await;
        let fresh = fresh.expect("made");
        assert!(![first, second].contains(&fresh));
        let imported = || store.prepare(CONSUMER, KeyOrigin::Imported);
        assert_eq!(imported().await, Ok(second));
        // Also while it is in use: no other is ever taken instead.
        let volume = StorageId::new("v").expect("a name");
        store
            .bind(&second, &volume, &chain("x-1"))
            .await
            .expect("bound");
        assert_eq!(imported().await, Ok(second));
        store.archive(&second, None).await.expect("archived");
        let failure = imported().await.expect_err("lost");
        assert!(failure.message.contains("import another"), "{failure}");
        let other = store.prepare(ConsumerId::new(8), KeyOrigin::Imported);
        assert!(other.await.is_err());
    }

    #[tokio::test]
    async fn a_key_that_has_signed_goes_on_from_its_state() {
        let (_root, store) = store();
        let text = br#"{"height":"9","round":0,"step":3}"#;
        let state = SignerState::read(text).expect("a state");
        let key = store
            .import(CONSUMER, own(1, Past::Signed(state.clone())))
            .await;
        let key = key.expect("imported");
        assert_eq!(standing(&store, &key).await, KeyStanding::Resumes(state));
        let imported = store.prepare(CONSUMER, KeyOrigin::Imported).await;
        assert_eq!(imported, Ok(key));
        let volume = StorageId::new("v").expect("a name");
        store
            .bind(&key, &volume, &chain("x-1"))
            .await
            .expect("bound");
        assert_eq!(standing(&store, &key).await, KeyStanding::Bound(volume));
    }

    #[tokio::test]
    async fn a_key_is_imported_once_and_for_one_consumer() {
        let (_root, store) = store();
        let held = store.import(CONSUMER, own(1, Past::NeverSigned)).await;
        let held = held.expect("imported");
        for consumer_id in [CONSUMER, ConsumerId::new(8)] {
            let failure = store.import(consumer_id, own(1, Past::NeverSigned)).await;
            let failure = failure.expect_err("held");
            assert_eq!(failure.kind, FailureKind::Permanent);
            assert!(failure.message.contains("consumers/7/000001-"), "{failure}");
        }
        store.archive(&held, None).await.expect("archived");
        let again = store.import(CONSUMER, own(1, Past::NeverSigned)).await;
        assert!(again.is_err(), "an archived key was brought back as unused");
    }
    #[tokio::test]
    async fn of_the_provider_key_each_consumer_has_a_copy_that_is_no_key_to_assign() {
        let (_root, store) = store();
        let import = |id| store.import(ConsumerId::new(id), copy(1, Past::NeverSigned, None));
        let (seven, eight) = (import(7).await, import(8).await);
        let (seven, eight) = (seven.expect("imported"), eight.expect("imported"));
        assert_eq!(standing(&store, &seven).await, KeyStanding::Unbound);
        for origin in [KeyOrigin::Fresh, KeyOrigin::Imported] {
            assert_ne!(store.prepare(CONSUMER, origin).await, Ok(seven));
        }
        // Each copy has a storage of its own.
        let volume = |name| StorageId::new(name).expect("a name");
        store
            .bind(&seven, &volume("a"), &chain("a-1"))
            .await
            .expect("bound");
        store
            .bind(&eight, &volume("b"), &chain("b-1"))
            .await
            .expect("bound");
        assert_eq!(
            standing(&store, &eight).await,
            KeyStanding::Bound(volume("b"))
        );
        store.archive(&eight, None).await.expect("archived");
        for id in [7, 8] {
            let failure = import(id).await.expect_err("held");
            assert!(failure.message.contains("imported once"), "{failure}");
        }
        // No other way makes it the key of one consumer.
        let nine = ConsumerId::new(9);
        let alone = store.import(nine, own(1, Past::NeverSigned)).await;
        assert!(alone.is_err());
        store
            .import(nine, own(2, Past::NeverSigned))
            .await
            .expect("another");
        let copy = store
            .import(CONSUMER, copy(2, Past::NeverSigned, None))
            .await;
        assert!(copy.is_err(), "a consumer's own key was copied");
    }

    #[tokio::test]
    async fn a_copy_that_has_signed_goes_on_under_its_chain_id_and_lets_no_other_sign_there() {
        let (_root, store) = store();
        let state = SignerState::read(br#"{"height":"9","round":0,"step":3}"#).expect("a state");
        let past = || Past::Signed(state.clone());
        let unnamed = store.import(CONSUMER, copy(1, past(), None)).await;
        let failure = unnamed.expect_err("no chain id");
        assert!(failure.message.contains("--chain-id"), "{failure}");
        let (eight, nine) = (ConsumerId::new(8), ConsumerId::new(9));
        let seven = store.import(CONSUMER, copy(1, past(), Some("x-1"))).await;
        let seven = seven.expect("imported");
        assert_eq!(
            standing(&store, &seven).await,
            KeyStanding::Resumes(state.clone())
        );
        assert_ne!(store.prepare(CONSUMER, KeyOrigin::Fresh).await, Ok(seven));
        let same = store.import(eight, copy(1, past(), Some("x-1"))).await;
        assert!(same.expect_err("taken").message.contains("consumer 7"));
        let eight = store.import(eight, copy(1, past(), Some("y-1"))).await;
        let eight = eight.expect("imported");
        let nine = store.import(nine, copy(1, Past::NeverSigned, None)).await;
        let nine = nine.expect("imported");
        for (key, under) in [(eight, "x-1"), (nine, "x-1"), (nine, "y-1")] {
            let refusal = store.refusal(&key, &chain(under)).await.expect("read");
            assert!(refusal.is_some(), "{key:?} {under}");
        }
        let volume = StorageId::new("v").expect("a name");
        store
            .bind(&seven, &volume, &chain("x-1"))
            .await
            .expect("bound");
        store
            .bind(&eight, &volume, &chain("y-1"))
            .await
            .expect("bound");
    }

    #[tokio::test]
    async fn what_was_imported_as_a_copy_and_is_another_key_does_not_sign() {
        let (_root, store) = store();
        let wrong = store
            .import(CONSUMER, copy(1, Past::NeverSigned, None))
            .await;
        let right = store
            .import(CONSUMER, copy(2, Past::NeverSigned, None))
            .await;
        let (wrong, right) = (wrong.expect("imported"), right.expect("imported"));
        store.know_provider_key(right.public_key);
        let (volume, under) = (StorageId::new("v").expect("a name"), chain("x-1"));
        let why = store.refusal(&wrong, &under).await.expect("read");
        assert!(why.is_some_and(|why| why.contains("import the right one")));
        assert!(store.bind(&wrong, &volume, &under).await.is_err());
        assert_eq!(store.refusal(&right, &under).await, Ok(None));
        store.bind(&right, &volume, &under).await.expect("bound");
    }
}
