//! A DNS server of one's own, with the mesh in it: `FOLDER` is answered at `ADDRESS`, beside a zone that is in no mesh.
//!
//! ```sh
//! cargo run --features hickory --example hickory -- zones 127.0.0.1:5300
//! dig @127.0.0.1 -p 5300 svc1.internal.com
//! dig @127.0.0.1 -p 5300 www.example.test
//! ```

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use hickory_server::{
    Server,
    proto::rr::{LowerName, Name, RData, Record, rdata::SOA},
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneType},
};
use meshdns::{
    control,
    hickory::MeshHandler,
    pipeline::Policy,
    source::{FollowLinks, Wish},
    zone::{Settings, Snapshot},
};
use tokio::net::{TcpListener, UdpSocket};

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(10);

/// How long what can't be read at the start is waited for.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How many answers of a connection may wait to be written.
const WAITING_ANSWERS: usize = 32;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(address)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: hickory FOLDER ADDRESS");
    };
    // Follows the folder for as long as it is there, and publishes a snapshot for each change.
    let control = control::start(
        control::Options {
            folders: vec![folder.into()],
            shown: None,
            health: control::HealthOptions::default(),
            policy: Policy {
                settings: Arc::new(Settings {
                    // So that nobody can choose names that collide.
                    seed: random_seed(),
                    ..Settings::default()
                }),
                ..Policy::default()
            },
            follow_links: FollowLinks::default(),
            wish: Wish::Events,
            start_patience: START_PATIENCE,
            state_dir: None,
        },
        Vec::new(),
        Box::new(|_| {}),
    )?;
    let mut server = Server::new(handler(control.snapshots().clone())?);
    let in_use = || format!("listen at {address}");
    server.register_socket(UdpSocket::bind(&address).await.with_context(in_use)?);
    let listener = TcpListener::bind(&address).await.with_context(in_use)?;
    server.register_listener(listener, IDLE, WAITING_ANSWERS);
    tokio::signal::ctrl_c().await?;
    server.shutdown_gracefully().await?;
    Ok(())
}

/// The mesh first, then what else there is: a zone with one name.
pub(crate) fn handler(snapshots: Arc<ArcSwap<Snapshot>>) -> anyhow::Result<MeshHandler> {
    let origin = Name::from_ascii("example.test.")?;
    let mut zone: InMemoryZoneHandler = InMemoryZoneHandler::empty(
        origin.clone(),
        ZoneType::Primary,
        AxfrPolicy::Deny,
        #[cfg(feature = "hickory-dnssec")]
        None,
    );
    let (name_server, mailbox) = (origin.prepend_label("ns")?, origin.prepend_label("admin")?);
    let soa = SOA::new(name_server, mailbox, 1, 3600, 600, 86_400, 300);
    zone.upsert_mut(Record::from_rdata(origin.clone(), 300, RData::SOA(soa)), 1);
    let address = RData::A(Ipv4Addr::new(192, 0, 2, 80).into());
    zone.upsert_mut(
        Record::from_rdata(origin.prepend_label("www")?, 300, address),
        1,
    );
    let mut others = Catalog::new();
    others.upsert(LowerName::new(&origin), vec![Arc::new(zone)]);
    Ok(MeshHandler::before(snapshots, others))
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(())
}
