//! When to look after something may have changed: soon, but once for what belongs together, and never faster than serials allow.

use std::time::{Duration, Instant};

use crate::{dns::Serial, source::Wakeup};

/// How long nothing must wake the loop before a look: what lands together is published together.
const QUIET: Duration = Duration::from_millis(10);

/// How long a look waits for quiet at most, so that changes without end are served all the same.
const PATIENCE: Duration = Duration::from_millis(50);

/// When to look after a wakeup: at once when no other follows, but not before another publish is allowed.
pub(super) fn after_wakeup(wakeup: Wakeup, last_publish: Option<Instant>) -> Instant {
    let settled = (wakeup.last + QUIET).min(wakeup.first + PATIENCE);
    not_too_soon(settled, last_publish)
}

/// Delays `at` until a publish keeps serials at or below the clock.
pub(super) fn not_too_soon(at: Instant, last_publish: Option<Instant>) -> Instant {
    last_publish.map_or(at, |last| at.max(last + Serial::STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_quiet_but_not_for_ever() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let due = |last: u64, publish: Option<u64>| {
            let wakeup = Wakeup {
                first: start,
                last: start + ms(last),
            };
            after_wakeup(wakeup, publish.map(|publish| start + ms(publish))) - start
        };
        assert_eq!(due(0, None), ms(10));
        assert_eq!(due(30, None), ms(40));
        assert_eq!(due(49, None), ms(50));
        assert_eq!(due(0, Some(0)), ms(50));
    }
}
