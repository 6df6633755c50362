use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use tokio::{sync::Notify, task::AbortHandle};

/// How a connection hears that it has to make room.
#[derive(Debug, Default)]
pub(super) struct Departure {
    is_told: AtomicBool,
    told: Notify,
    task: Mutex<Task>,
}

/// The task that serves the connection.
#[derive(Debug, Default)]
struct Task {
    handle: Option<AbortHandle>,
    has_to_end: bool,
}

impl Departure {
    /// Tells the connection to end, `at_once` without another word to its client.
    pub(super) fn tell(&self, at_once: bool) {
        self.is_told.store(true, SeqCst);
        self.told.notify_waiters();
        if at_once {
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.has_to_end = true;
            if let Some(handle) = &task.handle {
                handle.abort();
            }
        }
    }

    pub(super) fn set_task(&self, handle: AbortHandle) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.has_to_end {
            handle.abort();
        }
        task.handle = Some(handle);
    }

    pub(super) fn is_told(&self) -> bool {
        self.is_told.load(SeqCst)
    }

    /// Waits until the connection is told.
    pub(super) async fn told(&self) {
        // Made before the flag is read, so that it misses nothing.
        let told = self.told.notified();
        if !self.is_told() {
            told.await;
        }
    }
}
