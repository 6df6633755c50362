//! How the loop and those who work for it beside it talk: what it wants on the way out, and what they tell on the way back.

use std::{
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::source::Waker;

/// What is wanted, gathered in a `W` until somebody takes it, and the newest `T` that was told of each `K` until the loop takes
/// it: each at most once in each direction.
#[derive(Debug)]
pub(super) struct Exchange<W, K, T> {
    state: Mutex<State<W, K, T>>,
    wanted: Notify,
    settled: Condvar,
    waker: Arc<Waker>,
}

#[derive(Debug)]
struct State<W, K, T> {
    wanted: W,
    told: HashMap<K, T>,
    /// Whether something was told of everything that was wanted, be it that nothing is known.
    is_settled: bool,
}

impl<W: Default + PartialEq, K: Eq + Hash, T> Exchange<W, K, T> {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            state: Mutex::new(State {
                wanted: W::default(),
                told: HashMap::new(),
                is_settled: false,
            }),
            wanted: Notify::new(),
            settled: Condvar::new(),
            waker,
        }
    }

    /// Waits until something is wanted, and takes it.
    pub(super) async fn wanted(&self) -> W {
        loop {
            let wanted = mem::take(&mut self.lock().wanted);
            if wanted != W::default() {
                return wanted;
            }
            self.wanted.notified().await;
        }
    }

    /// Adds to what is wanted; `add` is given what was told and the loop did not take yet, for what is no longer wanted.
    pub(super) fn want(&self, add: impl FnOnce(&mut W, &mut HashMap<K, T>)) {
        let mut state = self.lock();
        let State { wanted, told, .. } = &mut *state;
        add(wanted, told);
        state.is_settled = false;
        self.wanted.notify_one();
    }

    /// Hands the loop what is known.
    pub(super) fn tell(&self, told: impl IntoIterator<Item = (K, T)>) {
        let mut state = self.lock();
        state.told.extend(told);
        if !state.told.is_empty() {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        self.waker.nudge();
    }

    /// What was told since the last time.
    pub(super) fn take_told(&self) -> HashMap<K, T> {
        mem::take(&mut self.lock().told)
    }

    /// Notes that something was told of all that [`Exchange::wanted`] has given out.
    pub(super) fn mark_settled(&self) {
        let mut state = self.lock();
        if state.wanted == W::default() && !mem::replace(&mut state.is_settled, true) {
            self.settled.notify_all();
        }
    }

    /// Waits until something was told of everything that is wanted, for `limit` at most.
    pub(super) fn wait_until_settled(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while !state.is_settled {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.settled.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<W, K, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_settled_while_something_waits_to_be_taken() {
        let exchange = Exchange::<Vec<u8>, u8, ()>::new(Arc::default());
        exchange.want(|wanted, _| wanted.push(1));
        exchange.mark_settled();
        assert!(!exchange.lock().is_settled);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let wanted = runtime.expect("a runtime").block_on(exchange.wanted());
        assert_eq!(wanted, [1]);
        exchange.mark_settled();
        exchange.wait_until_settled(Duration::from_hours(1));
        exchange.want(|wanted, _| wanted.push(2));
        assert!(!exchange.lock().is_settled);
    }
}
