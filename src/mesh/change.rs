//! What a source tells of files, and what becomes of objects that can't be read any more.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use crate::{
    diagnostic::{Diagnostic, ObjectKey},
    manifest::Contents,
};

/// What became of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileChange {
    /// The file as diagnostics name it, and as the origins of its documents do; its order among all files decides
    /// between two versions of an object.
    pub file: Arc<str>,
    /// What was found.
    pub reading: Reading,
}

/// What was found where a file is or was.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// The file was read; single objects in it may be rejected.
    Read(Contents),
    /// The file was read again, and some of its documents say what they said.
    Amended {
        /// What the others say.
        contents: Contents,
        /// The numbers of the unchanged ones, ascending. Where one holds an object, all its list items are objects.
        unchanged: Vec<u32>,
    },
    /// There is something that can't be read, for the reason given: what the file said before stays in service.
    Unreadable(Diagnostic),
    /// It is no file, and there is something to say about it.
    Remark(Diagnostic),
    /// The file is gone, and its objects with it.
    Gone,
}

/// An object whose newest version can't be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// The object.
    pub key: Arc<ObjectKey>,
    /// The file that holds the unusable version.
    pub file: Arc<str>,
    /// When the unusable version was first seen.
    pub since: SystemTime,
}

/// How many objects are kept whose newest version can't be used.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeptCounts {
    since: BTreeMap<SystemTime, usize>,
    objects: usize,
}

impl KeptCounts {
    /// How many there are.
    pub fn objects(&self) -> usize {
        self.objects
    }

    /// Since when the oldest is served.
    pub fn oldest(&self) -> Option<SystemTime> {
        Some(*self.since.first_key_value()?.0)
    }

    pub(super) fn insert(&mut self, since: SystemTime) {
        *self.since.entry(since).or_default() += 1;
        self.objects += 1;
    }

    pub(super) fn remove(&mut self, since: SystemTime) {
        let count = self.since.get_mut(&since).expect("what goes was counted");
        *count -= 1;
        if *count == 0 {
            self.since.remove(&since);
        }
        self.objects -= 1;
    }
}
