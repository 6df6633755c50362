use std::{fmt, time::Duration};

/// How long a resolver may keep a record, in whole seconds.
///
/// Always in `0..=2^31 - 1`: [RFC 2181 §8] makes the top bit of the 32-bit field unusable.
///
/// # Errors
///
/// Built only through `TryFrom<Duration>`, which fails with [`TtlOutOfRange`] for a duration that is too long or not a
/// whole number of seconds. Nothing is rounded.
///
/// [RFC 2181 §8]: https://www.rfc-editor.org/rfc/rfc2181#section-8
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ttl(u32);

/// The duration can't be a TTL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a TTL is a whole number of seconds from 0s to 2147483647s")]
pub struct TtlOutOfRange;

impl Ttl {
    /// Five seconds: what meshdns gives out unless told otherwise, and the shortest that CoreDNS's cache keeps.
    pub const FIVE_SECONDS: Self = Self(5);

    /// The number of seconds.
    pub fn as_secs(self) -> u32 {
        self.0
    }

    /// As a record has it.
    pub(crate) fn to_wire(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// The inverse of [`Ttl::to_wire`].
    pub(crate) fn from_wire(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes) & i32::MAX.unsigned_abs())
    }
}

impl TryFrom<Duration> for Ttl {
    type Error = TtlOutOfRange;

    fn try_from(duration: Duration) -> Result<Self, TtlOutOfRange> {
        match u32::try_from(duration.as_secs()) {
            Ok(seconds) if seconds <= i32::MAX.unsigned_abs() && duration.subsec_nanos() == 0 => {
                Ok(Self(seconds))
            }
            _ => Err(TtlOutOfRange),
        }
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_whole_seconds_up_to_31_bits() {
        assert_eq!(Ttl::try_from(Duration::from_secs(5)), Ok(Ttl::FIVE_SECONDS));
        assert_eq!(Ttl::try_from(Duration::ZERO).map(Ttl::as_secs), Ok(0));
        assert_eq!(
            Ttl::try_from(Duration::from_secs(1 << 31)),
            Err(TtlOutOfRange)
        );
        assert_eq!(
            Ttl::try_from(Duration::from_millis(1500)),
            Err(TtlOutOfRange)
        );
    }
}
