//! A server in this process, and a client that sends any bytes.
#![allow(dead_code)] // each test file uses a part

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    num::{NonZeroU16, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use meshdns::{
    dns::{Name, Serial, Ttl},
    manifest::{AnswerMode, MaxAddresses, ServicePort, Transport},
    metrics::Traffic,
    select::{Group, Kept, Member, Split},
    serve::{AnswerLimits, Running, ServeSettings, Sockets, TcpLimits},
    zone::{Compiled, Draws, Editor, HostRecords, Identity, Settings, Snapshot},
};
use prometheus_client::{encoding::text, registry::Registry};
use tokio::runtime::Runtime;

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on ports of its own.
pub(crate) struct Server {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(crate) traffic: Arc<Traffic>,
    runtime: Option<(Runtime, Running)>,
}

impl Server {
    /// Serves the sample on 127.0.0.1, and on `::1` where this machine has it.
    pub(crate) fn start() -> Self {
        let has_ipv6 = UdpSocket::bind("[::1]:0").is_ok();
        let both = ["127.0.0.1:0", "[::1]:0"];
        Self::on(&both[..=usize::from(has_ipv6)], TcpLimits::default())
    }

    pub(crate) fn on(listen: &[&str], tcp: TcpLimits) -> Self {
        Self::with(listen, tcp, AnswerLimits::default())
    }

    /// Serves the sample on 127.0.0.1 with these limits.
    pub(crate) fn limited(answers: AnswerLimits) -> Self {
        Self::with(&["127.0.0.1:0"], TcpLimits::default(), answers)
    }

    pub(crate) fn with(listen: &[&str], tcp: TcpLimits, answers: AnswerLimits) -> Self {
        let settings = ServeSettings {
            listen: listen
                .iter()
                .map(|text| text.parse().expect("an address"))
                .collect(),
            workers: NonZeroUsize::new(2).expect("not zero"),
            tcp,
            answers,
            encrypted: None,
            presets: meshdns::serve::Presets::new(),
        };
        let sockets = Sockets::bind(&settings).expect("free ports");
        let addresses = sockets.addresses();
        let snapshots = Arc::new(ArcSwap::new(sample()));
        let traffic = Arc::new(Traffic::default());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let running = {
            let _inside = runtime.enter();
            sockets
                .serve(Arc::clone(&snapshots), Arc::clone(&traffic), Arc::default())
                .expect("a running server")
        };
        Self {
            addresses,
            snapshots,
            traffic,
            runtime: Some((runtime, running)),
        }
    }

    /// The first address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Ends the server; its ports are free when this returns.
    pub(crate) fn stop(mut self) {
        if let Some((runtime, running)) = self.runtime.take() {
            runtime.block_on(running.stop());
        }
    }

    /// The metrics page.
    pub(crate) fn metrics(&self) -> String {
        let mut registry = Registry::with_prefix("meshdns");
        registry.register_collector(Box::new(Arc::clone(&self.traffic)));
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("a page");
        page
    }

    /// Waits until `is_so` holds for the server, up to [`PATIENCE`].
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = std::time::Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "{what}: not in time");
            std::thread::yield_now();
        }
    }
}

/// What the sample mesh compiles to.
pub(crate) fn sample() -> Arc<Snapshot> {
    let mut editor = Editor::new(Arc::new(sample_settings()));
    let host = |text: &str, addresses: &[&str]| {
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        records(text, &addresses.collect::<Vec<_>>())
    };
    let hosts = BTreeMap::from([
        host(
            "svc1.internal.com",
            &[
                "10.0.0.1",
                "10.0.0.2",
                "10.0.0.3",
                "2001:db8::1",
                "2001:db8::2",
                "2001:db8::3",
            ],
        ),
        host("one.internal.com", &["10.0.0.4"]),
        host("a.b.internal.com", &["10.0.0.5"]),
        host("*.wild.internal.com", &["10.0.0.6"]),
        host("none.internal.com", &[]),
        many("many.internal.com", 100),
        many("huge.internal.com", 4000),
        host("solo.test", &["10.0.0.7"]),
        drawn("drawn.internal.com"),
        service("service.internal.com"),
    ]);
    editor.apply(hosts, Serial(7)).snapshot
}

pub(crate) fn sample_settings() -> Settings {
    Settings {
        // So that there are answers that don't fit.
        max_addresses: MaxAddresses::All,
        forwarders: vec!["127.0.0.9".parse::<IpAddr>().expect("an address").into()],
        zones: vec![Name::from_text("internal.com").expect("a name")],
        identity: Identity {
            version: Some("meshdns 0".into()),
            server_id: Some("test".into()),
            nsid: Some(b"one"[..].into()),
        },
        ..Settings::default()
    }
}

fn many(text: &str, count: u32) -> (Name, Option<Compiled>) {
    let addresses = (0..count).map(|last| Ipv4Addr::from(0x0a0a_0000 + last).into());
    records(text, &addresses.collect::<Vec<_>>())
}

/// A host of which a tenth of the questions goes to one side.
fn drawn(text: &str) -> (Name, Option<Compiled>) {
    let group = |name: &str, share: f64, first: u8, count: u8| Group {
        name: name.into(),
        wanted: share,
        effective: share,
        count: count.into(),
        in_count: count.into(),
        unready_count: 0,
        members: (first..first + count)
            .map(|last| Member {
                address: [10, 0, 1, last].into(),
                weight: 1,
                locality: None,
            })
            .collect(),
        unready: Vec::new(),
    };
    let split = Split {
        groups: vec![group("pod", 0.1, 1, 3), group("vm", 0.9, 101, 60)],
        asked_by: None,
        direct: AnswerMode::Side,
        forwarder: AnswerMode::Mix,
        side_addresses: NonZeroU16::new(2).expect("two"),
        mixed_addresses: NonZeroU16::new(28).expect("more"),
        max_addresses: None,
        all_unhealthy: false,
        kept: Kept::default(),
        has_weights_beside_pods: false,
        nearness: None,
    };
    let members = split.groups.iter().flat_map(|group| &group.members);
    let addresses: Vec<IpAddr> = members.map(|member| member.address).collect();
    let records = HostRecords::encode(&addresses, Ttl::FIVE_SECONDS);
    let records = records.drawn_by(Draws::of(&split));
    let name = Name::from_text(text).expect("a name");
    (name, Some(Compiled::Records(records)))
}

/// A host with a port `http`.
fn service(text: &str) -> (Name, Option<Compiled>) {
    let addresses = [[10, 0, 2, 1], [10, 0, 2, 2]].map(IpAddr::from);
    let http = ServicePort {
        name: "http".into(),
        number: 80,
        target: None,
        transport: Transport::Tcp,
        is_https: false,
    };
    let records = HostRecords::encode(&addresses, Ttl::FIVE_SECONDS);
    let name = Name::from_text(text).expect("a name");
    let records = records.at_ports([http].into());
    (name, Some(Compiled::Records(records)))
}

fn records(text: &str, addresses: &[IpAddr]) -> (Name, Option<Compiled>) {
    let records = HostRecords::encode(addresses, Ttl::FIVE_SECONDS);
    let name = Name::from_text(text).expect("a name");
    (name, Some(Compiled::Records(records)))
}

/// A query with these flags, of one question and an OPT record if `edns` is one.
pub(crate) fn query(flags: u16, name: &str, record_type: u16, class: u16, edns: &[u8]) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd];
    for field in [flags, 1, 0, 0, u16::from(!edns.is_empty())] {
        message.extend(field.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).expect("a short label"));
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend(record_type.to_be_bytes());
    message.extend(class.to_be_bytes());
    message.extend(edns);
    message
}

/// An OPT record of version 0 with these flags and options.
pub(crate) fn opt(payload: u16, version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    let mut opt = b"\0\0\x29".to_vec();
    opt.extend(payload.to_be_bytes());
    opt.extend([0, version]);
    opt.extend(flags.to_be_bytes());
    opt.extend(
        u16::try_from(options.len())
            .expect("few options")
            .to_be_bytes(),
    );
    opt.extend(options);
    opt
}

/// A plain A query.
pub(crate) fn a_query(name: &str) -> Vec<u8> {
    query(0x0100, name, 1, 1, &[])
}

/// A UDP socket that sends to `server`.
pub(crate) fn udp_client(server: SocketAddr) -> UdpSocket {
    let local = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(local).expect("a port");
    socket.connect(server).expect("a connected socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    socket
}

pub(crate) fn ask_udp(socket: &UdpSocket, message: &[u8]) -> Vec<u8> {
    socket.send(message).expect("a sent query");
    let mut answer = vec![0; 65_536];
    let length = socket.recv(&mut answer).expect("an answer");
    answer.truncate(length);
    answer
}

pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
        .set_write_timeout(Some(PATIENCE))
        .expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// A message behind its length.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a message");
    [&length.to_be_bytes(), message].concat()
}

pub(crate) fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("a length");
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).expect("a message");
    message
}

pub(crate) fn ask_tcp(stream: &mut TcpStream, message: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(message)).expect("a sent query");
    read_framed(stream)
}

/// Whether the server ended the connection without sending more, waiting for it up to [`PATIENCE`].
pub(crate) fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
