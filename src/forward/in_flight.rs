use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{cache::Kept, question::Question};

/// The questions that upstreams are being asked, each once, however many clients wait for it.
///
/// There are no more of them than places for queries that wait: each holds one.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashMap<Question, watch::Receiver<Option<Arc<Kept>>>>>);

/// One who waits for the answer to a question.
#[derive(Debug)]
pub(super) struct Waiter(watch::Receiver<Option<Arc<Kept>>>);

/// The one who asks the question for all who wait. Dropped, it tells them that there is no answer.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) question: Question,
    in_flight: Arc<InFlight>,
    waiters: watch::Sender<Option<Arc<Kept>>>,
}

impl InFlight {
    /// Waits for the answer to `question` with the others; the first one leads.
    pub(super) fn join(self: &Arc<Self>, question: &Question) -> (Waiter, Option<Leader>) {
        let mut in_flight = self.lock();
        if let Some(waiter) = in_flight.get(question) {
            return (Waiter(waiter.clone()), None);
        }
        let (sender, receiver) = watch::channel(None);
        in_flight.insert(question.clone(), receiver.clone());
        let leader = Leader {
            question: question.clone(),
            in_flight: Arc::clone(self),
            waiters: sender,
        };
        (Waiter(receiver), Some(leader))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Arc<Kept>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// The answer, when it is there; `None` where the leader is gone without one.
    pub(super) async fn wait(mut self) -> Option<Arc<Kept>> {
        let answer = self.0.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }
}

impl Leader {
    /// Gives all who wait the answer. Whoever comes later asks anew.
    pub(super) fn tell(self, kept: Arc<Kept>) {
        let waiters = self.waiters.clone();
        drop(self);
        waiters.send_replace(Some(kept));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.question);
    }
}
