//! TLS 1.2 and 1.3: handshakes, and the protocols that clients may name in them.

use std::sync::Arc;

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    select,
    time::{sleep, timeout},
};
pub(super) use tokio_rustls::TlsAcceptor;
use tokio_rustls::{
    rustls::{self, ServerConfig, crypto::ring, version},
    server::TlsStream,
};

use super::{TcpLimits, certificate::Certificates};
use crate::admission::{END_TIMEOUT, IDLE_GRACE, Place};

/// Names of protocols in the handshake ([RFC 7301](https://www.rfc-editor.org/rfc/rfc7301)). A client that names only others
/// is refused; a client that names none is served.
pub(super) const DNS: &[&[u8]] = &[b"dot"];
pub(super) const HTTP: &[&[u8]] = &[HTTP_2, b"http/1.1"];
pub(super) const HTTP_2: &[u8] = b"h2";
pub(super) const QUIC: &[&[u8]] = &[b"doq"];

/// How many bytes are encrypted before the client takes them: two records.
const UNSENT_BYTES: usize = 32 << 10;

/// Accepts connections, each with the certificate that `certificates` hold when it begins.
pub(super) fn acceptor(certificates: &Arc<Certificates>, protocols: &[&[u8]]) -> TlsAcceptor {
    let versions = &[&version::TLS13, &version::TLS12];
    TlsAcceptor::from(Arc::new(config(certificates, protocols, versions)))
}

/// The configuration of handshakes.
pub(super) fn config(
    certificates: &Arc<Certificates>,
    protocols: &[&[u8]],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    // The provider is named, for a process may have no default one.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("ring has the suites of TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificates) as _);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

/// Does the handshake; `None` where it fails or takes longer than a message may, or where another connection has its place.
pub(super) async fn handshake<'s>(
    acceptor: &TlsAcceptor,
    stream: &'s mut TcpStream,
    place: &Place,
    limits: TcpLimits,
) -> Option<TlsStream<&'s mut TcpStream>> {
    // One that takes long is as good as idle.
    let place_wanted = async {
        sleep(IDLE_GRACE).await;
        let _idle = place.idle();
        place.wanted().await;
    };
    let handshake = timeout(limits.message_timeout, acceptor.accept(stream));
    select! {
        done = handshake => match done {
            Ok(Ok(mut stream)) => {
                stream.get_mut().1.set_buffer_limit(Some(UNSENT_BYTES));
                Some(stream)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake with a client");
                None
            }
            Err(_) => None,
        },
        () = place_wanted => None,
    }
}

/// Tells the client that nothing more comes, so that it does not take the end for a cut connection.
pub(super) async fn close(mut stream: TlsStream<&mut TcpStream>, limits: TcpLimits) {
    let limit = END_TIMEOUT.min(limits.write_timeout);
    // A client that has gone can't be told.
    let _ = timeout(limit, stream.shutdown()).await;
}
