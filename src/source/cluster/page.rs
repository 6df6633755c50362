//! Shows on the metrics page how clusters are followed.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    figures::{Figures, Reading},
    trouble::Reason,
};
use crate::diagnostic::Kind;

/// What is counted of each cluster and kind.
#[derive(Debug)]
pub struct Page(pub(super) Arc<[Arc<Figures>]>);

type Readings<'p> = BTreeMap<(&'p str, Kind), Reading>;

impl Collector for Page {
    fn encode(&self, mut page: DescriptorEncoder) -> fmt::Result {
        let page = &mut page;
        // Namespaces that are followed one by one are shown together.
        let mut readings = Readings::new();
        for figures in &*self.0 {
            let read = figures.read();
            readings
                .entry((figures.cluster.name(), figures.kind))
                .and_modify(|sum| *sum = sum.and(read))
                .or_insert(read);
        }
        gauges(
            page,
            "cluster_objects",
            "Objects of a cluster, as its API server told them; those that can't be used too.",
            &readings,
            |read| read.objects,
        )?;
        gauges(
            page,
            "cluster_synced",
            "1 where all objects are known and changes are followed, else 0.",
            &readings,
            |read| u64::from(read.synced),
        )?;
        gauges(
            page,
            "cluster_silence_seconds",
            "How long ago the API server last told something: an object, or a bookmark, which comes twice a minute.",
            &readings,
            |read| read.silent.as_secs_f64(),
        )?;
        counters(
            page,
            "cluster_events",
            "Objects that an API server told, in lists and watches.",
            &readings,
            |read| read.events,
        )?;
        counters(
            page,
            "cluster_relists",
            "Times that all objects were listed again, where changes could not be followed.",
            &readings,
            |read| read.relists,
        )?;
        errors(page, &readings)
    }
}

fn gauges<N>(
    page: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    readings: &Readings<'_>,
    value: impl Fn(&Reading) -> N,
) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    let mut family = page.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for ((cluster, kind), read) in readings {
        let labels = [("cluster", *cluster), ("kind", kind.as_str())];
        ConstGauge::new(value(read)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counters(
    page: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    readings: &Readings<'_>,
    value: impl Fn(&Reading) -> u64,
) -> fmt::Result {
    let mut family = page.encode_descriptor(name, help, None, MetricType::Counter)?;
    for ((cluster, kind), read) in readings {
        let labels = [("cluster", *cluster), ("kind", kind.as_str())];
        ConstCounter::new(value(read)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn errors(page: &mut DescriptorEncoder<'_>, readings: &Readings<'_>) -> fmt::Result {
    let mut family = page.encode_descriptor(
        "cluster_watch_errors",
        "Times that a list or a watch failed, by reason.",
        None,
        MetricType::Counter,
    )?;
    for ((cluster, kind), read) in readings {
        for (reason, errors) in Reason::ALL.into_iter().zip(read.errors) {
            let labels = [
                ("cluster", *cluster),
                ("kind", kind.as_str()),
                ("reason", reason.as_str()),
            ];
            ConstCounter::new(errors).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
