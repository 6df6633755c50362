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
pub(super) struct Flights(Mutex<HashMap<Question, watch::Receiver<Option<Arc<Kept>>>>>);

/// Where the answer to a question comes in.
#[derive(Debug)]
pub(super) struct Landing(watch::Receiver<Option<Arc<Kept>>>);

/// The duty to ask a question; over when it is dropped, and then who waits learns that there is no answer.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) question: Question,
    flights: Arc<Flights>,
    landing: watch::Sender<Option<Arc<Kept>>>,
}

impl Flights {
    /// Where the answer to `question` will come in, and the duty to ask it where nobody does yet.
    pub(super) fn board(self: &Arc<Self>, question: &Question) -> (Landing, Option<Departure>) {
        let mut flights = self.lock();
        if let Some(landing) = flights.get(question) {
            return (Landing(landing.clone()), None);
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(question.clone(), receiver.clone());
        let departure = Departure {
            question: question.clone(),
            flights: Arc::clone(self),
            landing: sender,
        };
        (Landing(receiver), Some(departure))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Arc<Kept>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Landing {
    /// The answer, when it is there; `None` where who had the duty did not fulfil it.
    pub(super) async fn landed(mut self) -> Option<Arc<Kept>> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

impl Departure {
    /// Gives all who wait the answer.
    pub(super) fn land(self, kept: Arc<Kept>) {
        self.landing.send_replace(Some(kept));
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.question);
    }
}
