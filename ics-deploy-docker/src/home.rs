//! The node's home inside its volume: which paths it has and which files are placed there.

use ics_core::artifact::Artifacts;
use ics_core::failure::Failure;
use ics_core::key::PublicKey;
use ics_core::keystore::KeyStore;
use ics_core::node::{NodeSpec, Program};
use zeroize::Zeroizing;

use crate::upload::Entry;

/// The home's folder in the volume: the volume's own root belongs to root, who runs no node.
const FOLDER: &str = "node";

/// What a signer's folder holds; the configuration names both.
const KEY_FILE: &str = "priv_validator_key.json";
const STATE_FILE: &str = "priv_validator_state.json";

/// The consensus key of a node whose configuration names none; CometBFT makes a random one there.
pub(crate) const DEFAULT_KEY_FILE: &str = "config/priv_validator_key.json";

/// The folder in the home that holds one folder per consensus key.
pub(crate) const SIGNERS: &str = "signers";

/// Whether a node is rendered with its consensus key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It signs with the key of its spec, or through a remote signer.
    Signer,
    /// It follows the chain and signs nothing.
    FullNode,
}

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

    /// The path in the container of a key's signer state.
    pub(crate) fn signer_state(&self, key: PublicKey) -> String {
        self.path(&format!("{SIGNERS}/{}/{STATE_FILE}", key.address()))
    }
}

/// All but the signer: folders, configuration, genesis, node key.
pub(crate) async fn entries(
    spec: &NodeSpec,
    role: Role,
    keys: &dyn KeyStore,
    artifacts: &dyn Artifacts,
) -> Result<Vec<Entry>, Failure> {
    let mut entries: Vec<_> = ["", "config", "data"].map(folder).into();
    entries.extend(config(spec, role));
    entries.push(file(
        "config/node_key.json",
        keys.node_key().await?.to_node_key_json(),
    ));
    entries.push(Entry::Artifact(
        below("config/genesis.json"),
        spec.genesis,
        artifacts.open(&spec.genesis)?,
    ));
    Ok(entries)
}

/// The configuration files alone.
pub(crate) fn config(spec: &NodeSpec, role: Role) -> Vec<Entry> {
    let files = spec.files(role == Role::Signer).into_iter();
    files
        .map(|(path, text)| file(path, Zeroizing::new(text)))
        .collect()
}

/// A signer state, with the folders it needs.
pub(crate) fn signer_state(key: PublicKey, state: &str) -> Vec<Entry> {
    let own = format!("{SIGNERS}/{}", key.address());
    vec![
        folder(""),
        folder(SIGNERS),
        folder(&own),
        file(
            &format!("{own}/{STATE_FILE}"),
            Zeroizing::new(state.to_owned()),
        ),
    ]
}

/// A consensus key; its folder must be there.
pub(crate) fn signer_key(key: PublicKey, json: Zeroizing<String>) -> Vec<Entry> {
    vec![file(
        &format!("{SIGNERS}/{}/{KEY_FILE}", key.address()),
        json,
    )]
}

/// What a file of the signers' folder is, by its path from there: `signers/<address>/<file>`.
pub(crate) fn signer_file(path: &str) -> Option<(&str, SignerFile)> {
    let mut steps = path.split('/').skip_while(|step| *step != SIGNERS).skip(1);
    let address = steps.next()?;
    let file = match steps.next()? {
        KEY_FILE => SignerFile::Key,
        STATE_FILE => SignerFile::State,
        _ => return None,
    };
    steps.next().is_none().then_some((address, file))
}

/// A file of a signer's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignerFile {
    /// The consensus key.
    Key,
    /// The last signer state.
    State,
}

/// The public key in a `priv_validator_key.json`.
pub(crate) fn public_half(json: &[u8]) -> Option<PublicKey> {
    let file: serde_json::Value = serde_json::from_slice(json).ok()?;
    PublicKey::from_base64(file["pub_key"]["value"].as_str()?).ok()
}

fn below(path: &str) -> String {
    format!("{FOLDER}/{path}")
}

fn folder(path: &str) -> Entry {
    Entry::Folder(below(path))
}

fn file(path: &str, text: Zeroizing<String>) -> Entry {
    Entry::File(below(path), text)
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

    #[test]
    fn signer_files_are_told_by_their_path() {
        let key = Some(("AB", SignerFile::Key));
        assert_eq!(signer_file("signers/AB/priv_validator_key.json"), key);
        assert_eq!(signer_file("signers/AB/x/priv_validator_key.json"), None);
        assert_eq!(signer_file("signers/priv_validator_key.json"), None);
    }
}
