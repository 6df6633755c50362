mod aliases;
mod laws;
mod relay_laws;
mod replies;
mod transport_options;
mod upstreams;

use hickory_proto::{
    op::Message,
    rr::rdata::opt::EdnsCode,
    serialize::binary::{BinDecodable, BinDecoder},
};

use super::{MAX_TCP_BYTES, NameBuffer, Refusal, parse, udp_limit_bytes, write, write_refusal};
use crate::{
    answer::{Edns, Query, answer, sample},
    dns::{Name, RecordType},
    zone::Snapshot,
};

const QUESTION: &[u8] = b"\x04SVC1\x08internal\x03com\0\0\x01\0\x01";
const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
const COOKIE: &[u8] = b"\0\x0a\0\x08abcdefgh";
/// A TSIG record: key `k`, algorithm `hmac-sha256`, no MAC.
const TSIG: &[u8] =
    b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\x1d\x0bhmac-sha256\0\0\0\0\0\0\0\x01\x2c\0\0\x12\x34\0\0\0\0";
/// A record of type A at the root.
const A: &[u8] = b"\0\0\x01\0\x01\0\0\0\0\0\x04abcd";

/// A message with `counts` in its header and `parts` behind that.
fn message(flags: u16, counts: [u16; 4], parts: &[&[u8]]) -> Vec<u8> {
    let mut message = 0x1234_u16.to_be_bytes().to_vec();
    for field in [flags].into_iter().chain(counts) {
        message.extend(field.to_be_bytes());
    }
    message.extend(parts.concat());
    message
}

fn opt_with(options: &[u8]) -> Vec<u8> {
    let mut opt = OPT.to_vec();
    opt[10] = u8::try_from(options.len()).expect("few options");
    opt.extend(options);
    opt
}

/// Parses a message and compares what it is taken for.
#[track_caller]
fn check(message: &[u8], expected: &str) {
    let found = match parse(message, 0, &mut NameBuffer::default()) {
        Ok(query) => {
            let edns = query.edns.map_or(String::new(), |edns| {
                let (dnssec_ok, nsid) = (edns.dnssec_ok, edns.nsid);
                let size = edns.payload_bytes;
                format!(" edns {} {size} do={dnssec_ok} nsid={nsid}", edns.version)
            });
            let rd = if query.recursion_desired { " rd" } else { "" };
            let name = Name::from_lowercase_wire(query.name);
            format!("{name:?} {}{rd}{edns}", query.record_type)
        }
        Err(Refusal::Ignore) => "ignored".to_owned(),
        Err(refusal) => {
            let mut reply = Vec::new();
            let rcode = write_refusal(&refusal, &mut reply).expect("a reply");
            assert_eq!(reply[..2], message[..2], "the id comes back");
            format!("{rcode} in {} bytes", reply.len())
        }
    };
    assert_eq!(found, expected);
}

const PLAIN: &str = "Name(svc1.internal.com.) A";

#[test]
fn reads_queries() {
    check(&message(0, [1, 0, 0, 0], &[QUESTION]), PLAIN);
    check(
        &message(0x0100, [1, 0, 0, 0], &[QUESTION]),
        &format!("{PLAIN} rd"),
    );
    let plain_edns = format!("{PLAIN} edns 0 1232 do=false nsid=false");
    check(&message(0, [1, 0, 0, 1], &[QUESTION, OPT]), &plain_edns);
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, &opt_with(COOKIE)]),
        &plain_edns,
    );
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, &opt_with(b"\xff\xff\0\0")]),
        &plain_edns,
    );
    check(
        &message(
            0,
            [1, 0, 0, 1],
            &[QUESTION, b"\0\0\x29\0\0\0\x02\xff\xff\0\x04\0\x03\0\0"],
        ),
        &format!("{PLAIN} edns 2 0 do=true nsid=true"),
    );
    // AD, CD, Z, TC, AA, RA and a response code in a query mean nothing.
    check(
        &message(0x07ff, [1, 0, 0, 0], &[QUESTION]),
        &format!("{PLAIN} rd"),
    );
}

#[test]
fn reads_queries_that_carry_other_records() {
    let plain_edns = format!("{PLAIN} edns 0 1232 do=false nsid=false");
    check(&message(0, [1, 1, 0, 0], &[QUESTION, A]), PLAIN);
    check(&message(0, [1, 0, 1, 0], &[QUESTION, A]), PLAIN);
    check(&message(0, [1, 0, 0, 1], &[QUESTION, A]), PLAIN);
    check(&message(0, [1, 0, 0, 2], &[QUESTION, A, OPT]), &plain_edns);
    check(
        &message(0, [1, 0, 0, 2], &[QUESTION, &opt_with(COOKIE), A]),
        &plain_edns,
    );
    let nsid = opt_with(b"\0\x03\0\0");
    check(
        &message(0, [1, 0, 0, 2], &[QUESTION, A, &nsid]),
        &format!("{PLAIN} edns 0 1232 do=false nsid=true"),
    );
}

#[test]
fn leaves_alone_what_is_no_query() {
    check(b"", "ignored");
    check(&message(0, [1, 0, 0, 0], &[])[..11], "ignored");
    check(&message(0x8000, [1, 0, 0, 0], &[QUESTION]), "ignored");
    check(&message(0xffff, [0, 0, 0, 0], &[]), "ignored");
}

#[test]
fn does_not_implement_other_opcodes() {
    for opcode in 1..16 {
        let found = message(opcode << 11, [1, 0, 0, 0], &[QUESTION]);
        check(&found, "NOTIMP in 12 bytes");
        check(&found[..12], "NOTIMP in 12 bytes");
    }
}

#[test]
fn refuses_malformed_messages() {
    let header_only = "FORMERR in 12 bytes";
    let with_question = &format!("FORMERR in {} bytes", 12 + QUESTION.len());
    check(&message(0, [0; 4], &[]), header_only);
    check(&message(0, [0, 0, 0, 1], &[&opt_with(COOKIE)]), header_only);
    check(
        &message(0, [2, 0, 0, 0], &[QUESTION, QUESTION]),
        header_only,
    );
    check(&message(0, [1, 0, 0, 0], &[]), header_only);
    for cut in 1..QUESTION.len() {
        check(&message(0, [1, 0, 0, 0], &[&QUESTION[..cut]]), header_only);
    }
    check(
        &message(0, [1, 0, 0, 0], &[b"\xc0\x0c\0\x01\0\x01"]),
        header_only,
    );
    check(
        &message(0, [1, 0, 0, 0], &[b"\x40a\0\0\x01\0\x01"]),
        header_only,
    );
    let too_long = [&[1, b'a'].repeat(128), &b"\0\0\x01\0\x01"[..]].concat();
    check(&message(0, [1, 0, 0, 0], &[&too_long]), header_only);
    check(&message(0, [1, 0, 0, 0], &[QUESTION, b"x"]), with_question);
    check(&message(0, [1, 0, 0, 1], &[QUESTION]), with_question);
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, &OPT[..10]]),
        with_question,
    );
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, OPT, b"x"]),
        with_question,
    );
    check(
        &message(
            0,
            [1, 0, 0, 1],
            &[QUESTION, &opt_with(b"\0\x0a\0\x09abcdefgh")],
        ),
        with_question,
    );
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, &opt_with(b"\0")]),
        with_question,
    );
    check(
        &message(0, [1, 0, 0, 2], &[QUESTION, OPT, OPT]),
        with_question,
    );
    check(&message(0, [1, 0, 0, 2], &[QUESTION, OPT]), with_question);
    check(&message(0, [1, 1, 0, 0], &[QUESTION, OPT]), with_question);
    let owned = [b"\x01a", OPT].concat();
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, &owned]),
        with_question,
    );
    check(
        &message(0, [1, 1, 0, 0], &[QUESTION, A, b"x"]),
        with_question,
    );
}

#[test]
fn knows_no_keys() {
    let with_record = &format!("NOTAUTH in {} bytes", 12 + QUESTION.len() + TSIG.len());
    let signed = message(0, [1, 0, 0, 1], &[QUESTION, TSIG]);
    check(&signed, with_record);
    check(
        &message(0, [1, 0, 0, 2], &[QUESTION, OPT, TSIG]),
        with_record,
    );
    let malformed = &format!("FORMERR in {} bytes", 12 + QUESTION.len());
    check(&message(0, [1, 0, 0, 2], &[QUESTION, TSIG, OPT]), malformed);
    check(&message(0, [1, 1, 0, 0], &[QUESTION, TSIG]), malformed);

    let mut reply = Vec::new();
    let mut buffer = NameBuffer::default();
    let refusal = parse(&signed, 0, &mut buffer).expect_err("no key is known");
    write_refusal(&refusal, &mut reply);
    let mut expected = TSIG.to_vec();
    let error_at = expected.len() - 4;
    expected[error_at..][..2].copy_from_slice(&17_u16.to_be_bytes());
    assert!(reply.ends_with(&expected), "the record with BADKEY");
    assert_eq!(decode(&reply).additionals.len(), 1);
}

#[test]
fn a_key_with_a_name_too_long_gets_no_record() {
    let long = [&[1, b'k'].repeat(120), &TSIG[2..]].concat();
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, &long]),
        &format!("NOTAUTH in {} bytes", 12 + QUESTION.len()),
    );
}

/// Decodes a message with a reader that is not ours; nothing may be left over.
#[track_caller]
fn decode(bytes: &[u8]) -> Message {
    let mut decoder = BinDecoder::new(bytes);
    let message = Message::read(&mut decoder).expect("a well-formed message");
    assert_eq!(decoder.index(), bytes.len(), "no bytes at the end");
    message
}

/// Answers `name` from the sample in at most `limit_bytes` and compares sections and flags, records as text.
#[track_caller]
fn check_answer(
    name: &str,
    record_type: RecordType,
    edns: Option<Edns>,
    limit_bytes: usize,
    expected: &str,
) {
    let snapshot = sample::snapshot();
    let mut question = Vec::new();
    let mut query = sample::query(name, record_type, &mut question);
    query.edns = edns;
    let answer = answer(snapshot, &query);
    // What stands in the buffer before the message must not matter.
    let mut out = b"before".to_vec();
    let written = write(&query, &answer, limit_bytes, &mut out);
    let bytes = &out[6..];
    assert_eq!(written.bytes, bytes.len());
    assert!(bytes.len() <= limit_bytes);
    let message = decode(bytes);
    assert_eq!(message.metadata.truncation, written.truncated);
    assert_eq!(
        message.queries[0].name().to_string().trim_end_matches('.'),
        name
    );
    let mut lines = vec![format!(
        "{}{}{}",
        u16::from(message.metadata.response_code),
        if message.metadata.authoritative {
            " aa"
        } else {
            ""
        },
        if message.metadata.truncation {
            " tc"
        } else {
            ""
        },
    )];
    lines.extend(
        message
            .answers
            .iter()
            .map(|record| format!("answer {record}")),
    );
    lines.extend(
        message
            .authorities
            .iter()
            .map(|record| format!("authority {record}")),
    );
    assert_eq!(message.additionals, []);
    assert_eq!(message.edns.is_some(), edns.is_some());
    if let Some(edns) = &message.edns {
        let ede = edns.option(EdnsCode::from(15)).is_some();
        let nsid = edns.option(EdnsCode::from(3)).is_some();
        let dnssec_ok = edns.flags().dnssec_ok;
        lines.push(format!(
            "edns {} {} do={dnssec_ok} ede={ede} nsid={nsid}",
            edns.version(),
            edns.max_payload()
        ));
    }
    assert_eq!(lines.join("\n"), expected);
}

const EDNS: Option<Edns> = Some(Edns {
    payload_bytes: 4096,
    version: 0,
    dnssec_ok: false,
    nsid: false,
    padding: false,
    keepalive: false,
    client_subnet: false,
});

#[test]
fn writes_each_kind_of_answer() {
    check_answer(
        "Solo.TEST",
        RecordType::A,
        None,
        512,
        "0 aa\nanswer Solo.TEST. 5 IN A 10.0.0.5",
    );
    check_answer(
        "svc1.internal.com",
        RecordType::AAAA,
        EDNS,
        1232,
        "0 aa\nanswer svc1.internal.com. 5 IN AAAA 2001:db8::1\nedns 0 1232 do=false ede=false nsid=false",
    );
    let soa = "5 IN SOA ns.meshdns.invalid. hostmaster.meshdns.invalid. 7 60 10 86400 5";
    check_answer(
        "x.Internal.com",
        RecordType::A,
        None,
        512,
        &format!("3 aa\nauthority Internal.com. {soa}"),
    );
    check_answer(
        "internal.com",
        RecordType::SOA,
        None,
        512,
        &format!("0 aa\nanswer internal.com. {soa}"),
    );
    check_answer(
        "internal.com",
        RecordType::NS,
        None,
        512,
        "0 aa\nanswer internal.com. 5 IN NS ns.meshdns.invalid.",
    );
    check_answer(
        "solo.test",
        RecordType::ANY,
        None,
        512,
        "0 aa\nanswer solo.test. 5 IN HINFO RFC8482 ",
    );
    let nsid_and_do = Some(Edns {
        payload_bytes: 0,
        version: 0,
        dnssec_ok: true,
        nsid: true,
        ..Edns::default()
    });
    check_answer(
        "foreign.test",
        RecordType::A,
        nsid_and_do,
        512,
        "5\nedns 0 1232 do=true ede=true nsid=true",
    );
    let version_1 = Some(Edns {
        version: 1,
        ..Edns::default()
    });
    check_answer(
        "solo.test",
        RecordType::A,
        version_1,
        512,
        "16\nedns 0 1232 do=false ede=false nsid=false",
    );
}

/// How many addresses an answer of at most `limit_bytes` has, and whether it is truncated.
fn addresses_in(snapshot: &Snapshot, edns: Option<Edns>, limit_bytes: usize) -> (usize, bool) {
    let mut question = Vec::new();
    let query = Query {
        edns,
        ..sample::query("many.internal.com", RecordType::A, &mut question)
    };
    let mut out = Vec::new();
    let written = write(&query, &answer(snapshot, &query), limit_bytes, &mut out);
    (decode(&out).answers.len(), written.truncated)
}

#[test]
fn as_many_addresses_are_answered_as_fit_the_message() {
    let snapshot = sample::snapshot();
    assert_eq!(addresses_in(snapshot, None, 512), (29, false));
    assert_eq!(addresses_in(snapshot, EDNS, 1232), (74, false));
    assert_eq!(addresses_in(snapshot, None, MAX_TCP_BYTES), (100, false));
}

#[test]
fn where_all_addresses_are_asked_for_what_does_not_fit_is_left_out_as_a_whole() {
    let snapshot = sample::unlimited();
    assert_eq!(addresses_in(snapshot, None, 512), (0, true));
    assert_eq!(addresses_in(snapshot, EDNS, 1232), (0, true));
    assert_eq!(addresses_in(snapshot, None, MAX_TCP_BYTES), (100, false));
}

#[test]
fn fills_a_whole_message_over_tcp() {
    let snapshot = sample::snapshot();
    let mut question = Vec::new();
    for (name, count) in [("many.internal.com", 100), ("too-many.internal.com", 4047)] {
        let query = sample::query(name, RecordType::A, &mut question);
        let answer = answer(snapshot, &query);
        let mut out = Vec::new();
        let written = write(&query, &answer, MAX_TCP_BYTES, &mut out);
        assert!(!written.truncated);
        assert_eq!(decode(&out).answers.len(), count);
    }
}

#[track_caller]
fn check_limit(payload_bytes: Option<u16>, expected: usize) {
    let mut question = Vec::new();
    let mut query = sample::query("solo.test", RecordType::A, &mut question);
    query.edns = payload_bytes.map(|payload_bytes| Edns {
        payload_bytes,
        ..Edns::default()
    });
    assert_eq!(udp_limit_bytes(&query), expected);
}

#[test]
fn takes_the_offered_size_within_bounds() {
    check_limit(None, 512);
    check_limit(Some(0), 512);
    check_limit(Some(511), 512);
    check_limit(Some(1000), 1000);
    check_limit(Some(1232), 1232);
    check_limit(Some(4096), 1232);
    check_limit(Some(u16::MAX), 1232);
}
