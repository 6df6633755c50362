//! Upstreams over TLS and HTTPS.

use std::{
    convert::Infallible,
    net::{self, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hickory_proto::op::{Message, ResponseCode};
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
    sync::Semaphore,
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
    harness::{Forwarding, PATIENT, RD, check_address, edns, read},
    serving::{query, udp_client},
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
        let protocol: &[u8] = if over_http { b"h2" } else { b"dot" };
        Self::serving(protocol, move |_, stream| async move {
            if over_http {
                serve_requests(stream, move |request| answer(upstream, request)).await;
            } else {
                serve_messages(upstream, stream).await;
            }
        })
    }

    /// Where `serve` gets each connection with its number, from 0 on.
    fn serving<F>(
        protocol: &[u8],
        serve: impl Fn(usize, TlsStream<TcpStream>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
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
        config.alpn_protocols = vec![protocol.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let serve = Arc::new(serve);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count, serve) = (acceptor.clone(), count.clone(), serve.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    serve(count.fetch_add(1, Ordering::SeqCst), stream).await;
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
        self.asked_as(flag, "")
    }

    /// The same with a configuration file of this content.
    fn asked_as(&self, flag: &str, configuration: &str) -> Forwarding {
        let authorities = self.authorities();
        let variables = [("SSL_CERT_FILE", authorities.as_path())];
        Forwarding::in_environment(&["--upstream", flag], &variables, configuration)
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

/// Serves each HTTP/2 request of a connection by `answer`.
async fn serve_requests<F>(
    stream: TlsStream<TcpStream>,
    answer: impl Fn(Request<Incoming>) -> F + Send + 'static,
) where
    F: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let server = http2::Builder::new(TokioExecutor::new());
    let connection = server.serve_connection(TokioIo::new(stream), service_fn(answer));
    drop(connection.await);
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

/// A server in front of `upstream` over HTTPS that answers as many requests of the first connection as `answered` has permits,
/// in the order in which they come; others of that connection wait for a permit, and those of later ones for `others`.
fn falling_silent(
    upstream: SocketAddr,
    answered: &Arc<Semaphore>,
    others: &Arc<Semaphore>,
) -> Encrypted {
    let permits = [answered.clone(), others.clone()];
    Encrypted::serving(b"h2", move |number, stream| {
        let permits = permits[number.min(1)].clone();
        serve_requests(stream, move |request| {
            let permits = permits.clone();
            async move {
                permits.acquire().await.expect("it is open").forget();
                answer(upstream, request).await
            }
        })
    })
}

fn forwarding_over(encrypted: &Encrypted) -> Forwarding {
    let flag = format!("https://dns.test@{}/dns-query", encrypted.address);
    encrypted.asked_as(&flag, &format!("forward: {{{PATIENT}, timeout: 20s}}\n"))
}

/// Sends the question for `name` and does not wait for the answer.
fn send(forwarding: &Forwarding, name: &str) -> net::UdpSocket {
    let socket = udp_client(forwarding.server.dns);
    let question = query(RD, name, 1, 1, &edns());
    socket.send(&question).expect("a sent query");
    socket
}

fn receive(socket: &net::UdpSocket) -> Message {
    let mut reply = [0; 1500];
    let length = socket.recv(&mut reply).expect("an answer");
    read(&reply[..length])
}

#[test]
fn a_question_over_https_is_asked_again_where_the_connection_falls_silent() {
    let upstream = Upstream::with_address(1);
    let (answered, others) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(100)));
    let encrypted = falling_silent(upstream.address, &answered, &others);
    let forwarding = forwarding_over(&encrypted);
    for name in ["a.test", "b.test"] {
        check_address(&forwarding.ask(name), 1);
    }
    assert_eq!(encrypted.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn it_is_asked_again_over_https_where_only_another_one_was_answered_meanwhile() {
    let upstream = Upstream::with_address(1);
    let (answered, others) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(100)));
    let encrypted = falling_silent(upstream.address, &answered, &others);
    let forwarding = forwarding_over(&encrypted);
    check_address(&forwarding.ask("a.test"), 1);
    let sockets = ["b.test", "c.test"].map(|name| send(&forwarding, name));
    // One of the two gets an answer while both wait.
    answered.add_permits(1);
    for socket in &sockets {
        check_address(&receive(socket), 1);
    }
}

#[test]
fn a_late_reply_over_https_counts_where_the_other_connection_brings_none() {
    let upstream = Upstream::with_address(1);
    let (answered, others) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
    let encrypted = falling_silent(upstream.address, &answered, &others);
    let forwarding = forwarding_over(&encrypted);
    check_address(&forwarding.ask("a.test"), 1);
    let socket = send(&forwarding, "b.test");
    let until = Instant::now() + Duration::from_secs(30);
    while encrypted.connections.load(Ordering::SeqCst) < 2 {
        assert!(Instant::now() < until, "no second connection");
        thread::sleep(Duration::from_millis(10));
    }
    answered.add_permits(1);
    check_address(&receive(&socket), 1);
}
