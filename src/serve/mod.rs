//! Sockets: receives queries and sends answers, over UDP and TCP, and encrypted over TLS, HTTPS and QUIC.
//!
//! [`Sockets::bind`] takes the addresses, so that a busy port is told before anything is loaded; [`Sockets::serve`] starts
//! answering from whatever snapshot is the newest. Owns what a transport decides: batches, framing, time-outs, limits, and
//! the certificate that clients are shown.
//!
//! Never decides what an answer is: `answer` does, in bytes of `wire`.

mod amend;
mod bind;
mod certificate;
mod deferred;
mod https;
mod limits;
mod quic;
mod responder;
mod restraint;
mod running;
mod served_address;
mod service;
mod settings;
mod tcp;
mod tls;
mod udp;

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;

#[cfg(fuzzing)]
pub use self::https::fuzzing::queries;
pub use self::{
    bind::{BindError, Sockets},
    certificate::{CertificateError, CertificateFiles, Certificates, LOOK_INTERVAL, Validity},
    limits::TcpLimits,
    restraint::{
        AnswerLimits, CheckedCookie, CookieChecker, CookieKeyError, CookieKeys, RateLimit,
    },
    running::Running,
    settings::{Encrypted, Listener, Presets, ServeSettings, Transport},
};
use self::{
    bind::{EncryptedSockets, Endpoint},
    restraint::Restraint,
    served_address::ServedAddress,
    tcp::StreamProtocol,
};
use crate::{
    admission::{Admission, Limits},
    forward::InForce,
    metrics::{Protocol, Traffic},
    zone::Snapshot,
};

/// What all servers read from and count into.
#[derive(Clone, Debug)]
struct Shared {
    snapshots: Arc<ArcSwap<Snapshot>>,
    traffic: Arc<Traffic>,
    forwarder: Arc<InForce>,
    limits: TcpLimits,
    admission: Arc<Admission>,
    restraint: Arc<Restraint>,
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
        let places = Limits {
            places: limits.connections,
            places_per_client: limits.connections_per_client,
            bytes: limits.buffered_bytes,
            newcomers_win: false,
        };
        let shared = Shared {
            admission: Arc::new(Admission::new(places, Arc::clone(traffic.crowding()))),
            snapshots,
            traffic,
            forwarder,
            limits,
            restraint: Arc::new(Restraint::new(&self.answer_limits)),
        };
        let presets = self.presets;
        let served = |address: SocketAddr, protocol| ServedAddress {
            preset: presets.get(&(address, protocol == Protocol::Quic)).copied(),
            ..ServedAddress::new(address, protocol, limits)
        };
        let mut running = Running::new();
        for Endpoint { address, udp, tcp } in self.plain {
            running.serve_udp(udp, served(address, Protocol::Udp), &shared)?;
            running.serve_tcp(
                tcp,
                StreamProtocol::Dns,
                served(address, Protocol::Tcp),
                &shared,
            )?;
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
                    let spoken = StreamProtocol::Tls(tls::acceptor(&certificates, tls::DNS));
                    let served = served(address, Protocol::Tls);
                    running.serve_tcp(socket.into(), spoken, served, &shared)?;
                }
                Transport::Https { path } => {
                    let acceptor = tls::acceptor(&certificates, tls::HTTP);
                    let spoken = StreamProtocol::Https { acceptor, path };
                    let served = served(address, Protocol::Https);
                    running.serve_tcp(socket.into(), spoken, served, &shared)?;
                }
                Transport::Quic => {
                    let served = served(address, Protocol::Quic);
                    running.serve_quic(socket.into(), &certificates, served, &shared)?;
                }
            }
        }
        running.follow(certificates);
        Ok(running)
    }
}
