//! The pure decisions of ics-monitor: what one validator has to do about the consumer chains of
//! one Interchain Security provider.
//!
//! Deliberately not here: sockets, files, keys in use, clocks, environment, logs, threads, hash
//! maps. Time arrives as an argument and failures as outcomes, so the core can neither wait nor
//! fail, and the same inputs give the same actions; `clippy.toml` bans what would change that.
//!
//! ```text
//!   blocks, answers ─┐            ┌──────────────────┐             ┌─> queries, transactions
//!   nodes, outcomes ─┼─> Input ──>│  Machine::step   │──> Action ──┼─> apply, stop, delete
//!   policy, ticks   ─┘            │  (decide, then   │             ├─> keys, genesis
//!                      outcome <──│   one at a time) │             └─> notices
//!                                 └──────────────────┘
//! ```
//!
//! The whole loop, with a provider that has no consumers:
//!
//! ```
//! use std::collections::{BTreeMap, VecDeque};
//! use ics_core::action::{Action, Input, OpId, Outcome, Query};
//! # use ics_core::{id::ChainId, key::{Address, PublicKey}, machine::Machine, node::{Moniker, NodeSettings}};
//! # use ics_core::{peers::NodeId, policy::Policy, snapshot::LocalValidator};
//! # use ics_core::time::{Height, UnixTime};
//! # let local = LocalValidator {
//! #     operator: Address::new([1; 20]).expect("20 bytes"),
//! #     chain_id: ChainId::new("provider-1").expect("a chain id"),
//! #     provider_key: PublicKey::new([2; 32]),
//! #     node_id: NodeId::new([3; 20]),
//! # };
//! # let policy = Policy::new(NodeSettings::named(Moniker::new("a").expect("a name")));
//! let mut now = UnixTime::new(1_800_000_000, 0);
//! let mut machine = Machine::new(local, policy);
//! let mut inputs = VecDeque::from([Input::Resync { height: Height(7), time: now }]);
//! for _ in 0..20 {
//!     let input = inputs.pop_front().unwrap_or_else(|| {
//!         // Nothing came: sleep until the machine wants to be woken.
//!         now = machine.next_tick().unwrap_or(now);
//!         Input::Tick
//!     });
//!     for action in machine.step(now, input) {
//!         let done = |op: OpId, outcome| Input::Done { op, outcome };
//!         match action {
//!             Action::ListNodes { op } => inputs.push_back(done(op, Outcome::Nodes(vec![]))),
//!             Action::Query { op, query: Query::Phases } => {
//!                 inputs.push_back(done(op, Outcome::Phases { phases: BTreeMap::new(), blocks_per_epoch: 600 }));
//!             }
//!             other => panic!("not without consumers: {other:?}"),
//!         }
//!     }
//!     assert!(machine.next_tick() > Some(now));
//! }
//! ```
//!
//! How to build on it, action by action: `docs/embedding.md` of the repository.
#![forbid(unsafe_code)]

/// The page for tool authors, so that its code is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

pub mod action;
pub mod artifact;
mod consumer;
pub mod custody;
mod decide;
pub mod deploy;
pub mod event;
pub mod failure;
pub mod genesis;
pub mod home;
pub mod id;
mod index;
pub mod key;
pub mod keystore;
pub mod machine;
pub mod node;
pub mod peers;
pub mod phase;
pub mod policy;
pub mod ports;
pub mod predict;
pub mod proof;
pub mod schedule;
pub mod select;
pub mod signer;
pub mod snapshot;
pub mod status;
pub mod time;
