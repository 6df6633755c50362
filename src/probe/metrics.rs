//! What `/metrics` shows of checks.

use std::{fmt, sync::atomic::Ordering::Relaxed};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::prober::SharedBoard;
use crate::{
    health::{Figures, Ruling, Standings},
    metrics::write::{counter, gauge, gauges},
    pipeline::CheckedEndpoint,
};

impl SharedBoard {
    /// `last_ones` is how many targets answer only because a host has nobody else.
    pub(super) fn encode(&self, page: &mut DescriptorEncoder<'_>, last_ones: usize) -> fmt::Result {
        let (figures, standings) =
            self.read(|board, _| (board.figures().clone(), board.standings()));
        encode_standings(page, &standings, last_ones)?;
        encode_figures(page, &figures)?;
        encode_probes(page, &figures)?;
        gauge(
            page,
            "health_state_file_timestamp_seconds",
            "When the file of verdicts was last written, 0 where it never was",
            self.0.saved.load(Relaxed),
        )?;
        gauge(
            page,
            "health_stopped",
            "1 where a bug has ended the probes: verdicts stand until a restart",
            u64::from(self.0.is_broken.load(Relaxed)),
        )
    }

    /// One gauge for each of `endpoints`.
    pub(super) fn encode_endpoints(
        &self,
        page: &mut DescriptorEncoder<'_>,
        endpoints: &[CheckedEndpoint],
    ) -> fmt::Result {
        let are_in: Vec<Option<bool>> = self.read(|board, now| {
            let views = endpoints
                .iter()
                .map(|endpoint| board.view(endpoint.id, now));
            views
                .map(|view| Some(!matches!(view?.ruling, Ruling::Out(_))))
                .collect()
        });
        let mut family = page.encode_descriptor(
            "health_endpoint_up",
            "1 where its check leaves an endpoint in, 0 where it takes it out; where perEndpointMetrics asks for it, the first 10,000",
            None,
            MetricType::Gauge,
        )?;
        for (endpoint, is_in) in endpoints.iter().zip(are_in) {
            let (Some(is_in), key) = (is_in, &endpoint.key) else {
                continue;
            };
            let address = endpoint.target.address.to_string();
            let labels = [
                ("kind", key.kind.as_str()),
                ("namespace", &*key.namespace),
                ("name", &*key.name),
                ("address", &*address),
            ];
            ConstGauge::new(u64::from(is_in)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn encode_standings(
    page: &mut DescriptorEncoder<'_>,
    standings: &Standings,
    last_ones: usize,
) -> fmt::Result {
    gauges(
        page,
        "health_targets",
        "Addresses that are probed, each with its probe, by what is held of them",
        "verdict",
        [
            ("passing", standings.passing),
            ("failing", standings.failing),
            ("pending", standings.pending),
        ],
    )?;
    gauges(
        page,
        "health_held_endpoints",
        "Targets whose endpoints fail their check and are in: because too many fail at once, because it never passed for anyone, or because a host has nobody else",
        "why",
        [
            ("frozen", standings.held_frozen),
            ("unproven", standings.held_unproven),
            ("last", last_ones),
        ],
    )?;
    gauge(
        page,
        "health_checks_unproven",
        "Checks that fail and never passed for anyone: they take nobody out",
        standings.unproven_checks,
    )?;
    gauge(
        page,
        "health_frozen",
        "1 while too many checks fail at once, so that nobody is taken out",
        usize::from(standings.frozen_since.is_some()),
    )?;
    gauge(
        page,
        "health_frozen_timestamp_seconds",
        "Since when that is so, 0 where it is not",
        standings.frozen_since.unwrap_or(0),
    )
}

fn encode_figures(page: &mut DescriptorEncoder<'_>, figures: &Figures) -> fmt::Result {
    gauge(
        page,
        "health_in_flight",
        "Probes that are under way",
        figures.in_flight,
    )?;
    counter(
        page,
        "health_late",
        "Probes that began later than a tenth of their period because too many were due",
        figures.late,
    )?;
    let to = [("passing", figures.rises), ("failing", figures.falls)];
    counters(
        page,
        "health_transitions",
        "How often a target began to pass, or to fail",
        to.into_iter().map(|(to, count)| ([("to", to)], count)),
    )?;
    let reasons = Figures::REASONS.iter().zip(figures.failures);
    counters(
        page,
        "health_probe_failures",
        "Probes that failed, by reason",
        reasons.map(|(reason, count)| ([("reason", *reason)], count)),
    )
}

fn encode_probes(page: &mut DescriptorEncoder<'_>, figures: &Figures) -> fmt::Result {
    let methods = Figures::METHODS.iter().zip(figures.probes);
    let probes = methods.flat_map(|(method, counts)| {
        let results = ["pass", "fail", "nothing"].into_iter().zip(counts);
        results.map(|(result, count)| ([("method", *method), ("result", result)], count))
    });
    counters(
        page,
        "health_probes",
        "Probes that are over, by what came of them",
        probes,
    )?;
    let mut family = page.encode_descriptor(
        "health_probe_duration_seconds",
        "How long probes took that passed",
        None,
        MetricType::Histogram,
    )?;
    let bounds = Figures::DURATIONS.map(|bound| bound.as_secs_f64());
    for (number, method) in Figures::METHODS.iter().enumerate() {
        let counts = figures.durations[number];
        let buckets = bounds.into_iter().chain([f64::INFINITY]).zip(counts);
        let buckets: Vec<_> = buckets.collect();
        family
            .encode_family(&[("method", *method)])?
            .encode_histogram::<NoLabelSet>(
                figures.duration_sums[number].as_secs_f64(),
                counts.iter().sum(),
                &buckets,
                None,
            )?;
    }
    Ok(())
}

fn counters<'v, const N: usize>(
    page: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'v str, &'v str); N], u64)>,
) -> fmt::Result {
    let mut family = page.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        family
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    Ok(())
}
