//! Runs consumer nodes as Docker containers: the [`Deployer`](ics_core::deploy::Deployer) of one host.
//!
//! Each consumer has one container and one named volume, both called `ics-<instance>-<consumer id>`
//! and both labelled; the labels, not the names, say what is ours. All state is in the engine:
//! nothing is kept here between two calls.
//!
//! # What lies in the volume
//!
//! ```text
//! node/                                  the node's home, 0700; all below belongs to the node's user
//!   config/{app,client,config}.toml      rendered from the spec
//!   config/genesis.json                  streamed from the artifacts, its digest checked on the way
//!   config/node_key.json                 the instance's P2P identity
//!   data/                                the node's own
//!   signers/<address>/                   one folder per consensus key, so that no key ever meets
//!     priv_validator_state.json            the signer state of another
//!     priv_validator_key.json
//! ```
//!
//! Files are placed through the engine's archive call before the container starts, so that the
//! image needs no shell and may be `FROM scratch`. A full node gets no signer folder: CometBFT makes
//! itself a random key (`config/priv_validator_key.json`) that no validator set knows.
//!
//! # One signer per key, also after a power loss
//!
//! The order is: make the volume, create the container, put a zero signer state, bind the key to the
//! volume's storage id, put the key, start. The Docker API has no `fsync`, so a power loss may undo
//! any file that was placed. It cannot make a key sign twice: the binding is durable in the key
//! store, a bound key starts only where a readable signer state lies, and a lost or empty state
//! makes the key be withheld. From its first signature on, CometBFT itself writes the state with
//! `fsync` before each signature leaves the node.
#![forbid(unsafe_code)]

mod archive;
mod check;
mod container;
mod deployer;
mod engine;
mod failure;
mod home;
mod instance;
mod labels;
mod removal;
mod retire;
mod settings;
mod signer;
mod status;
mod upload;
mod volume;

pub use deployer::DockerDeployer;
pub use instance::Instance;
pub use settings::DockerSettings;
