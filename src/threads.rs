//! Threads that have to start: a machine that has none to give may have one in a moment.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often a thread is tried again.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a thread is waited for without which the process is of no use.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts a thread, within a minute.
///
/// # Errors
///
/// What the operating system says where it has none to give.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let deadline = Instant::now() + PATIENCE;
    start_while(name, work, |_| Instant::now() < deadline)
}

/// Starts a thread; tries again for as long as `goes_on` says so of the failure.
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
