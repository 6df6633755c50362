//! Kubernetes clusters as a source: their objects are listed and watched at the API server, and told as events.
//!
//! Owns how one asks, what becomes of failures, and how long one waits. kube brings the connection ([`connect`]); what comes over
//! it are bytes, which `manifest` reads object by object.
//!
//! ```text
//! settings ─▶ connect ─▶ server ─▶ reply ─▶ frames ─▶ said ─▶ hearing ─▶ ClusterEvent ─▶ Teller, or list
//!                        discovery   bytes    pieces   who      manifest
//!                                      ▲                          │
//!                                      └── follow ◀── progress ◀──┘
//!                                          backoff    what to ask next
//! ```
//!
//! Reads and never writes: `get`, `list` and `watch` are all that it takes.

mod backoff;
mod connect;
mod discovery;
mod figures;
mod follow;
mod followers;
mod frames;
#[cfg(fuzzing)]
mod fuzzing;
mod hearing;
mod known;
mod list;
mod page;
mod progress;
mod reply;
mod resource;
mod said;
mod scan;
mod server;
mod trouble;

#[cfg(fuzzing)]
pub use fuzzing::check_reply;

pub use connect::{ConnectError, Place, probe};
pub use followers::{Followers, StartError};
pub use list::{ListError, list};
pub use page::Page;
pub use trouble::{Reason, Trouble};
