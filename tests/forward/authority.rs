//! Who answers for a name, row by row: the mesh, the mesh that there is nothing, or the upstream.

use hickory_proto::op::{Message, ResponseCode};

use crate::{
    harness::{Forwarding, PATIENT, edns, entry, records, service},
    serving::query,
    upstream::{Asked, Reply, Upstream},
};

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const HTTPS: u16 = 65;
const ANY: u16 = 255;
const CAA: u16 = 257;

/// What the upstream says: an address of 192.0.2.0/24 for A, `up` for TXT, one record for any other type; that a name with
/// the label `none` does not exist; and that `alias…` is an alias of another name, whatever the type.
fn says(asked: &Asked) -> Reply {
    let (reply, name) = (Reply::to(asked), asked.name().to_lowercase());
    if name.contains("none.") {
        return reply.rcode(3).soa(60, 60);
    }
    let record_type = asked.record_type();
    let data: &[u8] = match record_type {
        A => &[192, 0, 2, address_of(&name)],
        AAAA => return reply.soa(60, 60),
        MX => b"\0\x0a\x04mail\x04test\0",
        NS => b"\x02ns\x04test\0",
        SOA => &[0; 22],
        SRV => b"\0\x01\0\x02\0\x50\x03srv\x04test\0",
        HTTPS => b"\0\x01\0",
        CAA => b"\0\x05issueca.test",
        _ => b"\x02up",
    };
    if name.starts_with("alias") {
        const OTHER: &[u8] = b"\x05other\x04test\0";
        let alias = reply.answer(CNAME, 60, OTHER);
        return alias.record(0, OTHER, record_type, 60, data);
    }
    reply.answer(record_type, 60, data)
}

/// The last byte of the upstream's address of a name with a dot at its end.
fn address_of(name: &str) -> u8 {
    let sum: u32 = name.bytes().map(u32::from).sum();
    u8::try_from(sum % 200).expect("below 200")
}

/// The upstream's address of `name`.
fn upstreams(name: &str) -> String {
    format!("192.0.2.{}", address_of(&format!("{name}.")))
}

fn is_ours(message: &Message) -> bool {
    message.metadata.authoritative
}

#[track_caller]
fn check_no_data(message: &Message) {
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    assert!(message.answers.is_empty(), "{message:?}");
}

/// Checks that these types of `name` come from the upstream.
#[track_caller]
fn check_forwarded(forwarding: &Forwarding, name: &str, record_types: &[u16]) {
    for &record_type in record_types {
        let answer = forwarding.ask_for(name, record_type);
        assert!(!is_ours(&answer), "{name} {record_type}: {answer:?}");
        assert!(!answer.answers.is_empty(), "{name} {record_type}");
    }
}

/// Checks that these types of `name` are answered here, with "no data".
#[track_caller]
fn check_empty(forwarding: &Forwarding, name: &str, record_types: &[u16]) {
    for &record_type in record_types {
        let answer = forwarding.ask_for(name, record_type);
        assert!(is_ours(&answer), "{name} {record_type}: {answer:?}");
        check_no_data(&answer);
    }
}

/// Waits until `name` has these addresses: on a busy machine the upstream is asked later than the first question comes.
fn await_addresses(forwarding: &Forwarding, name: &str, mut expected: Vec<String>) {
    expected.sort();
    let what = format!("{name} to have {expected:?}");
    forwarding
        .server
        .wait(&what, || forwarding.addresses(name, A) == expected);
}

fn is_static(host: &str, address: &str) -> String {
    entry(
        host,
        "STATIC",
        &format!("endpoints: [{{address: {address}}}]"),
    )
}

#[test]
fn a_host_has_its_addresses_here_and_other_records_upstream() {
    let upstream = Upstream::answering(says);
    let objects = [is_static("portal.test", "10.0.0.9")];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    assert_eq!(forwarding.addresses("portal.test", A), ["10.0.0.9"]);
    check_empty(&forwarding, "portal.test", &[AAAA, HTTPS, CNAME]);
    check_forwarded(&forwarding, "portal.test", &[MX, TXT, CAA, SRV, NS, SOA]);
    let all = forwarding.ask_for("portal.test", ANY);
    assert!(is_ours(&all), "all types are those of the mesh: {all:?}");
}

#[test]
fn names_below_and_above_hosts_and_the_bare_name_of_a_wildcard_come_from_upstream() {
    let upstream = Upstream::answering(says);
    let objects = [
        is_static("git.test", "10.0.0.9"),
        is_static("\"*.store.test\"", "10.0.0.8"),
        is_static("deep.down.far.test", "10.0.0.7"),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    for name in ["api.git.test", "a.b.git.test", "_acme-challenge.git.test"] {
        check_forwarded(&forwarding, name, &[A, TXT]);
    }
    for name in ["store.test", "down.far.test", "far.test", "test"] {
        check_forwarded(&forwarding, name, &[A, MX]);
    }
    assert_eq!(forwarding.addresses("a.b.store.test", A), ["10.0.0.8"]);
    check_forwarded(&forwarding, "a.b.store.test", &[TXT]);
}

#[test]
fn what_upstream_does_not_know_exists_all_the_same_at_and_above_a_host() {
    let upstream = Upstream::answering(says);
    let objects = [
        is_static("none.host.test", "10.0.0.9"),
        is_static("deep.down.none.test", "10.0.0.8"),
        is_static("\"*.none.wild.test\"", "10.0.0.7"),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    let asked = [
        ("none.host.test", MX),
        ("down.none.test", A),
        ("none.test", A),
        ("none.wild.test", A),
        ("x.none.wild.test", TXT),
    ];
    // The first time the answer has to be waited for, the second time it is in the cache.
    for round in 0..2 {
        for (name, record_type) in asked {
            let answer = forwarding.ask_for(name, record_type);
            assert!(!is_ours(&answer), "{name}, round {round}");
            check_no_data(&answer);
        }
        let answer = forwarding.ask("below.none.host.test");
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    }
}

#[test]
fn an_alias_of_the_upstream_leads_nobody_past_a_host() {
    let upstream = Upstream::answering(says);
    let objects = [is_static("alias.test", "10.0.0.9")];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    for _ in 0..2 {
        let answer = forwarding.ask_for("alias.test", MX);
        assert_eq!(records(&answer), [""; 0]);
        check_no_data(&answer);
    }
    let below = forwarding.ask_for("alias.alias.test", TXT);
    assert_eq!(
        below.answers.len(),
        2,
        "a name below the host is no host: {below:?}"
    );
}

#[test]
fn a_zone_that_is_declared_as_a_whole_keeps_every_name_and_type() {
    let upstream = Upstream::answering(says);
    let configuration = format!(
        "zones: [internal.com]\nforward: {{upstreams: ['{}'], {PATIENT}}}\n",
        upstream.flag()
    );
    let forwarding = Forwarding::with(&[], &configuration);
    check_empty(&forwarding, "svc1.internal.com", &[AAAA, MX, TXT, HTTPS]);
    let answer = forwarding.ask("x.svc1.internal.com");
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert!(is_ours(&answer));
    assert_eq!(upstream.count(), 0);
}

#[test]
fn who_gets_no_names_looked_up_gets_what_the_mesh_knows() {
    let upstream = Upstream::answering(says);
    let objects = [is_static("portal.test", "10.0.0.9")];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    let ask =
        |name: &str, record_type: u16| forwarding.send(&query(0, name, record_type, 1, &edns()));
    let answer = ask("portal.test", MX);
    assert!(is_ours(&answer));
    check_no_data(&answer);
    let answer = ask("below.portal.test", A);
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn endpoints_below_their_host_are_looked_up() {
    let upstream = Upstream::answering(says);
    let names = ["us.nodes.test", "eu.nodes.test"];
    let objects = [
        service("nodes.test", &names),
        service("\"*.wiki.test\"", &["www.wiki.test"]),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    await_addresses(&forwarding, "nodes.test", names.map(upstreams).to_vec());
    for name in names {
        assert_eq!(forwarding.addresses(name, A), [upstreams(name)]);
    }
    for name in ["www.wiki.test", "en.wiki.test", "a.b.wiki.test"] {
        await_addresses(&forwarding, name, vec![upstreams("www.wiki.test")]);
    }
}

#[test]
fn an_endpoint_with_the_name_of_its_host_is_what_upstream_says_of_it() {
    let upstream = Upstream::answering(says);
    let pair = entry("pair.test", "DNS", "endpoints: [{address: pair.test}]")
        .replace("hosts: [pair.test]", "hosts: [pair.test, sibling.test]");
    let objects = [
        service("bank.test", &["bank.test"]),
        service("mixed.test", &["mixed.test", "10.0.0.5"]),
        service("one.circle.test", &["two.circle.test", "10.0.0.1"]),
        service("two.circle.test", &["one.circle.test", "10.0.0.2"]),
        pair,
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    check_forwarded(&forwarding, "bank.test", &[A, MX, HTTPS]);
    let beside = |address: &str, name: &str| vec![address.to_owned(), upstreams(name)];
    for (host, expected) in [
        ("bank.test", vec![upstreams("bank.test")]),
        ("mixed.test", beside("10.0.0.5", "mixed.test")),
        ("pair.test", vec![upstreams("pair.test")]),
        ("sibling.test", vec![upstreams("pair.test")]),
        ("one.circle.test", beside("10.0.0.1", "two.circle.test")),
        ("two.circle.test", beside("10.0.0.2", "one.circle.test")),
    ] {
        await_addresses(&forwarding, host, expected);
    }
}

#[test]
fn a_host_that_is_left_to_dns_is_left_below_a_wildcard_too() {
    let upstream = Upstream::answering(says);
    let objects = [
        is_static("\"*.shop.test\"", "10.0.0.9"),
        entry("pay.shop.test", "DNS", "location: MESH_EXTERNAL"),
        entry("virtual.test", "DNS", "addresses: [240.0.0.1]"),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    assert_eq!(forwarding.addresses("x.shop.test", A), ["10.0.0.9"]);
    check_forwarded(&forwarding, "pay.shop.test", &[A, TXT, HTTPS]);
    check_forwarded(&forwarding, "virtual.test", &[A]);
}
