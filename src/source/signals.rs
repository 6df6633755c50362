//! What the operating system said about the mesh folders since it was last asked.
//!
//! Events are clues, not facts: they say that something may have changed, and which files somebody is writing at this
//! moment. They are folded into one small value as they come in, so that no number of them makes a queue grow.
//!
//! Never looks at a file.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};

use super::{
    naming::{is_hidden, is_manifest},
    waker::Waker,
};

/// How many single paths are remembered; beyond that, stamps alone tell what changed.
const MAX_PATHS: usize = 65_536;

/// How long after its last write a file that nobody closes is taken as it is.
pub(super) const WRITER_PATIENCE: Duration = Duration::from_secs(30);

/// The meeting point of the watcher's thread and the one that looks at the folders.
#[derive(Debug)]
pub(super) struct Signals {
    state: Mutex<State>,
    waker: Arc<Waker>,
    /// How many events have come, those included that wait to be taken in.
    #[cfg(test)]
    come: std::sync::atomic::AtomicUsize,
}

/// What is known from events about single files.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// Files that were written, renamed or replaced since the last look, by their real paths.
    pub(super) touched: HashSet<PathBuf>,
    /// What was renamed to where it is, whole as it was, since the last look.
    pub(super) arrived: HashSet<PathBuf>,
    /// Files that were written to and not closed since, with the time of the last write.
    pub(super) being_written: HashMap<PathBuf, Instant>,
    /// When the last file was removed or renamed away.
    pub(super) last_removal: Option<Instant>,
}

/// Where something may have changed since the last look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Extent {
    /// Nobody can tell.
    Everywhere,
    /// At these entries of watched folders and nowhere else.
    Entries(HashSet<PathBuf>),
}

/// Which paths are of interest.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Folders that hold mesh files.
    pub(super) folders: HashSet<PathBuf>,
    /// Single entries elsewhere.
    pub(super) turns: HashSet<PathBuf>,
    /// Every folder that is watched.
    pub(super) watched: HashSet<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    scope: Scope,
    extent: Extent,
    evidence: Evidence,
    lost: HashSet<PathBuf>,
    overflows: u64,
    failure: Option<notify::Error>,
    /// When one of the events at hand was worth a look.
    noticed: Option<Instant>,
}

impl Signals {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            state: Mutex::default(),
            waker,
            #[cfg(test)]
            come: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Takes in one event; this is what the watcher calls.
    pub(super) fn note(&self, event: notify::Result<Event>) {
        let now = Instant::now();
        #[cfg(test)]
        self.come.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut state = self.lock();
        match event {
            Ok(event) if event.need_rescan() => {
                state.overflows += 1;
                state.evidence.being_written.clear();
                state.extent = Extent::Everywhere;
                state.noticed = Some(now);
            }
            Ok(event) => {
                for path in event.paths {
                    state.take_in(event.kind, path, now);
                }
            }
            Err(error) => {
                state.failure = Some(error);
                state.extent = Extent::Everywhere;
                state.noticed = Some(now);
            }
        }
        let noticed = state.noticed.take();
        drop(state);
        if let Some(noticed) = noticed {
            self.waker.wake(noticed);
        }
    }

    /// Where something may have changed since this was last asked.
    pub(super) fn take_extent(&self) -> Extent {
        std::mem::take(&mut self.lock().extent)
    }

    /// Notes that nobody can tell where something changed.
    pub(super) fn doubt(&self) {
        self.lock().extent = Extent::Everywhere;
    }

    /// Keeps the watcher's thread waiting, at the next event that comes, for as long as the value lives.
    #[cfg(test)]
    pub(super) fn stall(&self) -> impl Sized {
        self.lock()
    }

    /// How many events have come, those included that wait to be taken in.
    #[cfg(test)]
    pub(super) fn come(&self) -> usize {
        self.come.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Whether something may have changed since [`take_extent`](Self::take_extent).
    pub(super) fn has_extent(&self) -> bool {
        self.lock().extent != Extent::default()
    }

    /// How often the kernel dropped events since this was last asked.
    pub(super) fn take_overflows(&self) -> u64 {
        std::mem::take(&mut self.lock().overflows)
    }

    /// Adds what became known since the last time; what is known about files being written is a copy.
    pub(super) fn add_to(&self, evidence: &mut Evidence) {
        let mut state = self.lock();
        let writers = &mut state.evidence.being_written;
        writers.retain(|_, last_write| last_write.elapsed() < WRITER_PATIENCE);
        evidence.touched.extend(state.evidence.touched.drain());
        evidence.arrived.extend(state.evidence.arrived.drain());
        evidence
            .being_written
            .clone_from(&state.evidence.being_written);
        evidence.last_removal = state.evidence.last_removal;
    }

    pub(super) fn set_scope(&self, scope: Scope) {
        self.lock().scope = scope;
    }

    /// Forgets who is writing to files of `folder`: events told of one that is elsewhere.
    pub(super) fn forget_writers(&self, folder: &Path) {
        let writers = &mut self.lock().evidence.being_written;
        writers.retain(|path, _| path.parent() != Some(folder));
    }

    /// Watched folders that were moved or removed, and their watches with them.
    pub(super) fn take_lost(&self) -> HashSet<PathBuf> {
        std::mem::take(&mut self.lock().lost)
    }

    /// Why watching does not work any more.
    pub(super) fn take_failure(&self) -> Option<notify::Error> {
        self.lock().failure.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every update leaves the state whole, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Evidence {
    /// Forgets what a look has made use of that looked there.
    pub(super) fn use_up(&mut self, looked_at: &Extent) {
        match looked_at {
            Extent::Everywhere => {
                self.touched.clear();
                self.arrived.clear();
            }
            Extent::Entries(entries) => {
                self.touched.retain(|path| !entries.contains(path));
                self.arrived.retain(|path| !entries.contains(path));
            }
        }
    }
}

impl Default for Extent {
    fn default() -> Self {
        Self::Entries(HashSet::new())
    }
}

impl Extent {
    fn add(&mut self, entry: PathBuf) {
        match self {
            Self::Entries(entries) if entries.len() < MAX_PATHS => {
                entries.insert(entry);
            }
            _ => *self = Self::Everywhere,
        }
    }
}

impl State {
    fn take_in(&mut self, kind: EventKind, path: PathBuf, now: Instant) {
        match kind {
            // Whoever is writing is not done: there is nothing to see yet.
            EventKind::Modify(ModifyKind::Data(_)) => {
                let known = self.evidence.being_written.len();
                if self.scope.has_file(&path) && known < MAX_PATHS {
                    self.evidence.being_written.insert(path, now);
                }
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                if self.scope.has_file(&path) {
                    self.touch(path, now);
                }
            }
            // Reading is an access too, our own included.
            EventKind::Access(_) => {}
            _ => {
                let gone = matches!(
                    kind,
                    EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
                );
                if gone && self.scope.watched.contains(&path) {
                    self.lost.insert(path.clone());
                    self.extent = Extent::Everywhere;
                    self.noticed = Some(now);
                }
                if !self.scope.has_entry(&path) {
                    return;
                }
                let is_away = matches!(
                    kind,
                    EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
                );
                if is_away {
                    self.evidence.last_removal = Some(now);
                }
                match kind {
                    EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                        if self.evidence.arrived.len() < MAX_PATHS {
                            self.evidence.arrived.insert(path.clone());
                        }
                        self.touch(path, now);
                    }
                    EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                        self.touch(path, now);
                    }
                    // A file's permissions may change while it is being written.
                    _ => self.notice(path, now),
                }
            }
        }
    }

    /// Notes that a file at `path` is complete, another one, or gone.
    fn touch(&mut self, path: PathBuf, now: Instant) {
        self.evidence.being_written.remove(&path);
        if self.evidence.touched.len() < MAX_PATHS {
            self.evidence.touched.insert(path.clone());
        }
        self.notice(path, now);
    }

    /// Notes that it is worth looking at `path`.
    fn notice(&mut self, path: PathBuf, now: Instant) {
        self.extent.add(path);
        self.noticed = Some(now);
    }
}

impl Scope {
    /// Whether an entry at `path` could be, or lead to, mesh files.
    fn has_entry(&self, path: &Path) -> bool {
        self.turns.contains(path) || self.folders.contains(path) || self.holds_visible(path)
    }

    /// Whether a file at `path` could be a mesh file.
    fn has_file(&self, path: &Path) -> bool {
        self.turns.contains(path) || (is_manifest(path) && self.holds_visible(path))
    }

    fn holds_visible(&self, path: &Path) -> bool {
        !is_hidden(path)
            && path
                .parent()
                .is_some_and(|parent| self.folders.contains(parent))
    }
}
