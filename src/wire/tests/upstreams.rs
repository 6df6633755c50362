use hickory_proto::op::Message;

use super::{OPT, message, opt_with};
use crate::{
    dns::RecordType,
    wire::{
        Age, NameBuffer, NotTheReply, UpstreamQuestion, UpstreamReply, marks, parse, read_reply,
        read_whole_reply, relay, write_question,
    },
};

pub(super) const NAME: &[u8] = b"\x03www\x04test\0";
pub(super) const QUESTION: &[u8] = b"\x03www\x04test\0\0\x01\0\x01";
pub(super) const ASKED: UpstreamQuestion<'_> = UpstreamQuestion {
    id: 0x1234,
    name: NAME,
    record_type: RecordType::A,
    dnssec_ok: true,
    checking_disabled: true,
    marks: Some(b"0123456789abcdef"),
};

/// A record of the question's name.
pub(super) fn record(record_type: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut record = b"\xc0\x0c".to_vec();
    record.extend(record_type.to_be_bytes());
    record.extend(b"\0\x01");
    record.extend(ttl.to_be_bytes());
    record.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
    record.extend(data);
    record
}

pub(super) fn soa(ttl: u32, minimum: u32) -> Vec<u8> {
    let mut data = vec![0; 18];
    data.extend(minimum.to_be_bytes());
    record(6, ttl, &data)
}

/// What `counts` and `parts` behind a question read as.
#[track_caller]
pub(super) fn read(flags: u16, counts: [u16; 3], parts: &[&[u8]]) -> UpstreamReply {
    let [answers, authorities, additionals] = counts;
    let counts = [1, answers, authorities, additionals];
    let message = message(flags, counts, &[&[QUESTION], parts].concat());
    read_reply(&message, &ASKED).expect("a reply")
}

/// The message that a client gets for `reply`.
pub(super) fn passed_on(
    reply: &UpstreamReply,
    age: Age,
    limit_bytes: usize,
    edns: &[u8],
) -> Vec<u8> {
    let counts = [1, 0, 0, u16::from(!edns.is_empty())];
    let asked = message(0x0100, counts, &[QUESTION, edns]);
    let mut name = NameBuffer::default();
    let query = parse(&asked, 0, &mut name).expect("a query");
    let mut out = Vec::new();
    relay(&query, &asked, reply, age, limit_bytes, &mut out);
    out
}

#[test]
fn a_question_says_what_it_is_to_say() {
    let mut out = Vec::new();
    write_question(&ASKED, &mut out);
    let mut name = NameBuffer::default();
    let query = parse(&out, 0, &mut name).expect("a query");
    assert_eq!((query.id, query.question), (0x1234, QUESTION));
    assert!(query.recursion_desired && query.edns.is_some_and(|edns| edns.dnssec_ok));
    assert_eq!(out[2..4], [0x01, 0x30], "RD, AD and CD");
    assert_eq!(marks(&query, &out), b"0123456789abcdef");
    out.clear();
    write_question(
        &UpstreamQuestion {
            marks: None,
            ..ASKED
        },
        &mut out,
    );
    let mut name = NameBuffer::default();
    let query = parse(&out, 0, &mut name).expect("a query");
    assert!(query.edns.is_none() && marks(&query, &out).is_empty());
    out.clear();
    let plain = UpstreamQuestion {
        marks: Some(&[]),
        ..ASKED
    };
    write_question(&plain, &mut out);
    assert_eq!(out.len(), 12 + QUESTION.len() + OPT.len(), "no option");
}

#[track_caller]
fn check_lifetime(rcode: u16, counts: [u16; 3], parts: &[&[u8]], expected: u32) {
    assert_eq!(
        read(0x8180 | rcode, counts, parts).lifetime_seconds,
        expected
    );
}

#[test]
fn lifetimes_follow_ttls_and_the_soa() {
    let (long, short) = (record(1, 300, b"abcd"), record(1, 60, b"abcd"));
    check_lifetime(0, [2, 0, 0], &[&long, &short], 60);
    check_lifetime(0, [1, 0, 1], &[&long, &short], 60);
    check_lifetime(0, [1, 0, 1], &[&long, OPT], 300);
    check_lifetime(0, [1, 0, 0], &[&record(1, 0x8000_0000, b"abcd")], 0);
    check_lifetime(3, [0, 1, 0], &[&soa(300, 60)], 60);
    check_lifetime(3, [0, 1, 0], &[&soa(60, 300)], 60);
    check_lifetime(0, [0, 1, 0], &[&soa(300, 60)], 60);
    check_lifetime(0, [1, 1, 0], &[&record(5, 30, NAME), &soa(300, 60)], 30);
    check_lifetime(3, [0, 0, 0], &[], 0);
    check_lifetime(0, [0, 1, 0], &[&record(2, 300, NAME)], 0);
    check_lifetime(0, [1, 0, 0], &[&record(5, 30, NAME)], 0);
    check_lifetime(5, [1, 0, 0], &[&long], 0);
    check_lifetime(0x200, [1, 0, 0], &[&long], 0);
}

#[test]
fn an_opt_record_goes_and_what_stands_behind_it_stays() {
    let (first, last) = (record(1, 60, b"abcd"), record(28, 60, &[7; 16]));
    let reply = read(0x8180, [1, 0, 3], &[&first, &last, OPT, &last]);
    let out = passed_on(&reply, Age::Fresh(10), 512, &[]);
    let message = Message::from_vec(&out).expect("a message");
    assert_eq!((message.answers.len(), message.additionals.len()), (1, 2));
    assert!(message.all_sections().all(|record| record.ttl == 50));
}

#[test]
fn what_does_not_fit_is_left_out() {
    let a = record(1, 60, b"abcd");
    let reply = read(0x8180, [40, 0, 0], &vec![&*a; 40]);
    let fitting = passed_on(&reply, Age::Stale, 1232, OPT);
    assert_eq!(fitting[6..8], [0, 40]);
    let cut = passed_on(&reply, Age::Stale, 512, OPT);
    assert_eq!(
        (cut.len(), cut[2] & 2),
        (12 + QUESTION.len() + OPT.len() + 6, 2)
    );
    // The extended error goes before the records do.
    let exact = fitting.len() - 6;
    assert_eq!(passed_on(&reply, Age::Stale, exact, OPT).len(), exact);
}

#[test]
fn only_the_reply_is_the_reply() {
    let reply = |id: u16, flags: u16, question: &[u8]| {
        let mut message = message(flags, [1, 0, 0, 0], &[question]);
        message[..2].copy_from_slice(&id.to_be_bytes());
        read_reply(&message, &ASKED).map(|_| ())
    };
    assert_eq!(reply(0x1234, 0x8180, QUESTION), Ok(()));
    assert_eq!(
        reply(0x1234, 0x8180, b"\x03WWW\x04Test\0\0\x01\0\x01"),
        Ok(())
    );
    let foreign = Err(NotTheReply::Foreign);
    assert_eq!(reply(0x1235, 0x8180, QUESTION), foreign);
    assert_eq!(reply(0x1234, 0x0180, QUESTION), foreign, "a query");
    assert_eq!(reply(0x1234, 0xa180, QUESTION), foreign, "a NOTIFY");
    assert_eq!(
        reply(0x1234, 0x8180, b"\x03wwx\x04test\0\0\x01\0\x01"),
        foreign
    );
    assert_eq!(
        reply(0x1234, 0x8180, b"\x03www\x04test\0\0\x02\0\x01"),
        foreign
    );
    assert_eq!(
        reply(0x1234, 0x8180, b"\x03www\x04test\0\0\x01\0\x03"),
        foreign
    );
    let half = message(
        0x8180,
        [1, 1, 0, 0],
        &[QUESTION, &record(1, 60, b"abcd")[..9]],
    );
    assert!(read_reply(&half, &ASKED).is_ok_and(|reply| reply.truncated));
    let of_stream = read_whole_reply(&half, &ASKED);
    assert_eq!(of_stream, Err(NotTheReply::Malformed));
    let cut = read(0x8380, [1, 0, 0], &[&record(1, 60, b"abcd")[..9]]);
    assert!(cut.truncated);
}

#[test]
fn marks_are_found_among_other_options() {
    let options = [b"\0\x0a\0\x08abcdefgh", &b"\xfd\xe9\0\x10"[..], &[5; 16]].concat();
    let asked = message(0x0100, [1, 0, 0, 1], &[QUESTION, &opt_with(&options)]);
    let mut name = NameBuffer::default();
    let query = parse(&asked, 0, &mut name).expect("a query");
    assert_eq!(marks(&query, &asked), [5; 16]);
}
