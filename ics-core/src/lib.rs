//! The pure decisions of ics-monitor.
#![forbid(unsafe_code)]

pub mod action;
pub mod artifact;
mod consumer;
mod decide;
pub mod deploy;
pub mod event;
pub mod failure;
pub mod genesis;
pub mod id;
pub mod key;
pub mod keystore;
pub mod machine;
pub mod node;
pub mod peers;
pub mod phase;
pub mod policy;
pub mod ports;
mod schedule;
pub mod select;
pub mod snapshot;
pub mod status;
pub mod time;
