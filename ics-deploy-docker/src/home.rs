//! Where the node's home lies in its volume and in its container.

use ics_core::failure::Failure;
use ics_core::node::Program;

/// The home's folder in the volume: the volume's own root belongs to root, who runs no node.
const FOLDER: &str = "node";

/// Where the volume is mounted in the container.
#[derive(Clone, Debug)]
pub(crate) struct Home(String);

impl Home {
    /// The home of this program.
    ///
    /// # Errors
    /// A permanent failure if the folder cannot be a mount point.
    pub(crate) fn new(program: &Program) -> Result<Self, Failure> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
        let folder = program.home.trim_end_matches('/');
        let steps = folder.split('/').skip(1);
        let good = folder.starts_with('/')
            && folder.bytes().all(plain)
            && steps.clone().all(|step| !["", ".", ".."].contains(&step));
        if !good {
            return Err(Failure::permanent(format!(
                "home {:?} of image {}: give an absolute folder other than / of the characters A-Z, a-z, 0-9, . _ - /",
                program.home, program.image
            )));
        }
        Ok(Self(folder.to_owned()))
    }

    /// The home in a container where the volume is mounted here.
    pub(crate) fn at(mount: &str) -> Self {
        Self(mount.to_owned())
    }

    /// The mount point, below which entries are placed.
    pub(crate) fn mount(&self) -> &str {
        &self.0
    }

    /// The node's `--home`.
    pub(crate) fn folder(&self) -> String {
        self.path("")
    }

    /// The path in the container of a file below the node's home.
    pub(crate) fn path(&self, file: &str) -> String {
        format!("{}/{FOLDER}/{file}", self.0)
            .trim_end_matches('/')
            .to_owned()
    }
}

/// The path of a file of the home, below the mount.
pub(crate) fn below(path: &str) -> String {
    format!("{FOLDER}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(home: &str) -> Program {
        Program {
            image: "i".into(),
            command: vec!["/d".into()],
            home: home.into(),
        }
    }

    #[test]
    fn only_an_absolute_folder_is_a_home() {
        for bad in [
            "", "/", "data", "/a/../b", "/a//b", "/./a", "/a:ro", "/a b", "/..",
        ] {
            assert!(Home::new(&program(bad)).is_err(), "{bad:?}");
        }
        let home = Home::new(&program("/var/data/")).expect("a home");
        assert_eq!(
            (home.mount(), home.folder().as_str()),
            ("/var/data", "/var/data/node")
        );
    }
}
