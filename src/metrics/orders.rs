//! What persons say of endpoints.

use std::{fmt, time::SystemTime};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::write::{gauge, gauges, seconds_since_1970};
use crate::{manifest::OrderedState, status::OrdersStatus};

/// How many drained endpoints are shown one by one.
const MAX_DRAINS: usize = 1000;

pub(super) fn encode(page: &mut DescriptorEncoder<'_>, orders: &OrdersStatus) -> fmt::Result {
    let states = [OrderedState::Up, OrderedState::Down, OrderedState::Drain];
    gauges(
        page,
        "health_overrides",
        "Endpoints whose state a person says, by annotation or in the override file.",
        "state",
        states.map(|state| {
            let count = orders.counts.get(state.as_str()).copied();
            (state.as_str(), count.unwrap_or_default())
        }),
    )?;
    gauge(
        page,
        "health_overrides_failed",
        "1 where the override file can't be used at present and what it said before goes on, else 0.",
        u32::from(orders.has_failed),
    )?;
    let mut family = page.encode_descriptor(
        "health_drain_safe_timestamp_seconds",
        "When a drained endpoint may be stopped: resolvers have forgotten it by then, and programs too. The first 1000.",
        None,
        MetricType::Gauge,
    )?;
    for drain in orders.drains.values().take(MAX_DRAINS) {
        let address = drain.address.map(|address| address.to_string());
        let labels = [
            ("namespace", &*drain.namespace),
            ("name", &*drain.name),
            ("address", address.as_deref().unwrap_or_default()),
        ];
        let safe: SystemTime = drain.safe;
        ConstGauge::new(seconds_since_1970(Some(safe))).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
