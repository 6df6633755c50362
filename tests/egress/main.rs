//! A machine whose only resolver is meshdns, with a folder of ServiceEntries for the outside world: it reaches what it reached
//! without meshdns, and what the mesh holds besides.
//!
//! `mesh.yaml` holds the patterns, `answers.txt` what is right.

#[path = "../forward/harness.rs"]
#[allow(dead_code, reason = "written for tests/forward, which uses all of it")]
mod harness;
#[path = "../program/mod.rs"]
mod program;
#[path = "../serving/mod.rs"]
mod serving;
#[path = "../forward/upstream.rs"]
#[allow(dead_code, reason = "written for tests/forward, which uses all of it")]
mod upstream;

use hickory_proto::op::{Message, ResponseCode};

use harness::{Forwarding, PATIENT, RD, edns, read};
use serving::{ask_udp, query, udp_client};
use upstream::{Asked, Reply, Upstream};

const MESH: &str = include_str!("mesh.yaml");
const ANSWERS: &str = include_str!("answers.txt");

const TYPES: [(&str, u16); 5] = [
    ("A", 1),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("HTTPS", 65),
];

/// A number that tells names apart.
fn number_of(name: &str) -> u8 {
    let letters = name.bytes().map(|letter| letter.to_ascii_lowercase());
    letters.fold(7, |number: u8, letter| {
        number.wrapping_mul(31).wrapping_add(letter)
    })
}

/// What the rest of the world says: something about every name and type.
fn world(asked: &Asked) -> Reply {
    let number = number_of(&asked.name());
    let reply = Reply::to(asked);
    match asked.record_type() {
        1 => reply.a(300, [198, 51, 100, number]),
        15 => reply.answer(15, 300, b"\x00\x0a\x04mail\x04test\x00"),
        // One letter: there are enough to tell most names apart.
        16 => reply.answer(16, 300, &[1, b'a' + number % 26]),
        28 => {
            let mut address = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            address[15] = number;
            reply.answer(28, 300, &address)
        }
        65 => reply.answer(65, 300, b"\x00\x01\x00"),
        _ => reply.soa(300, 300),
    }
}

/// A reply as far as it is compared: its response code, and its answers in order, without TTLs.
fn told(message: &Message) -> String {
    let mut records: Vec<String> = message
        .answers
        .iter()
        .map(|record| format!("{} {} {}", record.name, record.record_type(), record.data))
        .collect();
    records.sort();
    match (message.metadata.response_code, records.is_empty()) {
        (ResponseCode::NoError, true) => "nodata".to_owned(),
        (ResponseCode::NoError, false) => records.join("; "),
        (ResponseCode::NXDomain, _) => "nxdomain".to_owned(),
        (ResponseCode::Refused, _) => "refused".to_owned(),
        (other, _) => other.to_string(),
    }
}

/// A row of the table.
struct Row<'t> {
    name: &'t str,
    types: Vec<(&'static str, u16)>,
    /// With an upstream, and without one.
    right: [&'t str; 2],
}

fn rows() -> Vec<Row<'static>> {
    let lines = ANSWERS.lines().filter(|line| !line.starts_with('#'));
    let rows = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[name, wanted, with, without] = &*words else {
            panic!("four words: {line}");
        };
        let is_wanted = |(word, _): &(&str, u16)| [word, "any"].contains(&wanted);
        Row {
            name,
            types: TYPES.into_iter().filter(is_wanted).collect(),
            right: [with, without],
        }
    });
    rows.collect()
}

/// What `right`, as the table writes it, means for a name and a type.
fn meaning(right: &str, name: &str, record_type: u16, upstream: Option<&Upstream>) -> String {
    let of_upstream = |asked: &str| {
        let upstream = upstream.expect("the table speaks of one");
        let question = query(RD, asked, record_type, 1, &edns());
        read(&ask_udp(&udp_client(upstream.address), &question))
    };
    let addresses = |addresses: &mut dyn Iterator<Item = String>| {
        let mut records: Vec<String> = addresses
            .map(|address| format!("{name}. A {address}"))
            .collect();
        records.sort();
        records.join("; ")
    };
    if right == "upstream" {
        told(&of_upstream(name))
    } else if let Some(names) = right.strip_prefix("of:") {
        let replies = names.split(',').map(of_upstream);
        let mut found = replies.flat_map(|reply| reply.answers);
        addresses(&mut found.by_ref().map(|record| record.data.to_string()))
    } else if right.starts_with(|letter: char| letter.is_ascii_digit()) {
        addresses(&mut right.split(',').map(str::to_owned))
    } else {
        right.to_owned()
    }
}

/// Compares every row with what the server says; all that is wrong is told at once.
#[track_caller]
fn check(forwarding: &Forwarding, upstream: Option<&Upstream>) {
    let mut wrong = Vec::new();
    for row in rows() {
        let right = row.right[usize::from(upstream.is_none())];
        for (word, record_type) in row.types {
            if right == "-" {
                continue;
            }
            let expected = meaning(right, row.name, record_type, upstream);
            let found = told(&forwarding.ask_for(row.name, record_type));
            if found != expected {
                wrong.push(format!(
                    "{} {word}: {found}, and right is {expected}",
                    row.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Serves the folder, and waits until the names of its endpoints are looked up.
fn serve(upstream: &Upstream) -> Forwarding {
    let configuration = format!(
        "forward: {{upstreams: ['{}'], {PATIENT}}}\n",
        upstream.flag()
    );
    let forwarding = Forwarding::with(&[], &configuration);
    forwarding.write("zones/objects.yaml", MESH);
    let addresses_wanted: Vec<(&str, usize)> = rows()
        .iter()
        .filter_map(|row| Some((row.name, row.right[0].strip_prefix("of:")?)))
        .map(|(name, endpoints)| (name, endpoints.split(',').count()))
        .collect();
    forwarding.server.wait("the names of endpoints", || {
        addresses_wanted
            .iter()
            .all(|&(name, wanted)| forwarding.addresses(name, 1).len() == wanted)
    });
    forwarding
}

#[test]
fn with_an_upstream_everything_resolves() {
    let upstream = Upstream::answering(world);
    let forwarding = serve(&upstream);
    check(&forwarding, Some(&upstream));
    for row in rows() {
        for (_, record_type) in row.types {
            let answer = forwarding.ask_for(row.name, record_type);
            assert!(answer.metadata.recursion_available, "{}", row.name);
            let is_ours = row.right[0] != "upstream";
            assert_eq!(answer.metadata.authoritative, is_ours, "{}", row.name);
        }
    }
}

#[test]
fn without_an_upstream_what_the_mesh_holds_resolves() {
    let forwarding = Forwarding::with(&[], "");
    forwarding.write("zones/objects.yaml", MESH);
    forwarding.server.wait("the mesh", || {
        !forwarding.addresses("intranet.test", 1).is_empty()
    });
    check(&forwarding, None);
}

#[test]
fn a_host_exists_whatever_the_upstream_says() {
    let upstream = Upstream::answering(|asked| match asked.name().as_str() {
        "intranet.test." => Reply::to(asked).rcode(3).soa(300, 300),
        _ => world(asked),
    });
    let forwarding = serve(&upstream);
    let answer = forwarding.ask_for("intranet.test", 15);
    assert_eq!(
        told(&answer),
        "nodata",
        "NXDOMAIN would take its A record along"
    );
}
