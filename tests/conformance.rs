//! The manners that NSD, Knot, BIND and `PowerDNS` agree on, probed as [RFC 8906 §8] does, over UDP and TCP, IPv4 and IPv6.
//!
//! [RFC 8906 §8]: https://www.rfc-editor.org/rfc/rfc8906#section-8

mod needs;
mod serving;

use std::{
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use hickory_proto::{
    op::Message,
    rr::rdata::opt::{EdnsCode, EdnsOption},
    serialize::binary::{BinDecodable, BinDecoder},
};
use meshdns::zone::Snapshot;
use serving::{Server, a_query, ask_tcp, ask_udp, connect, opt, query, udp_client};

const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const OPT: u16 = 41;
const ANY: u16 = 255;
const IN: u16 = 1;
const CH: u16 = 3;

const HOST: &str = "svc1.internal.com";
const SOA_TEXT: &str = "5 IN SOA ns.meshdns.invalid. hostmaster.meshdns.invalid. 7 60 10 86400 5";
const COOKIE: &[u8] = b"\0\x0a\0\x08abcdefgh";

/// Sends `message` in every way to a running server and compares each reply with `expected`.
#[track_caller]
fn check(message: &[u8], expected: &str) {
    check_each(message, expected, expected);
}

/// As [`check`], where UDP and TCP answer differently.
#[track_caller]
fn check_each(message: &[u8], over_udp: &str, over_tcp: &str) {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    check_server(&SERVER, message, over_udp, over_tcp);
}

#[track_caller]
fn check_server(server: &Server, message: &[u8], over_udp: &str, over_tcp: &str) {
    for &address in &server.addresses {
        let reply = ask_udp(&udp_client(address), message);
        compare(message, &reply, over_udp, "UDP", address);
        let reply = ask_tcp(&mut connect(address), message);
        compare(message, &reply, over_tcp, "TCP", address);
    }
}

#[track_caller]
fn compare(message: &[u8], reply: &[u8], expected: &str, protocol: &str, address: SocketAddr) {
    assert_eq!(reply[..2], message[..2], "the id comes back");
    assert_eq!(text(reply), expected, "over {protocol} from {address}");
}

/// A reply as `dig` would sum it up: response code and flags, then a line for each record, and the OPT record's content.
fn text(reply: &[u8]) -> String {
    let flags = u16::from_be_bytes([reply[2], reply[3]]);
    let names = [
        (0x8000, "qr"),
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0040, "z"),
        (0x0020, "ad"),
        (0x0010, "cd"),
    ];
    let mut first: Vec<_> = names
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|&(_, name)| name.to_owned())
        .collect();
    if flags & 0x7800 != 0 {
        return format!(
            "rcode {} {} in {} bytes",
            flags & 0xf,
            first.join(" "),
            reply.len()
        );
    }
    let mut decoder = BinDecoder::new(reply);
    let message = Message::read(&mut decoder).expect("a well-formed reply");
    assert_eq!(decoder.index(), reply.len(), "no bytes at the end");
    first.insert(
        0,
        format!("rcode {}", u16::from(message.metadata.response_code)),
    );
    let mut lines = vec![first.join(" ")];
    lines.extend(message.queries.iter().map(|asked| {
        format!(
            "? {} {} {}",
            asked.name(),
            asked.query_class(),
            asked.query_type()
        )
    }));
    let mut answers: Vec<_> = message.answers.iter().map(ToString::to_string).collect();
    answers.sort();
    if answers.len() > 10 {
        answers = vec![format!("{} records", answers.len())];
    }
    lines.extend(answers);
    lines.extend(
        message
            .authorities
            .iter()
            .map(|record| format!("authority {record}")),
    );
    lines.extend(
        message
            .additionals
            .iter()
            .map(|record| format!("additional {record}")),
    );
    if let Some(edns) = &message.edns {
        let mut line = format!("edns {} {}", edns.version(), edns.max_payload());
        if edns.flags().dnssec_ok {
            line += " do";
        }
        assert_eq!(edns.flags().z, 0, "unknown flags are clear");
        for (code, option) in edns.options().as_ref() {
            let data = match option {
                EdnsOption::Unknown(_, data) => data.clone(),
                EdnsOption::NSID(nsid) => nsid.as_ref().to_vec(),
                other => panic!("an option that nobody asked for: {other:?}"),
            };
            match code {
                EdnsCode::NSID => write!(line, " nsid={}", String::from_utf8_lossy(&data)),
                code => write!(line, " {}={data:?}", u16::from(*code)),
            }
            .expect("a string takes all");
        }
        lines.push(line);
    }
    lines.join("\n")
}

fn ask(name: &str, record_type: u16) -> Vec<u8> {
    query(0, name, record_type, IN, &[])
}

fn ask_edns(name: &str, record_type: u16, edns: &[u8]) -> Vec<u8> {
    query(0, name, record_type, IN, edns)
}

/// What [`HOST`] answers for A.
const HOST_A: &str = "? svc1.internal.com. IN A\nsvc1.internal.com. 5 IN A 10.0.0.1\n\
    svc1.internal.com. 5 IN A 10.0.0.2\nsvc1.internal.com. 5 IN A 10.0.0.3";

#[test]
fn addresses() {
    check(&ask(HOST, A), &format!("rcode 0 qr aa\n{HOST_A}"));
    check(
        &ask("one.internal.com", A),
        "rcode 0 qr aa\n? one.internal.com. IN A\none.internal.com. 5 IN A 10.0.0.4",
    );
    check(
        &ask(HOST, AAAA),
        "rcode 0 qr aa\n? svc1.internal.com. IN AAAA\nsvc1.internal.com. 5 IN AAAA 2001:db8::1\n\
         svc1.internal.com. 5 IN AAAA 2001:db8::2\nsvc1.internal.com. 5 IN AAAA 2001:db8::3",
    );
}

#[test]
fn case_is_kept() {
    check(
        &ask("ONE.Internal.com", A),
        "rcode 0 qr aa\n? ONE.Internal.com. IN A\nONE.Internal.com. 5 IN A 10.0.0.4",
    );
    check(
        &ask("X.Internal.COM", A),
        &format!("rcode 3 qr aa\n? X.Internal.COM. IN A\nauthority Internal.COM. {SOA_TEXT}"),
    );
}

#[test]
fn apex() {
    check(
        &ask("internal.com", SOA),
        &format!("rcode 0 qr aa\n? internal.com. IN SOA\ninternal.com. {SOA_TEXT}"),
    );
    check(
        &ask("internal.com", NS),
        "rcode 0 qr aa\n? internal.com. IN NS\ninternal.com. 5 IN NS ns.meshdns.invalid.",
    );
    check(
        &ask("solo.test", SOA),
        &format!("rcode 0 qr aa\n? solo.test. IN SOA\nsolo.test. {SOA_TEXT}"),
    );
}

#[track_caller]
fn check_no_data(name: &str, record_type: u16, type_text: &str) {
    check(
        &ask(name, record_type),
        &format!("rcode 0 qr aa\n? {name}. IN {type_text}\nauthority internal.com. {SOA_TEXT}"),
    );
}

#[test]
fn no_data() {
    check_no_data("one.internal.com", AAAA, "AAAA");
    check_no_data("one.internal.com", TXT, "TXT");
    check_no_data("one.internal.com", SOA, "SOA");
    check_no_data("one.internal.com", NS, "NS");
    check_no_data("none.internal.com", A, "A");
    check_no_data("internal.com", A, "A");
}

#[test]
fn unknown_types_are_no_data() {
    for number in [0, 11, 99, 300, 1000, 65_280, 65_535] {
        let expected = format!("authority internal.com. {SOA_TEXT}");
        let text = hickory_proto::rr::RecordType::from(number);
        check(
            &ask(HOST, number),
            &format!("rcode 0 qr aa\n? svc1.internal.com. IN {text}\n{expected}"),
        );
    }
}

#[test]
fn empty_non_terminals_are_no_data() {
    check_no_data("b.internal.com", A, "A");
    check_no_data("wild.internal.com", A, "A");
}

#[test]
fn names_that_do_not_exist() {
    let no_name = |name: &str, apex: &str| {
        check(
            &ask(name, A),
            &format!("rcode 3 qr aa\n? {name}. IN A\nauthority {apex}. {SOA_TEXT}"),
        );
    };
    no_name("nope.internal.com", "internal.com");
    no_name("x.one.internal.com", "internal.com");
    no_name("x.y.one.internal.com", "internal.com");
    no_name("x.b.internal.com", "internal.com");
    no_name("x.solo.test", "solo.test");
}

#[test]
fn wildcards() {
    for name in [
        "x.wild.internal.com",
        "x.y.z.wild.internal.com",
        "*.wild.internal.com",
    ] {
        check(
            &ask(name, A),
            &format!("rcode 0 qr aa\n? {name}. IN A\n{name}. 5 IN A 10.0.0.6"),
        );
    }
    check_no_data("x.wild.internal.com", TXT, "TXT");
}

#[test]
fn any_is_minimal() {
    check(
        &ask("one.internal.com", ANY),
        "rcode 0 qr aa\n? one.internal.com. IN ANY\none.internal.com. 5 IN HINFO RFC8482 ",
    );
    check(
        &ask("nope.internal.com", ANY),
        &format!("rcode 3 qr aa\n? nope.internal.com. IN ANY\nauthority internal.com. {SOA_TEXT}"),
    );
}

#[test]
fn foreign_names_are_refused_without_aa() {
    check(&ask(".", NS), "rcode 5 qr\n? . IN NS");
    check(&ask("com", A), "rcode 5 qr\n? com. IN A");
    check(&ask("example.org", A), "rcode 5 qr\n? example.org. IN A");
    let edns = opt(1232, 0, 0, &[]);
    check(
        &ask_edns("example.org", A, &edns),
        "rcode 5 qr\n? example.org. IN A\nedns 0 1232 15=[0, 20]",
    );
    check(
        &ask_edns(".", NS, &edns),
        "rcode 5 qr\n? . IN NS\nedns 0 1232 15=[0, 20]",
    );
}

#[test]
fn other_classes() {
    check(
        &query(0, HOST, A, CH, &[]),
        "rcode 5 qr\n? svc1.internal.com. CH A",
    );
    check(
        &query(0, HOST, A, 4, &[]),
        "rcode 5 qr\n? svc1.internal.com. HS A",
    );
    check(
        &query(0, HOST, A, 255, &[]),
        "rcode 5 qr\n? svc1.internal.com. ANY A",
    );
    check(
        &query(0, HOST, A, 254, &[]),
        "rcode 5 qr\n? svc1.internal.com. NONE A",
    );
    check(
        &query(0, "version.bind", TXT, CH, &[]),
        "rcode 0 qr aa\n? version.bind. CH TXT\nversion.bind. 0 CH TXT meshdns 0",
    );
    check(
        &query(0, "id.SERVER", TXT, CH, &[]),
        "rcode 0 qr aa\n? id.SERVER. CH TXT\nid.SERVER. 0 CH TXT test",
    );
    check(
        &query(0, "hostname.bind", TXT, CH, &[]),
        "rcode 0 qr aa\n? hostname.bind. CH TXT\nhostname.bind. 0 CH TXT test",
    );
    check(
        &query(0, "authors.bind", TXT, CH, &[]),
        "rcode 5 qr\n? authors.bind. CH TXT",
    );
}

#[test]
fn flags_of_a_query() {
    let with = |bit| query(bit, "one.internal.com", A, IN, &[]);
    let answer = "? one.internal.com. IN A\none.internal.com. 5 IN A 10.0.0.4";
    check(&with(0x0100), &format!("rcode 0 qr aa rd\n{answer}"));
    // AA, TC, RA, Z, AD, CD and a response code are not the client's to set.
    for bit in [0x0400, 0x0200, 0x0080, 0x0040, 0x0020, 0x0010, 0x0003] {
        check(&with(bit), &format!("rcode 0 qr aa\n{answer}"));
    }
    check(&with(0x07ff), &format!("rcode 0 qr aa rd\n{answer}"));
}

#[test]
fn other_opcodes_are_not_implemented() {
    // Inverse query, STATUS, NOTIFY, UPDATE, DSO, and two that nobody has assigned.
    for opcode in [1, 2, 4, 5, 6, 7, 15] {
        let expected = "rcode 4 qr in 12 bytes";
        check(&query(opcode << 11, HOST, A, IN, &[]), expected);
        check(
            &query(opcode << 11, HOST, A, IN, &opt(1232, 0, 0, &[])),
            expected,
        );
    }
}

#[test]
fn edns() {
    let with = |edns: &[u8], expected: &str| {
        check(
            &ask_edns(HOST, A, edns),
            &format!("rcode 0 qr aa\n{HOST_A}\n{expected}"),
        );
    };
    with(&opt(1232, 0, 0, &[]), "edns 0 1232");
    with(&opt(4096, 0, 0, &[]), "edns 0 1232");
    with(&opt(0, 0, 0, &[]), "edns 0 1232");
    with(&opt(1232, 0, 0x8000, &[]), "edns 0 1232 do");
    with(&opt(1232, 0, 0x7fff, &[]), "edns 0 1232");
    with(&opt(1232, 0, 0, b"\xff\xfe\0\x03abc"), "edns 0 1232");
    with(&opt(1232, 0, 0, COOKIE), "edns 0 1232");
    with(
        &opt(1232, 0, 0, b"\0\x08\0\x07\0\x01\x18\0\x0a\0\0"),
        "edns 0 1232",
    );
    // RFC 7873 §5.2.2: no cookie is so short.
    check(
        &ask_edns(HOST, A, &opt(1232, 0, 0, b"\0\x0a\0\x04abcd")),
        "rcode 1 qr\n? svc1.internal.com. IN A",
    );
    with(&opt(1232, 0, 0, b"\0\x03\0\0"), "edns 0 1232 nsid=one");
    with(
        &opt(
            1232,
            0,
            0,
            &[COOKIE, b"\0\x03\0\0\0\x0c\0\x02\0\0"].concat(),
        ),
        "edns 0 1232 nsid=one",
    );
}

#[test]
fn edns_versions_above_0() {
    let question = "? svc1.internal.com. IN A";
    for version in [1, 100, 255] {
        check(
            &ask_edns(HOST, A, &opt(1232, version, 0, &[])),
            &format!("rcode 16 qr\n{question}\nedns 0 1232"),
        );
        check(
            &ask_edns(HOST, A, &opt(1232, version, 0x8000, b"\xff\xfe\0\0")),
            &format!("rcode 16 qr\n{question}\nedns 0 1232 do"),
        );
    }
}

#[test]
fn large_answers_are_truncated_over_udp_alone() {
    let question = "? many.internal.com. IN A";
    let cut = format!("rcode 0 qr aa tc\n{question}");
    let whole = format!("rcode 0 qr aa\n{question}\n100 records");
    check_each(&ask("many.internal.com", A), &cut, &whole);
    for payload in [0, 256, 512, 1232, 4096, 65_535] {
        check_each(
            &ask_edns("many.internal.com", A, &opt(payload, 0, 0, &[])),
            &format!("{cut}\nedns 0 1232"),
            &format!("{whole}\nedns 0 1232"),
        );
    }
    check_each(
        &ask("huge.internal.com", A),
        "rcode 0 qr aa tc\n? huge.internal.com. IN A",
        "rcode 0 qr aa\n? huge.internal.com. IN A\n4000 records",
    );
}

#[test]
fn transfers_and_meta_types() {
    check(
        &ask("internal.com", 252),
        "rcode 5 qr\n? internal.com. IN AXFR",
    );
    check(
        &ask("internal.com", 251),
        "rcode 5 qr\n? internal.com. IN IXFR",
    );
    check(&ask(HOST, OPT), "rcode 1 qr\n? svc1.internal.com. IN OPT");
    check(&ask(HOST, 250), "rcode 1 qr\n? svc1.internal.com. IN TSIG");
}

#[test]
fn malformed_queries() {
    let counts = |counts: [u8; 4], rest: &[u8]| {
        let [questions, answers, authorities, additionals] = counts;
        let header = [
            0xab,
            0xcd,
            0,
            0,
            0,
            questions,
            0,
            answers,
            0,
            authorities,
            0,
            additionals,
        ];
        [&header, rest].concat()
    };
    let question = &ask("solo.test", A)[12..];
    let edns = opt(1232, 0, 0, COOKIE);
    check(&counts([0; 4], &[]), "rcode 1 qr");
    check(&counts([0, 0, 0, 1], &edns), "rcode 1 qr");
    check(
        &counts([2, 0, 0, 0], &[question, question].concat()),
        "rcode 1 qr",
    );
    check(&counts([1, 0, 0, 0], &[]), "rcode 1 qr");
    check(&counts([1, 0, 0, 0], &question[..5]), "rcode 1 qr");
    let with_question = "rcode 1 qr\n? solo.test. IN A";
    check(
        &counts([1, 0, 0, 2], &[question, &edns, &edns].concat()),
        with_question,
    );
    check(
        &counts([1, 0, 0, 1], &[question, b"\x01a", &edns].concat()),
        with_question,
    );
    check(
        &counts([1, 0, 0, 0], &[question, b"rest"].concat()),
        with_question,
    );
    check(&counts([1, 0, 0, 1], question), with_question);
}

#[test]
fn responses_and_fragments_of_a_header_get_no_reply() {
    let server = Server::start();
    for &address in &server.addresses {
        let socket = udp_client(address);
        for silent in [&[][..], b"x", &[0; 11], &query(0x8000, HOST, A, IN, &[])] {
            socket.send(silent).expect("a sent datagram");
        }
        // One worker serves this client, in order: the first reply is the last query's.
        assert!(text(&ask_udp(&socket, &a_query("solo.test"))).starts_with("rcode 0 qr aa rd"));
        let mut stream = connect(address);
        let response = serving::framed(&query(0x8000, HOST, A, IN, &[]));
        std::io::Write::write_all(&mut stream, &response).expect("a sent message");
        let reply = ask_tcp(&mut stream, &a_query("solo.test"));
        assert!(text(&reply).starts_with("rcode 0 qr aa rd"));
    }
    let ignored = format!(
        "meshdns_dns_ignored_messages_total {}\n",
        5 * server.addresses.len()
    );
    assert!(server.metrics().contains(&ignored), "{}", server.metrics());
    server.stop();
}

/// Every other test here is about all addresses of the server.
#[test]
fn ipv6_is_tried_too() {
    if needs::met(&[needs::Need::Ipv6]) {
        let server = Server::start();
        assert_eq!(server.addresses.len(), 2);
        server.stop();
    }
}

#[test]
fn before_the_first_load() {
    let server = Server::start();
    let settings = Arc::new(serving::sample_settings());
    server
        .snapshots
        .store(Arc::new(Snapshot::not_ready(settings)));
    let plain = ask(HOST, A);
    let expected = "rcode 2 qr\n? svc1.internal.com. IN A";
    check_server(&server, &plain, expected, expected);
    let expected = format!("{expected}\nedns 0 1232 15=[0, 14]");
    let edns = ask_edns(HOST, A, &opt(1232, 0, 0, &[]));
    check_server(&server, &edns, &expected, &expected);
    let version = query(0, "version.bind", TXT, CH, &[]);
    let expected = "rcode 0 qr aa\n? version.bind. CH TXT\nversion.bind. 0 CH TXT meshdns 0";
    check_server(&server, &version, expected, expected);

    // The next query after a publish is answered from what was published.
    server.snapshots.store(serving::sample());
    let expected = format!("rcode 0 qr aa\n{HOST_A}");
    check_server(&server, &plain, &expected, &expected);
    server.stop();
}
