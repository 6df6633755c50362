//! The way from those who follow a cluster to the loop: a queue with a limit.
//!
//! Whoever follows a cluster [tells](Teller::tell) what it says and waits where the loop has not kept up; the loop is woken and
//! takes it from the [`Inbox`]. Nothing here knows how a cluster is followed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::sync::mpsc;

use super::waker::Waker;
use crate::{
    diagnostic::Cluster,
    mesh::{ClusterEvent, ListScope},
};

/// How many events are handed on at a time, and how many times as many wait at most.
const MAX_EVENTS: usize = 256;
const MAX_WAITING: usize = 32;

/// What a cluster says, on the loop's side.
#[derive(Debug)]
pub struct Inbox {
    cluster: Cluster,
    scopes: Vec<ListScope>,
    events: mpsc::Receiver<Vec<ClusterEvent>>,
    waker: Arc<OnceLock<Arc<Waker>>>,
    is_served: Arc<AtomicBool>,
    troubles: Arc<Mutex<Troubles>>,
}

/// Why lists and what changes in them can't be told at present, for people.
pub(crate) type Troubles = BTreeMap<ListScope, Arc<str>>;

/// The same on the side of those who follow the cluster; each of them may have one.
#[derive(Clone, Debug)]
pub struct Teller {
    events: mpsc::Sender<Vec<ClusterEvent>>,
    waker: Arc<OnceLock<Arc<Waker>>>,
    is_served: Arc<AtomicBool>,
    troubles: Arc<Mutex<Troubles>>,
}

/// The loop has ended: nobody takes in anything any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("tell the loop, which has ended, what a cluster says")]
pub struct LoopEnded;

impl Inbox {
    /// The two ends for `cluster`. A list of each of `scopes` is to be told, of a kind that the cluster does not have an empty one:
    /// until then the loop counts it as missing.
    pub fn new(cluster: Cluster, scopes: Vec<ListScope>) -> (Self, Teller) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let waker = Arc::<OnceLock<Arc<Waker>>>::default();
        let is_served = Arc::<AtomicBool>::default();
        let troubles = Arc::<Mutex<Troubles>>::default();
        let inbox = Self {
            cluster,
            scopes,
            events: receiver,
            waker: waker.clone(),
            is_served: is_served.clone(),
            troubles: troubles.clone(),
        };
        let teller = Teller {
            events: sender,
            waker,
            is_served,
            troubles,
        };
        (inbox, teller)
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The lists that are to be told.
    pub fn scopes(&self) -> &[ListScope] {
        &self.scopes
    }

    /// Names who is to be woken from now on.
    pub(crate) fn wake(&self, waker: &Arc<Waker>) {
        // One loop takes an inbox.
        let _ = self.waker.set(waker.clone());
    }

    /// What can't be told at present.
    pub(crate) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        lock(&self.troubles)
    }

    /// Notes that queries are answered from the mesh: from now on those who answer come first.
    pub(crate) fn note_served(&self) {
        self.is_served.store(true, Ordering::Relaxed);
    }

    /// The next events, where there are some.
    pub(crate) fn take(&mut self) -> Option<Vec<ClusterEvent>> {
        self.events.try_recv().ok()
    }
}

impl Teller {
    /// Tells what the cluster says, in the order in which it happens there. Waits while too much is waiting. What is told within
    /// some ten milliseconds is published together, whoever tells it.
    ///
    /// # Errors
    ///
    /// Fails where the loop has ended.
    pub async fn tell(&self, events: Vec<ClusterEvent>) -> Result<(), LoopEnded> {
        if events.len() <= MAX_EVENTS {
            return self.send(events).await;
        }
        let mut rest = events.into_iter();
        loop {
            let events: Vec<_> = rest.by_ref().take(MAX_EVENTS).collect();
            if events.is_empty() {
                return Ok(());
            }
            self.send(events).await?;
        }
    }

    /// Says why a scope is not followed at present, or that it is.
    pub fn set_trouble(&self, scope: &ListScope, trouble: Option<&Arc<str>>) {
        let mut troubles = lock(&self.troubles);
        let before = match trouble {
            Some(trouble) => troubles.insert(scope.clone(), trouble.clone()),
            None => troubles.remove(scope),
        };
        drop(troubles);
        if let Some(waker) = self.waker.get()
            && before.as_ref() != trouble
        {
            waker.wake(Instant::now());
        }
    }

    /// Whether queries are answered from the mesh, so that whoever tells gives way to those who answer.
    pub fn is_served(&self) -> bool {
        self.is_served.load(Ordering::Relaxed)
    }

    async fn send(&self, events: Vec<ClusterEvent>) -> Result<(), LoopEnded> {
        let sent = self.events.send(events).await;
        sent.map_err(|_| LoopEnded)?;
        if let Some(waker) = self.waker.get() {
            if self.events.capacity() == 0 {
                // What waits for others is not worth that the next one waits.
                waker.nudge();
            }
            waker.wake(Instant::now());
        }
        Ok(())
    }
}

fn lock(troubles: &Mutex<Troubles>) -> MutexGuard<'_, Troubles> {
    // Every update leaves it whole.
    troubles.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker as TaskWaker},
    };

    use super::*;
    use crate::diagnostic::{Kind, ObjectKey};

    fn gone(number: usize) -> ClusterEvent {
        ClusterEvent::Gone(ObjectKey {
            kind: Kind::Pod,
            namespace: "ns1".into(),
            name: number.to_string().into(),
        })
    }

    #[test]
    fn holds_no_more_than_its_limit_and_keeps_the_order() {
        let all: Vec<_> = (0..MAX_EVENTS * (MAX_WAITING + 2)).map(gone).collect();
        let (mut inbox, teller) = Inbox::new(Cluster::only("prod"), Vec::new());
        let waker = Arc::<Waker>::default();
        inbox.wake(&waker);
        let mut telling = pin!(teller.tell(all.clone()));
        let mut context = Context::from_waker(TaskWaker::noop());
        assert_eq!(telling.as_mut().poll(&mut context), Poll::Pending);
        assert!(waker.take().is_some());
        let mut taken = inbox.take().expect("what was told");
        assert_eq!(telling.as_mut().poll(&mut context), Poll::Pending);
        taken.extend(std::iter::from_fn(|| inbox.take()).flatten());
        assert!(taken.len() <= MAX_EVENTS * (MAX_WAITING + 1));
        assert_eq!(telling.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        taken.extend(std::iter::from_fn(|| inbox.take()).flatten());
        assert_eq!(taken, all);
        drop(inbox);
        let mut telling = pin!(teller.tell(vec![gone(0)]));
        assert_eq!(
            telling.as_mut().poll(&mut context),
            Poll::Ready(Err(LoopEnded))
        );
    }
}
