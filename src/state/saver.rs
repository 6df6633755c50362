//! Decides what to keep, and when.
//!
//! Only changed files are written: those whose objects may have changed since they were written last. Once what was added is half
//! of what was there, all is written anew. Objects are turned into lines a little at a time, between two looks at the folders.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
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
use crate::mesh::{FileChange, Mesh, Reading};

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

/// Keeps the last good state of a mesh.
#[derive(Debug)]
pub struct Saver {
    writer: Writer,
    /// The files whose objects may differ from what is kept of them.
    changed: HashSet<Arc<str>>,
    /// When the files could last be read that what an earlier process kept stands in for.
    read: HashMap<Arc<str>, SystemTime>,
    batch: Option<Batch>,
    /// What the disk did not take yet.
    waiting: Option<Order>,
    next: Instant,
    /// How many batches were begun.
    begun: u64,
}

/// Files on their way to the disk.
#[derive(Debug)]
struct Batch {
    files: Vec<Arc<str>>,
    is_new: bool,
}

impl Saver {
    /// Keeps the state in `folder`; `read` tells when the files could last be read that are known from there.
    ///
    /// # Errors
    ///
    /// Fails where there is no thread to be had.
    pub fn start(folder: &Path, read: HashMap<Arc<str>, SystemTime>) -> Result<Self, StateError> {
        Ok(Self {
            writer: Writer::start(folder).map_err(StateError::Thread)?,
            changed: HashSet::new(),
            read,
            batch: None,
            waiting: None,
            next: Instant::now() + FIRST,
            begun: 0,
        })
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

    /// Does a little of what there is to do at `now`. `old` are the files for which what an earlier process kept stands in.
    pub fn go_on(&mut self, mesh: &Mesh, old: &BTreeSet<Arc<str>>, now: Instant) {
        if now < self.next {
            return;
        }
        if self.batch.is_none() && self.waiting.is_none() && !self.begin(mesh, now) {
            return;
        }
        let order = self.waiting.take().or_else(|| self.next_order(mesh, old));
        self.waiting = order.and_then(|order| self.writer.hand_on(order).err());
        self.next = if self.batch.is_some() || self.waiting.is_some() {
            now + PAUSE
        } else {
            now + INTERVAL
        };
    }

    /// Writes what is not written, and ends; gives up where the disk takes too long.
    pub fn finish(mut self, mesh: &Mesh, old: &BTreeSet<Arc<str>>) {
        let until = Instant::now() + LAST_WAIT;
        while self.batch.is_some() || self.waiting.is_some() || self.has_news() {
            let now = Instant::now();
            if now >= until {
                break;
            }
            self.next = now;
            self.go_on(mesh, old, now);
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
        !self.changed.is_empty() && self.writer.progress().failures == 0
    }

    /// Whether the writer is not done with a batch.
    fn is_busy(&self) -> bool {
        self.writer.progress().finished < self.begun
    }

    /// Begins a batch, where there is one to begin.
    fn begin(&mut self, mesh: &Mesh, now: Instant) -> bool {
        if self.is_busy() {
            self.next = now + PAUSE;
            return false;
        }
        let progress = self.writer.progress();
        let added = progress.bytes - progress.new_bytes;
        let is_new = !progress.has_file || added > MIN_ADDED_BYTES.max(progress.new_bytes / 2);
        let age = progress.saved.and_then(|saved| saved.elapsed().ok());
        let is_silent = age.is_none_or(|age| age >= SIGN_OF_LIFE);
        if !is_new && self.changed.is_empty() && !is_silent {
            self.next = now + INTERVAL;
            return false;
        }
        let changed = mem::take(&mut self.changed);
        let files = if is_new {
            mesh.files_with_objects().cloned().collect()
        } else {
            changed.into_iter().collect()
        };
        self.begun += 1;
        self.batch = Some(Batch { files, is_new });
        self.waiting = Some(Order::Begin { is_new });
        true
    }

    /// The next lines of the batch, or its end.
    fn next_order(&mut self, mesh: &Mesh, old: &BTreeSet<Arc<str>>) -> Option<Order> {
        let batch = self.batch.as_mut()?;
        let (mut text, mut lines) = (String::new(), 0);
        while text.len() < PIECE_BYTES
            && let Some(file) = batch.files.pop()
        {
            let read = self.read.get(&file).filter(|_| old.contains(&file));
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
        if text.is_empty() && batch.files.is_empty() {
            self.batch = None;
            return Some(Order::Save);
        }
        Some(Order::Lines(text, lines))
    }
}
