//! Keys that were made elsewhere.

use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::key::SecretKey;
use ics_core::keystore::KeyRef;
use ics_core::signer::SignerState;

use super::{
    Entry, FileKeyStore, IMPORTED_FILE, PROVIDER_KEY_FILE, Place, STATE_FILE, Store, folders,
    read_key, read_state,
};

/// What a key that was made elsewhere has signed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// It has never signed anywhere.
    NeverSigned,
    /// It is the validator's key on the provider and goes on signing there; it has signed nothing
    /// under the consumer's chain id. The one key of which there may be copies for several
    /// consumers; whether it signs for one is decided by chain id, not here.
    ProviderKey,
    /// It signed up to this state, and signs there no more.
    Signed(SignerState),
}

impl FileKeyStore {
    /// Puts a key into the store, for this consumer alone.
    ///
    /// # Errors
    /// A permanent failure if the store holds the key already; else why it could not be written.
    pub async fn import(
        &self,
        consumer_id: ConsumerId,
        key: SecretKey,
        past: Past,
    ) -> Result<KeyRef, Failure> {
        self.run(move |store| store.import(consumer_id, &key, &past))
            .await
    }
}

impl Store {
    /// One that has signed is put where archived keys are: to be bound with its state.
    fn import(
        &self,
        consumer_id: ConsumerId,
        key: &SecretKey,
        past: &Past,
    ) -> Result<KeyRef, Failure> {
        let address = key.public().address().to_string();
        for (holder, entry) in self.holders(&address)? {
            let copies = *past == Past::ProviderKey && entry.is_provider_key();
            if holder == consumer_id.to_string() || !copies {
                return Err(Failure::permanent(format!(
                    "{} is this key already: a key serves one consumer, and is imported once; only \
                     the validator's key on the provider may serve several, each by a copy of its own \
                     (--provider-key)",
                    entry.path.display()
                )));
            }
        }
        let (place, files): (_, &[(&str, &[u8])]) = match past {
            Past::NeverSigned => (Place::Active, &[(IMPORTED_FILE, &[])]),
            Past::ProviderKey => (Place::Active, &[(PROVIDER_KEY_FILE, &[])]),
            Past::Signed(state) => {
                let state = (STATE_FILE, state.text().as_bytes());
                (Place::Archived, &[(IMPORTED_FILE, &[]), state])
            }
        };
        let entry = self.add(place, consumer_id, key, files)?;
        self.sync(&entry)?;
        Ok(KeyRef {
            consumer_id,
            public_key: key.public(),
        })
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
                 keys import {consumer_id} FILE, start it again"
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

    /// Where the key with this address lies, whatever consumers it is for.
    fn holders(&self, address: &str) -> Result<Vec<(String, Entry)>, Failure> {
        let mut found = Vec::new();
        for place in [Place::Active, Place::Archived] {
            for consumer in folders(&self.place(place))? {
                let name = consumer.file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                let entries = folders(&consumer)?.into_iter().filter_map(Entry::read);
                let same = entries.filter(|entry| entry.address == address);
                found.extend(same.map(|entry| (name.clone(), entry)));
            }
        }
        Ok(found)
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
            .import(CONSUMER, key(1), Past::NeverSigned)
            .await
            .expect("imported");
        let second = store
            .import(CONSUMER, key(2), Past::NeverSigned)
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
        store.bind(&second, &volume).await.expect("bound");
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
            .import(CONSUMER, key(1), Past::Signed(state.clone()))
            .await;
        let key = key.expect("imported");
        assert_eq!(standing(&store, &key).await, KeyStanding::Resumes(state));
        let imported = store.prepare(CONSUMER, KeyOrigin::Imported).await;
        assert_eq!(imported, Ok(key));
        let volume = StorageId::new("v").expect("a name");
        store.bind(&key, &volume).await.expect("bound");
        assert_eq!(standing(&store, &key).await, KeyStanding::Bound(volume));
    }

    #[tokio::test]
    async fn a_key_is_imported_once_and_for_one_consumer() {
        let (_root, store) = store();
        let held = store.import(CONSUMER, key(1), Past::NeverSigned).await;
        let held = held.expect("imported");
        for consumer_id in [CONSUMER, ConsumerId::new(8)] {
            let failure = store.import(consumer_id, key(1), Past::NeverSigned).await;
            let failure = failure.expect_err("held");
            assert_eq!(failure.kind, FailureKind::Permanent);
            assert!(failure.message.contains("consumers/7/000001-"), "{failure}");
        }
        store.archive(&held, None).await.expect("archived");
        let again = store.import(CONSUMER, key(1), Past::NeverSigned).await;
        assert!(again.is_err(), "an archived key was brought back as unused");
    }
    #[tokio::test]
    async fn of_the_provider_key_each_consumer_has_a_copy_that_is_no_key_to_assign() {
        let (_root, store) = store();
        let import = |id| store.import(ConsumerId::new(id), key(1), Past::ProviderKey);
        let (seven, eight) = (import(7).await, import(8).await);
        let (seven, eight) = (seven.expect("imported"), eight.expect("imported"));
        assert_eq!(standing(&store, &seven).await, KeyStanding::Unbound);
        for origin in [KeyOrigin::Fresh, KeyOrigin::Imported] {
            assert_ne!(store.prepare(CONSUMER, origin).await, Ok(seven));
        }
        // Each copy has a storage of its own.
        let volume = |name| StorageId::new(name).expect("a name");
        store.bind(&seven, &volume("a")).await.expect("bound");
        store.bind(&eight, &volume("b")).await.expect("bound");
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
        let own = store.import(nine, key(1), Past::NeverSigned).await;
        assert!(own.is_err());
        store
            .import(nine, key(2), Past::NeverSigned)
            .await
            .expect("another");
        let copy = store.import(CONSUMER, key(2), Past::ProviderKey).await;
        assert!(copy.is_err(), "a consumer's own key was copied");
    }
}
