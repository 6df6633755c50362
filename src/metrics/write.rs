//! Writes single values as metrics.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric},
    metrics::{MetricType, TypedMetric, counter::ConstCounter, gauge::ConstGauge},
};

/// Writes a counter; the page adds `_total` to its name.
pub(crate) fn counter<N>(
    page: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: N,
) -> fmt::Result
where
    N: Copy + EncodeCounterValue,
    ConstCounter<N>: EncodeMetric,
{
    let metric = page.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

/// Writes a gauge.
pub(crate) fn gauge<N>(
    page: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: N,
) -> fmt::Result
where
    N: Copy + EncodeGaugeValue,
    ConstGauge<N>: EncodeMetric,
{
    let metric = page.encode_descriptor(name, help, None, ConstGauge::<N>::TYPE)?;
    ConstGauge::new(value).encode(metric)
}

/// Writes one gauge for each value of the label `label`.
pub(crate) fn gauges<'v>(
    page: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'v str, usize)>,
) -> fmt::Result {
    let mut family = page.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (text, value) in values {
        let labels = [(label, text)];
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// A time as metrics have it; 0 for none.
pub(super) fn seconds_since_1970(time: Option<SystemTime>) -> f64 {
    time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .as_ref()
        .map_or(0.0, Duration::as_secs_f64)
}
