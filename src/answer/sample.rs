//! A small mesh for the tests of this module and of `wire`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
};

use super::Query;
use crate::{
    dns::{Class, Name, RecordType, Serial, Ttl},
    manifest::MaxAddresses,
    zone::{Asker, Compiled, Editor, HostRecords, Identity, Settings, Snapshot},
};

/// `internal.com` is a declared zone, `solo.test` and `*.open.test` are hosts of their own.
pub(crate) fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: LazyLock<Arc<Snapshot>> =
        LazyLock::new(|| compile(true, MaxAddresses::Fitting));
    &SNAPSHOT
}

/// The same where something else can't be read.
pub(crate) fn in_part() -> &'static Snapshot {
    static SNAPSHOT: LazyLock<Arc<Snapshot>> =
        LazyLock::new(|| compile(false, MaxAddresses::Fitting));
    &SNAPSHOT
}

/// The same where every answer holds all addresses.
pub(crate) fn unlimited() -> &'static Snapshot {
    static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| compile(true, MaxAddresses::All));
    &SNAPSHOT
}

fn compile(knows_all: bool, max_addresses: MaxAddresses) -> Arc<Snapshot> {
    let host = |text: &str, addresses: &[&str]| {
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        records(text, &addresses.collect::<Vec<_>>())
    };
    let many = (0..100).map(|last| Ipv4Addr::new(10, 9, 0, last).into());
    let too_many = (0..5000_u32).map(|last| Ipv4Addr::from(0x0a0a_0000 + last).into());
    let hosts = BTreeMap::from([
        host(
            "svc1.internal.com",
            &["10.0.0.1", "10.0.0.2", "2001:db8::1"],
        ),
        host("a.b.internal.com", &["10.0.0.3"]),
        host("*.wild.internal.com", &["10.0.0.4"]),
        host("none.internal.com", &[]),
        records("many.internal.com", &many.collect::<Vec<_>>()),
        records("too-many.internal.com", &too_many.collect::<Vec<_>>()),
        host("solo.test", &["10.0.0.5"]),
        host("*.open.test", &["2001:db8::2"]),
    ]);
    let mut editor = Editor::new(Arc::new(Settings {
        max_addresses,
        ..settings()
    }));
    editor.set_knows_all(knows_all);
    editor.apply(hosts, Serial(7)).snapshot
}

/// What the sample holds before it is loaded.
pub(crate) fn not_ready() -> Arc<Snapshot> {
    Arc::new(Snapshot::not_ready(Arc::new(settings())))
}

/// A query of class IN for a name as its sender spells it; its question section goes to `buffer`, and the name behind it.
pub(crate) fn query<'q>(name: &str, record_type: RecordType, buffer: &'q mut Vec<u8>) -> Query<'q> {
    *buffer = wire_name(name);
    let lower = buffer.to_ascii_lowercase();
    buffer.extend(record_type.0.to_be_bytes());
    buffer.extend(Class::IN.0.to_be_bytes());
    buffer.extend(&lower);
    let (question, name) = buffer.split_at(buffer.len() - lower.len());
    Query {
        id: 0x1234,
        recursion_desired: false,
        question,
        name,
        record_type,
        class: Class::IN,
        edns: None,
        cookie: &[],
        turn: 0,
        asker: &Asker::DIRECT,
    }
}

/// The wire form of a name, its case kept.
pub(crate) fn wire_name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("a short label"));
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

fn settings() -> Settings {
    Settings {
        zones: vec![name("internal.com")],
        identity: Identity {
            version: Some("meshdns 0".into()),
            server_id: None,
            nsid: Some(b"one"[..].into()),
        },
        ..Settings::default()
    }
}

fn records(text: &str, addresses: &[IpAddr]) -> (Name, Option<Compiled>) {
    let records = HostRecords::encode(addresses, Ttl::FIVE_SECONDS);
    (name(text), Some(Compiled::Records(records)))
}

fn name(text: &str) -> Name {
    Name::from_text(text).expect("a valid name")
}
