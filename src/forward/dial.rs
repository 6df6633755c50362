//! Streams to one upstream.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use super::{Endpoint, Transport, tls::Connectors};

/// How long a connection, with its greeting, may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// Where to connect to, and what for.
#[derive(Clone)]
pub(super) struct Dial {
    address: SocketAddr,
    protection: Option<(TlsConnector, ServerName<'static>)>,
}

/// A stream to an upstream.
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Dial {
    /// With `tls` where `endpoint` needs it.
    pub(super) fn new(endpoint: &Endpoint, tls: Option<Connectors>) -> Self {
        let protection = match &endpoint.transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls(name) => tls.map(|tls| (tls.dns, name.clone())),
            Transport::Https { name, .. } => tls.map(|tls| (tls.http, name.clone())),
        };
        Self {
            address: endpoint.address,
            protection,
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let connected = timeout(CONNECT_TIME, self.connect_patiently()).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn connect_patiently(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.protection {
            None => Ok(Stream::Tcp(stream)),
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), stream).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}
