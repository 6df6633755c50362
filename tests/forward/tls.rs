//! Upstreams over TLS and HTTPS.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hickory_proto::op::ResponseCode;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    runtime::Runtime,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

use crate::{
    harness::{Forwarding, check_address},
    upstream::Upstream,
};

/// Takes in over TLS, with a certificate for `dns.test` and 127.0.0.1, what an upstream is asked.
struct Encrypted {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    folder: TempDir,
    _runtime: Runtime,
}

impl Encrypted {
    /// In front of `upstream`, over HTTP/2 or as bare messages.
    fn new(upstream: SocketAddr, over_http: bool) -> Self {
        let names = vec!["dns.test".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let folder = TempDir::new().expect("a folder");
        let authorities = folder.path().join("authorities.pem");
        std::fs::write(authorities, made.cert.pem()).expect("a writable folder");
        let key = made.signing_key.serialize_pem();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key);
        let mut config = config.expect("a key for the certificate");
        let protocol: &[u8] = if over_http { b"h2" } else { b"dot" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), count.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    if over_http {
                        let service = service_fn(|request| answer(upstream, request));
                        let server = http2::Builder::new(TokioExecutor::new());
                        drop(server.serve_connection(TokioIo::new(stream), service).await);
                    } else {
                        serve_messages(upstream, stream).await;
                    }
                });
            }
        });
        Self {
            address,
            connections,
            folder,
            _runtime: runtime,
        }
    }

    fn authorities(&self) -> PathBuf {
        self.folder.path().join("authorities.pem")
    }

    /// A server that trusts it, and forwards to `flag`.
    fn asked_by(&self, flag: &str) -> Forwarding {
        let authorities = self.authorities();
        Forwarding::in_environment(&["--upstream", flag], &[("SSL_CERT_FILE", &authorities)])
    }
}

async fn ask(upstream: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let sent = socket.send_to(message, upstream).await;
    sent.expect("a sent query");
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply).await.expect("a reply");
    reply.truncate(length);
    reply
}

async fn serve_messages(upstream: SocketAddr, mut stream: TlsStream<TcpStream>) {
    while let Ok(length) = stream.read_u16().await {
        let mut message = vec![0; length.into()];
        let read = stream.read_exact(&mut message).await;
        read.expect("a whole message");
        let reply = ask(upstream, &message).await;
        let length = u16::try_from(reply.len()).expect("a message");
        let framed = [&length.to_be_bytes(), &*reply].concat();
        stream.write_all(&framed).await.expect("a sent reply");
        stream.flush().await.expect("a sent reply");
    }
}

async fn answer(
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/dns-query");
    assert_eq!(request.headers()["content-type"], "application/dns-message");
    let body = request.into_body().collect().await.expect("a whole body");
    let message = body.to_bytes();
    assert_eq!(message[..2], [0, 0], "the id that caches like");
    Ok(Response::new(ask(upstream, &message).await.into()))
}

#[test]
fn an_upstream_is_asked_over_tls_if_its_certificate_is_right() {
    let upstream = Upstream::with_address(1);
    let encrypted = Encrypted::new(upstream.address, false);
    let forwarding = encrypted.asked_by(&format!("tls://dns.test@{}", encrypted.address));
    for name in ["a.test", "b.test"] {
        check_address(&forwarding.ask(name), 1);
    }
    assert_eq!(encrypted.connections.load(Ordering::SeqCst), 1);
    let asked = upstream.count();
    let other = encrypted.asked_by(&format!("tls://other.test@{}", encrypted.address));
    let answer = other.ask("c.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(
        upstream.count(),
        asked,
        "nothing is said to a server of another name"
    );
}

#[test]
fn an_upstream_is_asked_over_https() {
    let upstream = Upstream::with_address(1);
    let encrypted = Encrypted::new(upstream.address, true);
    let hosts = [
        format!("dns.test@{}", encrypted.address),
        encrypted.address.to_string(),
    ];
    for host in hosts {
        let before = encrypted.connections.load(Ordering::SeqCst);
        let forwarding = encrypted.asked_by(&format!("https://{host}/dns-query"));
        for name in ["a.test", "b.test"] {
            check_address(&forwarding.ask(name), 1);
        }
        assert_eq!(encrypted.connections.load(Ordering::SeqCst), before + 1);
    }
}
