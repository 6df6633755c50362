//! When targets are probed: spread by their hashes, with a little chance, so that neither restarts nor replicas make herds.

use std::{hash::BuildHasher, time::Duration};

use foldhash::quality::FixedState;

use super::Target;

/// How far a probe may be from its place in the period, in thousandths of the period: two waits differ by a tenth each way.
const JITTER_THOUSANDTHS: u64 = 50;

/// How much of a second may be used up at once where probes are due faster than they may start.
const BURST: Duration = Duration::from_millis(50);

/// The hash that a target's times follow from; another seed gives other times.
pub(super) fn hash(target: &Target, seed: u64) -> u64 {
    FixedState::with_seed(seed).hash_one(target)
}

/// A time within `span_ms`, always the same for a hash.
pub(super) fn spread(hash: u64, span_ms: u64) -> u64 {
    scaled(mix(hash, 1), span_ms)
}

/// The first regular time at least `gap_ms` behind `after_ms` at which a target is probed. `start_ms` is the wall clock at time 0:
/// times are the same before a restart and after it.
pub(super) fn next(hash: u64, period_ms: u64, start_ms: u64, after_ms: u64, gap_ms: u64) -> u64 {
    let phase = scaled(mix(hash, 2), period_ms);
    let wall = start_ms + after_ms + gap_ms;
    // The turns around that time, of which one is the first behind it: chance moves none by more than half a turn.
    let turn = (wall.saturating_sub(phase) / period_ms).saturating_sub(1);
    let times = (turn..).map(|turn| phase + turn * period_ms + jitter(hash, period_ms, turn));
    let mut times = times.map(|time| time.saturating_sub(period_ms * JITTER_THOUSANDTHS / 1000));
    let first = times
        .find(|time| *time >= wall)
        .expect("turns go on for ever");
    first - start_ms
}

/// From 0 to twice the jitter.
fn jitter(hash: u64, period_ms: u64, turn: u64) -> u64 {
    scaled(
        mix(hash, turn.wrapping_add(3)),
        period_ms * JITTER_THOUSANDTHS * 2 / 1000,
    )
}

fn mix(hash: u64, salt: u64) -> u64 {
    FixedState::with_seed(hash).hash_one(salt)
}

/// `hash` as a part of `span`.
fn scaled(hash: u64, span: u64) -> u64 {
    u64::try_from((u128::from(hash) * u128::from(span)) >> 64)
        .expect("a part of a number is no more than it")
}

/// Lets no more than so many probes start in a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limiter {
    /// When the next would start if all were spread evenly.
    next: Duration,
}

impl Limiter {
    pub(super) const fn new() -> Self {
        Self {
            next: Duration::ZERO,
        }
    }

    /// Takes a start at `now` where one is free.
    pub(super) fn take(&mut self, now: Duration, per_second: u32) -> bool {
        let is_free = self.free_at() <= now;
        if is_free {
            let earliest = now.saturating_sub(BURST);
            self.next = self.next.max(earliest) + Duration::from_secs(1) / per_second;
        }
        is_free
    }

    /// When the next start is free.
    pub(super) fn free_at(self) -> Duration {
        self.next.saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use super::*;
    use crate::manifest::{Probe, ProbeMethod};

    const PERIOD: u64 = 10_000;

    fn hashes(seed: u64, count: u32) -> Vec<u64> {
        let probe = Arc::new(Probe {
            method: ProbeMethod::Tcp { port: 80 },
            initial_delay_seconds: 0,
            timeout_seconds: 1,
            period_seconds: 10,
            success_threshold: 1,
            failure_threshold: 3,
        });
        let target = |number: u32| Target {
            address: Ipv4Addr::from(0x0a00_0000 + number).into(),
            probe: probe.clone(),
        };
        (0..count)
            .map(|number| hash(&target(number), seed))
            .collect()
    }

    /// Starts of `count` targets from `from` to `until`, in milliseconds.
    fn starts(seed: u64, count: u32, wall: u64, from: u64, until: u64) -> Vec<u64> {
        let mut starts = Vec::new();
        for hash in hashes(seed, count) {
            let mut at = next(hash, PERIOD, wall, from, 0);
            while at < until {
                starts.push(at);
                at = next(hash, PERIOD, wall, at, PERIOD / 2);
            }
        }
        starts
    }

    fn most_within(starts: &[u64], span: u64) -> usize {
        let mut counts = std::collections::HashMap::new();
        for start in starts {
            *counts.entry(start / span).or_insert(0) += 1;
        }
        counts.into_values().max().unwrap_or(0)
    }

    #[test]
    fn a_thousand_targets_make_no_herd() {
        let starts = starts(7, 1000, 1_700_000_000_123, 0, 300_000);
        assert!(
            most_within(&starts, 100) <= 30,
            "{}",
            most_within(&starts, 100)
        );
        for second in 0..300 {
            let count = starts
                .iter()
                .filter(|start| **start / 1000 == second)
                .count();
            assert!((60..=140).contains(&count), "{count} in second {second}");
        }
    }

    #[test]
    fn a_target_waits_a_period_with_a_tenth_of_chance() {
        for hash in hashes(7, 200) {
            let mut at = next(hash, PERIOD, 5, 0, 0);
            for _ in 0..50 {
                let then = next(hash, PERIOD, 5, at, PERIOD / 2);
                assert!((9_000..=11_000).contains(&(then - at)), "{at} {then}");
                at = then;
            }
        }
    }

    #[test]
    fn a_restart_keeps_the_times_and_another_seed_has_others() {
        let before = starts(7, 100, 1_000_000, 50_000, 70_000);
        let after: Vec<u64> = starts(7, 100, 1_045_000, 5_000, 25_000);
        let after: Vec<u64> = after.into_iter().map(|start| start + 45_000).collect();
        assert_eq!(before, after);
        let others = starts(8, 100, 1_000_000, 50_000, 70_000);
        let common = others.iter().filter(|start| before.contains(start)).count();
        assert!(common < 20, "{common}");
    }

    #[test]
    fn no_more_start_in_a_second_than_may() {
        let mut limiter = Limiter::new();
        let ticks = (0..1000).map(Duration::from_millis);
        let started: usize = ticks
            .map(|now| {
                std::iter::repeat_with(|| limiter.take(now, 100))
                    .take_while(|taken| *taken)
                    .count()
            })
            .sum();
        assert!((100..=106).contains(&started), "{started}");
    }
}
