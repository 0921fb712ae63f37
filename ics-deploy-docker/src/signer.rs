//! Decides whether a node may sign on its volume, and puts its signer there: the one-signer rule.

use ics_core::deploy::NodeSigner;
use ics_core::failure::Failure;
use ics_core::key::{PublicKey, SecretKey};
use ics_core::keystore::{KeyRef, KeyStanding, KeyStore};
use ics_core::node::{NodeSpec, Signer};
use ics_core::signer::SignerState;

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
    /// A remote signer holds the key: nothing of it is placed here.
    Remote(PublicKey),
    /// The key must not sign here; the text says why and what to do.
    Withheld(KeyRef, String),
    /// The key signs nowhere yet: bind it to this volume first, with this state in it unless a
    /// later one is there.
    SignFirst(KeyRef, SecretKey, Option<SignerState>),
    /// The key is bound to this volume and its state is there.
    SignAgain(KeyRef, SecretKey),
}

impl Decision {
    /// Looks at the key's binding and at the state in the volume. Changes nothing.
    pub(crate) async fn make(site: Site<'_>, spec: &NodeSpec) -> Result<Self, Failure> {
        let key = match spec.signer {
            Signer::Key(key) => key,
            Signer::None => return Ok(Self::FullNode),
            Signer::Remote { public_key, .. } => return Ok(Self::Remote(public_key)),
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
        let found = site.state(public).await?;
        let first = |key, secret, from: SignerState| {
            let there = found.as_ref().is_some_and(|found| found.covers(&from));
            Self::SignFirst(key, secret, (!there).then_some(from))
        };
        Ok(match stored.standing {
            KeyStanding::Bound(other) if other != volume.storage => Self::Withheld(
                key,
                format!(
                    "consensus key {public} is bound to storage {other}, but volume {} is storage \
                     {}: restore the volume labelled {}={other}, for only its signer state says \
                     what the key has signed",
                    volume.name,
                    volume.storage,
                    labels::STORAGE,
                ),
            ),
            KeyStanding::Bound(_) if found.is_some() => Self::SignAgain(key, stored.key),
            KeyStanding::Bound(_) => Self::Withheld(
                key,
                format!(
                    "the signer state of consensus key {public} is missing or empty in volume {}, \
                     so what it has signed is unknown: restore the newest \
                     priv_validator_state.json there",
                    volume.name
                ),
            ),
            KeyStanding::Lost => Self::Withheld(
                key,
                format!(
                    "consensus key {public} was archived without its last signer state, so what it \
                     has signed is unknown: assign another key on the provider"
                ),
            ),
            KeyStanding::Resumes(state) => first(key, stored.key, state),
            KeyStanding::Unbound => first(key, stored.key, SignerState::zero()),
        })
    }

    /// What the node signs with.
    pub(crate) fn signer(&self) -> NodeSigner {
        match self {
            Self::FullNode => NodeSigner::None,
            Self::Remote(key) => NodeSigner::Remote(*key),
            Self::Withheld(_, reason) => NodeSigner::Withheld(reason.clone()),
            Self::SignFirst(key, ..) | Self::SignAgain(key, _) => NodeSigner::Key(key.public_key),
        }
    }

    /// How the node's files are rendered.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::FullNode | Self::Withheld(..) => Role::FullNode,
            Self::Remote(_) | Self::SignFirst(..) | Self::SignAgain(..) => Role::Signer,
        }
    }

    /// Puts the signer in place: the state to go on from, the binding, then the key.
    ///
    /// Interrupted before the binding, nothing was started with the key and all is done again; after
    /// it, the state is in the volume.
    pub(crate) async fn carry_out(self, site: Site<'_>) -> Result<(), Failure> {
        let key = match self {
            Self::FullNode | Self::Remote(_) => return Ok(()),
            Self::Withheld(key, _) => return site.refuse_stray_key(&key).await,
            Self::SignAgain(_, key) => key,
            Self::SignFirst(name, key, state) => {
                if let Some(state) = state {
                    site.put_state(&name, &state).await?;
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
    /// Puts the state that a key goes on from, and reads it back: the binding that follows cannot be
    /// undone, and engines take some broken uploads for complete.
    async fn put_state(&self, key: &KeyRef, state: &SignerState) -> Result<(), Failure> {
        self.place(home::signer_state(key.public_key, state.text()))
            .await?;
        if self.state(key.public_key).await?.as_ref() == Some(state) {
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

    /// The state of a key in the volume; `None` if there is none that can be read.
    async fn state(&self, key: PublicKey) -> Result<Option<SignerState>, Failure> {
        let path = self.home.signer_state(key);
        let files = archive::read(self.engine, self.container, &path).await?;
        Ok(files.first().and_then(|it| SignerState::read(&it.bytes)))
    }

    async fn place(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        let folder = self.home.mount();
        upload::place(self.engine, self.container, folder, self.owner, entries).await
    }
}
