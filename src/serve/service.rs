use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Instant,
};

use tokio::runtime::Handle;

use super::{
    ServedAddress, Shared,
    deferred::Deferred,
    responder::{Handled, Responder},
};
use crate::{metrics::Traffic, zone::Snapshot};

/// What the connections to one address are answered from.
pub(super) struct Service {
    pub(super) served: ServedAddress,
    shared: Shared,
    deferred: Arc<Deferred>,
    /// One more than there are threads, so that a thread always finds a free one.
    responders: Box<[Mutex<Responder>]>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unanswered {
    /// The message is no query: too short, or itself a response.
    NotAQuery,
    /// The code panicked, which is counted.
    Panicked,
}

impl Service {
    /// For the connections to `served`, on the runtime that this is called from.
    pub(super) fn new(served: ServedAddress, shared: &Shared) -> Self {
        let threads = Handle::current().metrics().num_workers();
        let responder = || Responder::new(served, shared);
        Self {
            served,
            deferred: Deferred::of(shared, served),
            responders: (0..=threads).map(|_| Mutex::new(responder())).collect(),
            shared: shared.clone(),
        }
    }

    /// Where all workers count.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// What makes the answers that wait for an upstream.
    pub(super) fn deferred(&self) -> &Arc<Deferred> {
        &self.deferred
    }

    /// Answers one message of `client`; waits for an upstream where one has to be asked.
    pub(super) async fn answer(
        &self,
        message: &[u8],
        client: IpAddr,
    ) -> Result<Vec<u8>, Unanswered> {
        let mut out = Vec::new();
        let handled = self.with_responder(|responder, snapshot| {
            let start = Instant::now();
            let handled = responder.respond(snapshot, message, client, &mut out);
            responder.finish(start.elapsed());
            handled
        });
        let handled = handled.ok_or(Unanswered::Panicked)?;
        if let Handled::Deferred(deferred, terms) = handled {
            out = self.deferred.answer(message, deferred, *terms).await;
        }
        if out.is_empty() {
            return Err(Unanswered::NotAQuery);
        }
        Ok(out)
    }

    /// Runs `work` with a responder that nobody else uses, and the newest snapshot; `None` where it panicked.
    pub(super) fn with_responder<T>(
        &self,
        work: impl FnOnce(&mut Responder, &Snapshot) -> T,
    ) -> Option<T> {
        let snapshot = self.shared.snapshots.load();
        let mut responder = self.free_responder();
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut responder, &snapshot)));
        if done.is_err() {
            self.shared.traffic.count_panic();
        }
        done.ok()
    }

    fn free_responder(&self) -> MutexGuard<'_, Responder> {
        loop {
            for responder in &self.responders {
                match responder.try_lock() {
                    Ok(free) => return free,
                    Err(TryLockError::Poisoned(poisoned)) => {
                        return PoisonError::into_inner(poisoned);
                    }
                    Err(TryLockError::WouldBlock) => {}
                }
            }
        }
    }
}
