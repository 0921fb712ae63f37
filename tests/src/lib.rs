//! The real thing as a test bed: a provider chain, a Docker engine and consumer images.
//!
//! Nothing here is a fake: the daemons are the stock ones of Interchain Security, the engine is a
//! real one, and every part ends with its handle unless it is asked to outlive it.

pub mod address;
pub mod bridge;
pub mod cache;
mod cli;
mod command;
mod daemons;
mod dockerd;
pub mod engine;
mod error;
mod genesis;
pub mod image;
pub mod leftovers;
pub mod monitor;
mod node;
pub mod owner;
pub mod ports;
pub mod process;
pub mod program;
pub mod provider;
pub mod rpc;
pub mod wait;
pub mod world;

pub use daemons::Daemons;
pub use error::Error;
