//! The loop from what sources tell to what is published.
//!
//! One thread owns the sources' feeds and inboxes and the [`Pipeline`](crate::pipeline::Pipeline). It is the only one to publish: one store
//! of a [`Snapshot`] that every query loads, and then one of the [`Status`] that `/ready` and `/metrics` load. Both are
//! there from the start, not ready, so that sockets can be served before the first load is done.
//!
//! Endpoints that are names go out through [`Names`], and what is told of them comes back so.
//!
//! Never answers a query and never looks a name up.

mod clusters;
mod exchange;
mod health;
mod helpers;
mod intake;
mod last_good;
mod names;
mod pace;
mod persons;
mod questions;
mod reload_log;
mod shared;
mod shown;
mod worker;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
};

use arc_swap::ArcSwap;
pub use health::Health;
pub use names::{Changes, Names};
pub use questions::{Busy, Questions, Seen};
use shared::Shared;
pub use shared::{HealthOptions, Options, Progress, ShowProgress};
pub use shown::Exhibit;
use tracing::error;

use crate::{
    pipeline::Policy,
    source::{Inbox, LoadError},
    status::{Status, Watching},
    threads,
    zone::Snapshot,
};

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
    shared: Shared,
    thread: Option<JoinHandle<()>>,
}

/// Starts the loop and returns at once; the first load is done when the snapshot is ready. It serves the mesh folders and what
/// comes through `inboxes`; of folders there may be none.
///
/// # Errors
///
/// Fails where a folder is not there or can't be listed and no last good state stands in for it, or where there is no thread to
/// be had.
pub fn start(
    options: Options,
    inboxes: Vec<Inbox>,
    progress: ShowProgress,
) -> Result<Control, StartError> {
    let stored = last_good::open(&options)?;
    let shared = Shared::new(&options.policy);
    let worker = worker::Worker::new(options, inboxes, stored, progress, shared.clone());
    let (status, orders) = (shared.status.clone(), shared.orders.clone());
    let run = move || {
        watched(&status, || {
            if helpers::start(&status, &orders) {
                worker.run();
            }
        });
    };
    let thread = threads::start("control", run).map_err(StartError::Thread)?;
    Ok(Control {
        shared,
        thread: Some(thread),
    })
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
        &self.shared.snapshots
    }

    /// Where the newest status is.
    pub fn status(&self) -> &Arc<ArcSwap<Status>> {
        &self.shared.status
    }

    /// Where the newest exhibit is, for those who look; one without hosts where nobody is to.
    pub fn exhibit(&self) -> &Arc<ArcSwap<Exhibit>> {
        &self.shared.exhibit
    }

    /// Asks the loop what nobody else knows.
    pub fn questions(&self) -> &Arc<Questions> {
        &self.shared.questions
    }

    /// What is to be probed, where checks are configured: somebody has to do it.
    pub fn health(&self) -> &Arc<Health> {
        &self.shared.health
    }

    /// The endpoints that are names: somebody has to look them up.
    pub fn names(&self) -> &Arc<Names> {
        &self.shared.names
    }

    /// Reads every file again, even where nothing seems to have changed, as SIGHUP asks.
    pub fn reload(&self) {
        self.shared.orders.reload();
        self.shared.waker.nudge();
    }

    /// Answers the same mesh under another policy. Where several come in at a time, the last one counts.
    pub fn set_policy(&self, policy: Policy, health: HealthOptions) {
        self.shared.orders.set_policy(policy, health);
        self.shared.waker.nudge();
    }

    /// Ends the loop and waits for its end. The last snapshot stays where it is.
    pub fn stop(&mut self) {
        self.shared.orders.stop();
        self.shared.waker.nudge();
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

#[cfg(test)]
mod tests;
