use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Instant,
};

use tokio::runtime::Handle;

use super::{
    Shared, Way,
    late::Late,
    responder::{Due, Responder},
};
use crate::{metrics::Traffic, zone::Snapshot};

/// What the connections to one address are answered from.
pub(super) struct Service {
    pub(super) way: Way,
    shared: Shared,
    late: Arc<Late>,
    /// One more than threads use at a time, so that a free one is always found and nobody waits.
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
    /// For the connections that come in this way, on the runtime that this is called from.
    pub(super) fn new(way: Way, shared: &Shared) -> Self {
        let threads = Handle::current().metrics().num_workers();
        let responder = || Responder::new(way, &shared.traffic, shared.forwarder.clone());
        Self {
            way,
            late: Late::of(shared, way),
            responders: (0..=threads).map(|_| Mutex::new(responder())).collect(),
            shared: shared.clone(),
        }
    }

    /// What everyone counts into.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// Who waits for upstreams.
    pub(super) fn late(&self) -> &Arc<Late> {
        &self.late
    }

    /// The answer to one message of `client`, when it is there.
    pub(super) async fn answer(
        &self,
        message: &[u8],
        client: IpAddr,
    ) -> Result<Vec<u8>, Unanswered> {
        let mut out = Vec::new();
        let due = self.with_responder(|responder, snapshot| {
            let start = Instant::now();
            let client = responder.forwards().then_some(client);
            let due = responder.respond(snapshot, message, client, &mut out);
            responder.finish(start.elapsed());
            due
        });
        let due = due.ok_or(Unanswered::Panicked)?;
        if let Due::Later(deferred) = due {
            out = self.late.answer(message, deferred).await;
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
            self.shared.traffic.panicked();
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
