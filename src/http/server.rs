//! The HTTP sockets. How many connections are served, and how long one may be idle, is limited.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Connections served at a time; the next waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 128;

/// How long a client may take to send a request's head, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

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

    /// The bound addresses, with the ports that the kernel chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(|(address, _)| *address);
        addresses.collect()
    }

    /// Serves `router` at every socket, in tasks that end with the runtime.
    pub fn serve(self, router: &Router) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for (_, listener) in self.listeners {
            let task = accept(listener, router.clone(), connections.clone());
            tokio::spawn(task);
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
    socket.listen(MAX_CONNECTIONS.try_into().unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, router: Router, connections: Arc<Semaphore>) {
    loop {
        let permit = connections.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve(stream, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "serve an HTTP connection");
    }
}
