//! What the operator ordered for single consumers: a small file, read again when it changes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::policy::Override;

use crate::durable;

/// The name of the file in the data folder.
const FILE: &str = "overrides.toml";

/// The overrides file of one instance.
#[derive(Debug)]
pub struct Overrides {
    folder: PathBuf,
    path: PathBuf,
    /// The time and length of the file as it was last read.
    seen: Option<(SystemTime, u64)>,
}

impl Overrides {
    /// The overrides in this data folder.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.to_owned(),
            path: data_dir.join(FILE),
            seen: None,
        }
    }

    /// Reads the file; no file means no overrides.
    ///
    /// # Errors
    /// Permanent, if the file cannot be read or says something else than `<id> = "opt-in"` or
    /// `<id> = "opt-out"`.
    pub fn read(&mut self) -> Result<BTreeMap<ConsumerId, Override>, Failure> {
        self.seen = self.stamp()?;
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(self.failed(&error)),
        };
        let table: BTreeMap<String, String> =
            toml::from_str(&text).map_err(|error| self.failed(&error.message()))?;
        table
            .iter()
            .map(|(id, order)| self.entry(id, order))
            .collect()
    }

    /// Whether the file is another than was last read.
    ///
    /// # Errors
    /// Permanent, if the file cannot be looked at.
    pub fn has_changed(&self) -> Result<bool, Failure> {
        Ok(self.stamp()? != self.seen)
    }

    /// Writes what the operator orders for one consumer, durably.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn set(&mut self, consumer_id: ConsumerId, order: Override) -> Result<(), Failure> {
        let mut all = self.read()?;
        all.insert(consumer_id, order);
        let mut text =
            String::from("# Written by ics-monitor opt-in and opt-out; stands above all rules.\n");
        for (id, order) in &all {
            text.push_str(&format!("{id} = \"{}\"\n", word(*order)));
        }
        fs::create_dir_all(&self.folder).map_err(|error| self.failed(&error))?;
        durable::replace(&self.folder, FILE, text.as_bytes())
    }

    fn entry(&self, id: &str, order: &str) -> Result<(ConsumerId, Override), Failure> {
        let id = id.parse().map_err(|error| self.failed(&error))?;
        match order {
            "opt-in" => Ok((id, Override::OptIn)),
            "opt-out" => Ok((id, Override::OptOut)),
            other => Err(self.failed(&format!("{other:?} is neither opt-in nor opt-out"))),
        }
    }

    fn stamp(&self) -> Result<Option<(SystemTime, u64)>, Failure> {
        match fs::metadata(&self.path) {
            Ok(file) => Ok(Some((
                file.modified().map_err(|e| self.failed(&e))?,
                file.len(),
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::permanent(format!("overrides {}: {error}", self.path.display()))
    }
}

const fn word(order: Override) -> &'static str {
    match order {
        Override::OptIn => "opt-in",
        Override::OptOut => "opt-out",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut overrides = Overrides::new(folder.path());
        assert_eq!(overrides.read(), Ok(BTreeMap::new()));
        overrides
            .set(ConsumerId::new(3), Override::OptIn)
            .expect("written");
        overrides
            .set(ConsumerId::new(1), Override::OptOut)
            .expect("written");
        assert_eq!(overrides.has_changed(), Ok(true));
        let all = overrides.read().expect("read");
        assert_eq!(all.get(&ConsumerId::new(3)), Some(&Override::OptIn));
        assert_eq!(all.len(), 2);
        assert_eq!(overrides.has_changed(), Ok(false));
    }

    #[test]
    fn nonsense_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["3 = \"maybe\"", "x = \"opt-in\"", "3 = 1", "]"] {
            fs::write(folder.path().join("overrides.toml"), text).expect("written");
            let error = Overrides::new(folder.path()).read().expect_err(text);
            assert!(error.message.contains("overrides.toml"), "{error}");
        }
    }
}
