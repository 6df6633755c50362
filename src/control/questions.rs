//! Questions of those who look, which the loop answers between two looks of its own: what it knows, nobody else has to hold.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use crate::{history::History, pipeline::Pipeline, source::Waker};

/// How many questions may wait.
const MOST: usize = 64;

/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a question may look at: all of one generation.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// The mesh and what is answered from it.
    pub pipeline: &'s Pipeline,
    /// What was answered before.
    pub history: &'s History,
}

/// The loop has other things to do, or too many ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("nobody had time to answer")]
pub struct Busy;

/// A question that may be asked once; tells whether anybody still waits for its answer.
struct Question {
    is_given_up: Box<dyn Fn() -> bool + Send>,
    answer: Box<dyn FnOnce(&Seen<'_>) + Send>,
}

/// The questions that wait.
pub struct Questions {
    waiting: Mutex<VecDeque<Question>>,
    waker: Arc<Waker>,
}

impl Questions {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            waiting: Mutex::default(),
            waker,
        }
    }

    /// What `question` makes of what the loop holds, within 2 s.
    ///
    /// # Errors
    ///
    /// [`Busy`] where the loop does not come to it in time, or where 64 others wait already.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Seen<'_>) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (teller, told) = oneshot::channel();
        // Shared by who answers and by who looks whether that is still wanted.
        let teller = Arc::new(Mutex::new(Some(teller)));
        let waits = Arc::clone(&teller);
        let question = Question {
            is_given_up: Box::new(move || {
                let teller = waits.lock().unwrap_or_else(PoisonError::into_inner);
                teller.as_ref().is_none_or(oneshot::Sender::is_closed)
            }),
            answer: Box::new(move |seen| {
                let teller = teller.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(teller) = teller {
                    // Who has no patience left is gone.
                    let _ = teller.send(question(seen));
                }
            }),
        };
        {
            let mut waiting = self.waiting();
            waiting.retain(|question| !(question.is_given_up)());
            if waiting.len() >= MOST {
                return Err(Busy);
            }
            waiting.push_back(question);
        }
        self.waker.nudge();
        match timeout(PATIENCE, told).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Busy),
        }
    }

    /// Answers what waits.
    pub(super) fn answer(&self, seen: &Seen<'_>) {
        // One after the other, so that who asks meanwhile finds room.
        loop {
            let next = self.waiting().pop_front();
            let Some(question) = next else { return };
            if !(question.is_given_up)() {
                (question.answer)(seen);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Questions")
            .field("waiting", &self.waiting().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{self, Runtime};

    use super::*;
    use crate::pipeline::Policy;

    fn runtime() -> Runtime {
        let mut builder = runtime::Builder::new_current_thread();
        builder.enable_time().build().expect("a runtime")
    }

    #[test]
    fn a_question_that_nobody_answers_is_given_up_and_makes_room() {
        let questions = Arc::new(Questions::new(Arc::default()));
        runtime().block_on(async {
            let mut asking = tokio::task::JoinSet::new();
            for _ in 0..=MOST {
                let questions = Arc::clone(&questions);
                asking.spawn(async move { questions.ask(|_| ()).await });
            }
            while let Some(asked) = asking.join_next().await {
                assert_eq!(asked.expect("it ends"), Err(Busy));
            }
        });
        let pipeline = Pipeline::new(Policy::default());
        let seen = Seen {
            pipeline: &pipeline,
            history: &History::default(),
        };
        runtime().block_on(async {
            let asked = questions.ask(|seen| seen.pipeline.snapshot().generation());
            let answered = async {
                tokio::task::yield_now().await;
                questions.answer(&seen);
            };
            let (told, ()) = tokio::join!(asked, answered);
            assert_eq!(told, Ok(0));
        });
    }
}
