//! The metrics page.
//!
//! Owns what `/metrics` shows: build, process, reloads and, from `traffic`, queries. All numbers are read when the page is
//! asked for, so that a reload or a query pays nothing for the page. `docs/metrics.md` lists every
//! metric.
//!
//! Never listens: `http` does.

mod crowding;
mod log;
mod orders;
mod process;
mod reload;
mod shares;
mod text;
mod traffic;
pub(crate) mod write;

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::{collector::Collector, registry::Registry};

pub use crowding::Crowding;
pub use log::LogLines;
pub use reload::ConfigReloads;
pub use traffic::{Answered, Exchange, Protocol, Recorder, Traffic};

use crate::{status::Status, zone::Snapshot};

/// All metrics of this process.
#[derive(Debug)]
pub struct MetricsPage {
    registry: Registry,
}

impl MetricsPage {
    /// A page over the newest status and snapshot, the reloads of the configuration file, and the metrics of queries.
    pub fn new(
        status: Arc<ArcSwap<Status>>,
        snapshots: Arc<ArcSwap<Snapshot>>,
        configuration: Arc<ConfigReloads>,
        queries: Vec<Box<dyn Collector>>,
    ) -> Self {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("meshdns");
        ours.register_collector(Box::new(process::Build));
        ours.register_collector(Box::new(reload::Reloads {
            status,
            snapshots,
            configuration,
        }));
        for collector in queries {
            ours.register_collector(collector);
        }
        registry.register_collector(Box::new(process::Process));
        Self { registry }
    }

    /// The page as [OpenMetrics 1.0](https://prometheus.io/docs/specs/om/open_metrics_spec/) writes it.
    pub fn open_metrics(&self) -> String {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry)
            .expect("writing to a string can't fail");
        page
    }

    /// The page in
    /// [Prometheus's text format](https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
    pub fn prometheus(&self) -> String {
        text::from_open_metrics(&self.open_metrics())
    }
}
