//! What the server knows about itself: one value, replaced after every reload, read by `/ready` and `/metrics`.
//!
//! Only `control` writes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    diagnostic::{Cluster, Kind, SeverityCounts},
    mesh::EndpointCounts,
    pipeline::CheckedEndpoint,
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
    /// What could not be read at the start, and not since.
    pub unread: Unread,
    /// Whether that is waited for: until then the server is not ready, and denies no name.
    pub waits: bool,
    /// What is not followed at present of clusters, and why: what was known of it last is served.
    pub not_followed: Unread,
    /// What is kept on disk of the last good state, where there is a folder for it.
    pub state: Option<StateStatus>,
    /// What persons say of endpoints, where anybody does.
    pub orders: Option<Arc<OrdersStatus>>,
    /// How many targets fail their check and answer all the same, because a host has nobody else.
    pub last_ones: usize,
    /// The endpoints that are checked, the first 10,000, where they are to be named.
    pub checked: Option<Arc<[CheckedEndpoint]>>,
    /// How changes are noticed.
    pub watching: Watching,
}

/// What persons say of endpoints: annotations `meshdns.io/state` and the override file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OrdersStatus {
    /// How many endpoints are forced `up` or `down`, or `drain`.
    pub counts: BTreeMap<&'static str, usize>,
    /// Whether the override file can't be used at present.
    pub has_failed: bool,
    /// Those that are drained, as the log names them.
    pub drains: BTreeMap<String, Drain>,
}

/// An endpoint that is out because it is about to be stopped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drain {
    /// As the override file names it.
    pub endpoint: String,
    /// The cluster that its object was read from, where several are followed.
    pub cluster: Option<Cluster>,
    /// The namespace of its object.
    pub namespace: Arc<str>,
    /// The name of its object.
    pub name: Box<str>,
    /// Its address, where it stands in the object itself.
    pub address: Option<IpAddr>,
    /// Who says so, why, and until when.
    pub by: String,
    /// When the answers lost it.
    pub since: SystemTime,
    /// When the last resolver forgets it that obeys TTLs.
    pub forgotten: SystemTime,
    /// When it may be stopped.
    pub safe: SystemTime,
}

/// What is kept on disk of the last good state, and whether it is in use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StateStatus {
    /// When the disk last had everything.
    pub saved: Option<SystemTime>,
    /// How often it could not take something.
    pub failures: u64,
    /// The files, and the lists of clusters, that can't be read since the start, and for which what an earlier process kept stands in.
    pub in_use: Unread,
    /// When the first of these could last be read.
    pub in_use_since: Option<SystemTime>,
}

impl Status {
    /// Whether queries are answered as they should be: from all that there is, or from what there is after a while.
    pub fn is_ready(&self) -> bool {
        self.generation > 0 && !self.waits
    }
}

/// Files, folders, given paths and lists of clusters that can't be read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unread {
    /// How many there are.
    pub count: usize,
    /// The first [`Unread::MOST_NAMED`] of them by name.
    pub first: Vec<Arc<str>>,
}

impl Unread {
    /// How many are named at most.
    pub const MOST_NAMED: usize = 10;

    /// These and those of another source.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let first = self.first.iter().chain(&others.first);
        Self {
            count: self.count + others.count,
            first: first.take(Self::MOST_NAMED).cloned().collect(),
        }
    }

    /// Counts `names` and names the first of them.
    pub fn of(names: &BTreeSet<Arc<str>>) -> Self {
        Self {
            count: names.len(),
            first: names.iter().take(Self::MOST_NAMED).cloned().collect(),
        }
    }
}

/// The names, separated by commas, and how many more there are.
impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
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
