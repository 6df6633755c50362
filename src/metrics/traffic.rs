//! Counts queries and answers as they pass.
//!
//! Each worker counts through a [`Recorder`] of its own, into numbers that nobody else writes: a relaxed load and store
//! instead of a locked instruction, and no cache line that travels between cores. [`Traffic`] sums them when it is read.
//!
//! Names, labels and buckets are CoreDNS's ([`metrics.go`], [`monitor.go`]), without the prefix: a registry with the prefix
//! `meshdns` makes `meshdns_dns_requests_total` of `dns_requests`. The label `zone` is a declared zone, `.` for hosts
//! outside of those and for forwarded names, `dropped` for names that are not ours: never a name that a client chose.
//!
//! [`metrics.go`]: https://github.com/coredns/coredns/blob/master/plugin/metrics/vars/vars.go
//! [`monitor.go`]: https://github.com/coredns/coredns/blob/master/plugin/metrics/vars/monitor.go

mod page;
mod tally;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use self::tally::Tally;
use super::Crowding;
use crate::{
    dns::{Rcode, RecordType},
    zone::Snapshot,
};

/// Index of the tally for hosts outside of declared zones.
const NO_ZONE: usize = 0;
/// Index of the tally for names that are not ours and for messages that are no queries.
const DROPPED: usize = 1;

/// What passed through all sockets since the start of the process.
#[derive(Debug, Default)]
pub struct Traffic {
    tallies: Mutex<Vec<(Labels, Arc<Tally>)>>,
    panics: AtomicU64,
    ignored: AtomicU64,
    unsent: AtomicU64,
    withheld: AtomicU64,
    slipped: AtomicU64,
    invalid_cookies: AtomicU64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    connections_open: AtomicI64,
    crowding: Arc<Crowding>,
}

/// Questions that were answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Answered {
    /// All of them.
    pub questions: u64,
    /// Those that got SERVFAIL.
    pub failures: u64,
}

/// A transport, as the label `proto` names it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// DNS over UDP ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    Udp,
    /// DNS over TCP ([RFC 7766](https://www.rfc-editor.org/rfc/rfc7766)).
    Tcp,
    /// DNS over TLS ([RFC 7858](https://www.rfc-editor.org/rfc/rfc7858)).
    Tls,
    /// DNS over HTTPS ([RFC 8484](https://www.rfc-editor.org/rfc/rfc8484)).
    Https,
    /// DNS over QUIC ([RFC 9250](https://www.rfc-editor.org/rfc/rfc9250)).
    Quic,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }

    /// The scheme of an address that is served over it, in the label `server`.
    fn scheme(self) -> &'static str {
        match self {
            Self::Udp | Self::Tcp => "dns",
            encrypted => encrypted.as_str(),
        }
    }
}

/// The labels of one tally.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Labels {
    server: Arc<str>,
    zone: Arc<str>,
    protocol: Protocol,
    /// `1` for IPv4, `2` for IPv6, as CoreDNS and the IANA number them.
    family: &'static str,
}

/// One query and what was sent for it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'q> {
    /// The apex of the zone that the asked name is in; `None` where it is in none of ours or can't be read.
    pub apex: Option<&'q [u8]>,
    /// The asked type; `None` where it can't be read.
    pub record_type: Option<RecordType>,
    /// The response code; `None` for one that only an upstream sends.
    pub rcode: Option<Rcode>,
    /// Whether the client asked for DNSSEC records.
    pub dnssec_ok: bool,
    /// Whether records were left out because they did not fit.
    pub truncated: bool,
    /// The size of the query's message.
    pub request_bytes: usize,
    /// The size of the answer's message.
    pub response_bytes: usize,
}

impl Traffic {
    /// How many questions were answered, and how many of them with SERVFAIL.
    pub fn answered(&self) -> Answered {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = tally::Sum::default();
        for (_, tally) in &*tallies {
            sum.add(tally);
        }
        Answered {
            questions: sum.requests(),
            failures: sum.failures(),
        }
    }

    /// A recorder for one worker that serves `address`.
    pub fn recorder(self: &Arc<Self>, address: SocketAddr, protocol: Protocol) -> Recorder {
        let mut recorder = Recorder {
            traffic: Arc::clone(self),
            server: format!("{}://{address}", protocol.scheme()).into(),
            protocol,
            family: if address.is_ipv4() { "1" } else { "2" },
            generation: None,
            zones: HashMap::default(),
            tallies: Vec::new(),
            unfinished: Vec::new(),
        };
        for zone in [".", "dropped"] {
            recorder.add_tally(zone.into());
        }
        recorder
    }

    /// Counts a panic that was caught while a message was answered.
    pub fn count_panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    /// Counts a message that gets no reply: no header, or itself a response.
    pub fn count_ignored(&self) {
        self.ignored.fetch_add(1, Relaxed);
    }

    /// Counts answers that the operating system did not take.
    pub fn count_unsent(&self, answers: u64) {
        self.unsent.fetch_add(answers, Relaxed);
    }

    /// Counts an answer over UDP that was not sent because its client's network is over its limit.
    pub fn count_withheld(&self) {
        self.withheld.fetch_add(1, Relaxed);
    }

    /// Counts an answer that says for the same reason that the client is to ask over TCP.
    pub fn count_slipped(&self) {
        self.slipped.fetch_add(1, Relaxed);
    }

    /// Counts a query with a server's cookie that is none of ours, or too old.
    pub fn count_invalid_cookie(&self) {
        self.invalid_cookies.fetch_add(1, Relaxed);
    }

    /// Counts a connection that was accepted and is served.
    pub fn count_opened_connection(&self) {
        self.connections_accepted.fetch_add(1, Relaxed);
        self.connections_open.fetch_add(1, Relaxed);
    }

    /// Counts the end of a connection that was served.
    pub fn count_closed_connection(&self) {
        self.connections_open.fetch_sub(1, Relaxed);
    }

    /// Counts a connection that was closed at once because a limit was reached.
    pub fn count_refused_connection(&self) {
        self.connections_refused.fetch_add(1, Relaxed);
    }

    /// Counts where limits on connections are reached.
    pub fn crowding(&self) -> &Arc<Crowding> {
        &self.crowding
    }

    /// How many connections are served at present.
    pub fn open_connections(&self) -> i64 {
        self.connections_open.load(Relaxed)
    }
}

/// Counts for one worker.
#[derive(Debug)]
pub struct Recorder {
    traffic: Arc<Traffic>,
    server: Arc<str>,
    protocol: Protocol,
    family: &'static str,
    /// The generation of the snapshot whose declared zones are known.
    generation: Option<u64>,
    /// The declared zones in wire form, with the index of their tally.
    zones: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    tallies: Vec<(Arc<str>, Arc<Tally>)>,
    /// Which tallies count exchanges whose duration is not known yet, and how many.
    unfinished: Vec<(usize, u64)>,
}

impl Recorder {
    /// Learns the declared zones of `snapshot`. Call this before recording exchanges that `snapshot` answered.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        if self.generation == Some(snapshot.generation()) {
            return;
        }
        self.generation = Some(snapshot.generation());
        let declared = &snapshot.settings().zones;
        if declared.len() == self.zones.len()
            && declared
                .iter()
                .all(|zone| self.zones.contains_key(zone.as_wire()))
        {
            return;
        }
        self.zones.clear();
        for zone in declared {
            let label = zone.to_string();
            let held = self
                .tallies
                .iter()
                .skip(DROPPED + 1)
                .position(|(held, _)| **held == *label);
            let index = match held {
                Some(position) => DROPPED + 1 + position,
                None => self.add_tally(label.into()),
            };
            self.zones.insert(zone.as_wire().into(), index);
        }
    }

    /// Counts one exchange, without its duration.
    pub fn record(&mut self, exchange: &Exchange<'_>) {
        let index = match exchange.apex {
            None => DROPPED,
            Some(_) if self.zones.is_empty() => NO_ZONE,
            Some(apex) => self.zones.get(apex).copied().unwrap_or(NO_ZONE),
        };
        self.tallies[index].1.count(exchange);
        match self.unfinished.iter_mut().find(|(held, _)| *held == index) {
            Some((_, exchanges)) => *exchanges += 1,
            None => self.unfinished.push((index, 1)),
        }
    }

    /// Counts `duration` for every exchange recorded since the last call: the time from reading their queries to sending the
    /// last answer. So one pair of clock readings serves a whole batch.
    pub fn finish(&mut self, duration: Duration) {
        for (index, exchanges) in self.unfinished.drain(..) {
            self.tallies[index].1.count_durations(duration, exchanges);
        }
    }

    /// Counts what is too rare to be counted per worker.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn add_tally(&mut self, zone: Arc<str>) -> usize {
        let labels = Labels {
            server: Arc::clone(&self.server),
            zone: Arc::clone(&zone),
            protocol: self.protocol,
            family: self.family,
        };
        let tally = Arc::new(Tally::default());
        self.traffic
            .tallies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((labels, Arc::clone(&tally)));
        self.tallies.push((zone, tally));
        self.tallies.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prometheus_client::{encoding::text, registry::Registry};

    use super::*;
    use crate::{
        dns::Serial,
        zone::{Editor, Settings},
    };

    fn declaring(zones: &[&str], generation: u32) -> Arc<Snapshot> {
        let settings = Arc::new(Settings {
            zones: zones
                .iter()
                .map(|text| text.parse().expect("a name"))
                .collect(),
            ..Settings::default()
        });
        let mut before = Snapshot::not_ready(Arc::clone(&settings));
        for _ in 0..generation {
            let mut editor = Editor::succeeding(Arc::clone(&settings), &before);
            before = (*editor.apply(BTreeMap::new(), Serial(1)).snapshot).clone();
        }
        Arc::new(before)
    }

    fn exchange(apex: Option<&[u8]>) -> Exchange<'_> {
        Exchange {
            apex,
            record_type: Some(RecordType::A),
            rcode: Some(Rcode::NoError),
            dnssec_ok: false,
            truncated: false,
            request_bytes: 511,
            response_bytes: 512,
        }
    }

    /// The lines of the page that start with `name`.
    fn lines(traffic: &Arc<Traffic>, name: &str) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(traffic)));
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("a page");
        page.lines()
            .filter(|line| line.starts_with(name))
            .map(str::to_owned)
            .collect()
    }

    fn recorder(traffic: &Arc<Traffic>) -> Recorder {
        traffic.recorder("127.0.0.1:53".parse().expect("an address"), Protocol::Udp)
    }

    #[test]
    fn workers_count_into_one_series() {
        let traffic = Arc::new(Traffic::default());
        for mut worker in [recorder(&traffic), recorder(&traffic)] {
            worker.record(&exchange(None));
            worker.record(&exchange(Some(b"\x04test\0")));
        }
        let family = |zone| {
            format!(
                "dns_requests_total{{server=\"dns://127.0.0.1:53\",zone=\"{zone}\",view=\"\",proto=\"udp\",family=\"1\",type=\"A\"}} 2"
            )
        };
        assert_eq!(
            lines(&traffic, "dns_requests_total"),
            [family("."), family("dropped")]
        );
    }

    #[test]
    fn follows_the_zones_that_are_declared() {
        let traffic = Arc::new(Traffic::default());
        let mut worker = recorder(&traffic);
        let apex = Some(&b"\x01a\x04test\0"[..]);
        for snapshot in [
            declaring(&["a.test"], 1),
            declaring(&[], 2),
            declaring(&["b.test", "a.test"], 3),
        ] {
            worker.follow(&snapshot);
            worker.record(&exchange(apex));
        }
        let counts: Vec<_> = lines(&traffic, "dns_do_requests_total")
            .iter()
            .map(|line| line.contains("zone=\"a.test.\"") || line.contains("zone=\".\""))
            .collect();
        assert_eq!(counts, [true, true], "b.test was never asked for");
        let requests = lines(&traffic, "dns_requests_total");
        assert!(requests[0].contains("zone=\".\"") && requests[0].ends_with(" 1"));
        assert!(requests[1].contains("zone=\"a.test.\"") && requests[1].ends_with(" 2"));
    }

    #[track_caller]
    fn check_bucket(duration: Duration, bound: &str) {
        let traffic = Arc::new(Traffic::default());
        let mut worker = recorder(&traffic);
        worker.record(&exchange(None));
        worker.record(&exchange(None));
        worker.finish(duration);
        let first_full = lines(&traffic, "dns_request_duration_seconds_bucket")
            .into_iter()
            .find(|line| line.ends_with(" 2"))
            .expect("the last bucket has all");
        assert!(
            first_full.contains(&format!("le=\"{bound}\"")),
            "{first_full}"
        );
    }

    #[test]
    fn durations_stand_in_the_buckets_of_coredns() {
        check_bucket(Duration::from_micros(3), "0.00025");
        check_bucket(Duration::from_micros(250), "0.00025");
        check_bucket(Duration::from_micros(251), "0.0005");
        check_bucket(Duration::from_secs(8), "8.192");
        check_bucket(Duration::from_secs(9), "+Inf");
    }

    #[test]
    fn sizes_stand_in_the_buckets_of_coredns() {
        let traffic = Arc::new(Traffic::default());
        recorder(&traffic).record(&exchange(None));
        for (name, bound) in [
            ("dns_request_size_bytes_bucket", "511.0"),
            ("dns_response_size_bytes_bucket", "1023.0"),
        ] {
            let first_full = lines(&traffic, name)
                .into_iter()
                .find(|line| line.ends_with(" 1"))
                .expect("the last bucket has all");
            assert!(
                first_full.contains(&format!("le=\"{bound}\"")),
                "{first_full}"
            );
        }
    }
}
