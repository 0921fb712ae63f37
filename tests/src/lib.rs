//! The real thing as a test bed: a provider chain, a Docker engine and consumer images.
//!
//! Nothing here is a fake: the daemons are the stock ones of Interchain Security, the engine is a
//! real one, and every part ends with its handle unless it is asked to outlive it.

pub mod cache;
mod command;
mod daemons;
mod error;
pub mod wait;

pub use daemons::Daemons;
pub use error::Error;
