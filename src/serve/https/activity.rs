use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// What a connection is doing.
pub(super) struct Activity(Mutex<State>);

struct State {
    /// How many requests are being answered.
    answering: usize,
    /// When the last of them was answered, or the connection began.
    since: Instant,
}

/// A request that is being answered, until dropped.
pub(super) struct Answering(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            answering: 0,
            since: Instant::now(),
        }))
    }

    /// A request has come in.
    pub(super) fn begin(activity: &Arc<Self>) -> Answering {
        activity.state().answering += 1;
        Answering(Arc::clone(activity))
    }

    /// Since when no request is being answered; `None` where one is. A client that does not take its answers is idle too.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.answering == 0).then_some(state.since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.answering -= 1;
        state.since = Instant::now();
    }
}
