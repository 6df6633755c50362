//! A look at the mesh folders: how to look, and what it found.

use std::{
    collections::BTreeSet,
    ops::AddAssign,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::signals::Evidence;

/// What a look found, besides the changes that it handed on.
#[derive(Debug, Default)]
pub struct Scan {
    /// The given paths that are not there; what they last held stays.
    pub missing: Vec<PathBuf>,
    /// How many files there are.
    pub files: usize,
    /// What was done.
    pub work: Work,
    /// When to look again even if nothing stirs.
    pub again_at: Option<Instant>,
    /// Whether the look was given up because something was swapped on the way: the changes that it handed on may be half
    /// of what changed together.
    pub is_torn: bool,
}

/// The work of one look, or of several.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Work {
    /// How many files were read.
    pub files_read: u64,
    /// How many bytes these held.
    pub bytes_read: u64,
    /// How many documents were parsed, unusable ones included; a list is one document.
    pub documents_parsed: u64,
    /// How many files are new.
    pub added: usize,
    /// How many files say something else than before.
    pub changed: usize,
    /// How many files are gone.
    pub removed: usize,
}

/// How far to trust what is found.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Everything is complete.
    Everything,
    /// What events say about files being written is all there is to say.
    Events(Evidence),
    /// Without events: what was the same for this long is complete.
    Stillness(Duration),
}

/// How to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// When.
    pub now: Instant,
    /// The names of the files to look at, besides those that a look waits for; `None` for all.
    pub only: Option<BTreeSet<Arc<str>>>,
    /// Whether to read files that seem unchanged.
    pub every_file: bool,
    /// How far to trust what is found.
    pub trust: Trust,
    /// Whether to give up where something was swapped on the way, so that one can list again.
    pub strict: bool,
}

impl Work {
    /// How many files are there, gone or different since before.
    pub fn changes(&self) -> usize {
        self.added + self.changed + self.removed
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Self) {
        self.files_read += more.files_read;
        self.bytes_read += more.bytes_read;
        self.documents_parsed += more.documents_parsed;
        self.added += more.added;
        self.changed += more.changed;
        self.removed += more.removed;
    }
}

impl Scan {
    pub(super) fn look_again(&mut self, at: Instant) {
        self.again_at = Some(self.again_at.map_or(at, |again| again.min(at)));
    }
}
