use std::{net::SocketAddr, sync::Arc};

use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, crypto::rustls::QuicClientConfig,
};
use tokio::{runtime::Runtime, time::timeout};
use tokio_rustls::rustls::version;

use super::{Certificate, PATIENCE};

/// A connection for queries over QUIC.
pub(crate) struct Quic {
    pub(crate) runtime: Runtime,
    pub(crate) connection: Connection,
    endpoint: Endpoint,
}

impl Quic {
    pub(crate) fn connect(server: SocketAddr, trusted: &Certificate) -> Self {
        Self::offering(server, trusted, &["doq"]).expect("a handshake")
    }

    /// Offers these protocols in the handshake.
    pub(crate) fn offering(
        server: SocketAddr,
        trusted: &Certificate,
        protocols: &[&str],
    ) -> Result<Self, ConnectionError> {
        let runtime = Runtime::new().expect("a runtime");
        let config = trusted.client(protocols, &[&version::TLS13]);
        let (endpoint, connection) = runtime.block_on(async {
            let local = SocketAddr::from(([127, 0, 0, 1], 0));
            let endpoint = Endpoint::client(local).expect("a free port");
            let crypto = QuicClientConfig::try_from(config).expect("TLS 1.3");
            let config = ClientConfig::new(Arc::new(crypto));
            let connecting = endpoint.connect_with(config, server, "dns.test");
            let connecting = connecting.expect("a connection");
            let connection = timeout(PATIENCE, connecting).await.expect("in time");
            connection.map(|connection| (endpoint, connection))
        })?;
        Ok(Self {
            runtime,
            connection,
            endpoint,
        })
    }

    /// Sends these bytes as a stream, and returns what comes back; `None` where that is no whole stream.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.runtime.block_on(async {
            let exchange = async {
                let (mut send, mut receive) = self.connection.open_bi().await.ok()?;
                send.write_all(bytes).await.ok()?;
                send.finish().ok()?;
                receive.read_to_end(2 + usize::from(u16::MAX)).await.ok()
            };
            timeout(PATIENCE, exchange).await.expect("an end in time")
        })
    }

    /// Asks one query.
    #[track_caller]
    pub(crate) fn ask(&self, message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(message.len()).expect("a message");
        let framed = [&length.to_be_bytes(), message].concat();
        let reply = self.exchange(&framed).expect("an answer");
        let (length, reply) = reply.split_first_chunk().expect("a length");
        assert_eq!(usize::from(u16::from_be_bytes(*length)), reply.len());
        reply.to_vec()
    }

    /// Waits until the server ends the connection, and tells the code with which it does.
    pub(crate) fn ended_with(&self) -> Option<u64> {
        let ended = async { timeout(PATIENCE, self.connection.closed()).await };
        match self.runtime.block_on(ended).expect("an end in time") {
            ConnectionError::ApplicationClosed(closed) => Some(closed.error_code.into_inner()),
            _ => None,
        }
    }
}

/// Tells the server.
impl Drop for Quic {
    fn drop(&mut self) {
        self.connection.close(0_u8.into(), b"");
        let told = async { timeout(PATIENCE, self.endpoint.wait_idle()).await };
        // A server that is gone does not hear it.
        let _ = self.runtime.block_on(told);
    }
}
