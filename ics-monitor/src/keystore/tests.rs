//! What the file key store guarantees, on a real file system.

use super::*;
use ics_core::failure::FailureKind;

const CONSUMER: ConsumerId = ConsumerId::new(7);

fn open(root: &Path) -> FileKeyStore {
    FileKeyStore::open(root.join("keys")).expect("the store opens")
}

fn storage(name: &str) -> StorageId {
    StorageId::new(name).expect("a name")
}

fn chain(text: &str) -> ChainId {
    ChainId::new(text).expect("a chain id")
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in list(folder).expect("folder") {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_prepared_key_stays_the_one_to_assign_until_it_is_bound_or_archived() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let first = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    assert_eq!(store.prepare(CONSUMER, KeyOrigin::Fresh).await, Ok(first));
    let other = store
        .prepare(ConsumerId::new(8), KeyOrigin::Fresh)
        .await
        .expect("made");
    assert_ne!(first.public_key, other.public_key);
    drop(store);

    let store = open(root.path());
    assert_eq!(store.prepare(CONSUMER, KeyOrigin::Fresh).await, Ok(first));
    store.archive(&first, None).await.expect("archived");
    let second = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    assert_ne!(first, second);
    assert_eq!(store.prepare(CONSUMER, KeyOrigin::Fresh).await, Ok(second));
    store
        .bind(&second, &storage("v"), &chain("x-1"))
        .await
        .expect("bound");
    let third = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    assert_ne!(second, third);
    assert_eq!(store.prepare(CONSUMER, KeyOrigin::Fresh).await, Ok(third));
    let names: Vec<_> = files(&root.path().join("keys"))
        .iter()
        .filter_map(|path| Some(path.split_once("/7/")?.1.split_once('-')?.0.to_owned()))
        .collect();
    assert_eq!(names, ["000001", "000002", "000002", "000002", "000003"]);
}

#[tokio::test]
async fn the_node_key_can_be_peeked_at_while_the_store_is_open() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("keys");
    assert_eq!(FileKeyStore::peek_node_key(&folder), Ok(None));
    let store = open(root.path());
    assert_eq!(FileKeyStore::peek_node_key(&folder), Ok(None));
    let node = store.node_key().await.expect("made").public();
    assert_eq!(FileKeyStore::peek_node_key(&folder), Ok(Some(node)));
}

#[tokio::test]
async fn at_once_and_again_there_is_one_key_and_one_node_key() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let keys =
        futures::future::join_all((0..8).map(|_| store.prepare(CONSUMER, KeyOrigin::Fresh))).await;
    assert!(keys.iter().all(|key| *key == keys[0] && key.is_ok()));
    let node = store.node_key().await.expect("made").public();
    assert_eq!(store.node_key().await.expect("read").public(), node);
    drop(store);
    assert_eq!(
        open(root.path()).node_key().await.expect("read").public(),
        node
    );
}

/// What the store says of a key that it holds.
async fn standing(store: &FileKeyStore, key: &KeyRef) -> KeyStanding {
    let stored = store.load(key).await.expect("read").expect("held");
    assert_eq!(stored.key.public(), key.public_key);
    stored.standing
}

fn state(height: u64) -> SignerState {
    let text = format!("{{\"height\":\"{height}\",\"round\":0,\"step\":3}}");
    SignerState::read(text.as_bytes()).expect("a state")
}

#[tokio::test]
async fn a_key_is_bound_to_one_storage() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    assert_eq!(standing(&store, &key).await, KeyStanding::Unbound);
    store
        .bind(&key, &storage("volume-1"), &chain("x-1"))
        .await
        .expect("bound");
    store
        .bind(&key, &storage("volume-1"), &chain("x-1"))
        .await
        .expect("bound again");
    let failure = store
        .bind(&key, &storage("volume-2"), &chain("x-1"))
        .await
        .expect_err("bound");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("volume-1"), "{failure}");
    let bound = KeyStanding::Bound(storage("volume-1"));
    assert_eq!(standing(&store, &key).await, bound);
    let unknown = KeyRef {
        public_key: PublicKey::new([1; 32]),
        ..key
    };
    assert!(
        store
            .bind(&unknown, &storage("volume-1"), &chain("x-1"))
            .await
            .is_err()
    );
    assert!(store.archive(&unknown, None).await.is_err());
    assert!(store.load(&unknown).await.expect("read").is_none());
}

#[tokio::test]
async fn the_archive_keeps_key_state_and_binding_as_first_archived() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    store
        .bind(&key, &storage("volume-1"), &chain("x-1"))
        .await
        .expect("bound");
    for written in [Some(state(5)), Some(state(4)), Some(state(6)), None] {
        let written = written.as_ref().map(|it| it.text().as_bytes());
        store.archive(&key, written).await.expect("archived");
        let standing = standing(&store, &key).await;
        assert_eq!(standing, KeyStanding::Resumes(state(5)));
    }
    let name = format!("000001-{}", key.public_key.address());
    let folder = root.path().join("keys/archive/7").join(name);
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("archived");
    assert_eq!(read(STATE_FILE), state(5).text());
    assert_eq!(read(BINDING_FILE), "volume-1\n");
    assert!(
        list(&root.path().join("keys/consumers/7"))
            .expect("folder")
            .is_empty()
    );
}

#[tokio::test]
async fn an_archived_key_goes_on_on_another_storage_from_its_last_state() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    store
        .bind(&key, &storage("volume-1"), &chain("x-1"))
        .await
        .expect("bound");
    for (height, volume) in [(5, "volume-2"), (9, "volume-1")] {
        let text = state(height).text().to_owned();
        let archived = store.archive(&key, Some(text.as_bytes())).await;
        archived.expect("archived");
        store
            .bind(&key, &storage(volume), &chain("x-1"))
            .await
            .expect("bound");
        let bound = KeyStanding::Bound(storage(volume));
        assert_eq!(standing(&store, &key).await, bound);
        assert!(
            store
                .bind(&key, &storage("other"), &chain("x-1"))
                .await
                .is_err()
        );
    }
    // The state from which it went on is not its last one.
    store.archive(&key, None).await.expect("archived");
    assert_eq!(standing(&store, &key).await, KeyStanding::Lost);
}

#[tokio::test]
async fn a_key_whose_last_state_is_unknown_is_never_bound_again() {
    for lost in [None, Some("")] {
        let root = tempfile::tempdir().expect("a folder");
        let store = open(root.path());
        let key = store
            .prepare(CONSUMER, KeyOrigin::Fresh)
            .await
            .expect("made");
        store
            .bind(&key, &storage("volume-1"), &chain("x-1"))
            .await
            .expect("bound");
        let archived = store.archive(&key, lost.map(str::as_bytes)).await;
        archived.expect("archived");
        assert_eq!(standing(&store, &key).await, KeyStanding::Lost);
        let failure = store.bind(&key, &storage("volume-1"), &chain("x-1")).await;
        let failure = failure.expect_err("lost");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains("assign another key"), "{failure}");
    }
}

#[tokio::test]
async fn taking_a_key_back_into_use_may_be_cut_off_anywhere() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    let five = state(5).text().to_owned();
    store
        .bind(&key, &storage("volume-1"), &chain("x-1"))
        .await
        .expect("bound");
    let archived = store.archive(&key, Some(five.as_bytes())).await;
    archived.expect("archived");
    let name = format!("7/000001-{}", key.public_key.address());
    let keys = root.path().join("keys");
    let (archive, active) = (
        keys.join("archive").join(&name),
        keys.join("consumers").join(&name),
    );
    // The binding is written, the key not moved: nothing has signed, and all is done again.
    fs::write(archive.join(BINDING_FILE), "volume-2\n").expect("written");
    drop(store);
    let store = open(root.path());
    let resumes = KeyStanding::Resumes(state(5));
    assert_eq!(standing(&store, &key).await, resumes);
    // It is moved, its old state still beside it: it signs, and that state is not its last one.
    fs::rename(&archive, &active).expect("moved");
    let bound = KeyStanding::Bound(storage("volume-2"));
    assert_eq!(standing(&store, &key).await, bound);
    store.archive(&key, None).await.expect("archived");
    assert_eq!(standing(&store, &key).await, KeyStanding::Lost);
}

#[tokio::test]
async fn a_crash_before_the_move_loses_neither_key_nor_state() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    let entries = Store::entries(
        &store.store.lock().expect("not poisoned"),
        Place::Active,
        CONSUMER,
    );
    let path = entries.expect("read")[0].path.clone();
    fs::write(path.join(STATE_FILE), "state").expect("written");
    let half = root.path().join("keys/consumers/7/.draft-x");
    fs::create_dir(&half).expect("made");
    fs::write(half.join(KEY_FILE), "half").expect("written");
    fs::write(path.join(".draft-y"), "half").expect("written");
    drop(store);

    let store = open(root.path());
    assert!(!half.exists());
    assert!(!path.join(".draft-y").exists());
    assert_eq!(store.prepare(CONSUMER, KeyOrigin::Fresh).await, Ok(key));
    store.archive(&key, None).await.expect("archived");
    let kept = files(&root.path().join("keys/archive"));
    assert!(
        kept.iter().any(|path| path.ends_with(UNSURE_FILE)),
        "{kept:?}"
    );
}

#[tokio::test]
async fn an_archived_key_stays_archived_though_a_copy_comes_back() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    store.archive(&key, None).await.expect("archived");
    let name = format!("7/000001-{}", key.public_key.address());
    let keys = root.path().join("keys");
    let copy = keys.join("consumers").join(&name);
    fs::create_dir_all(&copy).expect("made");
    fs::copy(
        keys.join("archive").join(&name).join(KEY_FILE),
        copy.join(KEY_FILE),
    )
    .expect("copied");
    assert_eq!(standing(&store, &key).await, KeyStanding::Lost);
    store.archive(&key, None).await.expect("archived still");
    assert_ne!(store.prepare(CONSUMER, KeyOrigin::Fresh).await, Ok(key));
}

#[tokio::test]
async fn damage_is_refused_and_never_replaced() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store
        .prepare(CONSUMER, KeyOrigin::Fresh)
        .await
        .expect("made");
    let other = store
        .prepare(ConsumerId::new(8), KeyOrigin::Fresh)
        .await
        .expect("made");
    let all = files(&root.path().join("keys/consumers"));
    fs::copy(&all[1], &all[0]).expect("copied");
    for failure in [
        store.prepare(CONSUMER, KeyOrigin::Fresh).await.err(),
        store.load(&key).await.err(),
    ] {
        let failure = failure.expect("refused");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains(&all[0]), "{failure}");
    }
    assert!(store.load(&other).await.is_ok());
    fs::write(root.path().join("keys/node_key.json"), "{}").expect("written");
    assert!(store.node_key().await.is_err());
}

#[tokio::test]
async fn one_folder_serves_one_monitor_and_its_owner_alone() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("keys");
    let store = open(root.path());
    let failure = FileKeyStore::open(&folder).err().expect("locked");
    assert!(failure.message.contains("in use by another"), "{failure}");
    assert!(
        failure.message.contains(&folder.display().to_string()),
        "{failure}"
    );
    drop(store);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).expect("changed");
    let failure = FileKeyStore::open(&folder).err().expect("open to others");
    assert!(failure.message.contains("0750"), "{failure}");
    assert!(
        failure
            .message
            .ends_with(&format!("chmod 700 {}", folder.display()))
    );
}

/// The same key in the folders of two consumers, brought there by hand.
async fn two_copies(root: &Path) -> (FileKeyStore, [KeyRef; 2]) {
    let store = open(root);
    let first = store.prepare(CONSUMER, KeyOrigin::Fresh).await;
    let first = first.expect("made");
    let name = format!("000001-{}", first.public_key.address());
    let folder = |id: &str| root.join("keys/consumers").join(id).join(&name);
    fs::create_dir_all(folder("8")).expect("a folder");
    fs::copy(folder("7").join(KEY_FILE), folder("8").join(KEY_FILE)).expect("copied");
    let second = KeyRef {
        consumer_id: ConsumerId::new(8),
        ..first
    };
    (store, [first, second])
}

#[tokio::test]
async fn under_one_chain_id_a_key_is_bound_for_one_consumer_for_good() {
    let root = tempfile::tempdir().expect("a folder");
    let (store, [first, second]) = two_copies(root.path()).await;
    let (x, y) = (chain("x-1"), chain("\"y\"\n-1"));
    assert_eq!(store.refusal(&second, &x).await, Ok(None));
    store.bind(&first, &storage("a"), &x).await.expect("bound");
    for archived in [false, true] {
        if archived {
            let state = Some(&br#"{"height":"5","round":0,"step":3}"#[..]);
            store.archive(&first, state).await.expect("archived");
        }
        let failure = store.bind(&second, &storage("b"), &x).await;
        let failure = failure.expect_err("it has signed there");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains("consumer 7"), "{failure}");
        assert_eq!(standing(&store, &second).await, KeyStanding::Unbound);
    }
    drop(store);
    let store = open(root.path());
    let refusal = store.refusal(&second, &x).await.expect("read");
    assert!(refusal.is_some_and(|why| why.contains("x-1")));
    // Its own consumer goes on, and the other one under its own chain id.
    store.bind(&first, &storage("a"), &x).await.expect("bound");
    store.bind(&second, &storage("b"), &y).await.expect("bound");
    assert!(store.refusal(&first, &y).await.expect("read").is_some());
}

#[tokio::test]
async fn a_key_that_was_bound_without_a_record_may_have_signed_under_any_chain_id() {
    let root = tempfile::tempdir().expect("a folder");
    let (store, [first, second]) = two_copies(root.path()).await;
    let x = chain("x-1");
    store.bind(&first, &storage("a"), &x).await.expect("bound");
    let name = format!("000001-{}", first.public_key.address());
    let record = root
        .path()
        .join("keys/consumers/7")
        .join(name)
        .join("chain_ids");
    fs::remove_file(&record).expect("there");
    let other = chain("other-1");
    let refusal = store.refusal(&second, &other).await.expect("read");
    let refusal = refusal.expect("it may have");
    assert!(refusal.contains(&record.display().to_string()), "{refusal}");
    // Bound again, or written by a person, it is known.
    store.bind(&first, &storage("a"), &x).await.expect("bound");
    assert_eq!(store.refusal(&second, &other).await, Ok(None));
    fs::write(&record, "x-1").expect("written");
    assert!(
        store.refusal(&second, &other).await.is_err(),
        "it cannot be read"
    );
}
