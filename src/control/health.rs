//! What the loop and those who probe tell each other.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

use crate::{
    health::{Ruling, TargetChanges, TargetId, Wanted},
    pipeline::JudgedEndpoint,
    source::Waker,
};

/// What is to be probed, on its way to who does, and what follows on its way back.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
    wanted: Notify,
    settled: Condvar,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct State {
    wanted: HashMap<TargetId, Wanted>,
    unwanted: Vec<TargetId>,
    told: HashMap<TargetId, Ruling>,
    /// Who asks what holds of endpoints.
    asking: Vec<oneshot::Sender<Arc<[JudgedEndpoint]>>>,
    /// Whether every target that was wanted at the start was probed once.
    is_settled: bool,
}

impl Health {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            waker,
            ..Self::default()
        }
    }

    /// Waits until something changes for who probes.
    pub async fn changes(&self) -> TargetChanges {
        loop {
            if let Some(changes) = self.take_changes() {
                return changes;
            }
            self.wanted.notified().await;
        }
    }

    fn take_changes(&self) -> Option<TargetChanges> {
        let mut state = self.lock();
        let changes = TargetChanges {
            wanted: mem::take(&mut state.wanted).into_values().collect(),
            unwanted: mem::take(&mut state.unwanted),
        };
        (!changes.is_empty()).then_some(changes)
    }

    /// Hands the loop what follows for targets.
    pub fn tell(&self, told: impl IntoIterator<Item = (TargetId, Ruling)>) {
        let mut state = self.lock();
        state.told.extend(told);
        if !state.told.is_empty() {
            self.waker.nudge();
        }
    }

    /// Notes that all targets that [`Health::changes`] has told of were probed once.
    pub fn mark_settled(&self) {
        let mut state = self.lock();
        if state.wanted.is_empty() && !mem::replace(&mut state.is_settled, true) {
            self.settled.notify_all();
        }
    }

    /// What holds of the endpoints that are checked; `None` where the loop has other things to do for longer than `patience`.
    pub async fn judged(&self, patience: Duration) -> Option<Arc<[JudgedEndpoint]>> {
        let (teller, told) = oneshot::channel();
        {
            let mut state = self.lock();
            state.asking.retain(|asker| !asker.is_closed());
            state.asking.push(teller);
        }
        self.waker.nudge();
        timeout(patience, told).await.ok()?.ok()
    }

    /// Tells those who ask what holds of endpoints, where anybody does.
    pub(super) fn answer(&self, judge: impl FnOnce() -> Vec<JudgedEndpoint>) {
        let asking = mem::take(&mut self.lock().asking);
        if asking.is_empty() {
            return;
        }
        let judged = Arc::from(judge());
        for asker in asking {
            // Who has no patience left is gone.
            let _ = asker.send(Arc::clone(&judged));
        }
    }

    /// Passes on what is to be probed.
    pub(super) fn want(&self, changes: TargetChanges) {
        if changes.is_empty() {
            return;
        }
        let mut state = self.lock();
        for id in changes.unwanted {
            state.told.remove(&id);
            // What nobody was told of needs no word that it is gone.
            if state.wanted.remove(&id).is_none() {
                state.unwanted.push(id);
            }
        }
        let wanted = changes.wanted.into_iter();
        state
            .wanted
            .extend(wanted.map(|wanted| (wanted.id, wanted)));
        state.is_settled = false;
        self.wanted.notify_one();
    }

    /// What was told since the last time.
    pub(super) fn take_rulings(&self) -> HashMap<TargetId, Ruling> {
        mem::take(&mut self.lock().told)
    }

    /// Waits until all targets were probed once, for `limit` at most.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
