//! Connections of HTTP, which are idle between requests.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    pin, select,
    time::{Instant, sleep_until, timeout},
};

use super::{END_TIMEOUT, IDLE_GRACE, Place};

/// What a connection is doing.
pub(crate) struct Activity(Mutex<State>);

struct State {
    /// How many requests are being answered.
    answering: usize,
    /// When the last of them was answered, or the connection began.
    since: Instant,
}

/// A request that is being answered, until dropped.
pub(crate) struct Answering(Arc<Activity>);

/// Drives a connection to its end; ends it where it is idle for too long or another connection needs its place. Tells why the
/// protocol failed, where it did.
///
/// A client that does not take its answers is idle too; it has `write_timeout` to take the last ones.
pub(crate) async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    activity: &Activity,
    place: &Place,
    idle_timeout: Duration,
    write_timeout: Duration,
) -> hyper::Result<()> {
    pin!(connection);
    let end_timeout = loop {
        let now = Instant::now();
        let idle_since = activity.idle_since();
        let is_idle = idle_since.is_some_and(|since| now >= since + IDLE_GRACE);
        let next = match idle_since {
            Some(since) if now >= since + idle_timeout => break write_timeout,
            Some(since) if is_idle => since + idle_timeout,
            Some(since) => (since + IDLE_GRACE).min(since + idle_timeout),
            None => now + IDLE_GRACE,
        };
        let idle = is_idle.then(|| place.idle());
        select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = place.wanted(), if idle.is_some() => break END_TIMEOUT.min(write_timeout),
            () = sleep_until(next) => {}
        }
    };
    end(connection.as_mut());
    // A client that reads nothing is left.
    timeout(end_timeout, connection).await.unwrap_or(Ok(()))
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            answering: 0,
            since: Instant::now(),
        }))
    }

    /// A request has come in.
    pub(crate) fn begin(activity: &Arc<Self>) -> Answering {
        activity.state().answering += 1;
        Answering(Arc::clone(activity))
    }

    /// Since when no request is being answered; `None` where one is. A client that does not take its answers is idle too.
    fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.answering == 0).then_some(state.since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.answering -= 1;
        state.since = Instant::now();
    }
}
