//! The loop from what stirs in the mesh folders to what is published.
//!
//! One thread owns the folders and the [`Pipeline`](crate::pipeline::Pipeline). It is the only one to publish: one store
//! of a [`Snapshot`] that every query loads, and then one of the [`Status`] that `/ready` and `/metrics` load. Both are
//! there from the start, not ready, so that sockets can be served before the first load is done.
//!
//! Names that stand in the place of addresses go out through [`Names`], and what is told of them comes back so.
//!
//! Never answers a query and never looks a name up.

mod chronicle;
mod names;
mod pace;
mod worker;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use arc_swap::ArcSwap;
pub use names::{Changes, Names};
use tracing::error;

use crate::{
    mesh::Mesh,
    pipeline::Policy,
    source::{self, LoadError, Scan, Signals, Wish},
    status::{Status, Watching},
    zone::Snapshot,
};

/// What to serve, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The mesh folders, or single files.
    pub folders: Vec<PathBuf>,
    /// How they are answered.
    pub policy: Policy,
    /// How changes are to be noticed.
    pub wish: Wish,
}

/// How far the first load is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How many files there are.
    pub files: usize,
    /// How many of them were read.
    pub files_read: u64,
    /// How many bytes these held.
    pub bytes_read: u64,
    /// How many objects these held, each counted once.
    pub objects: usize,
}

impl Progress {
    fn of(scan: &Scan, mesh: &Mesh) -> Self {
        let work = scan.work;
        Self {
            files: scan.files,
            files_read: work.files_read,
            bytes_read: work.bytes_read,
            objects: mesh.object_counts().values().sum(),
        }
    }
}

/// Is told during the first load how far it is, and dropped when that is done.
pub type ShowProgress = Box<dyn FnMut(Progress) + Send>;

/// Serving can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A mesh folder can't be opened.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The operating system gives no thread.
    #[error("start the thread that reads the mesh folders")]
    Thread(#[source] io::Error),
}

/// The running loop; dropping it stops the loop.
#[derive(Debug)]
pub struct Control {
    snapshots: Arc<ArcSwap<Snapshot>>,
    status: Arc<ArcSwap<Status>>,
    orders: Arc<Orders>,
    signals: Arc<Signals>,
    names: Arc<Names>,
    thread: Option<JoinHandle<()>>,
}

/// What the loop was told to do.
#[derive(Debug, Default)]
struct Orders {
    stop: AtomicBool,
    reload: AtomicBool,
    policy: Mutex<Option<Policy>>,
}

/// Starts the loop and returns at once; the first load is done when the snapshot is ready.
///
/// # Errors
///
/// Fails where a folder is not there or can't be listed, or where there is no thread to be had.
pub fn start(options: Options, progress: ShowProgress) -> Result<Control, StartError> {
    source::probe(&options.folders)?;
    let snapshot = Snapshot::not_ready(options.policy.settings.clone());
    let signals = Arc::<Signals>::default();
    let mut control = Control {
        snapshots: Arc::new(ArcSwap::from_pointee(snapshot)),
        status: Arc::default(),
        orders: Arc::default(),
        names: Arc::new(Names::new(signals.clone())),
        signals,
        thread: None,
    };
    let worker = worker::Worker::new(options, progress, &control);
    let status = control.status.clone();
    let thread = thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || watched(&status, || worker.run()))
        .map_err(StartError::Thread)?;
    control.thread = Some(thread);
    Ok(control)
}

/// Runs the loop. Where a bug ends it, the last snapshot goes on serving, and the status says that nothing replaces it.
fn watched(status: &ArcSwap<Status>, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        status.rcu(|last| Status {
            watching: Watching::Stopped,
            ..Status::clone(last)
        });
        error!("changes are no longer followed: restart meshdns");
    }
}

impl Control {
    /// Where the newest snapshot is.
    pub fn snapshots(&self) -> &Arc<ArcSwap<Snapshot>> {
        &self.snapshots
    }

    /// Where the newest status is.
    pub fn status(&self) -> &Arc<ArcSwap<Status>> {
        &self.status
    }

    /// What takes in file events: what comes in here counts as if the operating system had said it.
    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// The names that stand in the place of addresses: somebody has to look them up.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Reads every file again, even where nothing seems to have changed, as SIGHUP asks.
    pub fn reload(&self) {
        self.orders.reload.store(true, Ordering::Release);
        self.signals.nudge();
    }

    /// Answers the same mesh under another policy. Where several come in at a time, the last one counts.
    pub fn set_policy(&self, policy: Policy) {
        *self.orders.policy() = Some(policy);
        self.signals.nudge();
    }

    /// Ends the loop and waits for its end. The last snapshot stays where it is.
    pub fn stop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
        self.signals.nudge();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Orders {
    fn take_policy(&self) -> Option<Policy> {
        self.policy().take()
    }

    fn policy(&self) -> std::sync::MutexGuard<'_, Option<Policy>> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_in_the_loop_shows_in_the_status_and_keeps_the_rest_of_it() {
        let status = ArcSwap::from_pointee(Status {
            generation: 7,
            watching: Watching::Events,
            ..Status::default()
        });
        watched(&status, || {});
        assert_eq!(status.load().watching, Watching::Events);
        watched(&status, || panic!("as a bug would"));
        let status = status.load();
        assert_eq!(
            (&status.watching, status.generation),
            (&Watching::Stopped, 7)
        );
    }
}
