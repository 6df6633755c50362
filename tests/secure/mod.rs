//! Clients that speak DNS where nobody else can read it, and the certificate that they trust.
#![allow(dead_code)] // each test crate uses a part

pub(crate) mod https;
pub(crate) mod quic;

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version,
};

/// Nothing in these tests takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// The versions of TLS that there are.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// A certificate for `dns.test` and an address, that nobody vouches for, and its key.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        Self::valid(2020, 2100)
    }

    /// For another address.
    pub(crate) fn for_address(address: &str) -> Self {
        Self::made(address, 2020, 2100)
    }

    /// Valid from the first day of one year to that of another.
    pub(crate) fn valid(from: i32, until: i32) -> Self {
        Self::made("127.0.0.1", from, until)
    }

    fn made(address: &str, from: i32, until: i32) -> Self {
        let names = vec![address.to_owned(), "dns.test".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes both into a folder, as `tls.crt` and `tls.key`.
    pub(crate) fn write(&self, folder: &Path) -> [PathBuf; 2] {
        let files = [("tls.crt", &self.pem), ("tls.key", &self.key)];
        files.map(|(name, text)| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a writable folder");
            path
        })
    }

    /// What stands in the certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate")
    }

    /// What a client is configured with that trusts this certificate alone, and offers these protocols.
    pub(crate) fn client(
        &self,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut authorities = RootCertStore::empty();
        authorities.add(self.der()).expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let protocols = protocols.iter();
        config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// The name in the certificate.
    pub(crate) fn name() -> ServerName<'static> {
        ServerName::try_from("dns.test").expect("a name")
    }
}

/// A stream over TLS.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects over TLS; nothing is exchanged before something is written or read.
pub(crate) fn connect_tls(server: SocketAddr, config: ClientConfig) -> TlsStream {
    let stream = TcpStream::connect(server).expect("the server listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out can be set");
    let client = ClientConnection::new(Arc::new(config), Certificate::name());
    StreamOwned::new(client.expect("a client"), stream)
}
