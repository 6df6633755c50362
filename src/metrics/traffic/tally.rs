use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::Exchange;
use crate::dns::{Rcode, RecordType};

/// The types that CoreDNS tells apart; the rest is `other`.
pub(super) const TYPES: [(u16, &str); 18] = [
    (1, "A"),
    (28, "AAAA"),
    (5, "CNAME"),
    (48, "DNSKEY"),
    (43, "DS"),
    (65, "HTTPS"),
    (15, "MX"),
    (2, "NS"),
    (47, "NSEC"),
    (50, "NSEC3"),
    (12, "PTR"),
    (46, "RRSIG"),
    (6, "SOA"),
    (33, "SRV"),
    (16, "TXT"),
    (255, "ANY"),
    (252, "AXFR"),
    (251, "IXFR"),
];
pub(super) const OTHER_TYPE: &str = "other";

/// The label of a response code that has no name in [`Rcode`].
pub(super) const OTHER_RCODE: &str = "other";

/// Upper bounds of the buckets for message sizes, in bytes.
pub(super) const SIZE_BUCKETS: [usize; 14] = [
    0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000,
];

/// Upper bound of the first bucket for durations; each of the others is twice the one before.
pub(super) const FIRST_DURATION: Duration = Duration::from_micros(250);
pub(super) const DURATION_BUCKETS: usize = 16;

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    fn add(&self, more: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts of one worker for one zone. Aligned so that two workers never write the same pair of cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally {
    types: [Count; TYPES.len() + 1],
    rcodes: [Count; Rcode::ALL.len() + 1],
    dnssec_ok: Count,
    truncated: Count,
    request_sizes: [Count; SIZE_BUCKETS.len() + 1],
    request_bytes: Count,
    response_sizes: [Count; SIZE_BUCKETS.len() + 1],
    response_bytes: Count,
    durations: [Count; DURATION_BUCKETS + 1],
    duration_nanos: Count,
}

impl Tally {
    pub(super) fn count(&self, exchange: &Exchange<'_>) {
        self.types[type_index(exchange.record_type)].add(1);
        self.rcodes[rcode_index(exchange.rcode)].add(1);
        if exchange.dnssec_ok {
            self.dnssec_ok.add(1);
        }
        if exchange.truncated {
            self.truncated.add(1);
        }
        self.request_sizes[size_index(exchange.request_bytes)].add(1);
        self.request_bytes.add(exchange.request_bytes as u64);
        self.response_sizes[size_index(exchange.response_bytes)].add(1);
        self.response_bytes.add(exchange.response_bytes as u64);
    }

    pub(super) fn count_durations(&self, duration: Duration, exchanges: u64) {
        let bucket = (0..DURATION_BUCKETS)
            .find(|&bucket| duration <= FIRST_DURATION * (1 << bucket))
            .unwrap_or(DURATION_BUCKETS);
        self.durations[bucket].add(exchanges);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.duration_nanos.add(nanos.saturating_mul(exchanges));
    }
}

fn type_index(record_type: Option<RecordType>) -> usize {
    record_type
        .and_then(|asked| TYPES.iter().position(|&(number, _)| number == asked.0))
        .unwrap_or(TYPES.len())
}

fn rcode_index(rcode: Option<Rcode>) -> usize {
    rcode
        .and_then(|rcode| Rcode::ALL.iter().position(|&held| held == rcode))
        .unwrap_or(Rcode::ALL.len())
}

fn size_index(bytes: usize) -> usize {
    SIZE_BUCKETS.partition_point(|&bound| bound < bytes)
}

/// The sum of several tallies, in plain numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) types: [u64; TYPES.len() + 1],
    pub(super) rcodes: [u64; Rcode::ALL.len() + 1],
    pub(super) dnssec_ok: u64,
    pub(super) truncated: u64,
    pub(super) request_sizes: [u64; SIZE_BUCKETS.len() + 1],
    pub(super) request_bytes: u64,
    pub(super) response_sizes: [u64; SIZE_BUCKETS.len() + 1],
    pub(super) response_bytes: u64,
    pub(super) durations: [u64; DURATION_BUCKETS + 1],
    pub(super) duration_nanos: u64,
}

impl Sum {
    pub(super) fn requests(&self) -> u64 {
        self.types.iter().sum()
    }

    /// How many got SERVFAIL.
    pub(super) fn failures(&self) -> u64 {
        self.rcodes[rcode_index(Some(Rcode::ServFail))]
    }

    pub(super) fn add(&mut self, tally: &Tally) {
        fn all(sums: &mut [u64], counts: &[Count]) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count.get();
            }
        }
        all(&mut self.types, &tally.types);
        all(&mut self.rcodes, &tally.rcodes);
        self.dnssec_ok += tally.dnssec_ok.get();
        self.truncated += tally.truncated.get();
        all(&mut self.request_sizes, &tally.request_sizes);
        self.request_bytes += tally.request_bytes.get();
        all(&mut self.response_sizes, &tally.response_sizes);
        self.response_bytes += tally.response_bytes.get();
        all(&mut self.durations, &tally.durations);
        self.duration_nanos += tally.duration_nanos.get();
    }
}
