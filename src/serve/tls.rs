//! TLS 1.2 and 1.3 in front of what is spoken in it.

use std::{sync::Arc, time::Duration};

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

use super::{
    admission::{Admission, IDLE_GRACE},
    certificate::Certificates,
};

/// How long a client may take to hear that a connection ends.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Protocols by their names in the handshake ([RFC 7301](https://www.rfc-editor.org/rfc/rfc7301)): a client that names
/// others alone is turned away, one that names none is served.
pub(super) const DNS: &[&[u8]] = &[b"dot"];
pub(super) const HTTP: &[&[u8]] = &[HTTP_2, b"http/1.1"];
pub(super) const HTTP_2: &[u8] = b"h2";
pub(super) const QUIC: &[&[u8]] = &[b"doq"];

/// What takes connections in: each with the certificate that `certificates` hold when it begins.
pub(super) fn acceptor(certificates: &Arc<Certificates>, protocols: &[&[u8]]) -> TlsAcceptor {
    let versions = &[&version::TLS13, &version::TLS12];
    TlsAcceptor::from(Arc::new(config(certificates, protocols, versions)))
}

/// What a handshake is made with.
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

/// Does the handshake; `None` where it fails or takes longer than a message may, or where another connection is in want of
/// the place.
pub(super) async fn greet<'s>(
    acceptor: &TlsAcceptor,
    stream: &'s mut TcpStream,
    admission: &Admission,
) -> Option<TlsStream<&'s mut TcpStream>> {
    let unwanted = async {
        sleep(IDLE_GRACE).await;
        admission.wanted_elsewhere().await;
    };
    let handshake = timeout(admission.limits.message_timeout, acceptor.accept(stream));
    select! {
        greeted = handshake => match greeted {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "greet a client over TLS");
                None
            }
            Err(_) => None,
        },
        () = unwanted => None,
    }
}

/// Tells the client that nothing more comes, so that it can tell this from a connection that was cut.
pub(super) async fn end(mut stream: TlsStream<&mut TcpStream>, admission: &Admission) {
    let limit = END_TIMEOUT.min(admission.limits.write_timeout);
    // Whoever has gone already can't be told.
    let _ = timeout(limit, stream.shutdown()).await;
}
