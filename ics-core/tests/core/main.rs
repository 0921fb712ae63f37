//! The pure core against a fake world: what it does, told as scenarios, and what always holds.
#![forbid(unsafe_code)]

mod invariants;
mod life;
mod proof;
mod refusals;
mod vectors;
mod world;
