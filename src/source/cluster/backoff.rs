//! How long to wait before an API server is asked again that failed.

use std::time::Duration;

/// The first wait, which doubles with each failure.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait of our own.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait that a server may ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_mins(2);

/// How often something failed in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure: at least as long as the server asked for. `chance` spreads those who fail at the
    /// same time.
    pub(super) fn wait(&mut self, asked_for: Option<Duration>, chance: u32) -> Duration {
        let doubled = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let spread = doubled / 2;
        let earlier = spread.mul_f64(f64::from(chance) / f64::from(u32::MAX));
        let wait = doubled.saturating_sub(earlier);
        match asked_for.map(|asked_for| asked_for.min(LONGEST_ASKED_FOR)) {
            Some(asked_for) => asked_for.max(wait),
            None => wait,
        }
    }

    /// How often it failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes that it went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute_and_are_spread() {
        let waits = |chance| {
            let mut backoff = Backoff::default();
            (0..9).map(move |_| backoff.wait(None, chance).as_millis())
        };
        let longest: Vec<_> = waits(0).collect();
        assert_eq!(
            longest,
            [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]
        );
        let shortest: Vec<_> = waits(u32::MAX).collect();
        assert_eq!(
            shortest,
            [125, 250, 500, 1000, 2000, 4000, 8000, 15000, 15000]
        );
    }

    #[test]
    fn a_server_that_asks_for_more_gets_it_within_reason() {
        let mut backoff = Backoff::default();
        let seconds = Duration::from_secs;
        assert_eq!(backoff.wait(Some(seconds(7)), 0), seconds(7));
        assert_eq!(
            backoff.wait(Some(seconds(0)), 0),
            Duration::from_millis(500)
        );
        assert_eq!(backoff.wait(Some(seconds(86_400)), 0), seconds(120));
        backoff.reset();
        assert_eq!(backoff.wait(None, 0), Duration::from_millis(250));
    }
}
