//! Decides what to keep, and when.
//!
//! Only changed files are written, those whose objects may have changed since they were written last, and changed objects of
//! clusters. Once what was added is half
//! of what was there, all is written anew. Objects are turned into lines a little at a time, between two looks at the folders.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    mem,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use tracing::warn;

use super::{
    StateError, line,
    writer::{Order, Progress, Writer},
};
use crate::{
    chain::Chain,
    diagnostic::{Cluster, ObjectKey},
    mesh::{FileChange, Mesh, Reading, Slot},
};

/// How often something is written at most: a disk that has to make sure of it is busy for a while.
const INTERVAL: Duration = Duration::from_secs(10);

/// How soon after the start all is written for the first time.
const FIRST: Duration = Duration::from_secs(1);

/// How often it is written that nothing changed.
const SIGN_OF_LIFE: Duration = Duration::from_hours(1);

/// How much is turned into lines at a time, in bytes, and when to go on.
const PIECE_BYTES: usize = 256 << 10;
const PAUSE: Duration = Duration::from_millis(5);

/// How much may be added before all is written anew, in bytes, even where that is more than half of what was there.
const MIN_ADDED_BYTES: u64 = 64 << 10;

/// How long the end of the process waits for what is not written at most.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How many changed objects of clusters are remembered: beyond that all is written anew.
const MAX_OBJECTS: usize = 10_000;

/// How many changed objects one line holds at most.
const MAX_IN_LINE: usize = 256;

/// What an earlier process kept stands in for these.
#[derive(Clone, Debug, Default)]
pub struct Earlier<'e> {
    /// Files.
    pub files: Option<&'e BTreeSet<Arc<str>>>,
    /// Clusters, and when each could last be read.
    pub clusters: BTreeMap<Cluster, SystemTime>,
}

/// Keeps the last good state of a mesh.
#[derive(Debug)]
pub struct Saver {
    writer: Writer,
    /// The files whose objects may differ from what is kept of them.
    changed: HashSet<Arc<str>>,
    /// The clusters that are followed.
    clusters: Vec<Cluster>,
    /// Their objects that differ from what is kept of them; `None` where there are too many.
    objects: Option<BTreeSet<(Cluster, ObjectKey)>>,
    /// The clusters of which it is kept that they could not be read.
    written_as_old: BTreeSet<Cluster>,
    /// When the files could last be read that what an earlier process kept stands in for.
    read: HashMap<Arc<str>, SystemTime>,
    batch: Option<Batch>,
    /// What the disk did not take yet.
    waiting: Option<Order>,
    next: Instant,
    /// How many batches were begun.
    begun: u64,
    /// Whether there was no thread to be had, which was told.
    has_failed: bool,
}

/// Files on their way to the disk.
#[derive(Debug)]
struct Batch {
    files: Vec<Arc<str>>,
    objects: Objects,
    is_new: bool,
}

/// Objects of clusters on their way to the disk.
#[derive(Debug)]
enum Objects {
    /// All of these clusters, of the last from this number on.
    All(Vec<Cluster>, Slot),
    Some(BTreeSet<(Cluster, ObjectKey)>),
}

impl Saver {
    /// Keeps the state of files and `clusters` in `folder`; `read` tells when the files could last be read that are known from
    /// there.
    pub fn new(folder: &Path, clusters: Vec<Cluster>, read: HashMap<Arc<str>, SystemTime>) -> Self {
        Self {
            writer: Writer::new(folder),
            changed: HashSet::new(),
            clusters,
            objects: Some(BTreeSet::new()),
            written_as_old: BTreeSet::new(),
            read,
            batch: None,
            waiting: None,
            next: Instant::now() + FIRST,
            begun: 0,
            has_failed: false,
        }
    }

    /// Notes what was told of a file.
    pub fn note(&mut self, change: &FileChange) {
        match change.reading {
            Reading::Read(_) | Reading::Amended { .. } | Reading::Gone => {
                self.changed.insert(change.file.clone());
            }
            Reading::Unreadable(_) | Reading::Remark(_) => {}
        }
    }

    /// Notes objects of clusters that changed.
    pub fn note_objects(&mut self, changed: Vec<(Cluster, ObjectKey)>) {
        if let Some(objects) = &mut self.objects {
            objects.extend(changed);
            if objects.len() > MAX_OBJECTS {
                self.objects = None;
            }
        }
    }

    /// When the disk last had everything, and how often it could not take something.
    pub fn saved(&self) -> (Option<SystemTime>, u64) {
        let Progress {
            saved, failures, ..
        } = self.writer.progress();
        (saved, failures)
    }

    /// When the oldest of `files` could last be read, for which what an earlier process kept stands in.
    pub fn oldest(&self, files: &BTreeSet<Arc<str>>) -> Option<SystemTime> {
        files
            .iter()
            .filter_map(|file| self.read.get(file))
            .min()
            .copied()
    }

    /// When there is something to do.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Does a little of what there is to do at `now`.
    pub fn go_on(&mut self, mesh: &Mesh, earlier: &Earlier<'_>, now: Instant) {
        if now < self.next {
            return;
        }
        if self.batch.is_none() && self.waiting.is_none() && !self.begin(mesh, earlier, now) {
            return;
        }
        let order = self
            .waiting
            .take()
            .or_else(|| self.next_order(mesh, earlier));
        self.waiting = order.and_then(|order| self.writer.hand_on(order).err());
        self.next = if self.batch.is_some() || self.waiting.is_some() {
            now + PAUSE
        } else {
            now + INTERVAL
        };
    }

    /// Writes what is not written, and ends; gives up where the disk takes too long.
    pub fn finish(mut self, mesh: &Mesh, earlier: &Earlier<'_>) {
        let until = Instant::now() + LAST_WAIT;
        while self.batch.is_some() || self.waiting.is_some() || self.has_news() {
            let now = Instant::now();
            if now >= until {
                break;
            }
            self.next = now;
            self.go_on(mesh, earlier, now);
            if self.waiting.is_some() || self.is_busy() {
                thread::sleep(PAUSE);
            }
        }
        if self.writer.finish().is_err() {
            warn!("the last good state is not written: the disk takes too long");
        }
    }

    /// How many batches were begun.
    #[cfg(test)]
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// Whether a batch is not over.
    #[cfg(test)]
    pub(super) fn is_under_way(&self) -> bool {
        self.batch.is_some() || self.waiting.is_some() || self.is_busy()
    }

    /// Whether something is to be written that is not on its way.
    fn has_news(&self) -> bool {
        let is_same =
            self.changed.is_empty() && self.objects.as_ref().is_some_and(BTreeSet::is_empty);
        !is_same && self.writer.progress().failures == 0
    }

    /// Whether the writer is not done with a batch.
    fn is_busy(&self) -> bool {
        self.writer.progress().finished < self.begun
    }

    /// Begins a batch, where there is one to begin.
    fn begin(&mut self, mesh: &Mesh, earlier: &Earlier<'_>, now: Instant) -> bool {
        if let Err(error) = self.writer.start() {
            if !mem::replace(&mut self.has_failed, true) {
                let error = StateError::Thread(error);
                warn!("{}: it is tried again every 10 s", Chain(&error));
            }
            self.next = now + INTERVAL;
            return false;
        }
        if self.is_busy() {
            self.next = now + PAUSE;
            return false;
        }
        let progress = self.writer.progress();
        let added = progress.bytes - progress.new_bytes;
        let is_read_again = |cluster| !earlier.clusters.contains_key(cluster);
        let is_new = !progress.has_file
            || added > MIN_ADDED_BYTES.max(progress.new_bytes / 2)
            || self.objects.is_none()
            || self.written_as_old.iter().any(is_read_again);
        let age = progress.saved.and_then(|saved| saved.elapsed().ok());
        let is_silent = age.is_none_or(|age| age >= SIGN_OF_LIFE);
        let is_same =
            self.changed.is_empty() && self.objects.as_ref().is_none_or(BTreeSet::is_empty);
        if !is_new && is_same && !is_silent {
            self.next = now + INTERVAL;
            return false;
        }
        let changed = mem::take(&mut self.changed);
        let files = if is_new {
            mesh.files_with_objects().cloned().collect()
        } else {
            changed.into_iter().collect()
        };
        let objects = self.objects.replace(BTreeSet::new());
        let objects = match objects {
            Some(objects) if !is_new => Objects::Some(objects),
            _ => {
                self.written_as_old = earlier.clusters.keys().cloned().collect();
                Objects::All(self.clusters.clone(), 0)
            }
        };
        self.begun += 1;
        self.batch = Some(Batch {
            files,
            objects,
            is_new,
        });
        self.waiting = Some(Order::Begin { is_new });
        true
    }

    /// The next lines of the batch, or its end.
    fn next_order(&mut self, mesh: &Mesh, earlier: &Earlier<'_>) -> Option<Order> {
        let batch = self.batch.as_mut()?;
        let (mut text, mut lines) = (String::new(), 0);
        while text.len() < PIECE_BYTES
            && let Some(file) = batch.files.pop()
        {
            let is_old = earlier.files.is_some_and(|old| old.contains(&file));
            let read = self.read.get(&file).filter(|_| is_old);
            let start = text.len();
            let mut count = 0;
            let objects = |out: &mut String| count = mesh.write_objects(&file, out);
            line::push_objects(&file, read.copied(), objects, &mut text);
            if count == 0 && batch.is_new {
                text.truncate(start);
            } else {
                lines += 1;
            }
        }
        while text.len() < PIECE_BYTES && !batch.objects.is_empty() {
            lines += batch.objects.push_line(mesh, earlier, &mut text);
        }
        if text.is_empty() && batch.files.is_empty() && batch.objects.is_empty() {
            self.batch = None;
            return Some(Order::Save);
        }
        Some(Order::Lines(text, lines))
    }
}

impl Objects {
    fn is_empty(&self) -> bool {
        match self {
            Self::All(clusters, _) => clusters.is_empty(),
            Self::Some(objects) => objects.is_empty(),
        }
    }

    /// Appends a line with the next of them, where there is something to write. Returns how many lines these are.
    fn push_line(&mut self, mesh: &Mesh, earlier: &Earlier<'_>, text: &mut String) -> usize {
        match self {
            Self::All(clusters, from) => {
                let Some(cluster) = clusters.last() else {
                    return 0;
                };
                let (start, mut is_empty) = (text.len(), true);
                let next = line::push_cluster(
                    cluster.name(),
                    earlier.clusters.get(cluster).copied(),
                    &[],
                    |out| {
                        let before = out.len();
                        let next = mesh.write_cluster(cluster, *from, PIECE_BYTES, out);
                        is_empty = out.len() == before;
                        next
                    },
                    text,
                );
                *from = next.unwrap_or(0);
                if next.is_none() {
                    clusters.pop();
                }
                if is_empty {
                    text.truncate(start);
                }
                usize::from(!is_empty)
            }
            Self::Some(objects) => {
                let Some((cluster, _)) = objects.first() else {
                    return 0;
                };
                let cluster = cluster.clone();
                let mut taken = Vec::new();
                while taken.len() < MAX_IN_LINE
                    && objects.first().is_some_and(|(of, _)| *of == cluster)
                    && let Some((_, key)) = objects.pop_first()
                {
                    taken.push(key);
                }
                let is_gone = |key: &&ObjectKey| !mesh.has_object(&cluster, key);
                let gone: Vec<&ObjectKey> = taken.iter().filter(is_gone).collect();
                line::push_cluster(
                    cluster.name(),
                    earlier.clusters.get(&cluster).copied(),
                    &gone,
                    |out| {
                        let mut is_first = true;
                        for key in &taken {
                            is_first &= !mesh.write_object(&cluster, key, is_first, out);
                        }
                    },
                    text,
                );
                1
            }
        }
    }
}
