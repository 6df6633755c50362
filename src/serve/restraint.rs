//! What keeps this server from being used against others: cookies, and limits of what goes to addresses that may be forged.
//!
//! Anyone can send a datagram in another one's name, and has the answer sent there. A cookie that comes back shows that a client
//! is where it says ([RFC 7873](https://www.rfc-editor.org/rfc/rfc7873)); the limits hold for those who show none, over UDP
//! alone. None of it takes a lock or memory by what clients send.

mod cookies;
mod rate_limit;

use std::net::IpAddr;

use self::rate_limit::RateLimiter;
pub use self::{
    cookies::{CheckedCookie, CookieChecker, CookieKeyError, CookieKeys},
    rate_limit::RateLimit,
};
use crate::wire::MAX_UDP_BYTES;

/// What is done against answers to those who did not ask.
#[derive(Clone, Debug)]
pub struct AnswerLimits {
    /// What cookies are made with; `None` where none are.
    pub cookie_keys: Option<CookieKeys>,
    /// The largest answer over UDP to a client without a valid cookie, in bytes. Header, question and OPT are sent whatever it
    /// says.
    pub udp_bytes_without_cookie: usize,
    /// How many answers go over UDP to a network; `None` for as many as are asked for.
    pub rate: Option<RateLimit>,
}

impl Default for AnswerLimits {
    /// No cookies and no limits.
    fn default() -> Self {
        Self {
            cookie_keys: None,
            udp_bytes_without_cookie: MAX_UDP_BYTES,
            rate: None,
        }
    }
}

/// The same in force, for all workers.
#[derive(Debug)]
pub(super) struct Restraint {
    pub(super) cookie_keys: Option<CookieKeys>,
    udp_bytes_without_cookie: usize,
    rate: Option<RateLimiter>,
}

/// What a client without a valid cookie gets over UDP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Allowance {
    /// An answer of at most so many bytes.
    Answer { limit_bytes: usize },
    /// That it is to ask over TCP.
    AskOverTcp,
    /// Nothing.
    Nothing,
}

impl Restraint {
    pub(super) fn new(limits: &AnswerLimits) -> Self {
        Self {
            cookie_keys: limits.cookie_keys.clone(),
            udp_bytes_without_cookie: limits.udp_bytes_without_cookie,
            rate: limits.rate.clone().map(RateLimiter::new),
        }
    }

    /// Whether clients without a valid cookie are treated in any way over UDP.
    pub(super) fn limits_udp(&self) -> bool {
        self.rate.is_some() || self.udp_bytes_without_cookie < MAX_UDP_BYTES
    }

    /// What a `client` without a valid cookie gets for its query. `turn` is evenly random.
    pub(super) fn allowance(&self, client: IpAddr, turn: u32) -> Allowance {
        let is_over = |rate: &&RateLimiter| !rate.admits(client);
        match self.rate.as_ref().filter(is_over) {
            None => Allowance::Answer {
                limit_bytes: self.udp_bytes_without_cookie,
            },
            Some(rate) if rate.slips(turn) => Allowance::AskOverTcp,
            Some(_) => Allowance::Nothing,
        }
    }

    /// Whether a `client` gets a reply to a message that is no query.
    pub(super) fn admits(&self, client: IpAddr) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.admits(client))
    }
}
