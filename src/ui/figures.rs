use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};
use tokio::sync::Semaphore;

use super::events::MOST_STREAMS;
use crate::metrics::{
    Crowding,
    write::{counter, gauge},
};

/// What was asked for, in a few words: what a client wrote is none of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Page {
    Overview,
    Hosts,
    Host,
    Changes,
    Migration,
    Problems,
    Forwarding,
    Events,
    About,
    Health,
    Asset,
    Other,
}

impl Page {
    fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Hosts => "hosts",
            Self::Host => "host",
            Self::Changes => "changes",
            Self::Migration => "migration",
            Self::Problems => "problems",
            Self::Forwarding => "forwarding",
            Self::Events => "events",
            Self::About => "about",
            Self::Health => "health",
            Self::Asset => "asset",
            Self::Other => "other",
        }
    }
}

/// What `/metrics` shows of the status pages.
#[derive(Debug, Default)]
pub struct UiMetrics {
    requests: Mutex<BTreeMap<(Page, u16), u64>>,
    refused_streams: AtomicU64,
    /// The places of streams of events.
    streams: OnceLock<Arc<Semaphore>>,
    /// Which connections make room.
    pub crowding: Arc<Crowding>,
}

impl UiMetrics {
    pub(super) fn count(&self, page: Page, code: StatusCode) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((page, code.as_u16())).or_default() += 1;
    }

    pub(super) fn count_refused_stream(&self) {
        self.refused_streams.fetch_add(1, Relaxed);
    }

    /// Where the places of streams are counted.
    pub(super) fn streams(&self) -> &Arc<Semaphore> {
        self.streams
            .get_or_init(|| Arc::new(Semaphore::new(MOST_STREAMS)))
    }
}

impl Collector for UiMetrics {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        counter(
            &mut page,
            "ui_connections_displaced",
            "Connections to the status pages that were closed in favour of others because the limit was reached.",
            self.crowding.displaced(),
        )?;
        gauge(
            &mut page,
            "ui_streams",
            "Streams of events that are open.",
            (MOST_STREAMS - self.streams().available_permits()) as u64,
        )?;
        counter(
            &mut page,
            "ui_streams_refused",
            "Streams of events that were refused because too many were open.",
            self.refused_streams.load(Relaxed),
        )?;
        let requests = {
            let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.clone()
        };
        let mut family = page.encode_descriptor(
            "ui_requests",
            "Requests to the status pages and their API.",
            None,
            MetricType::Counter,
        )?;
        for ((page, code), count) in requests {
            let labels = [
                ("page", page.as_str().to_owned()),
                ("code", code.to_string()),
            ];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
