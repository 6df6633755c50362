use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};

use crate::metrics::{Crowding, write::counter};

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
    /// Which connections make room.
    pub crowding: Arc<Crowding>,
}

impl UiMetrics {
    pub(super) fn count(&self, page: Page, code: StatusCode) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((page, code.as_u16())).or_default() += 1;
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
