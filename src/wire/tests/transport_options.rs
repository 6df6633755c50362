//! What answers say of the transport to the client, and how long HTTP may keep them.

use hickory_proto::rr::rdata::opt::EdnsCode;

use super::{MAX_TCP_BYTES, OPT, QUESTION, check, decode, message, opt_with};
use crate::{
    answer::{answer, sample},
    dns::RecordType,
    wire::{NameBuffer, TransportOptions, add_transport_options, freshness_seconds, parse, write},
};

const KEEPALIVE: &[u8] = b"\0\x0b\0\0";
const PADDING: &[u8] = b"\0\x0c\0\x03\0\0\0";
const NSID: &[u8] = b"\0\x03\0\0";

const STREAM: TransportOptions = TransportOptions {
    keepalive_tenths: Some(300),
    is_private: false,
};
const PRIVATE: TransportOptions = TransportOptions {
    keepalive_tenths: None,
    is_private: true,
};
const PRIVATE_STREAM: TransportOptions = TransportOptions {
    keepalive_tenths: Some(300),
    is_private: true,
};

/// The answer to a query for `question` with an OPT record of these options, over this transport.
fn answered(question: &[u8], options: &[u8], transport_options: TransportOptions) -> Vec<u8> {
    let query = message(0, [1, 0, 0, 1], &[question, &opt_with(options)]);
    let mut buffer = NameBuffer::default();
    let query = parse(&query, 0, &mut buffer).expect("a query");
    let mut out = b"before".to_vec();
    let answer = answer(sample::snapshot(), &query);
    let written = write(&query, &answer, MAX_TCP_BYTES, &mut out);
    let edns = query.edns.expect("it has an OPT record");
    add_transport_options(edns, transport_options, 6, written.opt_bytes, &mut out);
    out.split_off(6)
}

/// Compares the options of the answer with `expected`: code and length of each.
#[track_caller]
fn check_options(options: &[u8], transport_options: TransportOptions, expected: &[(u16, usize)]) {
    let answer = answered(QUESTION, options, transport_options);
    let decoded = decode(&answer);
    let edns = decoded.edns.expect("an OPT record");
    let mut found: Vec<_> = edns.options().as_ref().iter().collect();
    found.sort_by_key(|(code, _)| u16::from(*code));
    let found: Vec<_> = found
        .into_iter()
        .map(|(code, data)| {
            let data = Vec::<u8>::try_from(data).expect("an option has bytes");
            (u16::from(*code), data.len())
        })
        .collect();
    assert_eq!(found, expected);
    if transport_options.is_private && expected.iter().any(|&(code, _)| code == 12) {
        assert_eq!(answer.len(), 468);
    }
}

#[test]
fn padding_answers_padding_where_nobody_else_reads() {
    check_options(&[], PRIVATE_STREAM, &[]);
    check_options(PADDING, STREAM, &[]);
    let unpadded = answered(QUESTION, &[], PRIVATE).len() + 4;
    check_options(PADDING, PRIVATE, &[(12, 468 - unpadded)]);
    check_options(
        &[PADDING, NSID].concat(),
        PRIVATE,
        &[(3, 3), (12, 468 - unpadded - 7)],
    );
}

#[test]
fn those_who_ask_are_told_how_long_a_connection_is_kept() {
    check_options(KEEPALIVE, STREAM, &[(11, 2)]);
    check_options(KEEPALIVE, PRIVATE, &[]);
    let unpadded = answered(QUESTION, &[], PRIVATE).len() + 4;
    check_options(
        &[PADDING, KEEPALIVE].concat(),
        PRIVATE_STREAM,
        &[(11, 2), (12, 468 - unpadded - 6)],
    );
    let decoded = decode(&answered(QUESTION, KEEPALIVE, STREAM));
    let edns = decoded.edns.expect("an OPT record");
    let told = edns.option(EdnsCode::from(11)).expect("it is told");
    assert_eq!(Vec::<u8>::try_from(told).expect("bytes"), [1, 44]);
}

#[test]
fn a_long_answer_is_padded_as_far_as_there_is_room() {
    let too_many = b"\x08too-many\x08internal\x03com\0\0\x01\0\x01";
    let unpadded = answered(too_many, &[], PRIVATE).len();
    let padded = answered(too_many, PADDING, PRIVATE);
    assert!(unpadded > 64_000 && padded.len() > unpadded);
    assert!(padded.len().is_multiple_of(468) || padded.len() == MAX_TCP_BYTES);
    decode(&padded);
}

#[test]
fn the_options_are_seen_beside_other_records() {
    let a = b"\0\0\x01\0\x01\0\0\0\0\0\x04abcd";
    let opt = opt_with(&[PADDING, KEEPALIVE].concat());
    for query in [
        message(0, [1, 0, 0, 2], &[QUESTION, a, &opt]),
        message(0, [1, 0, 0, 1], &[QUESTION, &opt]),
    ] {
        let mut buffer = NameBuffer::default();
        let query = parse(&query, 0, &mut buffer).expect("a query");
        let edns = query.edns.expect("an OPT record");
        assert!(edns.padding && edns.keepalive && !edns.nsid);
    }
    check(
        &message(0, [1, 0, 0, 1], &[QUESTION, OPT]),
        "Name(svc1.internal.com.) A edns 0 1232 do=false nsid=false",
    );
}

#[track_caller]
fn check_freshness(name: &str, record_type: RecordType, expected: u32) {
    let mut question = Vec::new();
    let query = sample::query(name, record_type, &mut question);
    let mut out = Vec::new();
    write(
        &query,
        &answer(sample::snapshot(), &query),
        MAX_TCP_BYTES,
        &mut out,
    );
    assert_eq!(freshness_seconds(&out), expected, "{name}");
}

#[test]
fn answers_are_fresh_for_their_least_ttl() {
    check_freshness("svc1.internal.com", RecordType::A, 5);
    check_freshness("none.internal.com", RecordType::A, 5);
    check_freshness("nosuch.internal.com", RecordType::A, 5);
    check_freshness("foreign.test", RecordType::A, 0);
    assert_eq!(freshness_seconds(b""), 0);
    // Two records of 300 s and 7 s; then none, and an SOA that says 60 s and may itself be kept for 30 s.
    let record = |kind: &[u8], ttl: u32, data: &[u8]| {
        let length = u16::try_from(data.len()).expect("short").to_be_bytes();
        [
            b"\xc0\x0c",
            kind,
            b"\0\x01",
            &ttl.to_be_bytes(),
            &length,
            data,
        ]
        .concat()
    };
    let (long, short) = (
        record(b"\0\x01", 300, b"abcd"),
        record(b"\0\x01", 7, b"abcd"),
    );
    let both = message(0x8000, [1, 2, 0, 0], &[QUESTION, &long, &short]);
    assert_eq!(freshness_seconds(&both), 7);
    let numbers = [1_u32, 60, 60, 60, 60].map(u32::to_be_bytes);
    let soa = record(b"\0\x06", 30, &[b"\0\0", numbers.as_flattened()].concat());
    let negative = message(0x8003, [1, 0, 1, 0], &[QUESTION, &soa]);
    assert_eq!(freshness_seconds(&negative), 30);
}
