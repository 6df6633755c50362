//! The records we answer from, and how a change reaches them.
//!
//! [`Snapshot`] is what a query reads: immutable, precompiled, shared by all threads. [`compile`] turns a selection into
//! records; [`Editor`] decides which names exist (apexes, empty non-terminals, what a wildcard covers) and makes the next
//! snapshot from the last one, copying only what a change touches.
//!
//! Never reads a file, a clock or a random number: equal inputs give equal snapshots.

mod compile;
mod draws;
mod editor;
mod node;
mod octets;
mod records;
mod shard;
mod snapshot;
mod views;

pub use crate::authority::Authority;
pub use compile::{Compiled, compile, oversize};
pub use draws::{Asker, AskerPreset, Draws, Role};
pub use editor::{Change, Editor};
pub use node::{Below, Here, Node};
pub use records::{AddressRecords, HostRecords, RRset, RRsets};
pub use snapshot::{Found, Identity, Owner, Settings, Snapshot};
pub use views::ViewId;
