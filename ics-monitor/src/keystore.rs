//! Consensus keys and the node key as files in a folder, in CometBFT's own formats.
//!
//! ```text
//! <folder>/lock                                   held while a store is open
//! <folder>/node_key.json
//! <folder>/consumers/<consumer id>/<number>-<ADDRESS>/priv_validator_key.json
//! <folder>/consumers/<consumer id>/<number>-<ADDRESS>/bound_to
//! <folder>/consumers/<consumer id>/<number>-<ADDRESS>/chain_ids      that it was bound under
//! <folder>/consumers/<consumer id>/<number>-<ADDRESS>/imported       of a key that was not made here
//! <folder>/consumers/<consumer id>/<number>-<ADDRESS>/provider_key   of a copy of the provider key
//! <folder>/archive/<consumer id>/<number>-<ADDRESS>/...       the same, moved as a whole,
//!                                                 with priv_validator_state.json
//! ```
//!
//! The number counts the keys of one consumer in the order of their making, archived ones
//! included. A key's folder appears, moves to the archive, and back when it is bound again, in one
//! rename: there is no moment at which half a key or two copies of it exist. A state says what its key
//! has signed only in the archive; beside a key in use it is what a crash has left.

mod chains;
mod import;

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{PublicKey, SecretKey};
use ics_core::keystore::{KeyOrigin, KeyRef, KeyStanding, KeyStore, StorageId, StoredKey};
use ics_core::signer::SignerState;
use zeroize::Zeroizing;

use crate::durable::{self, Creation};
use crate::keyfile;

pub use self::import::{Import, Past};

/// The file of a consensus key, named as CometBFT names it.
const KEY_FILE: &str = "priv_validator_key.json";

/// The file of a signer state, named as CometBFT names it.
const STATE_FILE: &str = "priv_validator_state.json";

/// A signer state of which nobody knows whether it was the last, kept for people.
const UNSURE_FILE: &str = "unsure_state.json";

/// The file, empty, that says that a key was not made here.
const IMPORTED_FILE: &str = "imported";

/// The file, empty, that says that a key is a copy of the validator's key on the provider.
const PROVIDER_KEY_FILE: &str = "provider_key";

/// The file that names the storage a key is bound to.
const BINDING_FILE: &str = "bound_to";

/// The file of the node key, named as CometBFT names it.
const NODE_KEY_FILE: &str = "node_key.json";

/// A key store in a folder of the local disk, for the one monitor that holds its lock.
///
/// **Guarantees:** those of [`KeyStore`]; what is damaged is refused, never replaced.
/// **Assumptions:** the disk keeps what `fsync` has returned for.
/// **Caveats:** the secrets are not encrypted; the folder must be readable by its owner alone.
pub struct FileKeyStore {
    // File work runs on the blocking pool: an fsync takes seconds where nodes load the same disk.
    // The mutex makes "look, then write" one step.
    store: Arc<Mutex<Store>>,
}

impl FileKeyStore {
    /// Opens the store in this folder, making it if it is not there, and locks it.
    ///
    /// # Errors
    /// A permanent failure if another process has it open or if others than its owner may read
    /// it; else why it could not be read or written.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Failure> {
        let store = Store::open(folder.into())?;
        Ok(Self {
            store: Arc::new(Mutex::new(store)),
        })
    }

    /// Says which key is the validator's on the provider: what was imported as a copy of it and is
    /// another key does not sign from now on.
    pub fn know_provider_key(&self, key: PublicKey) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.provider_key = Some(key);
    }

    /// The public half of the node key in this folder, if it was made; also while another monitor
    /// has the store open.
    ///
    /// # Errors
    /// A permanent failure if others than its owner may read the folder, or the file is damaged.
    pub fn peek_node_key(folder: &Path) -> Result<Option<PublicKey>, Failure> {
        let path = folder.join(NODE_KEY_FILE);
        if !path.exists() {
            return Ok(None);
        }
        refuse_readable_by_others(folder)?;
        // It appears in one rename and never changes: what is read is whole.
        let key = keyfile::node_key(&read_secret(&path)?, &path)?;
        Ok(Some(key.public()))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            // The store holds no state that a panic could leave half-changed.
            work(&store.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|e| Failure::unknown(format!("the key store was interrupted: {e}")))?
    }
}

#[async_trait]
impl KeyStore for FileKeyStore {
    async fn prepare(&self, consumer_id: ConsumerId, origin: KeyOrigin) -> Result<KeyRef, Failure> {
        self.run(move |store| match origin {
            KeyOrigin::Fresh => store.fresh(consumer_id),
            KeyOrigin::Imported => store.imported(consumer_id),
        })
        .await
    }

    async fn load(&self, key: &KeyRef) -> Result<Option<StoredKey>, Failure> {
        let key = *key;
        self.run(move |store| store.load(&key)).await
    }

    async fn refusal(&self, key: &KeyRef, chain_id: &ChainId) -> Result<Option<String>, Failure> {
        let (key, chain_id) = (*key, chain_id.clone());
        self.run(move |store| store.refusal(&key, &chain_id)).await
    }

    async fn bind(
        &self,
        key: &KeyRef,
        storage: &StorageId,
        chain_id: &ChainId,
    ) -> Result<(), Failure> {
        let (key, storage, chain_id) = (*key, storage.clone(), chain_id.clone());
        self.run(move |store| store.bind(&key, &storage, &chain_id))
            .await
    }

    async fn archive(&self, key: &KeyRef, signer_state: Option<&[u8]>) -> Result<(), Failure> {
        let (key, state) = (*key, signer_state.map(<[u8]>::to_vec));
        self.run(move |store| store.archive(&key, state.as_deref()))
            .await
    }

    async fn node_key(&self) -> Result<SecretKey, Failure> {
        self.run(Store::node_key).await
    }
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    Archived,
}

/// The folder of one key.
struct Entry {
    number: u64,
    address: String,
    path: PathBuf,
}

struct Store {
    folder: PathBuf,
    /// The validator's key on the provider, once it is known: the one key that has copies.
    provider_key: Option<PublicKey>,
    _lock: File,
}

impl Store {
    fn open(folder: PathBuf) -> Result<Self, Failure> {
        durable::create_folder(&folder)?;
        refuse_readable_by_others(&folder)?;
        let lock = lock(&folder)?;
        let store = Self {
            folder,
            provider_key: None,
            _lock: lock,
        };
        durable::remove_drafts(&store.folder)?;
        for place in [Place::Active, Place::Archived] {
            let folder = store.place(place);
            durable::create_folder(&folder)?;
            for consumer in folders(&folder)? {
                durable::remove_drafts(&consumer)?;
                for key in folders(&consumer)? {
                    durable::remove_drafts(&key)?;
                    // What a process that died before it could sync has done is read from now on.
                    durable::sync_folder(&key)?;
                }
                durable::sync_folder(&consumer)?;
            }
        }
        Ok(store)
    }

    fn fresh(&self, consumer_id: ConsumerId) -> Result<KeyRef, Failure> {
        let archived = self.entries(Place::Archived, consumer_id)?;
        let mut active = self.entries(Place::Active, consumer_id)?;
        active.retain(|entry| archived.iter().all(|old| old.address != entry.address));
        active.retain(|entry| !entry.is_imported() && !entry.is_provider_key());
        active.sort_by_key(|entry| entry.number);
        let mut unbound = None;
        while let Some(entry) = active.pop().filter(|_| unbound.is_none()) {
            unbound = read_binding(&entry.path)?.is_none().then_some(entry);
        }
        let entry = match unbound {
            Some(entry) => entry,
            None => self.add(Place::Active, consumer_id, &keyfile::fresh()?, &[])?,
        };
        let key = read_key(&entry)?;
        // Also a key that was found is synced: its maker may have died before it could.
        self.sync(&entry)?;
        Ok(KeyRef {
            consumer_id,
            public_key: key.public(),
        })
    }

    fn load(&self, key: &KeyRef) -> Result<Option<StoredKey>, Failure> {
        let Some((place, entry)) = self.find(key)? else {
            return Ok(None);
        };
        Ok(Some(StoredKey {
            key: read_key(&entry)?,
            standing: match place {
                Place::Active => match read_binding(&entry.path)? {
                    Some(storage) => KeyStanding::Bound(storage),
                    None => KeyStanding::Unbound,
                },
                Place::Archived => match read_state(&entry.path)? {
                    Some(state) => KeyStanding::Resumes(state),
                    None => KeyStanding::Lost,
                },
            },
        }))
    }

    fn bind(&self, key: &KeyRef, storage: &StorageId, chain_id: &ChainId) -> Result<(), Failure> {
        let text = format!("{storage}\n");
        let Some((place, entry)) = self.find(key)? else {
            return Err(self.unknown(key, "it cannot be bound"));
        };
        if let Some(why) = self.refusal(key, chain_id)? {
            let text = format!("{}: the key {why}", entry.path.display());
            return Err(Failure::permanent(text));
        }
        // Before the binding, so that no crash leaves a key that may sign without its record.
        Self::record(&entry, chain_id)?;
        if place == Place::Archived {
            return self.resume(key, &entry, &text);
        }
        if durable::create(&entry.path, BINDING_FILE, text.as_bytes())? == Creation::Done {
            return Ok(());
        }
        match read_binding(&entry.path)? {
            Some(bound) if bound == *storage => self.sync(&entry),
            bound => Err(Failure::permanent(format!(
                "{}: the key signs on storage {} and never on {storage}: bring that storage back, or archive this key and take a fresh one",
                entry.path.display(),
                bound.map_or_else(String::new, |bound| bound.to_string()),
            ))),
        }
    }

    /// Takes an archived key back into use, bound as `binding` says.
    fn resume(&self, key: &KeyRef, entry: &Entry, binding: &str) -> Result<(), Failure> {
        if read_state(&entry.path)?.is_none() {
            return Err(Failure::permanent(format!(
                "{}: the key was archived without its last signer state, so what it has signed is unknown: assign another key on the provider",
                entry.path.display()
            )));
        }
        durable::replace(&entry.path, BINDING_FILE, binding.as_bytes())?;
        let folder = self.folder_of(Place::Active, key.consumer_id);
        durable::create_folder(&folder)?;
        let path = folder.join(entry.name());
        durable::move_folder(&entry.path, &path)?;
        durable::remove(&path, STATE_FILE)
    }

    fn archive(&self, key: &KeyRef, state: Option<&[u8]>) -> Result<(), Failure> {
        let folder = self.folder_of(Place::Archived, key.consumer_id);
        let entry = match self.find(key)? {
            None => return Err(self.unknown(key, "nothing to archive")),
            Some((Place::Archived, _)) => return durable::sync_folder(&folder),
            Some((Place::Active, entry)) => entry,
        };
        match state {
            Some(state) => durable::replace(&entry.path, STATE_FILE, state)?,
            // What a crash has left there may have been signed beyond.
            None => durable::rename(&entry.path, STATE_FILE, UNSURE_FILE)?,
        }
        durable::create_folder(&folder)?;
        durable::move_folder(&entry.path, &folder.join(entry.name()))
    }

    fn node_key(&self) -> Result<SecretKey, Failure> {
        let path = self.folder.join(NODE_KEY_FILE);
        if !path.exists() {
            let text = keyfile::fresh()?.to_node_key_json();
            durable::create(&self.folder, NODE_KEY_FILE, text.as_bytes())?;
        }
        let key = keyfile::node_key(&read_secret(&path)?, &path)?;
        durable::sync_folder(&self.folder)?;
        Ok(key)
    }

    /// Adds a key with these other files: its folder is filled under another name, then gets its
    /// own.
    fn add(
        &self,
        place: Place,
        consumer_id: ConsumerId,
        key: &SecretKey,
        files: &[(&str, &[u8])],
    ) -> Result<Entry, Failure> {
        let mut last = 0;
        for place in [Place::Active, Place::Archived] {
            let numbers = self.entries(place, consumer_id)?.into_iter();
            last = numbers
                .map(|entry| entry.number)
                .max()
                .unwrap_or(0)
                .max(last);
        }
        let folder = self.folder_of(place, consumer_id);
        durable::create_folder(&folder)?;
        let draft = durable::draft_folder(&folder)?;
        let text = key.to_priv_validator_key_json();
        durable::replace(draft.path(), KEY_FILE, text.as_bytes())?;
        for (name, bytes) in files {
            durable::replace(draft.path(), name, bytes)?;
        }
        let mut entry = Entry {
            number: last.saturating_add(1),
            address: key.public().address().to_string(),
            path: PathBuf::new(),
        };
        entry.path = folder.join(entry.name());
        durable::move_folder(draft.path(), &entry.path)?;
        Ok(entry)
    }

    fn sync(&self, entry: &Entry) -> Result<(), Failure> {
        let consumers = self.place(Place::Active);
        let folders = [
            Some(entry.path.as_path()),
            entry.path.parent(),
            Some(&consumers),
        ];
        for folder in folders.into_iter().flatten() {
            durable::sync_folder(folder)?;
        }
        durable::sync_folder(&self.folder)
    }

    /// Finds a key. One that is in the archive is archived, wherever a copy of it lies.
    fn find(&self, key: &KeyRef) -> Result<Option<(Place, Entry)>, Failure> {
        let address = key.public_key.address().to_string();
        for place in [Place::Archived, Place::Active] {
            let mut entries = self.entries(place, key.consumer_id)?.into_iter();
            if let Some(entry) = entries.find(|entry| entry.address == address) {
                return Ok(Some((place, entry)));
            }
        }
        Ok(None)
    }

    fn unknown(&self, key: &KeyRef, so: &str) -> Failure {
        Failure::permanent(format!(
            "{}: holds no key {} of consumer {}; {so}",
            self.folder.display(),
            key.public_key.address(),
            key.consumer_id
        ))
    }

    fn folder_of(&self, place: Place, consumer_id: ConsumerId) -> PathBuf {
        self.place(place).join(consumer_id.to_string())
    }

    fn place(&self, place: Place) -> PathBuf {
        self.folder.join(match place {
            Place::Active => "consumers",
            Place::Archived => "archive",
        })
    }

    fn entries(&self, place: Place, consumer_id: ConsumerId) -> Result<Vec<Entry>, Failure> {
        let folder = self.folder_of(place, consumer_id);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        Ok(list(&folder)?.into_iter().filter_map(Entry::read).collect())
    }
}

impl Entry {
    /// The entry that a folder's name says; `None` for anything else that lies there.
    fn read(path: PathBuf) -> Option<Self> {
        let (number, address) = path.file_name()?.to_str()?.split_once('-')?;
        let entry = Self {
            number: number.parse().ok()?,
            address: address.to_owned(),
            path: path.clone(),
        };
        (path.ends_with(entry.name()) && path.is_dir()).then_some(entry)
    }

    fn is_imported(&self) -> bool {
        self.path.join(IMPORTED_FILE).exists()
    }

    fn is_provider_key(&self) -> bool {
        self.path.join(PROVIDER_KEY_FILE).exists()
    }

    fn name(&self) -> String {
        format!("{:06}-{}", self.number, self.address)
    }
}

fn read_key(entry: &Entry) -> Result<SecretKey, Failure> {
    let path = entry.path.join(KEY_FILE);
    let key = keyfile::consensus_key(&read_secret(&path)?, &path)?;
    if key.public().address().to_string() != entry.address {
        return Err(Failure::permanent(format!(
            "{} holds the key {}, not the one its folder is named for: put the right file back",
            path.display(),
            key.public().address()
        )));
    }
    Ok(key)
}

fn read_binding(folder: &Path) -> Result<Option<StorageId>, Failure> {
    let path = folder.join(BINDING_FILE);
    let text = match fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|e| durable::failed("read", &path, &e))?,
    };
    let storage = StorageId::new(text.trim_end()).ok_or_else(|| {
        Failure::permanent(format!(
            "{} does not name a storage: restore it from a backup, or archive this key and take a fresh one",
            path.display()
        ))
    })?;
    Ok(Some(storage))
}

/// The last state of an archived key; `None` if there is none that can be read.
fn read_state(folder: &Path) -> Result<Option<SignerState>, Failure> {
    let path = folder.join(STATE_FILE);
    match fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(durable::failed("read", &path, &e)),
        Ok(bytes) => Ok(SignerState::read(&bytes)),
    }
}

fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    fs::read(path)
        .map(Zeroizing::new)
        .map_err(|e| durable::failed("read", path, &e))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|e| durable::failed("read the folder", folder, &e))
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    Ok(list(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect())
}

fn refuse_readable_by_others(folder: &Path) -> Result<(), Failure> {
    let mode = fs::metadata(folder)
        .map_err(|e| durable::failed("read the folder", folder, &e))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "the key store {folder} may be read by others (mode {:04o}): run chmod 700 {folder}",
        mode & 0o7777,
        folder = folder.display(),
    )))
}

/// Locks the store for as long as the returned file is open.
fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| durable::failed("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::permanent(format!(
            "the key store {} is in use by another ics-monitor: stop that one, or give each its own folder",
            folder.display()
        ))),
        Err(TryLockError::Error(e)) => Err(durable::failed("lock", &path, &e)),
    }
}

#[cfg(test)]
mod tests;
