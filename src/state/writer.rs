//! The thread that writes: whatever the disk takes its time for, nobody else waits.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, SystemTime},
};

use tracing::{info, warn};

use super::{FILE, FORMER, StateError, line};
use crate::{chain::Chain, threads};

/// How many pieces wait for the disk at most.
const MAX_WAITING: usize = 2;

/// How long the end of the process waits for the disk at most.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What is to be written next.
#[derive(Debug)]
pub(super) enum Order {
    /// Lines that belong together follow: a new file, or more of the one that there is.
    Begin { is_new: bool },
    /// Whole lines.
    Lines(String, usize),
    /// The lines since `Begin` are all.
    Save,
}

/// How far the writer is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// When the disk last had everything.
    pub(super) saved: Option<SystemTime>,
    /// How often it could not take something.
    pub(super) failures: u64,
    /// Whether there is a file that more can be added to.
    pub(super) has_file: bool,
    /// How long the file was when it was new, and how long it is, in bytes.
    pub(super) new_bytes: u64,
    pub(super) bytes: u64,
    /// How many saves were asked for and are over, whatever came of them.
    pub(super) finished: u64,
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    folder: PathBuf,
    progress: Arc<Mutex<Progress>>,
    /// `None` until there is one.
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    orders: SyncSender<Order>,
    over: Receiver<()>,
}

impl Writer {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            progress: Arc::default(),
            thread: None,
        }
    }

    /// Starts the thread where it does not run. That there is none to be had counts as a failure.
    pub(super) fn start(&mut self) -> io::Result<()> {
        if self.thread.is_none() {
            let started = Thread::start(&self.folder, self.progress.clone());
            let started = started.inspect_err(|_| lock(&self.progress).failures += 1)?;
            self.thread = Some(started);
        }
        Ok(())
    }

    /// Hands on an order, or gives it back where the disk has not kept up.
    pub(super) fn hand_on(&self, order: Order) -> Result<(), Order> {
        let Some(thread) = &self.thread else {
            return Err(order);
        };
        match thread.orders.try_send(order) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => Err(order),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        *lock(&self.progress)
    }

    /// Waits until all that was handed on is written, but not for a disk that takes nothing.
    pub(super) fn finish(self) -> Result<(), RecvTimeoutError> {
        let Some(Thread { orders, over }) = self.thread else {
            return Ok(());
        };
        drop(orders);
        over.recv_timeout(LAST_WAIT)
    }
}

impl Thread {
    fn start(folder: &Path, progress: Arc<Mutex<Progress>>) -> io::Result<Self> {
        let (orders, taken) = sync_channel(MAX_WAITING);
        let (ended, over) = sync_channel(1);
        let mut book = Book {
            path: folder.join(FILE),
            former: folder.join(FORMER),
            fresh: folder.join(format!(".{FILE}.{}", process::id())),
            progress,
            open: None,
            has_failed: false,
        };
        let follow = move || {
            book.follow(&taken);
            // Nobody may be there any more.
            let _ = ended.send(());
        };
        threads::start_once("state", follow)?;
        Ok(Self { orders, over })
    }
}

/// The file, as the thread has it.
struct Book {
    path: PathBuf,
    former: PathBuf,
    /// Where a new file is made before it takes the place of the other.
    fresh: PathBuf,
    progress: Arc<Mutex<Progress>>,
    open: Option<Open>,
    /// Whether the last save failed, which was told.
    has_failed: bool,
}

/// Lines under way.
struct Open {
    file: File,
    is_new: bool,
    lines: usize,
    bytes: u64,
}

impl Book {
    fn follow(&mut self, orders: &Receiver<Order>) {
        // Whatever fails, a later file is begun anew.
        let mut is_well = true;
        for order in orders {
            let is_begin = matches!(order, Order::Begin { .. });
            let is_save = matches!(order, Order::Save);
            if is_well || is_begin {
                let done = self.take(order);
                is_well = done.is_ok();
                if let Err(error) = done {
                    self.fail(&error);
                }
            }
            if is_save {
                lock(&self.progress).finished += 1;
            }
        }
        // A file that was not finished is of no use.
        if self.open.take().is_some_and(|open| open.is_new) {
            let _ = fs::remove_file(&self.fresh);
        }
    }

    fn take(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Begin { is_new } => {
                let file = if is_new {
                    File::create(&self.fresh)?
                } else {
                    OpenOptions::new().append(true).open(&self.path)?
                };
                let mut open = Open {
                    file,
                    is_new,
                    lines: 0,
                    bytes: 0,
                };
                if is_new {
                    let mut head = String::new();
                    line::push_head(&mut head);
                    open.write(&head)?;
                }
                self.open = Some(open);
                Ok(())
            }
            Order::Lines(text, lines) => {
                let open = self.open.as_mut().expect("lines follow a beginning");
                open.lines += lines;
                open.write(&text)
            }
            Order::Save => {
                let open = self.open.take().expect("a save follows a beginning");
                self.save(open)
            }
        }
    }

    fn save(&mut self, mut open: Open) -> io::Result<()> {
        let now = SystemTime::now();
        let mut end = String::new();
        line::push_saved(open.lines, now, &mut end);
        open.write(&end)?;
        open.file.sync_all()?;
        if open.is_new {
            match fs::rename(&self.path, &self.former) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::rename(&self.fresh, &self.path)?;
            // Without that the names may be the old ones after a crash.
            let folder = self.path.parent().expect("it was joined to a folder");
            File::open(folder)?.sync_all()?;
        }
        let mut progress = lock(&self.progress);
        progress.saved = Some(now);
        progress.has_file = true;
        if open.is_new {
            (progress.new_bytes, progress.bytes) = (open.bytes, open.bytes);
        } else {
            progress.bytes += open.bytes;
        }
        drop(progress);
        if std::mem::take(&mut self.has_failed) {
            info!("the last good state is kept again");
        }
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) {
        if self.open.take().is_some_and(|open| open.is_new) {
            // The disk may be full of it.
            let _ = fs::remove_file(&self.fresh);
        }
        let mut progress = lock(&self.progress);
        progress.failures += 1;
        progress.has_file = false;
        drop(progress);
        if !std::mem::replace(&mut self.has_failed, true) {
            let error = StateError::Write {
                path: self.path.clone(),
                source: io::Error::new(error.kind(), error.to_string()),
            };
            warn!(
                "{}: it is tried again every 10 s, and answers go on",
                Chain(&error)
            );
        }
    }
}

impl Open {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
