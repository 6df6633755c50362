//! TCP connections: DNS messages, each behind its length ([RFC 7766]), and the protocols inside of TLS.
//!
//! [`accept`] accepts as many connections as [`TcpLimits`](super::TcpLimits) allow. `connection` serves one of them, over any
//! stream.
//!
//! [RFC 7766]: https://www.rfc-editor.org/rfc/rfc7766

mod connection;

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    select,
    task::JoinSet,
    time::timeout,
};

use super::{
    TcpLimits, https,
    service::Service,
    tls::{self, TlsAcceptor},
};
use crate::{
    admission::{Admission, Client, Place},
    metrics::Traffic,
};

/// How long to wait at most before the next try when no connection can be accepted, as when file descriptors have run out.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How long a client may go on sending when nothing more is read.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// The protocol of the connections to an address.
#[derive(Clone)]
pub(super) enum StreamProtocol {
    /// Messages behind their lengths.
    Dns,
    /// The same in TLS ([RFC 7858](https://www.rfc-editor.org/rfc/rfc7858)).
    Tls(TlsAcceptor),
    /// HTTP in TLS ([RFC 8484](https://www.rfc-editor.org/rfc/rfc8484)).
    Https {
        acceptor: TlsAcceptor,
        path: Arc<str>,
    },
}

/// Accepts connections until the task is ended, which ends them too.
pub(super) async fn accept(
    listener: TcpListener,
    spoken: StreamProtocol,
    service: Service,
    admission: Arc<Admission>,
    limits: TcpLimits,
) {
    let service = Arc::new(service);
    let mut connections = JoinSet::new();
    let mut is_failing = false;
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if concerns_one_connection(&error) => continue,
            Err(error) => {
                if !is_failing {
                    let address = service.served.address;
                    tracing::warn!(%address, %error, "accept a TCP connection");
                }
                is_failing = true;
                admission.make_room(BACK_OFF).await;
                continue;
            }
        };
        is_failing = false;
        let Some(place) = admission.admit(Client::from(peer.ip())) else {
            service.traffic().count_refused_connection();
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "turn off delays of small TCP segments");
        }
        let (service, spoken, ending) = (Arc::clone(&service), spoken.clone(), place.ending());
        let task = connections.spawn(async move {
            let _open = OpenConnection::new(service.traffic());
            serve(stream, peer.ip(), spoken, &service, &place, limits).await;
        });
        ending.is(task);
    }
}

async fn serve(
    mut stream: TcpStream,
    client: IpAddr,
    spoken: StreamProtocol,
    service: &Arc<Service>,
    place: &Place,
    limits: TcpLimits,
) {
    match spoken {
        StreamProtocol::Dns => {
            connection::serve(&mut stream, client, service, place, limits).await;
        }
        StreamProtocol::Tls(acceptor) => {
            if let Some(mut stream) = tls::handshake(&acceptor, &mut stream, place, limits).await {
                connection::serve(&mut stream, client, service, place, limits).await;
                tls::close(stream, limits).await;
            }
        }
        StreamProtocol::Https { acceptor, path } => {
            if let Some(stream) = tls::handshake(&acceptor, &mut stream, place, limits).await {
                https::serve(stream, client, &path, service, place, limits).await;
            }
        }
    }
    if !place.is_wanted() && !place.is_scarce() {
        let _idle = place.idle();
        select! {
            _ = timeout(LINGER_TIMEOUT, drain(&mut stream)) => {}
            () = place.wanted() => {}
        }
    }
}

/// Ends our side and reads to the end of the client's: closing a connection with something unread would reset it, and the
/// client could lose what was sent before ([RFC 9112 §9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)).
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unwanted = [0; 4096];
    while stream.read(&mut unwanted).await? > 0 {}
    Ok(())
}

/// Whether accepting failed because of the connection at hand, so that the next one may be tried at once.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// Counts a connection as open for as long as it lives.
pub(super) struct OpenConnection<'t>(&'t Traffic);

impl<'t> OpenConnection<'t> {
    pub(super) fn new(traffic: &'t Traffic) -> Self {
        traffic.count_opened_connection();
        Self(traffic)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.count_closed_connection();
    }
}
