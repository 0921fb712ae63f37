//! Decides whether a node may sign on its volume, and puts its signer there: the one-signer rule.

use ics_core::deploy::NodeSigner;
use ics_core::failure::Failure;
use ics_core::key::{PublicKey, SecretKey, ZERO_SIGNER_STATE};
use ics_core::keystore::{KeyRef, KeyStore};
use ics_core::node::NodeSpec;

use crate::archive;
use crate::engine::Engine;
use crate::home::{self, Home, Role};
use crate::labels;
use crate::upload::{self, Entry, Owner};
use crate::volume::NodeVolume;

/// Where a signer may be put: a container with the node's volume, and what knows about its keys.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The engine of the container.
    pub(crate) engine: &'a Engine,
    /// The store of the keys.
    pub(crate) keys: &'a dyn KeyStore,
    /// The id of the container.
    pub(crate) container: &'a str,
    /// Where the volume is mounted in it.
    pub(crate) home: &'a Home,
    /// Who owns the files.
    pub(crate) owner: Owner,
    /// The volume.
    pub(crate) volume: &'a NodeVolume,
}

/// What a node may do with the consensus key of its spec. Holds secrets: has no `Debug`.
pub(crate) enum Decision {
    /// No key was asked for.
    FullNode,
    /// The key must not sign here; the text says why and what to do.
    Withheld(KeyRef, String),
    /// The key has never signed anywhere: bind it to this volume first.
    SignFirst(KeyRef, SecretKey, StateFile),
    /// The key is bound to this volume and its state is there.
    SignAgain(KeyRef, SecretKey),
}

/// A signer state file as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateFile {
    /// Not there.
    Absent,
    /// There, but not what CometBFT writes: a power loss can leave an empty file.
    Unreadable,
    /// There.
    Present,
}

impl Decision {
    /// Looks at the key's binding and at the state in the volume. Changes nothing.
    pub(crate) async fn make(site: Site<'_>, spec: &NodeSpec) -> Result<Self, Failure> {
        let Some(key) = spec.signer.stored() else {
            return Ok(Self::FullNode);
        };
        let (public, volume) = (key.public_key, site.volume);
        let Some(stored) = site.keys.load(&key).await? else {
            return Ok(Self::Withheld(
                key,
                format!(
                    "the key store does not hold consensus key {public} of consumer {} (any more): \
                     restore the key store, or assign another key on the provider",
                    key.consumer_id
                ),
            ));
        };
        if let Some(other) = stored.bound_to.as_ref().filter(|it| **it != volume.storage) {
            return Ok(Self::Withheld(
                key,
                format!(
                    "consensus key {public} is bound to storage {other}, but volume {} is storage \
                     {}: restore the volume labelled {}={other}, for only its signer state says \
                     what the key has signed",
                    volume.name,
                    volume.storage,
                    labels::STORAGE,
                ),
            ));
        }
        let state = site.state_file(public).await?;
        Ok(match (stored.bound_to, state) {
            (None, state) => Self::SignFirst(key, stored.key, state),
            (Some(_), StateFile::Present) => Self::SignAgain(key, stored.key),
            (Some(_), StateFile::Absent | StateFile::Unreadable) => Self::Withheld(
                key,
                format!(
                    "the signer state of consensus key {public} is missing or empty in volume {}, \
                     so what it has signed is unknown: restore the newest \
                     priv_validator_state.json there",
                    volume.name
                ),
            ),
        })
    }

    /// What the node signs with.
    pub(crate) fn signer(&self) -> NodeSigner {
        match self {
            Self::FullNode => NodeSigner::None,
            Self::Withheld(_, reason) => NodeSigner::Withheld(reason.clone()),
            Self::SignFirst(key, ..) | Self::SignAgain(key, _) => NodeSigner::Key(key.public_key),
        }
    }

    /// How the node's files are rendered.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::FullNode | Self::Withheld(..) => Role::FullNode,
            Self::SignFirst(..) | Self::SignAgain(..) => Role::Signer,
        }
    }

    /// Puts the signer in place: its first state if it has none, the binding, then the key.
    ///
    /// Interrupted before the binding, nothing was ever started with the key and all is done again;
    /// after it, the state is in the volume.
    pub(crate) async fn carry_out(self, site: Site<'_>) -> Result<(), Failure> {
        let key = match self {
            Self::FullNode => return Ok(()),
            Self::Withheld(key, _) => return site.refuse_stray_key(&key).await,
            Self::SignAgain(_, key) => key,
            Self::SignFirst(name, key, state) => {
                if state != StateFile::Present {
                    site.put_zero_state(&name).await?;
                }
                site.keys.bind(&name, &site.volume.storage).await?;
                key
            }
        };
        let json = key.to_priv_validator_key_json();
        site.place(home::signer_key(key.public(), json)).await
    }
}

impl Site<'_> {
    /// Puts the state of a key that has signed nothing, and reads it back: the binding that follows
    /// cannot be undone, and engines take some broken uploads for complete.
    async fn put_zero_state(&self, key: &KeyRef) -> Result<(), Failure> {
        self.place(home::signer_state(key.public_key, ZERO_SIGNER_STATE))
            .await?;
        if self.state_file(key.public_key).await? == StateFile::Present {
            return Ok(());
        }
        Err(Failure::transient(format!(
            "{} of container {} is not there although the engine took it",
            self.home.signer_state(key.public_key),
            self.container
        )))
    }

    /// Refuses to start a full node that a person gave the withheld key by hand: a node whose
    /// configuration names no key uses the one at CometBFT's default path.
    async fn refuse_stray_key(&self, key: &KeyRef) -> Result<(), Failure> {
        let path = self.home.path(home::DEFAULT_KEY_FILE);
        let files = archive::read(self.engine, self.container, &path).await?;
        let stray = files.first().and_then(|it| home::public_half(&it.bytes));
        if stray != Some(key.public_key) {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "{path} in volume {} is consensus key {}, which must not sign there: remove this file",
            self.volume.name, key.public_key
        )))
    }

    async fn state_file(&self, key: PublicKey) -> Result<StateFile, Failure> {
        let path = self.home.signer_state(key);
        let files = archive::read(self.engine, self.container, &path).await?;
        let file = files.first();
        Ok(file.map_or(StateFile::Absent, |it| judge(&it.bytes)))
    }

    async fn place(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        let folder = self.home.mount();
        upload::place(self.engine, self.container, folder, self.owner, entries).await
    }
}

/// CometBFT's `FilePVLastSignState`: a JSON object with the height as a decimal string.
fn judge(bytes: &[u8]) -> StateFile {
    let state: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
    let height = state
        .ok()
        .and_then(|it| it["height"].as_str()?.parse::<u64>().ok());
    height.map_or(StateFile::Unreadable, |_| StateFile::Present)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_cut_state_is_not_a_state() {
        assert_eq!(judge(ZERO_SIGNER_STATE.as_bytes()), StateFile::Present);
        for bad in ["", "{", "{}", "{\"height\": 5}", "{\"height\": \"x\"}"] {
            assert_eq!(judge(bad.as_bytes()), StateFile::Unreadable, "{bad}");
        }
    }
}
