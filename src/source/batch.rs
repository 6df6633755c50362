//! What a source tells at a time.

use std::sync::Arc;

use super::look::Work;
use crate::mesh::FileChange;

/// A part of what a source holds, and how far it goes: the input of the core that is named objects.
///
/// A source yields batches for ever. Whoever takes them in publishes nothing before a source's first batch that is
/// complete and has nothing pending, and nothing between batches that belong together.
#[derive(Debug, Default)]
pub struct Batch {
    /// What changed, in any order.
    pub changes: Vec<FileChange>,
    /// Whether everything that the source holds at this moment was told, but for what is pending.
    pub complete: bool,
    /// What is there, was never told, and may be told in a moment, ascending by name. What a source waits for in vain it
    /// tells as unreadable in the end.
    pub pending: Vec<Arc<str>>,
    /// Whether the next batch belongs to this one: the two may be halves of one change.
    pub together: bool,
    /// How many files the source holds.
    pub files: usize,
    /// The work that it took.
    pub work: Work,
}

impl Batch {
    /// Changes on the way to a complete batch.
    pub(super) fn of(changes: Vec<FileChange>, files: usize, work: Work) -> Self {
        Self {
            changes,
            together: true,
            files,
            work,
            ..Self::default()
        }
    }

    /// Whether a mesh can be served from what was told so far.
    pub fn is_whole(&self) -> bool {
        self.complete && self.pending.is_empty() && !self.together
    }
}
