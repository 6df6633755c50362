//! Where the loop sleeps until it has something to do.
//!
//! Sources say here that something may have changed, everybody else that there is an order. Never says what it is.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The meeting point of the loop and those who have something for it.
#[derive(Debug, Default)]
pub struct Waker {
    state: Mutex<State>,
    wake: Condvar,
}

/// When something may have changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wakeup {
    /// The first time since the last look.
    pub first: Instant,
    /// The last one.
    pub last: Instant,
}

#[derive(Debug, Default)]
struct State {
    wakeup: Option<Wakeup>,
    has_order: bool,
}

impl Waker {
    /// Says that something may have changed at `now`.
    pub fn wake(&self, now: Instant) {
        let mut state = self.lock();
        let before = state.wakeup;
        let first = before.map_or(now, |wakeup| wakeup.first);
        state.wakeup = Some(Wakeup { first, last: now });
        // What follows another one only ever puts off what is due, and who waits looks at it then.
        if before.is_none() {
            self.wake.notify_all();
        }
    }

    /// Ends a wait at once.
    pub fn nudge(&self) {
        self.lock().has_order = true;
        self.wake.notify_all();
    }

    /// Waits until a nudge, or until the time that `due` tells from what may have changed so far; `None` is for ever. Tells
    /// whether there was a nudge.
    pub fn wait(&self, due: impl Fn(Option<Wakeup>) -> Option<Instant>) -> bool {
        let mut state = self.lock();
        while !std::mem::take(&mut state.has_order) {
            let left = match due(state.wakeup) {
                Some(due) => due.saturating_duration_since(Instant::now()),
                None => Duration::from_hours(1),
            };
            if left.is_zero() {
                return false;
            }
            let waited = self.wake.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// When something may have changed since the last [`take`](Self::take).
    pub fn wakeup(&self) -> Option<Wakeup> {
        self.lock().wakeup
    }

    /// When something may have changed since the last time that this was asked.
    pub fn take(&self) -> Option<Wakeup> {
        self.lock().wakeup.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every update leaves the state whole, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
