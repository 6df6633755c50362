//! A program's own zones behind the mesh.

use std::sync::Arc;

use hickory_proto::rr::{LowerName, Name};
use hickory_server::zone_handler::Catalog;
use meshdns::hickory::MeshHandler;

#[path = "../../../examples/hickory.rs"]
#[expect(
    dead_code,
    reason = "a test calls its handler; its main serves until it is interrupted"
)]
mod example;

use super::{Running, mesh, not_ready, other_zone};
use crate::transport::ask_over_udp;

/// Two zones, one of them of the name of the mesh's.
fn other_zones() -> Catalog {
    let mut catalog = Catalog::new();
    for (apex, names) in [
        ("other.test.", ["www.other.test.", "mail.other.test."]),
        (
            "internal.com.",
            ["left.internal.com.", "svc1.internal.com."],
        ),
    ] {
        let origin = LowerName::from(Name::from_ascii(apex).expect("a valid name"));
        catalog.upsert(origin, vec![Arc::new(other_zone(apex, &names))]);
    }
    catalog
}

#[test]
fn each_answers_its_own_names() {
    let server = Running::start(MeshHandler::before(mesh(), other_zones()));
    let check = |question: &str, expected: &str| {
        assert_eq!(server.dig(question), expected, "{question}");
    };
    check(
        "svc1.internal.com AAAA",
        ";; NOERROR qr aa\nsvc1.internal.com. 5 IN AAAA 2001:db8::1\n",
    );
    check(
        "solo.test AAAA",
        ";; NOERROR qr aa\nsolo.test. 5 IN AAAA 2001:db8::1\n",
    );
    check(
        "www.other.test A",
        ";; NOERROR qr aa\nwww.other.test. 5 IN A 192.0.2.99\n",
    );
    // The mesh leaves it to others.
    check(
        "left.internal.com A",
        ";; NOERROR qr aa\nleft.internal.com. 5 IN A 192.0.2.99\n",
    );
    // Below a host there may be names of others; at a host, no type is theirs, for they could deny its name.
    check("below.solo.test A", ";; REFUSED qr\n");
    let soa =
        "solo.test. 5 IN SOA ns.meshdns.invalid. hostmaster.meshdns.invalid. SERIAL 60 10 86400 5";
    check(
        "solo.test TXT",
        &format!(";; NOERROR qr aa\n;; AUTHORITY\n{soa}\n"),
    );
    check("elsewhere.example A", ";; REFUSED qr\n");
    // Theirs to give.
    let transfer = server.dig("other.test TYPE252");
    assert!(
        transfer.contains("www.other.test. 5 IN A 192.0.2.99"),
        "{transfer}"
    );
    // Ours to refuse.
    check("internal.com TYPE252", ";; REFUSED qr\n;; EDE 21\n");
    check(
        "version.bind TXT CH",
        ";; NOERROR qr aa\nversion.bind. 0 CH TXT meshdns\n",
    );
    check(
        "www.other.test TXT CH",
        ";; NOERROR qr aa\n;; AUTHORITY\nother.test. 5 IN SOA ns.other. admin.other. SERIAL 60 10 3600 5\n",
    );
}

#[test]
fn the_example_answers_the_mesh_and_its_own_zone() {
    let server = Running::start(example::handler(mesh()).expect("right names"));
    let asked = "svc1.internal.com AAAA";
    assert_eq!(
        server.dig(asked),
        ";; NOERROR qr aa\nsvc1.internal.com. 5 IN AAAA 2001:db8::1\n"
    );
    let asked = "www.example.test A";
    assert_eq!(
        server.dig(asked),
        ";; NOERROR qr aa\nwww.example.test. 300 IN A 192.0.2.80\n"
    );
}

#[test]
fn nothing_is_denied_before_the_first_load() {
    let server = Running::start(MeshHandler::before(not_ready(), other_zones()));
    for name in ["svc1.internal.com", "www.other.test"] {
        let said = server.dig(&format!("{name} A"));
        assert_eq!(said, ";; SERVFAIL qr\n;; EDE 14\n", "{name}");
    }
}

#[test]
fn what_is_no_question_is_not_implemented_or_the_programs() {
    let update = b"\0\x07\x28\0\0\x01\0\0\0\0\0\0\x05other\x04test\0\0\x06\0\x01";
    let rcode = |server: &Running| ask_over_udp(server.udp, update)[3] & 0xf;
    let alone = Running::start(MeshHandler::new(mesh()));
    assert_eq!(rcode(&alone), 4, "NOTIMP");
    let mut catalog = Catalog::new();
    catalog.upsert(Name::root().into(), Vec::new());
    let with_others = Running::start(MeshHandler::before(mesh(), catalog));
    assert_eq!(
        rcode(&with_others),
        2,
        "what a catalog says that has nobody for it"
    );
}

#[test]
fn no_question_is_no_message() {
    let server = Running::start(MeshHandler::new(mesh()));
    let reply = ask_over_udp(server.udp, b"\0\x07\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(reply[3] & 0xf, 1, "FORMERR");
}
