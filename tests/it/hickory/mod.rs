//! The mesh inside of hickory-server: its listeners, its reader, its catalog and its encoder around our answers.

mod catalog;
mod fields;
mod handler;
mod replay;

use std::{
    any::Any,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use hickory_proto::rr::{Name, RData, Record, rdata::SOA};
use hickory_server::{
    Server, server::RequestHandler, store::in_memory::InMemoryZoneHandler,
    zone_handler::AxfrPolicy, zone_handler::ZoneType,
};
use meshdns::{
    manifest::{self, MaxAddresses},
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy},
    zone::{Identity, Settings, Snapshot},
};
use tokio::{
    net::{TcpListener, UdpSocket},
    runtime::Runtime,
};

use crate::{
    dns_client::{Question, print_reply},
    transport::{ask_over_udp, runtime},
};

/// hickory's server at two ports of loopback. The drop ends it.
struct Running {
    udp: SocketAddr,
    tcp: SocketAddr,
    _server: Box<dyn Any>,
    _runtime: Runtime,
}

impl Running {
    fn start(handler: impl RequestHandler) -> Self {
        const PATIENCE: Duration = Duration::from_secs(5);
        let runtime = runtime();
        let any_port = (Ipv4Addr::LOCALHOST, 0);
        let udp = runtime.block_on(UdpSocket::bind(any_port));
        let udp = udp.expect("a free port");
        let tcp = runtime.block_on(TcpListener::bind(any_port));
        let tcp = tcp.expect("a free port");
        let address = "a bound socket has an address";
        let (udp_address, tcp_address) = (udp.local_addr(), tcp.local_addr());
        let inside = runtime.enter();
        let mut server = Server::new(handler);
        server.register_socket(udp);
        server.register_listener(tcp, PATIENCE, 4);
        drop(inside);
        Self {
            udp: udp_address.expect(address),
            tcp: tcp_address.expect(address),
            _server: Box::new(server),
            _runtime: runtime,
        }
    }

    /// Asks over UDP, in dig's words.
    fn dig(&self, question: &str) -> String {
        let query = Question::parse(question).encode(7);
        print_reply(&ask_over_udp(self.udp, &query))
    }
}

/// `internal.com` is a declared zone and others answer for all else; there are a host with few addresses, one with many,
/// one that is left to others, and one outside of the zone.
fn mesh() -> Arc<ArcSwap<Snapshot>> {
    mesh_of(MaxAddresses::All)
}

/// The same where an answer holds at most so many addresses.
fn mesh_of(max_addresses: MaxAddresses) -> Arc<ArcSwap<Snapshot>> {
    let entry = |host: &str, resolution: &str, addresses: &[String]| {
        let endpoints = addresses
            .iter()
            .map(|address| format!("{{address: \"{address}\"}}"));
        let name = host.replace('.', "-");
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: ns1}}\n\
             spec: {{hosts: [{host}], resolution: {resolution}, ports: [{{number: 80, name: http, protocol: HTTP}}], \
             endpoints: [{}]}}\n",
            endpoints.collect::<Vec<_>>().join(", ")
        )
    };
    let few = ["10.0.0.1", "10.0.0.2", "2001:db8::1"].map(str::to_owned);
    let many = (0..100).map(|last| format!("10.9.0.{last}"));
    let yaml = [
        entry("svc1.internal.com", "STATIC", &few),
        entry("many.internal.com", "STATIC", &many.collect::<Vec<_>>()),
        entry("left.internal.com", "DNS", &[]),
        entry("solo.test", "STATIC", &few),
    ];
    let change = FileChange {
        file: "mesh.yaml".into(),
        reading: Reading::Read(manifest::parse_bytes(
            &"mesh.yaml".into(),
            yaml.concat().as_bytes(),
        )),
    };
    let mut pipeline = Pipeline::new(Policy {
        settings: Arc::new(Settings {
            max_addresses,
            ..settings()
        }),
        ..Policy::default()
    });
    let report = pipeline.apply(vec![change], SystemTime::UNIX_EPOCH);
    assert!(
        pipeline.diagnostics().iter().next().is_none(),
        "a right mesh"
    );
    Arc::new(ArcSwap::new(report.snapshot))
}

/// What [`mesh`] is before it is loaded.
fn not_ready() -> Arc<ArcSwap<Snapshot>> {
    Arc::new(ArcSwap::from_pointee(Snapshot::not_ready(Arc::new(
        settings(),
    ))))
}

fn settings() -> Settings {
    Settings {
        zones: vec![meshdns::dns::Name::from_text("internal.com").expect("a valid name")],
        forwarded: vec![meshdns::dns::Name::root()],
        identity: Identity {
            version: Some("meshdns".into()),
            server_id: None,
            nsid: Some((*b"here").into()),
        },
        ..Settings::default()
    }
}

/// A zone that is not the mesh's, which may be transferred, with one address at each of `names`.
fn other_zone(origin: &str, names: &[&str]) -> InMemoryZoneHandler {
    let name = |text: &str| Name::from_ascii(text).expect("a valid name");
    let mut zone = InMemoryZoneHandler::empty(
        name(origin),
        ZoneType::Primary,
        AxfrPolicy::AllowAll,
        #[cfg(feature = "hickory-dnssec")]
        None,
    );
    let soa = SOA::new(name("ns.other."), name("admin.other."), 1, 60, 10, 3600, 5);
    zone.upsert_mut(Record::from_rdata(name(origin), 5, RData::SOA(soa)), 1);
    for owner in names {
        let address = RData::A(Ipv4Addr::new(192, 0, 2, 99).into());
        zone.upsert_mut(Record::from_rdata(name(owner), 5, address), 1);
    }
    zone
}
