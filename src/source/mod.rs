//! Where meshes come from: folders of manifests, read and watched.
//!
//! Whatever a source is, it yields [`Batch`]es of [`FileChange`](crate::mesh::FileChange)s: [`Feed`] for as long as somebody
//! asks, [`load()`] once. Events are only clues as to when and where a look is worth it: what counts is what a look finds, and
//! now and then one looks at everything.
//!
//! ```text
//! watches ─▶ notify ─▶ signals ─▶ Waker   (who takes in the batches sleeps there)
//!               │
//! entries ─▶ walk ─▶ listing ─▶ judge ─▶ reading ─▶ documents ─▶ folder ─▶ feed, load ─▶ Batch
//! ```
//!
//! Never joins objects and never publishes anything: `control` does.

mod batch;
#[cfg(feature = "kubernetes")]
pub mod cluster;
mod cluster_settings;
mod documents;
mod entries;
mod error;
mod feed;
mod folder;
mod inbox;
mod judge;
mod known;
mod links;
mod listing;
mod load;
mod look;
mod mounts;
mod naming;
pub mod overrides;
mod reading;
mod remarks;
mod signals;
mod stamp;
#[cfg(test)]
mod tests;
mod waker;
mod walk;
mod watch;
mod watches;

pub use batch::Batch;
pub use cluster_settings::ClusterSettings;
pub use error::{LoadError, probe};
pub use feed::Feed;
pub use inbox::{Inbox, LoopEnded, Teller};
pub use links::FollowLinks;
pub use load::load;
pub use look::Work;
pub use naming::{is_below, path_of};
pub use overrides::{OVERRIDES_INTERVAL, OverridesFile, OverridesFileError};
pub(crate) use stamp::Stamp;
pub use waker::{Waker, Wakeup};
pub use watch::{AS_ASKED_FOR, FALLBACK_INTERVAL, Wish};
