//! What persons say of endpoints.

use std::{collections::BTreeMap, fmt, time::SystemTime};

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
    // Of several of one name, in clusters or of other kinds, the last one counts.
    let mut times = BTreeMap::<_, SystemTime>::new();
    for drain in orders.drains.values() {
        let safe = times.entry((&*drain.namespace, &*drain.name, drain.address));
        let safe = safe.or_insert(drain.safe);
        *safe = drain.safe.max(*safe);
    }
    for ((namespace, name, address), safe) in times.into_iter().take(MAX_DRAINS) {
        let address = address.map(|address| address.to_string());
        let labels = [
            ("namespace", namespace),
            ("name", name),
            ("address", address.as_deref().unwrap_or_default()),
        ];
        ConstGauge::new(seconds_since_1970(Some(safe))).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use prometheus_client::{collector::Collector, registry::Registry};

    use super::*;
    use crate::status::Drain;

    #[derive(Debug)]
    struct Page(OrdersStatus);

    impl Collector for Page {
        fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
            encode(&mut page, &self.0)
        }
    }

    #[test]
    fn drained_endpoints_of_one_name_are_one_series_with_the_latest_time() {
        let drain = |seconds| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            Drain {
                endpoint: String::new(),
                cluster: None,
                namespace: "shop".into(),
                name: "vm".into(),
                address: None,
                by: String::new(),
                since: time,
                forgotten: time,
                safe: time,
            }
        };
        let drains = [("Pod shop/vm", 7), ("WorkloadEntry shop/vm", 3)];
        let drains = drains.map(|(name, seconds)| (name.to_owned(), drain(seconds)));
        let orders = OrdersStatus {
            drains: drains.into(),
            ..OrdersStatus::default()
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Page(orders)));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
        let lines = page.lines().filter(|line| line.contains("name=\"vm\""));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "{page}");
        assert!(lines[0].ends_with(" 7.0"), "{page}");
    }
}
