//! Follows an ICS provider chain and runs consumer nodes for one validator.
#![forbid(unsafe_code)]

pub mod retry;
pub mod rpc;
