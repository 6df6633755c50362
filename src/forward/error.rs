use std::net::SocketAddr;

use crate::dns::Rcode;

/// Forwarding can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An upstream is this server.
    #[error("upstream {upstream}: that is where this server itself answers; name another one")]
    Itself {
        /// The upstream.
        upstream: SocketAddr,
    },
    /// No certificate of an upstream could be checked.
    #[error(
        "trust upstreams over TLS: this machine has no certificates of authorities; name a file of them in the variable SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// The operating system has no random numbers.
    #[error("get random numbers to ask upstreams with")]
    Random(#[source] getrandom::Error),
}

/// Why a name could not be resolved.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolutionError {
    /// No upstream is asked for such a name.
    #[error("no upstream answers for it")]
    NoUpstream,
    /// No upstream replied in time.
    #[error("no upstream replied in time")]
    NoReply,
    /// The upstreams could not tell.
    #[error("the upstreams say {}", .0.map_or("something without a name", |rcode| rcode.as_str()))]
    Failed(Option<Rcode>),
    /// A reply was cut, or could not be read.
    #[error("the reply of the upstream is not whole")]
    Broken,
    /// One alias leads to another without end.
    #[error("its aliases lead nowhere")]
    Endless,
    /// The lookup ended by a mistake in this program.
    #[error("the lookup panicked, which is a bug in meshdns")]
    Panicked,
}
