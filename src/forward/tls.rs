use std::sync::Arc;

use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};

use super::{Endpoint, StartError, Transport};

/// What connections over TLS are made with.
#[derive(Clone)]
pub(super) struct Connectors {
    /// For DNS in TLS ([RFC 7858](https://www.rfc-editor.org/rfc/rfc7858)).
    pub(super) dns: TlsConnector,
    /// For HTTP/2.
    pub(super) http: TlsConnector,
}

/// What connections over TLS are made with, where one of `endpoints` needs it: they trust the authorities that this machine
/// trusts.
pub(super) fn connectors<'e>(
    endpoints: impl IntoIterator<Item = &'e Endpoint>,
) -> Result<Option<Connectors>, StartError> {
    let is_needed = |endpoint: &Endpoint| {
        matches!(
            endpoint.transport,
            Transport::Tls(_) | Transport::Https { .. }
        )
    };
    if !endpoints.into_iter().any(is_needed) {
        return Ok(None);
    }
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(StartError::NoAuthorities);
    }
    // The provider is named, for a process may have no default one.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of TLS 1.2 and 1.3");
    let config = config
        .with_root_certificates(authorities)
        .with_no_client_auth();
    let speaking = |protocol: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsConnector::from(Arc::new(config))
    };
    Ok(Some(Connectors {
        dns: speaking(b"dot"),
        http: speaking(b"h2"),
    }))
}
