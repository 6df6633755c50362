//! What `/metrics` shows of endpoints that are names.

use std::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::{Ended, table::Table};
use crate::metrics::write::{counter, gauge};

/// What is counted of names.
#[derive(Debug, Default)]
pub struct Figures {
    names: AtomicUsize,
    waiting: AtomicUsize,
    failing: AtomicUsize,
    /// In milliseconds since 1970.
    oldest: AtomicU64,
    lookups: AtomicU64,
    failures: AtomicU64,
}

impl Figures {
    pub(super) fn show(&self, table: &Table) {
        self.names.store(table.len(), Relaxed);
        self.waiting.store(table.waiting(), Relaxed);
        self.failing.store(table.failing(), Relaxed);
        let oldest = table
            .oldest()
            .and_then(|oldest| oldest.duration_since(SystemTime::UNIX_EPOCH).ok());
        let millis = oldest.map_or(0, |oldest| oldest.as_millis());
        self.oldest
            .store(u64::try_from(millis).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn count(&self, ended: &Ended) {
        self.lookups.fetch_add(1, Relaxed);
        if ended.found.is_err() {
            self.failures.fetch_add(1, Relaxed);
        }
    }
}

/// The counts on the metrics page.
#[derive(Debug)]
pub struct ResolveMetrics(pub std::sync::Arc<Figures>);

impl Collector for ResolveMetrics {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut page;
        let figures = &self.0;
        for (name, help, value) in [
            (
                "endpoint_names",
                "Names of endpoints that are looked up through upstreams",
                &figures.names,
            ),
            (
                "endpoint_names_waiting",
                "Names of endpoints that are not looked up because there are too many",
                &figures.waiting,
            ),
            (
                "endpoint_names_failing",
                "Names of endpoints whose last lookup failed: what was known before stays in service",
                &figures.failing,
            ),
        ] {
            gauge(page, name, help, value.load(Relaxed))?;
        }
        let oldest = Duration::from_millis(figures.oldest.load(Relaxed));
        gauge(
            page,
            "endpoint_names_oldest_timestamp_seconds",
            "When the failing name that has been so for the longest was last looked up, 0 where none fails",
            oldest.as_secs_f64(),
        )?;
        counter(
            page,
            "endpoint_name_lookups",
            "Lookups of names of endpoints, each for one type of address",
            figures.lookups.load(Relaxed),
        )?;
        counter(
            page,
            "endpoint_name_failures",
            "Lookups of these that failed",
            figures.failures.load(Relaxed),
        )
    }
}
