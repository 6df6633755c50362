//! Threads and tasks that have to start, and to last as long as the process.
//!
//! A machine that has no thread to give may have one in a moment. Only a bug ends one early, and only a restart brings it back:
//! [`ended()`] says which are gone, for `/health` and for systemd's watchdog.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often a thread is tried again.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a thread is waited for without which the process is of no use.
const PATIENCE: Duration = Duration::from_mins(1);

/// What has ended in this process.
static ENDED: Ended = Ended(Mutex::new(BTreeSet::new()));

/// The names of those that have ended early, ascending.
pub(crate) fn ended() -> Vec<String> {
    ENDED.names()
}

/// Does `work`: where it panics, `name` has ended early.
pub(crate) async fn watched(name: String, work: impl Future<Output = ()>) {
    ENDED.watch_task(name, work).await;
}

/// Does `work`, which lasts as long as the task that it is done in: where it panics or returns, `name` has ended early; not
/// where the task is ended from outside.
pub(crate) async fn lasting(name: String, work: impl Future<Output = ()>) {
    ENDED.watch_lasting_task(name, work).await;
}

/// Starts a thread, within a minute. Where it panics, it has ended early.
///
/// # Errors
///
/// What the operating system says where it has none to give.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let deadline = Instant::now() + PATIENCE;
    let watched = ENDED.watch_thread(name.to_owned(), work);
    start_while(name, watched, |_| Instant::now() < deadline)
}

/// Starts a thread, at once or not at all. Where it panics, it has ended early.
///
/// # Errors
///
/// What the operating system says where it has none to give.
pub(crate) fn start_once<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let watched = ENDED.watch_thread(name.to_owned(), work);
    start_while(name, watched, |_| false)
}

/// Starts a thread that others do without; tries again for as long as `goes_on` says so of the failure.
///
/// # Errors
///
/// The last failure.
pub(crate) fn start_while<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
    mut goes_on: impl FnMut(&io::Error) -> bool,
) -> io::Result<JoinHandle<T>> {
    // A thread that can't start takes what it was to do with it.
    let work = Arc::new(Mutex::new(Some(work)));
    loop {
        let next = Arc::clone(&work);
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let work = next.lock().unwrap_or_else(PoisonError::into_inner).take();
            work.expect("one thread starts")()
        });
        match started {
            Err(error) if goes_on(&error) => thread::sleep(INTERVAL),
            started => return started,
        }
    }
}

/// The names of what has ended early.
#[derive(Debug)]
struct Ended(Mutex<BTreeSet<String>>);

impl Ended {
    fn names(&self) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().cloned().collect()
    }

    fn add(&self, name: &str) {
        tracing::error!("{name} has ended: restart meshdns");
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned());
    }

    fn watch_thread<T>(&self, name: String, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        move || {
            let _guard = Guard { name, ended: self };
            work()
        }
    }

    async fn watch_task(&self, name: String, work: impl Future<Output = ()>) {
        let _guard = Guard { name, ended: self };
        work.await;
    }

    async fn watch_lasting_task(&self, name: String, work: impl Future<Output = ()>) {
        self.watch_task(name.clone(), work).await;
        self.add(&name);
    }
}

/// Notes that `name` has ended where it is dropped by a panic.
struct Guard<'e> {
    name: String,
    ended: &'e Ended,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.ended.add(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use tokio::{runtime, task::JoinSet};

    use super::*;

    fn bug() {
        panic!("as a bug would");
    }

    #[test]
    fn a_thread_that_panics_has_ended_and_one_that_is_done_has_not() {
        static ENDED: Ended = Ended(Mutex::new(BTreeSet::new()));
        let done = thread::spawn(ENDED.watch_thread("done".to_owned(), || 7));
        assert_eq!(done.join().expect("it is done"), 7);
        assert_eq!(ENDED.names(), Vec::<String>::new());
        for name in ["udp-1", "udp-0", "udp-1"] {
            let thread = thread::spawn(ENDED.watch_thread(name.to_owned(), bug));
            assert!(thread.join().is_err());
        }
        assert_eq!(ENDED.names(), ["udp-0", "udp-1"]);
    }

    #[test]
    fn a_task_has_ended_where_it_panics_or_returns_too_early_and_not_where_it_is_stopped() {
        static ENDED: Ended = Ended(Mutex::new(BTreeSet::new()));
        let runtime = runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            let mut tasks = JoinSet::new();
            let name = str::to_owned;
            tasks.spawn(ENDED.watch_lasting_task(name("stopped"), future::pending()));
            tasks.spawn(ENDED.watch_lasting_task(name("returned"), future::ready(())));
            tasks.spawn(ENDED.watch_task(name("done"), future::ready(())));
            tasks.spawn(ENDED.watch_task(name("panicked"), async {
                tokio::task::yield_now().await;
                bug();
            }));
            for _ in 0..3 {
                let _ = tasks.join_next().await.expect("three of them end");
            }
            tasks.shutdown().await;
        });
        assert_eq!(ENDED.names(), ["panicked", "returned"]);
    }
}
