//! Keeps the operating system telling what happens in the mesh folders.
//!
//! Watches folders, never files: a file that is replaced takes its watch with it. Every folder is watched by itself and
//! by its real path; the walk tells which ones there are, and what was moved or made again is watched again. Where the
//! system refuses, or falls behind with what it tells, the folders are looked at every [`FALLBACK_INTERVAL`].

use std::{
    collections::BTreeSet,
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::ErrorKind;

use super::{
    listing::Listing,
    mounts::remote_file_system,
    signals::{Scope, Signals},
    watches::{Answer, Order, Watches},
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
    watches: Option<Watches>,
    /// The file system of a folder that others write to unnoticed.
    remote: Option<&'static str>,
    /// Whether watches may have been added without a word.
    has_missed: bool,
    /// Why there are no events, and how often to look instead.
    polling: Option<(Duration, String)>,
}

impl Watch {
    /// A watch on nothing yet, which reports to `signals`.
    pub(super) fn new(wish: Wish, signals: Arc<Signals>) -> Self {
        let mut watch = Self {
            wish,
            signals,
            watches: None,
            remote: None,
            has_missed: false,
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
        if self.wish == Wish::Events && self.watches.is_none() {
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
        if self.watches.is_none() {
            return false;
        }
        let mut wanted: BTreeSet<&Path> = listing.folders.keys().map(PathBuf::as_path).collect();
        wanted.extend(listing.turns.iter().filter_map(|turn| turn.parent()));
        self.signals.set_scope(Scope {
            folders: listing.folders.keys().cloned().collect(),
            turns: listing.turns.iter().cloned().collect(),
            watched: wanted.iter().map(|&path| path.to_owned()).collect(),
        });
        let order = Order::Arm(wanted.iter().map(|&path| path.to_owned()).collect());
        let added = self.ask(order);
        if added || mem::take(&mut self.has_missed) {
            self.remote = remote_file_system(wanted.iter().copied());
        }
        added
    }

    /// Returns when everything that happened before the call has reached the signals, or when that takes too long: then
    /// events tell nothing until it has.
    pub(super) fn catch_up(&mut self) {
        self.ask(Order::CatchUp);
    }

    /// Asks for `order`. Tells whether one has to list again.
    fn ask(&mut self, order: Order) -> bool {
        let Some(watches) = &mut self.watches else {
            return false;
        };
        let was_late = watches.is_late();
        let answer = watches.ask(order);
        if was_late && !matches!(answer, Answer::Late) {
            // Nobody knows when what was late was done.
            self.signals.doubt();
            self.has_missed = true;
        }
        match answer {
            Answer::Done { added } => added,
            Answer::Late => false,
            Answer::Failed(error) => {
                self.fall_back(&error);
                true
            }
        }
    }

    /// Whether events tell when a file is complete.
    pub(super) fn is_told(&self) -> bool {
        self.watches.as_ref().is_some_and(|it| !it.is_late()) && self.remote.is_none()
    }

    /// How changes are noticed.
    pub(super) fn state(&self) -> Watching {
        if let Some((every, why)) = &self.polling {
            return Watching::Polling {
                every: *every,
                why: why.clone(),
            };
        }
        let why = if let Some(file_system) = &self.remote {
            format!("{file_system} does not report what other machines write")
        } else if self.watches.as_ref().is_some_and(Watches::is_late) {
            "more happens than the operating system's reports keep up with".to_owned()
        } else {
            return Watching::Events;
        };
        Watching::Polling {
            every: FALLBACK_INTERVAL,
            why,
        }
    }

    fn open(&mut self) {
        match Watches::start(self.signals.clone()) {
            Ok(watches) => self.watches = Some(watches),
            Err(error) => self.fall_back(&error),
        }
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
        self.watches = None;
        self.polling = Some((FALLBACK_INTERVAL, why));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::mpsc::channel, thread, time::Instant};

    use super::{
        super::{folder::Folder, links::FollowLinks, signals::Extent, waker::Waker},
        *,
    };

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn who_looks_waits_a_moment_for_events_that_do_not_end_and_believes_them_afterwards() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let signals = Arc::new(Signals::new(Arc::new(Waker::default())));
        let mut watch = Watch::new(Wish::Events, signals.clone());
        let listing = Folder::new(vec![folder.path().to_owned()], FollowLinks::default()).list();
        assert!(watch.arm(&listing), "{:?}", watch.state());
        watch.catch_up();
        assert_eq!(watch.state(), Watching::Events);
        signals.take_extent();

        // As long as this is held, notify's thread is busy with the event that follows.
        let stalled = signals.stall();
        let (come, until) = (signals.come(), Instant::now() + SOON);
        File::create(folder.path().join("a.yaml")).expect("a new file");
        while signals.come() == come {
            assert!(Instant::now() < until, "no event");
            thread::yield_now();
        }
        let (over, is_over) = channel();
        let catching_up = thread::spawn(move || {
            watch.catch_up();
            // Once late, nobody waits again.
            watch.catch_up();
            let _ = over.send(());
            watch
        });
        let waited = is_over.recv_timeout(SOON);
        drop(stalled);
        let mut watch = catching_up.join().expect("no panic");
        assert_eq!(waited, Ok(()));
        assert!(!watch.is_told());
        assert!(matches!(watch.state(), Watching::Polling { .. }));

        // The answer comes as soon as notify's thread goes on.
        let until = Instant::now() + SOON;
        while !watch.is_told() {
            assert!(Instant::now() < until, "no answer");
            thread::yield_now();
            watch.catch_up();
        }
        assert_eq!(watch.state(), Watching::Events);
        assert_eq!(signals.take_extent(), Extent::Everywhere);
    }
}
