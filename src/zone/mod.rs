//! The records we answer from, and how a change reaches them.
//!
//! [`Snapshot`] is what a query reads: immutable, precompiled, shared by all threads. [`compile`] turns a selection into
//! records; [`Editor`] decides which names exist (apexes, empty non-terminals, what a wildcard covers) and makes the next
//! snapshot from the last one, copying only what a change touches.
//!
//! Never reads a file, a clock or a random number: equal inputs give equal snapshots.

mod annotated;
mod compile;
mod dashed;
mod draws;
mod editor;
mod encode;
mod endpoints;
mod lookup;
mod made;
mod node;
mod octets;
mod pointers;
mod records;
mod remarks;
mod reverse;
mod service_records;
mod services;
mod settings;
mod shard;
mod snapshot;
mod texts;
mod views;

pub use crate::authority::Authority;
pub use compile::{Compiled, compile, compile_host, oversize};
pub use dashed::DashedLabel;
pub use draws::{Asker, AskerPreset, Draws, Role};
pub use editor::{Change, Editor};
pub use endpoints::EndpointAt;
pub use made::{Made, MadeRecords};
pub use node::{Below, Here, Node};
pub use pointers::{PointerRecord, Seniority};
pub use records::{AddressRecords, HostRecords, RRset, RRsets};
pub use remarks::remarks;
pub use service_records::{ServiceAnswer, ServiceRecord, ServiceRecords};
pub use services::Services;
pub use settings::{Identity, Settings};
pub use snapshot::{Found, Owner, Snapshot};
pub use views::ViewId;
