//! notify's watcher, which a thread of its own asks.
//!
//! notify answers nothing while events come in faster than it takes them: whoever asks it may wait for as long as somebody
//! writes. That thread does; everybody else waits for [`LIMIT`], and asks nothing further until the answer is there.

use std::{
    collections::{BTreeSet, HashMap},
    fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::signals::Signals;
use crate::threads;

/// How long an answer is waited for: thousands of times as long as it takes while nobody writes.
const LIMIT: Duration = Duration::from_secs(1);

/// The way to the thread. Dropping it ends the watches.
#[derive(Debug)]
pub(super) struct Watches {
    orders: SyncSender<Order>,
    answers: Receiver<notify::Result<bool>>,
    /// Whether an answer is still to come.
    is_late: bool,
}

/// What to ask for.
#[derive(Debug)]
pub(super) enum Order {
    /// Watch these folders and no others. The answer is whether one was added.
    Arm(BTreeSet<PathBuf>),
    /// Answer when everything that happened before has reached the signals.
    CatchUp,
}

/// What came of an order.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is done, and added a watch or not.
    Done { added: bool },
    /// There is no answer to this order, or to one before it.
    Late,
    /// There are no events any more.
    Failed(notify::Error),
}

impl Watches {
    /// Watches nothing yet, and reports to `signals`.
    ///
    /// # Errors
    ///
    /// Fails where the operating system has no events to give, or no thread.
    pub(super) fn start(signals: Arc<Signals>) -> notify::Result<Self> {
        let (orders, taken) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let follow = move || {
            let begun = Thread::begin(signals);
            let mut thread = match begun {
                Ok(thread) => thread,
                Err(error) => {
                    // Nobody may be there any more, here and below.
                    let _ = answer.send(Err(error));
                    return;
                }
            };
            let _ = answer.send(Ok(false));
            for order in taken {
                let _ = answer.send(thread.follow(order));
            }
        };
        threads::start_while("watch", follow, |_| false).map_err(notify::Error::io)?;
        let mut watches = Self {
            orders,
            answers,
            is_late: true,
        };
        match watches.wait(LIMIT) {
            Answer::Failed(error) => Err(error),
            Answer::Done { .. } | Answer::Late => Ok(watches),
        }
    }

    /// Asks, and waits a moment for the answer.
    pub(super) fn ask(&mut self, order: Order) -> Answer {
        if self.is_late {
            match self.wait(Duration::ZERO) {
                Answer::Done { .. } => {}
                answer => return answer,
            }
        }
        // Where the thread is gone, so is its answer.
        let _ = self.orders.send(order);
        self.is_late = true;
        self.wait(LIMIT)
    }

    /// Whether an answer is still to come.
    pub(super) fn is_late(&self) -> bool {
        self.is_late
    }

    /// Waits for the answer that is to come, up to `limit`.
    pub(super) fn wait(&mut self, limit: Duration) -> Answer {
        let answer = match self.answers.recv_timeout(limit) {
            Ok(Ok(added)) => Answer::Done { added },
            Ok(Err(error)) => Answer::Failed(error),
            Err(RecvTimeoutError::Disconnected) => {
                Answer::Failed(notify::Error::generic("the thread that watches has ended"))
            }
            Err(RecvTimeoutError::Timeout) => return Answer::Late,
        };
        self.is_late = false;
        answer
    }
}

/// What the thread has.
struct Thread {
    watcher: RecommendedWatcher,
    signals: Arc<Signals>,
    watched: HashMap<PathBuf, Identity>,
}

type Identity = (u64, u64);

impl Thread {
    fn begin(signals: Arc<Signals>) -> notify::Result<Self> {
        let noting = signals.clone();
        let watcher = RecommendedWatcher::new(move |event| noting.note(event), Config::default());
        let mut watcher = watcher?;
        if watcher.configure(Config::default()).is_err() {
            // Its thread did not start, of which it tells nobody, and without which dropping it panics.
            mem::forget(watcher);
            return Err(notify::Error::generic("no thread is left for that"));
        }
        Ok(Self {
            watcher,
            signals,
            watched: HashMap::new(),
        })
    }

    /// Does what `order` says. Tells whether a watch was added.
    fn follow(&mut self, order: Order) -> notify::Result<bool> {
        match order {
            Order::Arm(wanted) => {
                // First what goes: two paths to the same folder share one watch.
                self.drop_stale(&wanted);
                self.add_missing(&wanted)
            }
            Order::CatchUp => {
                // The watcher's thread answers this between two reads of its queue: the second answer comes after a whole
                // read, but where that thread has not gone on since the first one.
                self.watcher.configure(Config::default())?;
                thread::yield_now();
                self.watcher.configure(Config::default())?;
                Ok(false)
            }
        }
    }

    fn drop_stale(&mut self, wanted: &BTreeSet<PathBuf>) {
        let lost = self.signals.take_lost();
        self.watched.retain(|path, identity| {
            let stays = wanted.contains(path.as_path())
                && identity_of(path) == Some(*identity)
                && !path.ancestors().any(|ancestor| lost.contains(ancestor));
            if !stays {
                // The watch usually went with the folder.
                let _ = self.watcher.unwatch(path);
                // Who writes there now writes into a folder of another name.
                self.signals.forget_writers(path);
            }
            stays
        });
    }

    fn add_missing(&mut self, wanted: &BTreeSet<PathBuf>) -> notify::Result<bool> {
        let mut added = false;
        for path in wanted {
            if self.watched.contains_key(path) {
                continue;
            }
            let Some(identity) = identity_of(path) else {
                continue;
            };
            match self.watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path.clone(), identity);
                    added = true;
                }
                Err(error) if is_exhausted(&error) => return Err(error),
                // It went, or can't be read: the walk says so, and the folder above tells when that changes.
                Err(_) => {}
            }
        }
        Ok(added)
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
