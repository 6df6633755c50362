//! Keeps the operating system telling what happens in the mesh folders.
//!
//! Watches folders, never files: a file that is replaced takes its watch with it. Every folder is watched by itself and
//! by its real path; the walk tells which ones there are, and what was moved or made again is watched again. Where the
//! system refuses, the folders are looked at every [`FALLBACK_INTERVAL`].

use std::{
    collections::{BTreeSet, HashMap},
    fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{
    listing::Listing,
    mounts::remote_file_system,
    signals::{Scope, Signals},
};
use crate::status::Watching;

/// How often folders are looked at whose changes the operating system does not report.
pub const FALLBACK_INTERVAL: Duration = Duration::from_secs(2);

/// Why folders are polled that need not be.
pub const AS_ASKED_FOR: &str = "as asked for";

/// How changes are to be noticed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wish {
    /// By events where there are any.
    #[default]
    Events,
    /// By looking at this interval, without events.
    Poll(Duration),
}

/// The watches on all folders of one listing.
#[derive(Debug)]
pub(super) struct Watch {
    wish: Wish,
    signals: Arc<Signals>,
    /// `None` without events.
    watcher: Option<RecommendedWatcher>,
    watched: HashMap<PathBuf, Identity>,
    /// The file system of a folder that others write to unnoticed.
    remote: Option<&'static str>,
    /// Why there are no events, and how often to look instead.
    polling: Option<(Duration, String)>,
}

type Identity = (u64, u64);

impl Watch {
    /// A watch on nothing yet, which reports to `signals`.
    pub(super) fn new(wish: Wish, signals: Arc<Signals>) -> Self {
        let mut watch = Self {
            wish,
            signals,
            watcher: None,
            watched: HashMap::new(),
            remote: None,
            polling: None,
        };
        match wish {
            Wish::Poll(every) => watch.polling = Some((every, AS_ASKED_FOR.to_owned())),
            Wish::Events => watch.open(),
        }
        watch
    }

    /// Tries events again where the operating system refused them before.
    pub(super) fn retry(&mut self) {
        if self.wish == Wish::Events && self.watcher.is_none() {
            self.polling = None;
            self.open();
        }
    }

    /// Watches what `listing` says and nothing else. Tells whether a watch was added: what happened before it was is not
    /// reported, so one has to list again.
    pub(super) fn arm(&mut self, listing: &Listing) -> bool {
        if let Some(error) = self.signals.take_failure() {
            self.fall_back(&error);
        }
        if self.watcher.is_none() {
            return false;
        }
        let mut wanted: BTreeSet<&Path> = listing.folders.keys().map(PathBuf::as_path).collect();
        wanted.extend(listing.turns.iter().filter_map(|turn| turn.parent()));
        self.signals.set_scope(Scope {
            folders: listing.folders.keys().cloned().collect(),
            turns: listing.turns.iter().cloned().collect(),
            watched: wanted.iter().map(|&path| path.to_owned()).collect(),
        });
        // First what goes: two paths to the same folder share one watch.
        self.drop_stale(&wanted);
        let added = self.add_missing(&wanted);
        if added {
            self.remote = remote_file_system(wanted.iter().copied());
        }
        added
    }

    /// Returns when everything that happened before the call has reached the signals.
    pub(super) fn catch_up(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        // The watcher's thread answers this between two reads of its queue: the second answer comes after a whole read.
        for _ in 0..2 {
            if let Err(error) = watcher.configure(Config::default()) {
                self.fall_back(&error);
                return;
            }
        }
    }

    /// Whether events tell when a file is complete.
    pub(super) fn is_told(&self) -> bool {
        self.watcher.is_some() && self.remote.is_none()
    }

    /// How changes are noticed.
    pub(super) fn state(&self) -> Watching {
        if let Some((every, why)) = &self.polling {
            return Watching::Polling {
                every: *every,
                why: why.clone(),
            };
        }
        match &self.remote {
            Some(file_system) => Watching::Polling {
                every: FALLBACK_INTERVAL,
                why: format!("{file_system} does not report what other machines write"),
            },
            None => Watching::Events,
        }
    }

    fn open(&mut self) {
        let signals = self.signals.clone();
        let watcher = RecommendedWatcher::new(move |event| signals.note(event), Config::default());
        match watcher {
            Ok(mut watcher) => {
                if watcher.configure(Config::default()).is_ok() {
                    self.watcher = Some(watcher);
                } else {
                    // Its thread did not start, of which it tells nobody, and without which dropping it panics.
                    mem::forget(watcher);
                    self.fall_back(&notify::Error::generic("no thread is left for that"));
                }
            }
            Err(error) => self.fall_back(&error),
        }
    }

    fn drop_stale(&mut self, wanted: &BTreeSet<&Path>) {
        let lost = self.signals.take_lost();
        let watcher = self
            .watcher
            .as_mut()
            .expect("asked for only while watching");
        self.watched.retain(|path, identity| {
            let stays = wanted.contains(path.as_path())
                && identity_of(path) == Some(*identity)
                && !path.ancestors().any(|ancestor| lost.contains(ancestor));
            if !stays {
                // The watch usually went with the folder.
                let _ = watcher.unwatch(path);
                // Who writes there now writes into a folder of another name.
                self.signals.forget_writers(path);
            }
            stays
        });
    }

    fn add_missing(&mut self, wanted: &BTreeSet<&Path>) -> bool {
        let mut added = false;
        for &path in wanted {
            if self.watched.contains_key(path) {
                continue;
            }
            let Some(identity) = identity_of(path) else {
                continue;
            };
            let watcher = self
                .watcher
                .as_mut()
                .expect("asked for only while watching");
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path.to_owned(), identity);
                    added = true;
                }
                Err(error) if is_exhausted(&error) => {
                    self.fall_back(&error);
                    return true;
                }
                // It went, or can't be read: the walk says so, and the folder above tells when that changes.
                Err(_) => {}
            }
        }
        added
    }

    fn fall_back(&mut self, error: &notify::Error) {
        let why = match &error.kind {
            ErrorKind::MaxFilesWatch => {
                "no inotify watch is left: raise the sysctl fs.inotify.max_user_watches".to_owned()
            }
            ErrorKind::Io(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                "no inotify instance is left: raise the sysctl fs.inotify.max_user_instances"
                    .to_owned()
            }
            _ => format!("the operating system reports no changes: {error}"),
        };
        self.watcher = None;
        self.watched.clear();
        self.polling = Some((FALLBACK_INTERVAL, why));
    }
}

fn is_exhausted(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => matches!(
            error.raw_os_error(),
            Some(libc::ENOSPC | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOSYS)
        ),
        _ => false,
    }
}

fn identity_of(path: &Path) -> Option<Identity> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
