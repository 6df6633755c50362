use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// How much time one step of a serial stands for.
const STEP: Duration = Duration::from_millis(50);

/// A zone's version, compared in the circle arithmetic of [RFC 1982].
///
/// A serial counts steps of 50 ms since 1970, modulo 2^32: it comes from the clock, so that a restarted server
/// continues above what it gave out before, without a file to remember it. Publishing no more often than once a step
/// keeps the serial at or below the clock. The circle is 6.8 years long; a secondary may lag by half of that.
///
/// [RFC 1982]: https://www.rfc-editor.org/rfc/rfc1982
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Serial(pub u32);

impl Serial {
    /// The shortest time between two publishes that keeps serials at or below the clock.
    pub const STEP: Duration = STEP;

    /// The serial of a zone that changes at `now`, the first of this process.
    pub fn at(now: SystemTime) -> Self {
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let steps = since.as_millis() / STEP.as_millis();
        Self(u32::try_from(steps & u128::from(u32::MAX)).expect("masked to 32 bits"))
    }

    /// The serial of a zone that changes at `now` and had this one before: always later, even if the clock went back.
    #[must_use]
    pub fn next(self, now: SystemTime) -> Self {
        let clock = Self::at(now);
        if clock.is_after(self) {
            clock
        } else {
            Self(self.0.wrapping_add(1))
        }
    }

    /// Whether this serial is later than `other`: at most half the circle ahead of it.
    pub fn is_after(self, other: Self) -> bool {
        self != other && self.0.wrapping_sub(other.0) < 1 << 31
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let first = Serial::at(noon);
        let same_instant = first.next(noon);
        let clock_went_back = same_instant.next(noon - Duration::from_hours(1));
        let later = clock_went_back.next(noon + Duration::from_secs(1));
        assert!(same_instant.is_after(first));
        assert!(clock_went_back.is_after(same_instant));
        assert_eq!(later, Serial(first.0.wrapping_add(20)));
    }

    #[test]
    fn compares_around_the_circle() {
        assert!(Serial(0).is_after(Serial(u32::MAX)));
        assert!(!Serial(u32::MAX).is_after(Serial(0)));
        assert!(!Serial(7).is_after(Serial(7)));
    }
}
