//! What sources tell of files and of the objects of clusters, and what becomes of objects that can't be used any more.

use std::{collections::BTreeMap, fmt, sync::Arc, time::SystemTime};

use crate::{
    diagnostic::{Cluster, Diagnostic, Holder, Kind, ObjectKey},
    manifest::{Contents, ObjectContents},
};

/// What a source tells at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// What became of one file.
    File(FileChange),
    /// What became of an object of a cluster, or of the list of them.
    Cluster(ClusterChange),
}

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

/// What a cluster says.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterChange {
    /// The cluster.
    pub cluster: Cluster,
    /// What it says.
    pub event: ClusterEvent,
}

/// What a cluster says of its objects, in the order in which it happens there.
///
/// Between [`ListBegins`](Self::ListBegins) and [`ListEnds`](Self::ListEnds) every object of the scope is told, with
/// [`Object`](Self::Object) or [`Unchanged`](Self::Unchanged): those that are not are gone. What a list tells counts when it ends,
/// as one change; nothing of one that fails does.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterEvent {
    /// The newest version of an object.
    Object(ObjectKey, ObjectContents),
    /// In a list: the object is there, and its newest version was told before, outside of lists or in one that did not fail.
    Unchanged(ObjectKey),
    /// The object is gone.
    Gone(ObjectKey),
    /// A list begins; one of the same scope that has not ended is forgotten.
    ListBegins(ListScope),
    /// The list makes no progress: nothing of it counts before it ends, even where nothing was known of its scope before, so that
    /// nobody waits for it.
    ListStalls(ListScope),
    /// Everything that the list holds was told.
    ListEnds(ListScope),
    /// The list can't be told to its end.
    ListFails(ListScope),
}

/// What one list holds: all objects of a kind, in a namespace or in all of them. The scopes of a cluster don't overlap.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListScope {
    /// The kind.
    pub kind: Kind,
    /// The namespace; `None` for all of them.
    pub namespace: Option<Arc<str>>,
}

impl ListScope {
    /// Whether an object is in it.
    pub fn holds(&self, key: &ObjectKey) -> bool {
        let is_namespace = |namespace: &Arc<str>| *namespace == key.namespace;
        self.kind == key.kind && self.namespace.as_ref().is_none_or(is_namespace)
    }
}

/// `Pod`, or `Pod in namespace shop`.
impl fmt::Display for ListScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

impl From<FileChange> for Change {
    fn from(change: FileChange) -> Self {
        Self::File(change)
    }
}

impl From<ClusterChange> for Change {
    fn from(change: ClusterChange) -> Self {
        Self::Cluster(change)
    }
}

/// An object whose newest version can't be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// The object.
    pub key: Arc<ObjectKey>,
    /// What holds the unusable version.
    pub holder: Holder,
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
