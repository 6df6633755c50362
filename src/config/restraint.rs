use std::num::NonZeroU32;

use super::{
    file::RateLimitKeys,
    value::{Network, Slip},
};
use crate::serve::RateLimit;

/// One in two of the answers that are too many says to ask over TCP, as BIND has it.
const SLIP: u32 = 2;

/// Reads what was said of answers to a network.
pub(super) fn rate_limit(keys: RateLimitKeys) -> RateLimit {
    let answers = u32::try_from(keys.answers_per_second.0).ok();
    let exempt = keys.exempt.map(|list| list.0).unwrap_or_default();
    RateLimit {
        answers_per_second: answers
            .and_then(NonZeroU32::new)
            .expect("a limit is from one to a million"),
        slip: keys.slip.map_or(SLIP, |Slip(slip)| slip),
        exempt: exempt.into_iter().map(|Network(network)| network).collect(),
    }
}
