//! Runs consumer nodes as Docker containers: the [`Deployer`](ics_core::deploy::Deployer) of one host.
//!
//! Each consumer has one container and one named volume, both called `ics-<instance>-<consumer id>`
//! and both labelled; the labels, not the names, say what is ours. All state is in the engine:
//! nothing is kept here between two calls.
//!
//! # What lies in the volume
//!
//! The node's home ([`ics_core::home`]) in the folder `node`, 0700; all of it belongs to the node's
//! user.
//!
//! Files are placed through the engine's archive call before the container starts, so that the
//! image needs no shell and may be `FROM scratch`.
//!
//! # One signer per key, also after a power loss
//!
//! The order is: make the volume, create the container, put the signer in place as
//! [`ics_core::custody`] does it, start. The Docker API has no `fsync`, so a power loss may undo
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
mod labels;
mod removal;
mod settings;
mod signer;
mod status;
mod upload;
mod volume;

pub use deployer::DockerDeployer;
pub use settings::DockerSettings;
