use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::dns::Name;

/// What is forwarded, where to, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The domains and who answers for them.
    pub routes: Vec<Route>,
    /// Which upstream of a route is asked first.
    pub policy: Policy,
    /// How long a client waits for an answer at most.
    pub timeout: Duration,
    /// How long an upstream is waited for before another one is asked too; `None` for what it usually takes.
    pub retry_after: Option<Duration>,
    /// Whom names are looked up for.
    pub clients: Vec<IpNet>,
    /// How many queries may wait for upstreams; further ones get what is kept, however old, or SERVFAIL at once.
    pub max_waiting: usize,
    /// How much memory the cache may take.
    pub cache_bytes: u64,
    /// How long beyond its lifetime an answer may be given while no upstream gives another one; zero for never.
    pub serve_stale: Duration,
    /// Where the machine's own upstreams are named.
    pub resolv_conf: PathBuf,
}

/// The upstreams of a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The domain; the root for all that no other route holds.
    pub domain: Name,
    /// Who answers for it.
    pub upstreams: Vec<Source>,
}

/// Where upstreams come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// This one.
    At(Endpoint),
    /// Those that the machine's `resolv.conf` names at the time, without this server itself.
    System,
}

/// An upstream's address.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// How it is spoken with.
    pub transport: Transport,
    /// Where it is.
    pub address: SocketAddr,
}

/// How an upstream is spoken with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Transport {
    /// Datagrams, and a stream for answers that do not fit one.
    Udp,
    /// A stream always.
    Tcp,
    /// An encrypted stream always, with a server whose certificate has this name.
    Tls(ServerName<'static>),
    /// HTTP/2 over TLS.
    Https {
        /// The name that the server's certificate has.
        name: ServerName<'static>,
        /// Where it answers questions, from the first slash on.
        path: Box<str>,
    },
}

/// Which upstream is asked first. Those that do not answer at present are always the last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Policy {
    /// In the order of the configuration.
    #[default]
    Sequential,
    /// Any.
    Random,
    /// The one that has answered fastest lately.
    Fastest,
}

/// As the configuration spells it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(endpoint) => endpoint.fmt(f),
            Self::System => f.write_str("system"),
        }
    }
}

/// As the configuration spells it.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Udp => self.address.fmt(f),
            Transport::Tcp => write!(f, "tcp://{}", self.address),
            Transport::Https { name, path } => {
                write!(f, "https://{}@{}{path}", name.to_str(), self.address)
            }
            Transport::Tls(name) => write!(f, "tls://{}@{}", name.to_str(), self.address),
        }
    }
}
