//! What lies in a node's home, whatever runs the node.
//!
//! ```text
//! config/{app,client,config}.toml      rendered from the spec
//! config/genesis.json                  the artifact
//! config/node_key.json                 the instance's P2P identity
//! data/                                the node's own
//! signers/<address>/                   one folder per consensus key, so that no key ever meets
//!   priv_validator_state.json            the signer state of another
//!   priv_validator_key.json
//! ```
//!
//! A full node gets no signer folder: CometBFT makes itself a random key at [`DEFAULT_KEY_FILE`] that
//! no validator set knows.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::artifact::ArtifactRef;
use crate::key::{PublicKey, SecretKey};
use crate::node::NodeSpec;
use crate::signer::SignerState;

/// The folder that holds one folder per consensus key.
pub const SIGNERS: &str = "signers";

/// The consensus key of a node whose configuration names none.
pub const DEFAULT_KEY_FILE: &str = "config/priv_validator_key.json";

/// What a signer's folder holds; the configuration names both.
const KEY_FILE: &str = "priv_validator_key.json";
const STATE_FILE: &str = "priv_validator_state.json";

/// Whether a node is rendered with its consensus key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It follows the chain and signs nothing.
    FullNode,
    /// It signs with the key of its spec, or through a remote signer.
    Signer,
}

/// Something to put into a home, by its path from there. Holds secrets: has no `Debug`.
pub enum Entry {
    /// A file with mode 0600.
    File(String, Zeroizing<String>),
    /// A folder with mode 0700; one that exists keeps its content.
    Folder(String),
    /// The genesis, with mode 0600: its length and digest are to be checked on the way.
    Genesis(String, ArtifactRef),
}

/// A file of a signer's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerFile {
    /// The consensus key.
    Key,
    /// The last signer state.
    State,
}

/// All but the signer: folders, configuration, genesis, node key. The empty path is the home itself.
#[must_use]
pub fn entries(spec: &NodeSpec, role: Role, node_key: &SecretKey) -> Vec<Entry> {
    let mut entries: Vec<_> = ["", "config", "data"]
        .map(|path| Entry::Folder(path.to_owned()))
        .into();
    entries.extend(config(spec, role));
    entries.push(Entry::File(
        "config/node_key.json".into(),
        node_key.to_node_key_json(),
    ));
    entries.push(Entry::Genesis("config/genesis.json".into(), spec.genesis));
    entries
}

/// The configuration files alone.
#[must_use]
pub fn config(spec: &NodeSpec, role: Role) -> Vec<Entry> {
    let files = spec.files(role == Role::Signer).into_iter();
    files
        .map(|(path, text)| Entry::File(path.to_owned(), Zeroizing::new(text)))
        .collect()
}

/// A signer state, with the folders it needs.
#[must_use]
pub fn signer_state(key: PublicKey, state: &SignerState) -> Vec<Entry> {
    vec![
        Entry::Folder(String::new()),
        Entry::Folder(SIGNERS.to_owned()),
        Entry::Folder(folder_of(key)),
        Entry::File(state_path(key), Zeroizing::new(state.text().to_owned())),
    ]
}

/// A consensus key; its folder must be there.
#[must_use]
pub fn signer_key(key: &SecretKey) -> Entry {
    Entry::File(key_path(key.public()), key.to_priv_validator_key_json())
}

/// The folder of a key.
#[must_use]
pub fn folder_of(key: PublicKey) -> String {
    format!("{SIGNERS}/{}", key.address())
}

/// The file of a key.
#[must_use]
pub fn key_path(key: PublicKey) -> String {
    format!("{}/{KEY_FILE}", folder_of(key))
}

/// The signer state of a key.
#[must_use]
pub fn state_path(key: PublicKey) -> String {
    format!("{}/{STATE_FILE}", folder_of(key))
}

/// Whose file this is and which, by its path: `signers/<address>/<file>` below any folders.
#[must_use]
pub fn signer_file(path: &str) -> Option<(&str, SignerFile)> {
    let mut steps = path.split('/').skip_while(|step| *step != SIGNERS).skip(1);
    let address = steps.next()?;
    let file = match steps.next()? {
        KEY_FILE => SignerFile::Key,
        STATE_FILE => SignerFile::State,
        _ => return None,
    };
    steps.next().is_none().then_some((address, file))
}

/// What is read of a `priv_validator_key.json`: nothing secret.
#[derive(Deserialize)]
struct KeyFile {
    pub_key: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    value: String,
}

/// The public key in a `priv_validator_key.json`.
#[must_use]
pub fn public_half(json: &[u8]) -> Option<PublicKey> {
    let file: KeyFile = serde_json::from_slice(json).ok()?;
    PublicKey::from_base64(&file.pub_key.value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signer_files_are_told_by_their_path() {
        let key = Some(("AB", SignerFile::Key));
        assert_eq!(signer_file("signers/AB/priv_validator_key.json"), key);
        assert_eq!(signer_file("x/signers/AB/priv_validator_key.json"), key);
        assert_eq!(signer_file("signers/AB/x/priv_validator_key.json"), None);
        assert_eq!(signer_file("signers/priv_validator_key.json"), None);
        let key = PublicKey::new([7; 32]);
        let told = [key_path(key), state_path(key)].map(|path| signer_file(&path).map(|it| it.1));
        assert_eq!(told, [Some(SignerFile::Key), Some(SignerFile::State)]);
    }
}
