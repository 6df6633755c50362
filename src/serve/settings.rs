use std::{collections::HashMap, fmt, net::SocketAddr, num::NonZeroUsize, sync::Arc};

use super::{AnswerLimits, Certificates, TcpLimits};
use crate::zone::AskerPreset;

/// The addresses to serve, and how.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// The addresses, each for UDP and TCP. Port 0 takes a port that is free for both.
    pub listen: Vec<SocketAddr>,
    /// How many UDP threads serve each address.
    pub workers: NonZeroUsize,
    /// Limits on connections, over all addresses.
    pub tcp: TcpLimits,
    /// What is done against answers to those who did not ask.
    pub answers: AnswerLimits,
    /// Where to serve encrypted.
    pub encrypted: Option<Encrypted>,
    /// What is known of those who ask at an address, where anything is.
    pub presets: Presets,
}

/// What is known of those who ask at an address: by the address, and whether it is QUIC's.
pub type Presets = HashMap<(SocketAddr, bool), AskerPreset>;

/// The addresses to serve encrypted, and the certificate.
#[derive(Clone, Debug)]
pub struct Encrypted {
    /// The addresses, each for one transport. Port 0 takes a free one.
    pub listen: Vec<Listener>,
    /// What clients are shown.
    pub certificates: Arc<Certificates>,
}

/// An address that is served encrypted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Listener {
    /// The transport there.
    pub transport: Transport,
    /// With the port that was taken, where a bound socket tells it.
    pub address: SocketAddr,
}

/// An encrypted transport.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Transport {
    /// DNS over TLS ([RFC 7858](https://www.rfc-editor.org/rfc/rfc7858)).
    Tls,
    /// DNS over HTTPS ([RFC 8484](https://www.rfc-editor.org/rfc/rfc8484)).
    Https {
        /// The path of queries.
        path: Arc<str>,
    },
    /// DNS over QUIC ([RFC 9250](https://www.rfc-editor.org/rfc/rfc9250)).
    Quic,
}

/// As the configuration writes it.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.transport {
            Transport::Tls => write!(f, "tls://{address}"),
            Transport::Https { path } => write!(f, "https://{address}{path}"),
            Transport::Quic => write!(f, "quic://{address}"),
        }
    }
}
