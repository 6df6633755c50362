//! What `/metrics` shows of forwarding. Names follow CoreDNS's `cache` and `forward`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::{Forwarder, InForce, upstream::Upstream};
use crate::metrics::write;

/// One of the counters of an upstream.
type Figure = fn(&Upstream) -> &AtomicU64;

/// What `/metrics` shows of the forwarder in force.
#[derive(Debug)]
pub struct ForwardMetrics(pub Arc<InForce>);

impl Collector for ForwardMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match &*self.0.load() {
            Some(forwarder) => forwarder.encode(&mut encoder),
            None => Ok(()),
        }
    }
}

impl Forwarder {
    fn encode(&self, page: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let figures = &self.figures;
        for (name, help, value) in [
            (
                "cache_hits",
                "Queries answered from the cache",
                &figures.hits,
            ),
            (
                "cache_misses",
                "Queries for which an upstream had to be asked",
                &figures.misses,
            ),
            (
                "cache_served_stale",
                "Answers beyond their lifetime, given because no upstream had another one",
                &figures.stale,
            ),
            (
                "cache_prefetch",
                "Answers that were renewed before anyone had to wait for them",
                &figures.renewals,
            ),
            (
                "forward_max_waiting_rejects",
                "Queries that got SERVFAIL because too many were waiting for upstreams",
                &figures.rejected,
            ),
            (
                "forward_loops",
                "Questions to upstreams that came back to this server",
                &figures.loops.found,
            ),
        ] {
            write::counter(page, name, help, value.load(Relaxed))?;
        }
        let (entries, bytes) = (self.cache.len() as u64, self.cache.bytes());
        write::gauge(page, "cache_entries", "Answers in the cache", entries)?;
        write::gauge(page, "cache_size_bytes", "Memory that they take", bytes)?;
        self.encode_upstreams(page)
    }

    fn encode_upstreams(&self, page: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let upstreams = self.routes.upstreams();
        let names: Vec<_> = upstreams
            .iter()
            .map(|upstream| upstream.endpoint.to_string())
            .collect();
        let up = upstreams
            .iter()
            .map(|one| usize::from(!one.health().is_down()));
        write::gauges(
            page,
            "forward_upstream_up",
            "1 where the upstream answers, 0 where it does not at present",
            "to",
            names.iter().map(String::as_str).zip(up),
        )?;
        let counters: [(&str, &str, Figure); 3] = [
            (
                "forward_requests",
                "Questions sent to the upstream",
                |one| &one.figures.asked,
            ),
            (
                "forward_unanswered",
                "Questions to the upstream without a reply in time",
                |one| &one.figures.unanswered,
            ),
            (
                "forward_healthcheck_failures",
                "Tries without a reply of an upstream that is down",
                |one| &one.figures.failed_probes,
            ),
        ];
        for (name, help, figure) in counters {
            let mut family = page.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (upstream, to) in upstreams.iter().zip(&names) {
                family
                    .encode_family(&[("to", to.as_str())])?
                    .encode_counter::<NoLabelSet, _, u64>(&figure(upstream).load(Relaxed), None)?;
            }
        }
        let mut family = page.encode_descriptor(
            "forward_reply_seconds",
            "Time that the replies of the upstream took together",
            None,
            MetricType::Counter,
        )?;
        for (upstream, to) in upstreams.iter().zip(&names) {
            let nanos = upstream.figures.reply_nanos.load(Relaxed);
            family
                .encode_family(&[("to", to.as_str())])?
                .encode_counter::<NoLabelSet, _, u64>(
                    &Duration::from_nanos(nanos).as_secs_f64(),
                    None,
                )?;
        }
        Ok(())
    }
}
