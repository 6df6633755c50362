use std::{
    hash::BuildHasher as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use foldhash::quality::RandomState;
use ipnet::IpNet;
use tracing::warn;

/// How many counters a row of the table has: a megabyte for both rows.
const COUNTERS: usize = 1 << 16;

/// How long a network may have been silent for what it gets at once, in microseconds: as many answers as a second allows.
const BURST_MICROS: u64 = 1_000_000;

/// How often a network that is over its limit is told in the log, whichever it is.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// How many answers go over UDP to a network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// How many a second, to an IPv4 /24 or an IPv6 /56; at most a million.
    pub answers_per_second: NonZeroU32,
    /// One in so many of those that are too many says that the client is to ask over TCP; 0 for none, 1 for all.
    pub slip: u32,
    /// Networks without a limit.
    pub exempt: Vec<IpNet>,
}

/// Counts answers to networks, in a table of fixed size.
///
/// A network has a counter in each of two rows, where a hash puts it that nobody can foresee, and is over its limit where both
/// are: it shares its limit with another one only where they meet in both. A counter is the time at which all answers so far
/// would be allowed, were they evenly spread (GCRA: ITU-T I.371, annex A).
#[derive(Debug)]
pub(super) struct RateLimiter {
    settings: RateLimit,
    rows: [Row; 2],
    start: Instant,
    /// What an answer adds to a counter, in microseconds.
    step_micros: u64,
    told: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Row {
    hashes: RandomState,
    /// In microseconds from [`BURST_MICROS`] before the start.
    counters: Box<[AtomicU64]>,
}

impl RateLimiter {
    pub(super) fn new(settings: RateLimit) -> Self {
        let row = || Row {
            hashes: RandomState::default(),
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
        };
        let rate = u64::from(settings.answers_per_second.get());
        Self {
            rows: [row(), row()],
            start: Instant::now(),
            step_micros: (BURST_MICROS / rate).max(1),
            told: Mutex::default(),
            settings,
        }
    }

    /// Whether `client` gets an answer, which is counted then.
    pub(super) fn admits(&self, client: IpAddr) -> bool {
        let micros = self.start.elapsed().as_micros();
        let is_admitted = self.admits_at(client, u64::try_from(micros).unwrap_or(u64::MAX / 2));
        if !is_admitted {
            self.tell(client);
        }
        is_admitted
    }

    /// Whether a query that is too many is answered with TC. `turn` is evenly random.
    pub(super) fn slips(&self, turn: u32) -> bool {
        self.settings.slip > 0 && turn.is_multiple_of(self.settings.slip)
    }

    fn admits_at(&self, client: IpAddr, micros: u64) -> bool {
        let client = client.to_canonical();
        let mut exempt = self.settings.exempt.iter();
        if exempt.any(|network| network.contains(&client)) {
            return true;
        }
        let (network, now) = (network(client), micros + BURST_MICROS);
        let counters = self.rows.each_ref().map(|row| {
            let hash = row.hashes.hash_one(network);
            &row.counters[usize::try_from(hash % COUNTERS as u64).expect("a small number")]
        });
        let most = now + BURST_MICROS - self.step_micros.min(BURST_MICROS);
        if counters.iter().all(|counter| counter.load(Relaxed) > most) {
            return false;
        }
        for counter in counters {
            let next = |allowed: u64| {
                Some((allowed.max(now) + self.step_micros).min(most + self.step_micros))
            };
            // The closure always has a value.
            let _ = counter.fetch_update(Relaxed, Relaxed, next);
        }
        true
    }

    /// Says in the log that a network is over its limit, where none was told lately.
    fn tell(&self, client: IpAddr) {
        let Ok(mut told) = self.told.try_lock() else {
            return;
        };
        if told.is_some_and(|at| at.elapsed() < LOG_INTERVAL) {
            return;
        }
        *told = Some(Instant::now());
        warn!(
            network = %network(client.to_canonical()),
            answers_per_second = self.settings.answers_per_second,
            "a network gets fewer answers over UDP than it asks for (rateLimit)"
        );
    }
}

/// The network that shares a limit with `client`.
fn network(client: IpAddr) -> IpNet {
    const V4_BITS: u8 = 24;
    const V6_BITS: u8 = 56;
    let network = match client {
        IpAddr::V4(v4) => {
            let first = Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << (32 - V4_BITS)));
            IpNet::new(first.into(), V4_BITS)
        }
        IpAddr::V6(v6) => {
            let first = Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - V6_BITS)));
            IpNet::new(first.into(), V6_BITS)
        }
    };
    network.expect("the lengths fit the families")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn limiter(answers_per_second: u32) -> RateLimiter {
        RateLimiter::new(RateLimit {
            answers_per_second: NonZeroU32::new(answers_per_second).expect("not zero"),
            slip: 2,
            exempt: vec!["10.0.0.0/8".parse().expect("a network")],
        })
    }

    /// How many of `asked` queries of `client` are answered that come at once.
    fn answered(limiter: &RateLimiter, client: &str, asked: u32, micros: u64) -> usize {
        let client = client.parse().expect("an address");
        let admitted = (0..asked).filter(|_| limiter.admits_at(client, micros));
        admitted.count()
    }

    #[test]
    fn a_network_gets_so_many_answers_a_second() {
        let limiter = limiter(100);
        assert_eq!(answered(&limiter, "192.0.2.1", 1000, 0), 100);
        assert_eq!(
            answered(&limiter, "192.0.2.200", 1000, 0),
            0,
            "the same /24"
        );
        assert_eq!(answered(&limiter, "192.0.3.1", 1000, 0), 100);
        assert_eq!(answered(&limiter, "192.0.2.1", 1000, SECOND / 2), 50);
        assert_eq!(
            answered(&limiter, "192.0.2.1", 1000, 10 * SECOND),
            100,
            "no more by waiting"
        );
        assert_eq!(answered(&limiter, "2001:db8:0:ff::1", 1000, 0), 100);
        assert_eq!(
            answered(&limiter, "2001:db8::1", 1000, 0),
            0,
            "the same /56"
        );
        assert_eq!(answered(&limiter, "2001:db8:0:100::1", 1000, 0), 100);
    }

    #[test]
    fn one_a_second_and_a_million_a_second_are_limits() {
        assert_eq!(answered(&limiter(1), "192.0.2.1", 5, 0), 1);
        let many = limiter(1_000_000);
        assert_eq!(answered(&many, "192.0.2.1", 1_500_000, 0), 1_000_000);
    }

    #[test]
    fn exempt_networks_have_no_limit() {
        let limiter = limiter(1);
        assert_eq!(answered(&limiter, "10.1.2.3", 1000, 0), 1000);
        assert_eq!(answered(&limiter, "::ffff:10.1.2.3", 1000, 0), 1000);
    }

    #[test]
    fn networks_that_flood_leave_others_their_answers() {
        let limiter = limiter(10);
        for network in 0..1000_u32 {
            let client = Ipv4Addr::from_bits(0x0b00_0000 + (network << 8));
            answered(&limiter, &client.to_string(), 20, 0);
        }
        let others = (0..1000_u32).filter(|network| {
            let client = Ipv4Addr::from_bits(0xc000_0000 + (network << 8));
            answered(&limiter, &client.to_string(), 1, 0) == 0
        });
        // Each of 1,000 would meet them in both rows once in some 4,000 times.
        assert!(others.count() <= 5);
    }

    #[test]
    fn one_in_so_many_slips() {
        let slips = |slip| {
            let mut limiter = limiter(1);
            limiter.settings.slip = slip;
            (0..100).filter(|turn| limiter.slips(*turn)).count()
        };
        assert_eq!([slips(0), slips(1), slips(2), slips(10)], [0, 100, 50, 10]);
    }
}
