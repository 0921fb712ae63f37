//! The pure core against a fake world: what it does, told as scenarios, and what always holds.
#![forbid(unsafe_code)]

mod caps;
mod ends;
mod explore;
mod invariants;
mod keys;
mod launch;
mod life;
mod merge;
mod nonsense;
mod ports;
mod predict;
mod proof;
mod provider_key;
mod refusals;
mod rekey;
mod rhythm;
mod rules;
mod scenarios;
mod shared;
mod sources;
mod story;
mod template;
mod transitions;
mod transitions_launch;
mod transitions_stop;
mod vectors;
mod world;
