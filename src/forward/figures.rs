//! What is counted of forwarding.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tracing::error;

use crate::{dns::Name, wire::Age};

/// How often a loop is told in the log.
const LOOP_INTERVAL: Duration = Duration::from_mins(1);

/// What is counted of all queries for names that are not ours.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) hits: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) renewals: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) loops: Loops,
}

/// Questions that came back to the one who asked them.
#[derive(Debug, Default)]
pub(super) struct Loops {
    pub(super) found: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Figures {
    /// Counts an answer from the cache.
    pub(super) fn hit(&self, age: Age) {
        self.hits.fetch_add(1, Relaxed);
        if age == Age::Stale {
            self.stale.fetch_add(1, Relaxed);
        }
    }
}

impl Loops {
    /// Counts one, and says so in the log where that has not been said lately.
    pub(super) fn found(&self, name: &[u8]) {
        self.found.fetch_add(1, Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < LOOP_INTERVAL) {
            return;
        }
        *told = Some(Instant::now());
        let name = Name::from_lowercase_wire(name);
        error!(
            %name,
            "a question to an upstream came back: an upstream forwards to this server; name another one with --upstream"
        );
    }
}
