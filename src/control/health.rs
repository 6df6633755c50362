//! What the loop and those who probe tell each other.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::exchange::Exchange;
use crate::{
    health::{Ruling, TargetChanges, TargetId, Wanted},
    pipeline::JudgedEndpoint,
    source::Waker,
};

/// What is to be probed, on its way to who does, and what follows on its way back.
#[derive(Debug)]
pub struct Health {
    exchange: Exchange<Changes, TargetId, Ruling>,
    /// Who asks what holds of endpoints.
    asking: Mutex<Vec<oneshot::Sender<Arc<[JudgedEndpoint]>>>>,
}

/// What became otherwise for who probes.
#[derive(Debug, Default, PartialEq)]
struct Changes {
    wanted: HashMap<TargetId, Wanted>,
    unwanted: Vec<TargetId>,
}

impl Health {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            exchange: Exchange::new(waker),
            asking: Mutex::default(),
        }
    }

    /// Waits until something changes for who probes.
    pub async fn changes(&self) -> TargetChanges {
        let Changes { wanted, unwanted } = self.exchange.wanted().await;
        TargetChanges {
            wanted: wanted.into_values().collect(),
            unwanted,
        }
    }

    /// Hands the loop what follows for targets.
    pub fn tell(&self, told: impl IntoIterator<Item = (TargetId, Ruling)>) {
        self.exchange.tell(told);
    }

    /// Notes that all targets that [`Health::changes`] has told of were probed once.
    pub fn mark_settled(&self) {
        self.exchange.mark_settled();
    }

    /// What holds of the endpoints that are checked; `None` where the loop has other things to do for longer than `patience`.
    pub async fn judged(&self, patience: Duration) -> Option<Arc<[JudgedEndpoint]>> {
        let (teller, told) = oneshot::channel();
        {
            let mut asking = self.asking();
            asking.retain(|asker| !asker.is_closed());
            asking.push(teller);
        }
        self.exchange.wake();
        timeout(patience, told).await.ok()?.ok()
    }

    /// Tells those who ask what holds of endpoints, where anybody does.
    pub(super) fn answer(&self, judge: impl FnOnce() -> Vec<JudgedEndpoint>) {
        let asking = mem::take(&mut *self.asking());
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
        self.exchange.want(|passed, told| {
            for id in changes.unwanted {
                told.remove(&id);
                // What nobody was told of needs no word that it is gone.
                if passed.wanted.remove(&id).is_none() {
                    passed.unwanted.push(id);
                }
            }
            let wanted = changes.wanted.into_iter();
            passed
                .wanted
                .extend(wanted.map(|wanted| (wanted.id, wanted)));
        });
    }

    /// What was told since the last time.
    pub(super) fn take_rulings(&self) -> HashMap<TargetId, Ruling> {
        self.exchange.take_told()
    }

    /// Waits until all targets were probed once, for `limit` at most.
    pub(super) fn wait_until_settled(&self, limit: Duration) {
        self.exchange.wait_until_settled(limit);
    }

    fn asking(&self) -> MutexGuard<'_, Vec<oneshot::Sender<Arc<[JudgedEndpoint]>>>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
