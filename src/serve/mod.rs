//! Sockets: receives queries and sends answers, over UDP and TCP, and encrypted over TLS, HTTPS and QUIC.
//!
//! [`Sockets::bind`] takes the addresses, so that a busy port is told before anything is loaded; [`Sockets::serve`] starts
//! answering from whatever snapshot is the newest. Owns what a transport decides: batches, framing, time-outs, limits, and
//! the certificate that clients are shown.
//!
//! Never decides what an answer is: `answer` does, in bytes of `wire`.

mod admission;
mod bind;
mod certificate;
mod https;
mod late;
mod limits;
mod quic;
mod responder;
mod running;
mod service;
mod settings;
mod tcp;
mod tls;
mod udp;
mod way;

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;

#[cfg(fuzzing)]
pub use self::https::fuzzing::queries;
use self::{
    admission::Admission,
    bind::{EncryptedSockets, Endpoint},
    tcp::Language,
    way::Way,
};
pub use self::{
    bind::{BindError, Sockets},
    certificate::{CertificateError, CertificateFiles, Certificates, LOOK_INTERVAL, Validity},
    limits::TcpLimits,
    running::Running,
    settings::{Encrypted, Listener, ServeSettings, Transport},
};
use crate::{
    forward::InForce,
    metrics::{Protocol, Traffic},
    zone::Snapshot,
};

/// What every server reads and counts into.
#[derive(Clone, Debug)]
struct Shared {
    snapshots: Arc<ArcSwap<Snapshot>>,
    traffic: Arc<Traffic>,
    forwarder: Arc<InForce>,
    admission: Arc<Admission>,
}

impl Sockets {
    /// Answers queries from the newest of `snapshots`: UDP on threads of its own, all else on the tokio runtime that this
    /// is called from. For names that are not ours, the `forwarder` in force knows whom to ask; without one, they are
    /// refused.
    ///
    /// # Errors
    ///
    /// [`BindError::Start`] where a thread can't be started or a socket can't be handed to the runtime.
    pub fn serve(
        self,
        snapshots: Arc<ArcSwap<Snapshot>>,
        traffic: Arc<Traffic>,
        forwarder: Arc<InForce>,
    ) -> Result<Running, BindError> {
        let limits = self.limits;
        let shared = Shared {
            snapshots,
            traffic,
            forwarder,
            admission: Arc::new(Admission::new(limits)),
        };
        let way = |address: SocketAddr, protocol| Way::new(address, protocol, limits);
        let mut running = Running::new();
        for Endpoint { address, udp, tcp } in self.plain {
            running.serve_udp(udp, way(address, Protocol::Udp), &shared)?;
            running.serve_tcp(tcp, Language::Dns, way(address, Protocol::Tcp), &shared)?;
        }
        let Some(EncryptedSockets {
            sockets,
            certificates,
        }) = self.encrypted
        else {
            return Ok(running);
        };
        for (Listener { transport, address }, socket) in sockets {
            match transport {
                Transport::Tls => {
                    let language = Language::DnsInTls(tls::acceptor(&certificates, tls::DNS));
                    let way = way(address, Protocol::Tls);
                    running.serve_tcp(socket.into(), language, way, &shared)?;
                }
                Transport::Https { path } => {
                    let acceptor = tls::acceptor(&certificates, tls::HTTP);
                    let language = Language::Https { acceptor, path };
                    let way = way(address, Protocol::Https);
                    running.serve_tcp(socket.into(), language, way, &shared)?;
                }
                Transport::Quic => {
                    let way = way(address, Protocol::Quic);
                    running.serve_quic(socket.into(), &certificates, way, &shared)?;
                }
            }
        }
        running.follow(certificates);
        Ok(running)
    }
}
