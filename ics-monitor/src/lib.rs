//! Follows an ICS provider chain and runs consumer nodes for one validator.
#![forbid(unsafe_code)]

mod durable;
mod keyfile;
pub mod keystore;
pub mod provider;
pub mod retry;
pub mod rpc;
pub mod wire;
