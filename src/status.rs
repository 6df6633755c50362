//! What the server knows about itself: one value, replaced after every reload, read by `/ready` and `/metrics`.
//!
//! Only `control` writes it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    diagnostic::{Kind, SeverityCounts},
    mesh::EndpointCounts,
};

/// The state of the mesh folders and of what was made from them.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// How many snapshots were published; 0 before the first load.
    pub generation: u64,
    /// When the process finished its last reload, whatever came of it.
    pub last_reload: Option<SystemTime>,
    /// When the last reload ended in which every file could be read and every object was valid.
    pub last_success: Option<SystemTime>,
    /// How long the last reload took, from the first event to the publish.
    pub last_duration: Duration,
    /// Work done since the start of the process.
    pub totals: Totals,
    /// How many files are held.
    pub files: usize,
    /// How many objects of each kind are served.
    pub objects: BTreeMap<Kind, usize>,
    /// How many objects of other kinds were passed over, by kind.
    pub ignored: Arc<BTreeMap<Box<str>, usize>>,
    /// How many hosts are answered: not those that are hidden, or left to DNS.
    pub hosts: usize,
    /// How many workloads and inline endpoints are in which state.
    pub endpoints: EndpointCounts,
    /// How many objects are served in their last good version because the newest can't be used.
    pub kept: usize,
    /// Since when the oldest of these is.
    pub kept_since: Option<SystemTime>,
    /// How much is wrong or noteworthy.
    pub diagnostics: SeverityCounts,
    /// Mesh folders that are not there at present; what they last held is served.
    pub missing_folders: Vec<PathBuf>,
    /// How changes are noticed.
    pub watching: Watching,
}

/// Work done since the start of the process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Reloads that found something changed.
    pub reloads: u64,
    /// Reloads after which a file or an object could not be used.
    pub failed_reloads: u64,
    /// Files read.
    pub files_read: u64,
    /// Documents parsed; a list is one document.
    pub documents_parsed: u64,
    /// Hosts compiled again.
    pub hosts_recompiled: u64,
    /// Names whose answers changed.
    pub names_changed: u64,
    /// Times that the kernel dropped file events and everything was looked at again.
    pub event_overflows: u64,
}

/// How changes in the mesh folders are noticed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Watching {
    /// Not at all yet.
    #[default]
    Starting,
    /// By events of the operating system, with a rescan now and then.
    Events,
    /// By looking again at this interval, for the reason given.
    Polling {
        /// How often.
        every: Duration,
        /// Why: the user's wish, or what the operating system refused.
        why: String,
    },
    /// Not at all, because of a bug, or because the operating system has no thread to give: what was loaded last is served.
    Stopped,
}
