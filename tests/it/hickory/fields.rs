//! Two encoders of the same answers: all that is in a message must be equal, whatever is asked.

use hickory_proto::op::{Message, ResponseCode};
use meshdns::{hickory::MeshHandler, manifest::MaxAddresses};

use super::{Running, mesh, mesh_of};
use crate::transport::{self, ask_over_tcp, ask_over_udp};

/// The options of an OPT record that queries bear; `None` where they have no OPT record.
const EDNS: [Option<Opt>; 8] = [
    None,
    Some(Opt::PLAIN),
    Some(Opt {
        payload: 100,
        ..Opt::PLAIN
    }),
    Some(Opt {
        payload: 4096,
        ..Opt::PLAIN
    }),
    Some(Opt {
        version: 1,
        ..Opt::PLAIN
    }),
    Some(Opt {
        dnssec_ok: true,
        ..Opt::PLAIN
    }),
    // The name server's identifier.
    Some(Opt {
        options: b"\0\x03\0\0",
        ..Opt::PLAIN
    }),
    // A cookie, and a client's subnet.
    Some(Opt {
        options: b"\0\x0a\0\x0812345678\0\x08\0\x07\0\x01\x18\0\x0a\0\0",
        ..Opt::PLAIN
    }),
];

#[derive(Clone, Copy)]
struct Opt {
    payload: u16,
    version: u8,
    dnssec_ok: bool,
    options: &'static [u8],
}

impl Opt {
    const PLAIN: Self = Self {
        payload: 1232,
        version: 0,
        dnssec_ok: false,
        options: b"",
    };

    fn write(self, query: &mut Vec<u8>) {
        query.extend(b"\0\0\x29");
        query.extend(self.payload.to_be_bytes());
        query.extend([0, self.version, u8::from(self.dnssec_ok) << 7, 0]);
        let length = u16::try_from(self.options.len()).expect("short options");
        query.extend(length.to_be_bytes());
        query.extend(self.options);
    }
}

/// A query with `flags` behind its id.
fn query(name: &str, record_type: u16, class: u16, flags: u16, edns: Option<Opt>) -> Vec<u8> {
    let additionals = u16::from(edns.is_some());
    let mut query: Vec<u8> = [7, flags, 1, 0, 0, additionals]
        .map(u16::to_be_bytes)
        .concat();
    for label in name.split_terminator('.') {
        query.push(u8::try_from(label.len()).expect("a short label"));
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(record_type.to_be_bytes());
    query.extend(class.to_be_bytes());
    if let Some(opt) = edns {
        opt.write(&mut query);
    }
    query
}

/// All of a message, its records in order: that of addresses is random.
fn fields(reply: &[u8]) -> String {
    let mut message = Message::from_vec(reply).expect("a well-formed reply");
    for section in [
        &mut message.answers,
        &mut message.authorities,
        &mut message.additionals,
    ] {
        section.sort_by_cached_key(ToString::to_string);
    }
    format!("{message:#?}")
}

#[test]
fn all_fields_are_equal_whatever_is_asked() {
    const QUERY: u16 = 0;
    /// RD, AD and CD.
    const FLAGS: u16 = 0x0130;
    let snapshots = mesh();
    let theirs = Running::start(MeshHandler::new(snapshots.clone()));
    let mut ours = (transport::UDP.start)(snapshots.clone());
    let mut ours_over_tcp = (transport::TCP.start)(snapshots);
    let names = [
        "svc1.internal.com",
        "Svc1.INTERNAL.com",
        "internal.com",
        "nobody.Internal.com",
        "left.internal.com",
        "solo.test",
        "below.solo.test",
        "elsewhere.example",
        "version.bind",
        "",
    ];
    // A, NS, SOA, TXT, AAAA, OPT, HTTPS, a meta type, TSIG, IXFR, AXFR, MAILB, ANY, one that nobody has.
    let types = [1, 2, 6, 16, 28, 41, 65, 128, 250, 251, 252, 253, 255, 1000];
    for name in names {
        for record_type in types {
            for (class, flags) in [(1, QUERY), (1, FLAGS), (3, QUERY), (255, QUERY)] {
                for edns in EDNS {
                    let query = query(name, record_type, class, flags, edns);
                    let said = fields(&ask_over_udp(theirs.udp, &query));
                    assert_eq!(said, fields(&ours.ask(&query)), "over UDP: {query:x?}");
                }
            }
            let query = query(name, record_type, 1, QUERY, Some(Opt::PLAIN));
            let said = fields(&ask_over_tcp(theirs.tcp, &query));
            assert_eq!(
                said,
                fields(&ours_over_tcp.ask(&query)),
                "over TCP: {query:x?}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_a_datagram_leaves_a_whole_message_and_comes_over_tcp() {
    let snapshots = mesh();
    let theirs = Running::start(MeshHandler::new(snapshots.clone()));
    let mut ours = (transport::UDP.start)(snapshots);
    for edns in EDNS {
        let query = query("many.internal.com", 1, 1, 0, edns);
        let (said, expected) = (ask_over_udp(theirs.udp, &query), ours.ask(&query));
        assert_eq!(fields(&said), fields(&expected));
        assert_eq!(
            said.len(),
            expected.len(),
            "nothing stands behind the message"
        );
        let whole = Message::from_vec(&ask_over_tcp(theirs.tcp, &query));
        let whole = whole.expect("a well-formed reply");
        let is_answered = edns.is_none_or(|edns| edns.version == 0);
        assert_eq!(whole.answers.len(), if is_answered { 100 } else { 0 });
        assert!(!whole.metadata.truncation);
    }
}

#[test]
fn as_many_addresses_come_as_fit_a_datagram() {
    let snapshots = mesh_of(MaxAddresses::Fitting);
    let theirs = Running::start(MeshHandler::new(snapshots.clone()));
    let mut ours = (transport::UDP.start)(snapshots);
    for edns in EDNS {
        let query = query("many.internal.com", 1, 1, 0, edns);
        let messages = [ask_over_udp(theirs.udp, &query), ours.ask(&query)];
        // Which ones is random for each question.
        let [said, expected] = messages.map(|bytes| {
            let message = Message::from_vec(&bytes).expect("a well-formed reply");
            (message.metadata.truncation, message.answers.len())
        });
        assert_eq!(said.0, expected.0);
        // hickory writes one name out that we compress, in the place of at most two addresses.
        assert!(
            (expected.1.saturating_sub(2)..=expected.1).contains(&said.1),
            "{said:?} {expected:?}"
        );
        let is_answered = edns.is_none_or(|edns| edns.version == 0);
        assert_eq!(said.1 >= 27, is_answered, "{said:?}");
    }
}

#[test]
fn a_signature_by_a_key_that_nobody_knows_gets_the_same_as_from_us() {
    let snapshots = mesh();
    let theirs = Running::start(MeshHandler::new(snapshots.clone()));
    let mut ours = (transport::UDP.start)(snapshots);
    let mut query = query("svc1.internal.com", 1, 1, 0, None);
    query[11] = 1;
    query.extend(b"\x03key\0\0\xfa\0\xff\0\0\0\0");
    let data = b"\x0bhmac-sha256\0\0\0\0\0\0\x01\x01\x2c\0\x041234\0\x07\0\0\0\0";
    query.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
    query.extend(data);
    let said = ask_over_udp(theirs.udp, &query);
    assert_eq!(fields(&said), fields(&ours.ask(&query)));
    let message = Message::from_vec(&said).expect("a well-formed reply");
    assert_eq!(message.metadata.response_code, ResponseCode::NotAuth);
}

#[test]
fn hickory_reads_some_messages_otherwise() {
    let snapshots = mesh();
    let theirs = Running::start(MeshHandler::new(snapshots.clone()));
    let mut ours = (transport::UDP.start)(snapshots);
    let rcode = |reply: &[u8]| reply[3] & 0xf;
    let query = query("svc1.internal.com", 1, 1, 0, None);
    // A byte behind the end.
    let longer = [&*query, b"\0"].concat();
    assert_eq!(rcode(&ask_over_udp(theirs.udp, &longer)), 0, "NOERROR");
    assert_eq!(rcode(&ours.ask(&longer)), 1, "FORMERR");
    // An additional record that is not there.
    let mut shorter = query.clone();
    shorter[11] = 1;
    let (said, expected) = (ask_over_udp(theirs.udp, &shorter), ours.ask(&shorter));
    assert_eq!((rcode(&said), said.len()), (1, 12), "FORMERR alone");
    assert_eq!((rcode(&expected), expected.len()), (1, query.len()));
}
