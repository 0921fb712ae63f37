//! What the file key store guarantees, on a real file system.

use super::*;
use ics_core::failure::FailureKind;
use ics_core::key::ZERO_SIGNER_STATE;

const CONSUMER: ConsumerId = ConsumerId::new(7);

fn open(root: &Path) -> FileKeyStore {
    FileKeyStore::open(root.join("keys")).expect("the store opens")
}

fn storage(name: &str) -> StorageId {
    StorageId::new(name).expect("a name")
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
async fn a_prepared_key_stays_the_one_to_use_until_it_is_archived() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let first = store.prepare(CONSUMER).await.expect("made");
    assert_eq!(store.prepare(CONSUMER).await, Ok(first));
    let other = store.prepare(ConsumerId::new(8)).await.expect("made");
    assert_ne!(first.public_key, other.public_key);
    drop(store);

    let store = open(root.path());
    assert_eq!(store.prepare(CONSUMER).await, Ok(first));
    store.archive(&first, None).await.expect("archived");
    let second = store.prepare(CONSUMER).await.expect("made");
    assert_ne!(first, second);
    assert!(store.load(&first).await.expect("read").is_none());
    assert!(store.load(&second).await.expect("read").is_some());
    assert_eq!(store.prepare(CONSUMER).await, Ok(second));
    let names: Vec<_> = files(&root.path().join("keys"))
        .iter()
        .filter_map(|path| Some(path.split_once("/7/")?.1.split_once('-')?.0.to_owned()))
        .collect();
    assert_eq!(names, ["000001", "000002"]);
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
    let keys = futures::future::join_all((0..8).map(|_| store.prepare(CONSUMER))).await;
    assert!(keys.iter().all(|key| *key == keys[0] && key.is_ok()));
    let node = store.node_key().await.expect("made").public();
    assert_eq!(store.node_key().await.expect("read").public(), node);
    drop(store);
    assert_eq!(
        open(root.path()).node_key().await.expect("read").public(),
        node
    );
}

#[tokio::test]
async fn a_key_is_bound_once_and_for_ever() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store.prepare(CONSUMER).await.expect("made");
    let bound = |stored: Option<StoredKey>| stored.and_then(|stored| stored.bound_to);
    assert_eq!(bound(store.load(&key).await.expect("read")), None);
    store.bind(&key, &storage("volume-1")).await.expect("bound");
    store
        .bind(&key, &storage("volume-1"))
        .await
        .expect("bound again");
    let failure = store
        .bind(&key, &storage("volume-2"))
        .await
        .expect_err("bound");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("volume-1"), "{failure}");
    assert_eq!(
        bound(store.load(&key).await.expect("read")),
        Some(storage("volume-1"))
    );
    let unknown = KeyRef {
        public_key: PublicKey::new([1; 32]),
        ..key
    };
    assert!(store.bind(&unknown, &storage("volume-1")).await.is_err());
    assert!(store.load(&unknown).await.expect("read").is_none());
}

#[tokio::test]
async fn the_archive_keeps_key_state_and_binding_as_first_archived() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store.prepare(CONSUMER).await.expect("made");
    store.bind(&key, &storage("volume-1")).await.expect("bound");
    store
        .archive(&key, Some(b"{\"height\":\"5\"}"))
        .await
        .expect("archived");
    store
        .archive(&key, Some(ZERO_SIGNER_STATE.as_bytes()))
        .await
        .expect("archived");
    store.archive(&key, None).await.expect("archived");
    assert!(store.bind(&key, &storage("volume-1")).await.is_err());

    let name = format!("000001-{}", key.public_key.address());
    let folder = root.path().join("keys/archive/7").join(name);
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("archived");
    assert_eq!(read(STATE_FILE), "{\"height\":\"5\"}");
    assert_eq!(read(BINDING_FILE), "volume-1\n");
    let path = folder.join(KEY_FILE);
    let kept = keyfile::consensus_key(read(KEY_FILE).as_bytes(), &path).expect("whole");
    assert_eq!(kept.public(), key.public_key);
    assert!(
        list(&root.path().join("keys/consumers/7"))
            .expect("folder")
            .is_empty()
    );
}

#[tokio::test]
async fn a_crash_before_the_move_loses_neither_key_nor_state() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store.prepare(CONSUMER).await.expect("made");
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
    assert_eq!(store.prepare(CONSUMER).await, Ok(key));
    store.archive(&key, None).await.expect("archived");
    let kept = files(&root.path().join("keys/archive"));
    assert!(
        kept.iter().any(|path| path.ends_with(STATE_FILE)),
        "{kept:?}"
    );
}

#[tokio::test]
async fn an_archived_key_is_never_used_again_though_a_copy_comes_back() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store.prepare(CONSUMER).await.expect("made");
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
    assert!(store.load(&key).await.expect("read").is_none());
    store.archive(&key, None).await.expect("archived still");
    assert_ne!(store.prepare(CONSUMER).await, Ok(key));
}

#[tokio::test]
async fn damage_is_refused_and_never_replaced() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open(root.path());
    let key = store.prepare(CONSUMER).await.expect("made");
    let other = store.prepare(ConsumerId::new(8)).await.expect("made");
    let all = files(&root.path().join("keys/consumers"));
    fs::copy(&all[1], &all[0]).expect("copied");
    for failure in [
        store.prepare(CONSUMER).await.err(),
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
