//! A small DNS client: asks one question over any transport or in the core, and prints the reply in dig's words.

use std::{
    fmt::Write as _,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    num::NonZeroUsize,
    sync::Arc,
};

use arc_swap::ArcSwap;
use hickory_proto::{
    op::Message,
    rr::{RData, Record},
};
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

/// How a question reaches the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    /// Through the core's functions, without a socket.
    Core,
    Udp,
    Tcp,
    Tls,
    Https,
    Quic,
}

/// What to ask.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    name: String,
    record_type: u16,
    class: u16,
    recursion_desired: bool,
    /// The payload size of the OPT record; `None` sends none.
    edns: Option<u16>,
    nsid: bool,
}

impl Question {
    /// Reads dig's words: `NAME TYPE [CLASS] [+rd] [+noedns] [+bufsize=N] [+nsid]`.
    pub(crate) fn parse(arguments: &str) -> Self {
        let mut words = arguments.split_whitespace();
        let name = words.next().expect("a name").to_owned();
        let record_type = type_number(words.next().expect("a type"));
        let mut question = Self {
            name,
            record_type,
            class: 1,
            recursion_desired: false,
            edns: Some(1232),
            nsid: false,
        };
        for word in words {
            match word {
                "CH" => question.class = 3,
                "+rd" => question.recursion_desired = true,
                "+noedns" => question.edns = None,
                "+nsid" => question.nsid = true,
                other => match other.strip_prefix("+bufsize=") {
                    Some(size) => question.edns = Some(size.parse().expect("a size")),
                    None => panic!("dig can't say {other} here"),
                },
            }
        }
        question
    }

    /// The query's bytes.
    pub(crate) fn encode(&self, id: u16) -> Vec<u8> {
        let mut packet = Vec::new();
        packet.extend(id.to_be_bytes());
        packet.extend([
            u8::from(self.recursion_desired),
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            u8::from(self.edns.is_some()),
        ]);
        for label in self
            .name
            .trim_end_matches('.')
            .split('.')
            .filter(|label| !label.is_empty())
        {
            packet.push(u8::try_from(label.len()).expect("a short label"));
            packet.extend(label.as_bytes());
        }
        packet.push(0);
        packet.extend(self.record_type.to_be_bytes());
        packet.extend(self.class.to_be_bytes());
        if let Some(size) = self.edns {
            packet.extend([0, 0, 41]);
            packet.extend(size.to_be_bytes());
            packet.extend([0, 0, 0, 0]);
            packet.extend(if self.nsid {
                &[0, 4, 0, 3, 0, 0][..]
            } else {
                &[0, 0][..]
            });
        }
        packet
    }
}

fn type_number(text: &str) -> u16 {
    match text {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "SOA" => 6,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        "HTTPS" => 65,
        "ANY" => 255,
        other => other
            .strip_prefix("TYPE")
            .and_then(|number| number.parse().ok())
            .expect("a known type"),
    }
}

/// A server that answers from `snapshots`.
pub(crate) struct Subject {
    transport: Transport,
    snapshots: Arc<ArcSwap<Snapshot>>,
    server: Option<(tokio::runtime::Runtime, meshdns::serve::Running, Client)>,
    next_id: u16,
}

/// Who asks the server.
enum Client {
    Udp(SocketAddr),
    Tcp(SocketAddr),
    Tls(Box<secure::TlsStream>),
    Https(Https),
    Quic(Quic),
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

impl Subject {
    /// Starts a server on a free loopback port, unless the core itself is asked.
    pub(crate) fn start(transport: Transport, snapshots: Arc<ArcSwap<Snapshot>>) -> Self {
        let server = (transport != Transport::Core).then(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime");
            let inside = runtime.enter();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let spoken = match transport {
                Transport::Core | Transport::Udp | Transport::Tcp => None,
                Transport::Tls => Some(serve::Transport::Tls),
                Transport::Https => Some(serve::Transport::Https {
                    path: "/dns-query".into(),
                }),
                Transport::Quic => Some(serve::Transport::Quic),
            };
            let (trusted, certificates) = certificates();
            let settings = ServeSettings {
                listen: Vec::from_iter(spoken.is_none().then_some(address)),
                workers: NonZeroUsize::MIN,
                tcp: serve::TcpLimits::default(),
                encrypted: spoken.map(|transport| Encrypted {
                    listen: vec![Listener { transport, address }],
                    certificates,
                }),
            };
            let sockets = Sockets::bind(&settings).expect("a free port");
            let encrypted = sockets.encrypted();
            let encrypted = encrypted.iter().map(|listener| listener.address);
            let mut addresses = sockets.addresses().into_iter().chain(encrypted);
            let address = addresses.next().expect("one listener");
            let traffic = Arc::new(metrics::Traffic::default());
            let running = sockets
                .serve(snapshots.clone(), traffic, Arc::default())
                .expect("threads can be started");
            drop(inside);
            let client = match transport {
                Transport::Core | Transport::Udp => Client::Udp(address),
                Transport::Tcp => Client::Tcp(address),
                Transport::Tls => {
                    let config = trusted.client(&["dot"], &secure::VERSIONS);
                    Client::Tls(Box::new(secure::connect_tls(address, config)))
                }
                Transport::Https => Client::Https(Https::connect(address, &trusted, true)),
                Transport::Quic => Client::Quic(Quic::connect(address, &trusted)),
            };
            (runtime, running, client)
        });
        Self {
            transport,
            snapshots,
            server,
            next_id: 1,
        }
    }

    /// Asks and prints.
    pub(crate) fn dig(&mut self, question: &Question) -> String {
        self.next_id = match self.transport {
            Transport::Quic => 0,
            _ => self.next_id.wrapping_add(1),
        };
        let query = question.encode(self.next_id);
        let reply = match &mut self.server {
            Some((_, _, client)) => client.ask(&query),
            None => ask_the_core(&self.snapshots.load(), &query),
        };
        let message = Message::from_vec(&reply).expect("a well-formed reply");
        assert_eq!(
            message.metadata.id, self.next_id,
            "the reply has the query's id"
        );
        assert_eq!(
            message.edns.is_some(),
            question.edns.is_some(),
            "an OPT answers an OPT, and nothing else"
        );
        print(&message)
    }
}

impl Client {
    fn ask(&mut self, query: &[u8]) -> Vec<u8> {
        match self {
            Self::Udp(address) => ask_over_udp(*address, query),
            Self::Tcp(address) => {
                let mut stream = TcpStream::connect(*address).expect("the server listens");
                stream
                    .set_read_timeout(Some(PATIENCE))
                    .expect("a time-out can be set");
                ask_over_stream(&mut stream, query)
            }
            Self::Tls(stream) => ask_over_stream(stream, query),
            Self::Https(https) => https.post(query).body,
            Self::Quic(quic) => quic.ask(query),
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some((runtime, running, _)) = self.server.take() {
            runtime.block_on(running.stop());
            runtime.shutdown_background();
        }
    }
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

fn ask_over_udp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
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

/// A reply's bytes in dig's words.
pub(crate) fn print_reply(reply: &[u8]) -> String {
    print(&Message::from_vec(reply).expect("a well-formed reply"))
}

/// Status and flags, extended errors, then each section; address records sorted, for their order is random by design.
fn print(message: &Message) -> String {
    let header = &message.metadata;
    let mut flags = String::from("qr");
    for (flag, is_set) in [
        ("aa", header.authoritative),
        ("tc", header.truncation),
        ("rd", header.recursion_desired),
        ("ra", header.recursion_available),
        ("ad", header.authentic_data),
        ("cd", header.checking_disabled),
    ] {
        if is_set {
            write!(flags, " {flag}").expect("a string can be written to");
        }
    }
    let status = format!("{:?}", header.response_code).to_uppercase();
    let mut printed = format!(
        ";; {} {flags}\n",
        if status == "NXDOMAIN" {
            "NXDOMAIN"
        } else {
            &status
        }
    );
    for (code, data) in message.edns.iter().flat_map(|edns| edns.options().as_ref()) {
        let bytes = Vec::<u8>::try_from(data).expect("an option has bytes");
        match u16::from(*code) {
            15 => writeln!(
                printed,
                ";; EDE {}",
                u16::from_be_bytes([bytes[0], bytes[1]])
            ),
            3 => writeln!(printed, ";; NSID {}", String::from_utf8_lossy(&bytes)),
            other => writeln!(printed, ";; OPTION {other}"),
        }
        .expect("a string can be written to");
    }
    for (title, records) in [
        ("", &message.answers),
        (";; AUTHORITY\n", &message.authorities),
        (";; ADDITIONAL\n", &message.additionals),
    ] {
        if !records.is_empty() {
            printed.push_str(title);
        }
        let mut lines: Vec<_> = records
            .iter()
            .map(|record| (address(record), line(record)))
            .collect();
        lines.sort();
        printed.extend(lines.into_iter().map(|(_, line)| line));
    }
    printed
}

fn address(record: &Record) -> Option<std::net::IpAddr> {
    match &record.data {
        RData::A(a) => Some(a.0.into()),
        RData::AAAA(aaaa) => Some(aaaa.0.into()),
        _ => None,
    }
}

fn line(record: &Record) -> String {
    let data = match &record.data {
        RData::SOA(soa) => format!(
            "{} {} SERIAL {} {} {} {}",
            soa.mname, soa.rname, soa.refresh, soa.retry, soa.expire, soa.minimum
        ),
        other => other.to_string(),
    };
    format!(
        "{} {} {} {} {data}\n",
        record.name,
        record.ttl,
        record.dns_class,
        record.record_type()
    )
}
