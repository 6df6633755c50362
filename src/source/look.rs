//! A look at the mesh folders: how to look, and what it found.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::signals::Evidence;
use crate::mesh::FileChange;

/// What a look found.
#[derive(Debug, Default)]
pub struct Scan {
    /// What became of the files that changed, in the order of their names.
    pub changes: Vec<FileChange>,
    /// The given paths that are not there; what they last held stays.
    pub missing: Vec<PathBuf>,
    /// How many files there are.
    pub files: usize,
    /// How many of them were read.
    pub files_read: u64,
    /// How many objects were parsed, unusable ones included.
    pub documents_parsed: u64,
    /// How many files are new.
    pub added: usize,
    /// How many files say something else than before.
    pub changed: usize,
    /// How many files are gone.
    pub removed: usize,
    /// When to look again even if nothing stirs.
    pub again_at: Option<Instant>,
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
    /// Whether to read files that seem unchanged.
    pub every_file: bool,
    /// How far to trust what is found.
    pub trust: Trust,
    /// Whether to give up where something was swapped on the way, so that one can list again.
    pub strict: bool,
}

impl Scan {
    pub(super) fn look_again(&mut self, at: Instant) {
        self.again_at = Some(self.again_at.map_or(at, |again| again.min(at)));
    }
}
