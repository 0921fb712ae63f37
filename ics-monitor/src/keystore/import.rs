//! Keys that were made elsewhere.

use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::key::SecretKey;
use ics_core::keystore::KeyRef;
use ics_core::signer::SignerState;

use super::{FileKeyStore, IMPORTED_FILE, Place, STATE_FILE, Store, folders, read_key, read_state};

impl FileKeyStore {
    /// Puts a key into the store, for this consumer alone, with the last state of its signer;
    /// `None`: it has never signed anywhere. Where it signed before, it must never sign again.
    ///
    /// # Errors
    /// A permanent failure if the store holds the key already; else why it could not be written.
    pub async fn import(
        &self,
        consumer_id: ConsumerId,
        key: SecretKey,
        state: Option<SignerState>,
    ) -> Result<KeyRef, Failure> {
        self.run(move |store| store.import(consumer_id, &key, state.as_ref()))
            .await
    }
}

impl Store {
    /// One that has signed is put where archived keys are: to be bound with its state.
    fn import(
        &self,
        consumer_id: ConsumerId,
        key: &SecretKey,
        state: Option<&SignerState>,
    ) -> Result<KeyRef, Failure> {
        let address = key.public().address().to_string();
        if let Some(path) = self.holder(&address)? {
            return Err(Failure::permanent(format!(
                "{path} is this key already: a key serves one consumer, and is imported once"
            )));
        }
        let mut files = vec![(IMPORTED_FILE, [].as_slice())];
        let place = match state {
            None => Place::Active,
            Some(state) => {
                files.push((STATE_FILE, state.text().as_bytes()));
                Place::Archived
            }
        };
        let entry = self.add(place, consumer_id, key, &files)?;
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

    /// Where the key with this address lies, whatever consumer it is for.
    fn holder(&self, address: &str) -> Result<Option<String>, Failure> {
        for place in [Place::Active, Place::Archived] {
            for consumer in folders(&self.place(place))? {
                for path in folders(&consumer)? {
                    let name = path.file_name().and_then(|name| name.to_str());
                    let of = name.and_then(|name| name.split_once('-'));
                    if of.is_some_and(|(_, of)| of == address) {
                        return Ok(Some(path.display().to_string()));
                    }
                }
            }
        }
        Ok(None)
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
            .import(CONSUMER, key(1), None)
            .await
            .expect("imported");
        let second = store
            .import(CONSUMER, key(2), None)
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
        let key = store.import(CONSUMER, key(1), Some(state.clone())).await;
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
        let held = store.import(CONSUMER, key(1), None).await;
        let held = held.expect("imported");
        for consumer_id in [CONSUMER, ConsumerId::new(8)] {
            let failure = store.import(consumer_id, key(1), None).await;
            let failure = failure.expect_err("held");
            assert_eq!(failure.kind, FailureKind::Permanent);
            assert!(failure.message.contains("consumers/7/000001-"), "{failure}");
        }
        store.archive(&held, None).await.expect("archived");
        let again = store.import(CONSUMER, key(1), None).await;
        assert!(again.is_err(), "an archived key was brought back as unused");
    }
}
