use std::net::SocketAddr;

use super::TcpLimits;
use crate::{metrics::Protocol, wire::TransportOptions, zone::AskerPreset};

/// An address that is served, what is spoken there, and what that adds to answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServedAddress {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) transport_options: TransportOptions,
    /// What is known of everybody who asks there, where anything is.
    pub(super) preset: Option<AskerPreset>,
}

impl ServedAddress {
    /// A client that speaks DNS over TCP or TLS may ask how long an idle connection is kept. Over HTTP and QUIC it may not
    /// ([RFC 9250 §5.5.2](https://www.rfc-editor.org/rfc/rfc9250#section-5.5.2)).
    pub(super) fn new(address: SocketAddr, protocol: Protocol, limits: TcpLimits) -> Self {
        let tenths = limits.idle_timeout.as_millis() / 100;
        let tenths = u16::try_from(tenths).unwrap_or(u16::MAX);
        let transport_options = TransportOptions {
            keepalive_tenths: matches!(protocol, Protocol::Tcp | Protocol::Tls).then_some(tenths),
            is_private: !matches!(protocol, Protocol::Udp | Protocol::Tcp),
        };
        Self {
            address,
            protocol,
            transport_options,
            preset: None,
        }
    }
}
