//! Files that survive a crash and a power loss, for their owner alone.
//!
//! A file appears under its name whole or not at all: it is written as a draft in the same folder,
//! synced, renamed, and the folder is synced. Folders are 0700 and files 0600 from the start.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ics_core::failure::Failure;
use tempfile::{NamedTempFile, TempDir};

/// How the name of everything half-written starts; nothing else may be called so.
pub const DRAFT_PREFIX: &str = ".draft-";

/// What became of a file that must not overwrite another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    /// It was created.
    Done,
    /// Another was there and stays.
    Exists,
}

/// A file that is being written; dropping it removes it.
pub struct Draft {
    file: NamedTempFile,
    folder: PathBuf,
}

impl Draft {
    /// Starts an empty file in a folder.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let file = tempfile::Builder::new()
            .prefix(DRAFT_PREFIX)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(|e| failed("create a file in", folder, &e))?;
        Ok(Self {
            file,
            folder: folder.to_owned(),
        })
    }

    /// Gives it its name, in place of what may have had it.
    ///
    /// # Errors
    /// If it cannot be written; what had the name is then still there.
    pub fn replace(self, name: &str) -> Result<(), Failure> {
        let path = self.synced(name)?;
        self.file
            .persist(&path)
            .map_err(|e| failed("write", &path, &e.error))?;
        sync_folder(&self.folder)
    }

    /// Gives it its name if nothing has it.
    pub(crate) fn create(self, name: &str) -> Result<Creation, Failure> {
        let path = self.synced(name)?;
        let creation = match self.file.persist_noclobber(&path) {
            Ok(_) => Creation::Done,
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Creation::Exists,
            Err(e) => return Err(failed("write", &path, &e.error)),
        };
        // What exists may have been renamed by a process that died before this.
        sync_folder(&self.folder)?;
        Ok(creation)
    }

    fn synced(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        self.file
            .as_file()
            .sync_all()
            .map_err(|e| failed("write", &path, &e))?;
        Ok(path)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file, in place of what may have its name.
///
/// # Errors
/// If the folder cannot be written.
pub fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    written(folder, name, bytes)?.replace(name)
}

/// Writes a file if nothing has its name.
pub(crate) fn create(folder: &Path, name: &str, bytes: &[u8]) -> Result<Creation, Failure> {
    written(folder, name, bytes)?.create(name)
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> Result<Draft, Failure> {
    let mut draft = Draft::new(folder)?;
    draft
        .write_all(bytes)
        .map_err(|e| failed("write", &folder.join(name), &e))?;
    Ok(draft)
}

/// Starts an empty folder in another, to be filled and then moved to its name.
pub(crate) fn draft_folder(folder: &Path) -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix(DRAFT_PREFIX)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(folder)
        .map_err(|e| failed("create a folder in", folder, &e))
}

/// Makes a folder, and those above it, where there is none.
///
/// # Errors
/// If it cannot be made, or something else has its name.
pub fn create_folder(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    create_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("create the folder", path, &e));
        }
        Err(_) if !path.is_dir() => {
            return Err(Failure::permanent(format!(
                "{} is not a folder: move it away or name another folder",
                path.display()
            )));
        }
        _ => {}
    }
    sync_folder(parent)
}

/// Moves a folder and all that is in it in one step; fails if something is where it goes.
pub(crate) fn move_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|e| failed("move", from, &e).context(to.display()))?;
    sync_folder(parent_of(to))?;
    sync_folder(parent_of(from))
}

/// Gives a file of a folder another name, in place of what may have that; absent is success.
pub(crate) fn rename(folder: &Path, from: &str, to: &str) -> Result<(), Failure> {
    let path = folder.join(from);
    match fs::rename(&path, folder.join(to)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("rename", &path, &e)),
        _ => sync_folder(folder),
    }
}

/// Removes a file of a folder; absent is success.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(folder: &Path, name: &str) -> Result<(), Failure> {
    let path = folder.join(name);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, &e)),
        _ => sync_folder(folder),
    }
}

/// Makes sure that what a folder lists is on the disk.
///
/// # Errors
/// If it cannot be read or synced.
pub fn sync_folder(path: &Path) -> Result<(), Failure> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| failed("sync the folder", path, &e))
}

/// Removes what a process that died has left half-written in a folder.
pub(crate) fn remove_drafts(folder: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|e| failed("read the folder", folder, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| failed("read the folder", folder, &e))?;
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(DRAFT_PREFIX.as_bytes())
        {
            continue;
        }
        let path = entry.path();
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(e) => Err(e),
        };
        removed.map_err(|e| failed("remove", &path, &e))?;
    }
    Ok(())
}

/// Says that something could not be done to a file or folder, with the cure where one is known.
///
/// What the system may cure by itself (no space, a disk that does not answer) is transient: all
/// writes here may be repeated.
#[must_use]
pub fn failed(doing: &str, path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::permanent(format!(
            "{what}; give the user of this program access to it"
        )),
        io::ErrorKind::ReadOnlyFilesystem => {
            Failure::permanent(format!("{what}; use a folder that can be written"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Failure::transient(format!("{what}; free some space there"))
        }
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::AlreadyExists => {
            Failure::permanent(format!("{what}; look at what is there"))
        }
        _ => Failure::transient(what),
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ics_core::failure::FailureKind;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folders_are_for_their_owner_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("a/b");
        create_folder(&folder).expect("created");
        create_folder(&folder).expect("created again");
        replace(&folder, "file", b"1").expect("written");
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("file")), 0o600);
        assert_eq!(mode(draft_folder(&folder).expect("a draft").path()), 0o700);
    }

    #[test]
    fn only_replace_overwrites() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(create(root.path(), "file", b"1"), Ok(Creation::Done));
        assert_eq!(create(root.path(), "file", b"2"), Ok(Creation::Exists));
        assert_eq!(fs::read(root.path().join("file")).expect("file"), b"1");
        replace(root.path(), "file", b"3").expect("written");
        assert_eq!(fs::read(root.path().join("file")).expect("file"), b"3");
        assert_eq!(fs::read_dir(root.path()).expect("folder").count(), 1);
    }

    #[test]
    fn drafts_of_the_dead_are_removed_and_nothing_else() {
        let root = tempfile::tempdir().expect("a folder");
        let draft = draft_folder(root.path()).expect("a draft").keep();
        fs::write(draft.join("key"), "half").expect("written");
        fs::write(root.path().join(".draft-x"), "half").expect("written");
        fs::write(root.path().join("draft"), "whole").expect("written");
        remove_drafts(root.path()).expect("removed");
        let left: Vec<_> = fs::read_dir(root.path())
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        assert_eq!(left, ["draft"]);
    }

    #[test]
    fn failures_name_the_path_and_the_cure() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("file"), "").expect("written");
        let failure = create_folder(&root.path().join("file/folder")).expect_err("a file");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(
            failure.message.contains("/file is not a folder: move"),
            "{failure}"
        );
        let failure = Draft::new(&root.path().join("none"))
            .err()
            .expect("no folder");
        assert!(failure.message.contains("/none"), "{failure}");
    }
}
