//! The pure decisions of ics-monitor.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod deploy;
pub mod event;
pub mod failure;
pub mod genesis;
pub mod id;
pub mod key;
pub mod keystore;
pub mod node;
pub mod peers;
pub mod phase;
pub mod policy;
pub mod ports;
pub mod select;
pub mod snapshot;
pub mod time;
