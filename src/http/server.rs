//! The HTTP sockets. How many connections are served, and how long one may be idle, is limited.
//!
//! A connection that comes is always served, whoever holds the others: a probe that had to wait would have the server
//! restarted. It takes the place of the one that has been without a request for longest, else of the oldest one of the client
//! with the most. This machine has places of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::{
    Request, body::Incoming, server::conn::http1, service::Service as _, service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    admission::{Activity, Admission, Client, Limits, Place, drive},
    descriptors,
    metrics::Crowding,
    threads,
};

/// Whose pages a socket has, and how many connections it serves at a time.
#[derive(Clone, Copy, Debug)]
pub struct Audience {
    /// What the threads are called.
    name: &'static str,
    /// Connections of other machines.
    remote: usize,
    /// Connections of this machine.
    local: usize,
}

impl Audience {
    /// Probes, and those who collect metrics.
    pub const MACHINES: Self = Self {
        name: "http",
        remote: 128,
        local: 128,
    };

    /// Those who look at the status pages, and their streams.
    pub const PEOPLE: Self = Self {
        name: "ui",
        remote: 64,
        local: 64,
    };

    const fn places(self) -> usize {
        self.remote + self.local
    }
}

const _: () =
    assert!(Audience::MACHINES.places() + Audience::PEOPLE.places() <= descriptors::PAGES);

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long a client may take to send a request's head, and how long a connection may be without a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client that is told to go may take to read the last answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many bytes a request's head may have, and how many of an answer are copied at a time.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// How long to wait before the next try when no connection can be accepted, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An HTTP address can't be listened at.
#[derive(Debug, thiserror::Error)]
#[error("listen for HTTP at {address}")]
pub struct BindError {
    /// As it was given: with port 0 where any port would do.
    pub address: SocketAddr,
    /// What the operating system says.
    pub source: io::Error,
}

/// Bound HTTP sockets, not served yet.
#[derive(Debug)]
pub struct Sockets {
    listeners: Vec<(SocketAddr, TcpListener)>,
}

impl Sockets {
    /// Binds every address.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let bind = |&address: &SocketAddr| {
            let bound = listener(address).and_then(|listener| {
                let address = listener.local_addr()?;
                Ok((address, listener))
            });
            bound.map_err(|source| BindError { address, source })
        };
        let listeners = addresses.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { listeners })
    }

    /// No socket: nothing is shown anywhere.
    pub fn none() -> Self {
        Self {
            listeners: Vec::new(),
        }
    }

    /// The bound addresses, with the ports that the kernel chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(|(address, _)| *address);
        addresses.collect()
    }

    /// Serves `router` at every socket, in tasks that end with the runtime. Counts in `crowding` which connections make room.
    pub fn serve(self, router: &Router, audience: Audience, crowding: &Arc<Crowding>) {
        let places = Arc::new(Places::new(audience, crowding));
        for (address, listener) in self.listeners {
            let accepting = accept(listener, router.clone(), places.clone());
            tokio::spawn(threads::lasting(
                format!("{} {address}", audience.name),
                accepting,
            ));
        }
    }
}

/// The places of all sockets.
struct Places {
    local: Arc<Admission>,
    remote: Arc<Admission>,
}

impl Places {
    fn new(audience: Audience, crowding: &Arc<Crowding>) -> Self {
        let places = |count| {
            let limits = Limits {
                places: count,
                places_per_client: count + 1,
                bytes: 0,
                newcomers_win: true,
            };
            Arc::new(Admission::new(limits, crowding.clone()))
        };
        Self {
            local: places(audience.local),
            remote: places(audience.remote),
        }
    }

    fn of(&self, client: SocketAddr) -> &Arc<Admission> {
        if client.ip().to_canonical().is_loopback() {
            &self.local
        } else {
            &self.remote
        }
    }
}

/// A listening socket; an IPv6 wildcard leaves IPv4 to the socket beside it.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted server must not wait for the connections of the one before to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, router: Router, places: Arc<Places>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let place = places.of(peer).admit(Client::from(peer.ip()));
                // Newcomers win: there is always one.
                let Some(place) = place else { continue };
                let (router, ending) = (router.clone(), place.ending());
                let task = tokio::spawn(async move { serve(stream, router, &place).await });
                ending.is(task.abort_handle());
            }
            Err(error) => {
                tracing::debug!(%error, "accept an HTTP connection");
                places.remote.make_room(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router, place: &Place) {
    let activity = Arc::new(Activity::new());
    let pages = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|mut request: Request<Incoming>| {
                // A stream is an answer that lasts.
                request.extensions_mut().insert(Arc::clone(&activity));
                let answering = Activity::begin(&activity);
                let response = pages.call(request);
                async move {
                    let response = response.await;
                    drop(answering);
                    response
                }
            }),
        );
    let end = http1::Connection::graceful_shutdown;
    let served = drive(
        connection,
        end,
        &activity,
        place,
        HEAD_TIMEOUT,
        WRITE_TIMEOUT,
    )
    .await;
    if let Err(error) = served {
        tracing::debug!(%error, "serve an HTTP connection");
    }
}
