use std::net::SocketAddr;

use super::TcpLimits;
use crate::{metrics::Protocol, wire::Hop};

/// How queries come in, and what that adds to their answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Where.
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) hop: Hop,
}

impl Way {
    /// Those who speak DNS over a stream may ask how long an idle one is kept; in HTTP and QUIC that is not theirs to ask
    /// ([RFC 9250 §5.5.2](https://www.rfc-editor.org/rfc/rfc9250#section-5.5.2)).
    pub(super) fn new(address: SocketAddr, protocol: Protocol, limits: TcpLimits) -> Self {
        let tenths = limits.idle_timeout.as_millis() / 100;
        let tenths = u16::try_from(tenths).unwrap_or(u16::MAX);
        let hop = Hop {
            keepalive_tenths: matches!(protocol, Protocol::Tcp | Protocol::Tls).then_some(tenths),
            is_private: !matches!(protocol, Protocol::Udp | Protocol::Tcp),
        };
        Self {
            address,
            protocol,
            hop,
        }
    }
}
