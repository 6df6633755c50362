//! What a source tells at a time.

use super::look::Work;
use crate::{mesh::FileChange, status::Unread};

/// A part of what a source holds, and how far it goes: the input of the core that is named objects.
///
/// A source yields batches for ever. Whoever takes them in publishes nothing before a source's first batch that is
/// complete, and nothing between batches that belong together; and denies nothing while a source waits.
#[derive(Debug, Default)]
pub struct Batch {
    /// What changed, in any order.
    pub changes: Vec<FileChange>,
    /// Whether everything that the source holds at this moment was told, but for what is unread.
    pub complete: bool,
    /// What is there since the start and can't be read.
    pub unread: Unread,
    /// Whether what is unread may still be read, and to deny it would be a lie: not for ever.
    pub waits: bool,
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

    /// Whether a mesh can be served from what was told so far, be it that something is unread.
    pub fn can_be_served(&self) -> bool {
        self.complete && !self.together
    }
}
