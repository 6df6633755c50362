//! Asks one kind of query again and again, for a tool that counts instructions.
//!
//! ```text
//! make instructions
//! ```
//!
//! `scripts/instructions.sh` runs this under valgrind with some queries and with none; the difference is what reading,
//! answering and writing cost. Time says nothing in there.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::{
    collections::BTreeMap,
    env,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use meshdns::{
    answer::answer,
    dns::{Name, Serial, Ttl},
    manifest::{ServicePort, Transport},
    serve::{CookieChecker, CookieKeys},
    wire,
    zone::{Compiled, Editor, HostRecords, Settings, Snapshot},
};

const NAMES: u32 = 1000;
const ADDRESSES: u32 = 4;

/// Whose cookie it is, and when it is looked at.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOW: u32 = 1_800_000_000;

const A: u8 = 1;
const AAAA: u8 = 28;
const SRV: u8 = 33;

/// An OPT record with a client cookie, as dig sends it.
const COOKIE: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08\x01\x23\x45\x67\x89\xab\xcd\xef";

/// What a query is called, the name and type it asks for, and its additional record.
type Kind = (&'static str, fn(u32) -> String, u8, &'static [u8]);

const KINDS: [Kind; 6] = [
    ("plain", host, A, b""),
    ("cookie", host, A, COOKIE),
    ("nodata", host, AAAA, b""),
    ("nxdomain", |index| format!("no-{}", host(index)), A, b""),
    (
        "wildcard",
        |index| format!("tenant-{index}.wild.mesh.example"),
        A,
        b"",
    ),
    (
        "srv",
        |index| format!("_http._tcp.{}", host(index)),
        SRV,
        b"",
    ),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [kind, rounds] = &arguments[..] else {
        println!("usage: instructions KIND ROUNDS, with one of the kinds");
        for (name, ..) in KINDS {
            println!("{name}");
        }
        return;
    };
    let (_, name, record_type, additional) = KINDS
        .into_iter()
        .find(|(name, ..)| name == kind)
        .expect("the kind is one of those that are listed without arguments");
    let rounds: u32 = rounds.parse().expect("a number of rounds");
    let snapshot = snapshot(record_type == SRV);
    let messages: Vec<Vec<u8>> = (0..NAMES)
        .map(|index| question(&name(index), record_type, additional))
        .collect();
    let mut cookies = CookieChecker::new(CookieKeys::of(&[[7; 16]]));
    let mut out = Vec::with_capacity(wire::MAX_UDP_BYTES);
    let mut buffer = wire::NameBuffer::default();
    for round in 0..rounds {
        for message in &messages {
            out.clear();
            let query = wire::parse(black_box(message), round << 20, &mut buffer).expect("a query");
            let mut limit_bytes = wire::udp_limit_bytes(&query);
            let cookie = (!query.cookie.is_empty()).then(|| {
                limit_bytes -= wire::COOKIE_OPTION_LEN;
                cookies
                    .check(query.cookie, black_box(CLIENT), black_box(NOW))
                    .cookie
            });
            let answered = answer(&snapshot, &query);
            let written = wire::write(&query, &answered, limit_bytes, &mut out);
            if let Some(cookie) = &cookie {
                wire::add_cookie(cookie, written.opt_bytes, &mut out);
            }
            black_box(&out);
        }
    }
}

/// The hosts, which have a port where they are asked for services.
fn snapshot(has_ports: bool) -> Arc<Snapshot> {
    let http = has_ports.then(|| ServicePort {
        number: 80,
        name: "http".into(),
        transport: Transport::Tcp,
        target: None,
        is_https: false,
    });
    let ports: Arc<[ServicePort]> = http.into_iter().collect();
    let settings = Settings {
        zones: vec![parse("mesh.example")],
        ..Settings::default()
    };
    let records = |number| {
        let first = 0x0a00_0000 + number * ADDRESSES;
        let addresses: Vec<_> = (first..first + ADDRESSES)
            .map(|address| Ipv4Addr::from(address).into())
            .collect();
        let records = HostRecords::encode(&addresses, Ttl::FIVE_SECONDS);
        Some(Compiled::Records(records.at_ports(ports.clone())))
    };
    let hosts: BTreeMap<Name, _> = (0..NAMES)
        .map(|index| (parse(&host(index)), records(index)))
        .chain([(parse("*.wild.mesh.example"), records(NAMES))])
        .collect();
    Editor::new(Arc::new(settings))
        .apply(hosts, Serial(1))
        .snapshot
}

fn host(index: u32) -> String {
    format!("service-{index}.team-{}.mesh.example", index % 97)
}

fn question(name: &str, record_type: u8, additional: &[u8]) -> Vec<u8> {
    let count = u8::from(!additional.is_empty());
    let mut message = vec![0x2f, 0x1c, 0, 0, 0, 1, 0, 0, 0, 0, 0, count];
    message.extend(parse(name).as_wire());
    message.extend([0, record_type, 0, 1]);
    message.extend(additional);
    message
}

fn parse(name: &str) -> Name {
    name.parse().expect("a valid name")
}
