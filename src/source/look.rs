//! A look at the mesh folders: how to look, and what it found.

use std::{
    collections::BTreeSet,
    ops::{AddAssign, Sub},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::signals::Evidence;

/// What a look found, besides the changes that it handed on.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The given paths that are not there; what they last held stays.
    pub(super) missing: Vec<PathBuf>,
    /// How many files there are.
    pub(super) files: usize,
    /// What was done.
    pub(super) work: Work,
    /// When to look again even if nothing is said to have changed.
    pub(super) again_at: Option<Instant>,
    /// Whether the look was given up because something was swapped on the way: the changes that it handed on may be half
    /// of what changed together.
    pub(super) is_torn: bool,
    /// Whether a file changed between the listing and the reading: what was read of others may be half of what changed
    /// together.
    pub(super) is_half: bool,
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
pub(super) enum Trust {
    /// Everything is complete.
    Everything,
    /// What events say about files being written is all there is to say.
    Events(Evidence),
    /// Without events: what was the same for this long is complete.
    Stillness(Duration),
}

/// How to look.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// When.
    pub(super) now: Instant,
    /// The same by the clock that files are stamped with.
    pub(super) clock: SystemTime,
    /// The names of the files to look at, besides those that a look waits for; `None` for all.
    pub(super) only: Option<BTreeSet<Arc<str>>>,
    /// Whether to read files that seem unchanged.
    pub(super) every_file: bool,
    /// How far to trust what is found.
    pub(super) trust: Trust,
    /// While the start is not over: how old a file that was never read must be, where no event tells that it is complete.
    pub(super) first_age: Option<Duration>,
    /// Whether to give up where something was swapped on the way, so that one can list again.
    pub(super) strict: bool,
}

impl Look {
    /// A strict look at everything that seems to have changed. Begins with the listing: a file can't have been still for
    /// longer than from one listing to the next, however long it takes until the files are read.
    pub(super) fn begin(trust: Trust) -> Self {
        Self {
            now: Instant::now(),
            clock: SystemTime::now(),
            only: None,
            every_file: false,
            trust,
            first_age: None,
            strict: true,
        }
    }
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

/// The work since `before`, which is a part of it.
impl Sub for Work {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            files_read: self.files_read - before.files_read,
            bytes_read: self.bytes_read - before.bytes_read,
            documents_parsed: self.documents_parsed - before.documents_parsed,
            added: self.added - before.added,
            changed: self.changed - before.changed,
            removed: self.removed - before.removed,
        }
    }
}

impl Scan {
    pub(super) fn look_again(&mut self, at: Instant) {
        self.again_at = Some(self.again_at.map_or(at, |again| again.min(at)));
    }
}
