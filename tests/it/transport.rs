//! The ways in which a question reaches a server, each a value: a server that answers from given snapshots, and a client.

use std::{
    any::Any,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    num::NonZeroUsize,
    sync::Arc,
};

use arc_swap::ArcSwap;
use meshdns::{
    answer, metrics,
    serve::{self, CertificateFiles, Certificates, Encrypted, Listener, ServeSettings, Sockets},
    wire,
    zone::Snapshot,
};

use crate::{
    program::PATIENCE,
    secure::{self, Certificate, https::Https, quic::Quic},
};

/// How a question reaches a server.
#[derive(Clone, Copy)]
pub(crate) struct Transport {
    /// Whether queries have ids of their own; over QUIC all of them are 0 (RFC 9250 §4.2.1).
    pub(crate) has_ids: bool,
    /// Starts a server on a free loopback port that answers from the newest of the snapshots.
    pub(crate) start: fn(Arc<ArcSwap<Snapshot>>) -> Server,
}

/// Through the core's functions, without a socket.
pub(crate) const CORE: Transport = Transport {
    has_ids: true,
    start: |snapshots| Server::new(move |query| ask_the_core(&snapshots.load(), query), ()),
};

pub(crate) const UDP: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let (running, address) = serve_plain(snapshots);
        Server::new(move |query| ask_over_udp(address, query), running)
    },
};

pub(crate) const TCP: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let (running, address) = serve_plain(snapshots);
        Server::new(move |query| ask_over_tcp(address, query), running)
    },
};

pub(crate) const TLS: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let (running, address, trusted) = serve_encrypted(serve::Transport::Tls, snapshots);
        let config = trusted.client(&["dot"], &secure::VERSIONS);
        let mut stream = secure::connect_tls(address, config);
        Server::new(move |query| ask_over_stream(&mut stream, query), running)
    },
};

pub(crate) const HTTPS: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let path = "/dns-query".into();
        let spoken = serve::Transport::Https { path };
        let (running, address, trusted) = serve_encrypted(spoken, snapshots);
        let mut https = Https::connect(address, &trusted, true);
        Server::new(move |query| https.post(query).body, running)
    },
};

pub(crate) const QUIC: Transport = Transport {
    has_ids: false,
    start: |snapshots| {
        let (running, address, trusted) = serve_encrypted(serve::Transport::Quic, snapshots);
        let quic = Quic::connect(address, &trusted);
        Server::new(move |query| quic.ask(query), running)
    },
};

/// Sends a query and returns the reply.
type Ask = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// A server and a client of it. The drop ends the client first, then the server.
pub(crate) struct Server {
    ask: Ask,
    _running: Box<dyn Any>,
}

impl Server {
    /// `ask` sends a query and returns the reply; the drop of `running` ends the server.
    pub(crate) fn new(ask: impl FnMut(&[u8]) -> Vec<u8> + 'static, running: impl Any) -> Self {
        Self {
            ask: Box::new(ask),
            _running: Box::new(running),
        }
    }

    /// The reply to a query's bytes.
    pub(crate) fn ask(&mut self, query: &[u8]) -> Vec<u8> {
        (self.ask)(query)
    }
}

/// A runtime for a server.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Our own server and the runtime that it runs on.
struct Running(Option<(tokio::runtime::Runtime, serve::Running)>);

impl Running {
    fn start(sockets: Sockets, snapshots: Arc<ArcSwap<Snapshot>>) -> Self {
        let runtime = runtime();
        let inside = runtime.enter();
        let traffic = Arc::new(metrics::Traffic::default());
        let running = sockets
            .serve(snapshots, traffic, Arc::default())
            .expect("threads can be started");
        drop(inside);
        Self(Some((runtime, running)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((runtime, running)) = self.0.take() {
            runtime.block_on(running.stop());
            runtime.shutdown_background();
        }
    }
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn serve_plain(snapshots: Arc<ArcSwap<Snapshot>>) -> (Running, SocketAddr) {
    let settings = ServeSettings {
        listen: vec![ANY_PORT],
        workers: NonZeroUsize::MIN,
        tcp: serve::TcpLimits::default(),
        answers: serve::AnswerLimits::default(),
        encrypted: None,
        presets: meshdns::serve::Presets::new(),
    };
    let sockets = Sockets::bind(&settings).expect("a free port");
    let address = sockets.addresses()[0];
    (Running::start(sockets, snapshots), address)
}

/// Also what clients trust.
fn serve_encrypted(
    transport: serve::Transport,
    snapshots: Arc<ArcSwap<Snapshot>>,
) -> (Running, SocketAddr, Certificate) {
    let (trusted, certificates) = certificates();
    let address = ANY_PORT;
    let settings = ServeSettings {
        listen: Vec::new(),
        workers: NonZeroUsize::MIN,
        tcp: serve::TcpLimits::default(),
        answers: serve::AnswerLimits::default(),
        encrypted: Some(Encrypted {
            listen: vec![Listener { transport, address }],
            certificates,
        }),
        presets: meshdns::serve::Presets::new(),
    };
    let sockets = Sockets::bind(&settings).expect("a free port");
    let address = sockets.encrypted()[0].address;
    (Running::start(sockets, snapshots), address, trusted)
}

/// Certificates that are served, and what clients trust.
fn certificates() -> (Certificate, Arc<Certificates>) {
    let certificate = Certificate::new();
    let folder = tempfile::tempdir().expect("a folder");
    let [file, key] = certificate.write(folder.path());
    let files = CertificateFiles {
        certificate: file,
        key,
    };
    let certificates = Certificates::load(files).expect("a certificate and its key");
    (certificate, certificates)
}

fn ask_the_core(snapshot: &Snapshot, packet: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    let mut buffer = wire::NameBuffer::default();
    let query = wire::parse(packet, 0, &mut buffer).expect("a query that is answered");
    wire::write(
        &query,
        &answer::answer(snapshot, &query),
        usize::from(u16::MAX),
        &mut reply,
    );
    reply
}

pub(crate) fn ask_over_udp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.connect(server).expect("loopback is reachable");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out can be set");
    socket.send(packet).expect("a query can be sent");
    let mut reply = vec![0; 65_535];
    let length = socket.recv(&mut reply).expect("a reply in time");
    reply.truncate(length);
    reply
}

pub(crate) fn ask_over_tcp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out can be set");
    ask_over_stream(&mut stream, packet)
}

fn ask_over_stream(stream: &mut (impl Read + io::Write), packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).expect("a short query");
    stream
        .write_all(&[&length.to_be_bytes(), packet].concat())
        .expect("a query can be sent");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("a reply in time");
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply).expect("a whole reply");
    reply
}
