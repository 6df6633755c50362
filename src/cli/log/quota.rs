//! No line is said too often, whoever causes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Event, Subscriber, callsite::Identifier};
use tracing_subscriber::{Layer, layer::Context};

use crate::metrics::LogLines;

/// How many times a line may be said in a row.
const BURST: u32 = 10;

/// How often it may be said from there on.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where lines are from that tell of the user's own files and orders, which have limits of their own.
const UNLIMITED: [&str; 4] = [
    "meshdns::control",
    "meshdns::source",
    "meshdns::resolve",
    "meshdns::cli::serve",
];

/// Leaves out what was said too often of late, each line of the code by itself, and counts it.
pub(super) struct Quota {
    lines: Mutex<HashMap<Identifier, Allowance>>,
    dropped: Arc<LogLines>,
}

/// How often a line may be said.
struct Allowance {
    left: u32,
    since: Instant,
}

impl Quota {
    pub(super) fn new(dropped: Arc<LogLines>) -> Self {
        Self {
            lines: Mutex::default(),
            dropped,
        }
    }
}

impl Allowance {
    fn full(now: Instant) -> Self {
        Self {
            left: BURST,
            since: now,
        }
    }

    /// Takes one, where there is one left.
    fn take(&mut self, now: Instant) -> bool {
        let intervals = now.duration_since(self.since).as_secs() / INTERVAL.as_secs();
        if let Ok(more @ 1..) = u32::try_from(intervals) {
            self.left = BURST.min(self.left.saturating_add(more));
            self.since = now;
        }
        let is_left = self.left > 0;
        self.left -= u32::from(is_left);
        is_left
    }
}

impl<S: Subscriber> Layer<S> for Quota {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_of = |module: &&str| metadata.target().starts_with(*module);
        if UNLIMITED.iter().any(is_of) {
            return true;
        }
        let now = Instant::now();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let allowance = lines.entry(metadata.callsite());
        let may_be_said = allowance.or_insert_with(|| Allowance::full(now)).take(now);
        if !may_be_said {
            self.dropped.count_repeated();
        }
        may_be_said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_be_said_a_few_times_and_then_once_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::full(start);
        let mut said = |at: u64| {
            let now = start + Duration::from_millis(at);
            (0..100).filter(|_| allowance.take(now)).count()
        };
        assert_eq!([0, 500, 1000, 1500, 4000].map(&mut said), [10, 0, 1, 0, 3]);
        assert_eq!(said(1_000_000), 10);
    }
}
