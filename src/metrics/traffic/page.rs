use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::{
    Labels, Protocol, Traffic,
    tally::{DURATION_BUCKETS, FIRST_DURATION, OTHER_RCODE, OTHER_TYPE, SIZE_BUCKETS, Sum, TYPES},
};
use crate::{dns::Rcode, metrics::write};

type ByZone = BTreeMap<(Arc<str>, Arc<str>), Sum>;
type ByProtocol = BTreeMap<(Arc<str>, Arc<str>, Protocol), Sum>;

/// Series that have counted nothing are left out; numbers without labels are always there.
impl Collector for Traffic {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.sums(Labels::clone);
        let by_zone = self.sums(|labels| (labels.server.clone(), labels.zone.clone()));
        let by_protocol = self.sums(|labels| {
            let (server, zone) = (labels.server.clone(), labels.zone.clone());
            (server, zone, labels.protocol)
        });
        requests(&mut encoder, &all)?;
        responses(&mut encoder, &by_zone)?;
        durations(&mut encoder, &by_zone)?;
        sizes(
            &mut encoder,
            "dns_request_size_bytes",
            "Size of queries",
            &by_protocol,
            |sum| (&sum.request_sizes, sum.request_bytes),
        )?;
        sizes(
            &mut encoder,
            "dns_response_size_bytes",
            "Size of answers",
            &by_protocol,
            |sum| (&sum.response_sizes, sum.response_bytes),
        )?;
        per_zone(
            &mut encoder,
            "dns_do_requests",
            "Queries with the DO bit",
            &by_zone,
            |sum| sum.dnssec_ok,
        )?;
        per_zone(
            &mut encoder,
            "dns_truncated_responses",
            "Answers whose records were left out because they did not fit",
            &by_zone,
            |sum| sum.truncated,
        )?;
        self.encode_single_numbers(&mut encoder)
    }
}

impl Traffic {
    /// The tallies summed by what `key` keeps of their labels.
    fn sums<K: Ord>(&self, key: impl Fn(&Labels) -> K) -> BTreeMap<K, Sum> {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: BTreeMap<K, Sum> = BTreeMap::new();
        for (labels, tally) in &*tallies {
            sums.entry(key(labels)).or_default().add(tally);
        }
        sums.retain(|_, sum| sum.requests() > 0);
        sums
    }

    fn encode_single_numbers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counters = [
            (
                "panics",
                "Panics that were caught while a query was answered",
                &self.panics,
            ),
            (
                "dns_ignored_messages",
                "Messages without reply: too short, or themselves responses",
                &self.ignored,
            ),
            (
                "dns_unsent_responses",
                "UDP answers that the operating system did not take",
                &self.unsent,
            ),
            (
                "dns_rate_limit_dropped",
                "Answers over UDP that were not sent because of rateLimit",
                &self.withheld,
            ),
            (
                "dns_rate_limit_truncated",
                "Answers over UDP that say because of rateLimit to ask over TCP",
                &self.slipped,
            ),
            (
                "dns_invalid_cookies",
                "Queries with a server cookie that is none of ours, or too old",
                &self.invalid_cookies,
            ),
            (
                "tcp_connections_accepted",
                "Connections served: TCP, TLS, HTTPS and QUIC",
                &self.connections_accepted,
            ),
            (
                "tcp_connections_refused",
                "Connections closed at once because a limit was reached",
                &self.connections_refused,
            ),
        ];
        for (name, help, counter) in counters {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&counter.load(Relaxed), None)?;
        }
        write::counter(
            encoder,
            "tcp_connections_displaced",
            "Connections closed in favour of others because a limit was reached",
            self.crowding.displaced(),
        )?;
        write::counter(
            encoder,
            "tcp_unbuffered",
            "Messages and answers that were dropped because too much was buffered",
            self.crowding.unbuffered(),
        )?;
        write::gauge(
            encoder,
            "tcp_buffered_bytes",
            "Bytes of messages that are incomplete, and of answers that wait for clients to read them",
            self.crowding.buffered_bytes(),
        )?;
        encoder
            .encode_descriptor(
                "tcp_connections_open",
                "Connections open at present",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&self.connections_open.load(Relaxed))
    }
}

fn requests(encoder: &mut DescriptorEncoder<'_>, all: &BTreeMap<Labels, Sum>) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "dns_requests",
        "Queries received",
        None,
        MetricType::Counter,
    )?;
    let names = TYPES.iter().map(|&(_, name)| name).chain([OTHER_TYPE]);
    for (labels, sum) in all {
        for (name, &count) in names
            .clone()
            .zip(&sum.types)
            .filter(|(_, count)| **count > 0)
        {
            let set = [
                ("server", &*labels.server),
                ("zone", &*labels.zone),
                ("view", ""),
                ("proto", labels.protocol.as_str()),
                ("family", labels.family),
                ("type", name),
            ];
            family
                .encode_family(&set)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    Ok(())
}

fn responses(encoder: &mut DescriptorEncoder<'_>, by_zone: &ByZone) -> fmt::Result {
    let mut family =
        encoder.encode_descriptor("dns_responses", "Answers sent", None, MetricType::Counter)?;
    let names = Rcode::ALL
        .map(Rcode::as_str)
        .into_iter()
        .chain([OTHER_RCODE]);
    for ((server, zone), sum) in by_zone {
        for (rcode, &count) in names
            .clone()
            .zip(&sum.rcodes)
            .filter(|(_, count)| **count > 0)
        {
            let set = [
                ("server", &**server),
                ("zone", &**zone),
                ("view", ""),
                ("rcode", rcode),
                ("plugin", ""),
            ];
            family
                .encode_family(&set)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, by_zone: &ByZone) -> fmt::Result {
    let bounds = (0..DURATION_BUCKETS).map(|bucket| (FIRST_DURATION * (1 << bucket)).as_secs_f64());
    let mut family = encoder.encode_descriptor(
        "dns_request_duration_seconds",
        "Time from reading a query, with others that came together, to sending the answers",
        None,
        MetricType::Histogram,
    )?;
    for ((server, zone), sum) in by_zone {
        let set = [("server", &**server), ("zone", &**zone), ("view", "")];
        let total = Duration::from_nanos(sum.duration_nanos).as_secs_f64();
        histogram(
            family.encode_family(&set)?,
            total,
            bounds.clone(),
            &sum.durations,
        )?;
    }
    Ok(())
}

fn sizes(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    by_protocol: &ByProtocol,
    of: fn(&Sum) -> (&[u64], u64),
) -> fmt::Result {
    let bounds = SIZE_BUCKETS.iter().map(|&bound| as_f64(bound as u64));
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for ((server, zone, protocol), sum) in by_protocol {
        let set = [
            ("server", &**server),
            ("zone", &**zone),
            ("view", ""),
            ("proto", protocol.as_str()),
        ];
        let (counts, total) = of(sum);
        histogram(
            family.encode_family(&set)?,
            as_f64(total),
            bounds.clone(),
            counts,
        )?;
    }
    Ok(())
}

fn per_zone(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    by_zone: &ByZone,
    of: fn(&Sum) -> u64,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for ((server, zone), sum) in by_zone {
        let set = [("server", &**server), ("zone", &**zone), ("view", "")];
        family
            .encode_family(&set)?
            .encode_counter::<NoLabelSet, _, u64>(&of(sum), None)?;
    }
    Ok(())
}

fn histogram(
    mut encoder: MetricEncoder<'_>,
    total: f64,
    bounds: impl Iterator<Item = f64>,
    counts: &[u64],
) -> fmt::Result {
    let buckets: Vec<_> = bounds
        .chain([f64::INFINITY])
        .zip(counts.iter().copied())
        .collect();
    encoder.encode_histogram::<NoLabelSet>(total, counts.iter().sum(), &buckets, None)
}

/// Prometheus has no integers; above 2^53 a sum of bytes is rounded.
#[expect(clippy::cast_precision_loss)]
fn as_f64(number: u64) -> f64 {
    number as f64
}
