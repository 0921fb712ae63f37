//! Follows an ICS provider chain and runs consumer nodes for one validator.
#![forbid(unsafe_code)]

pub mod account;
pub mod artifacts;
pub mod config;
pub mod durable;
pub mod effects;
pub mod feed;
mod keyfile;
pub mod keystore;
pub mod monitor;
pub mod overrides;
pub mod owner;
pub mod provider;
pub mod retry;
pub mod rpc;
pub mod tx;
pub mod wire;
