use hickory_proto::op::Message;
use proptest::prelude::*;

use super::{OPT, message, opt_with};
use crate::{
    dns::RecordType,
    wire::{
        Age, MAX_TCP_BYTES, NameBuffer, NotTheReply, UpstreamQuestion, UpstreamReply, marks, parse,
        read_reply, read_whole_reply, relay, write_question,
    },
};

const NAME: &[u8] = b"\x03www\x04test\0";
const QUESTION: &[u8] = b"\x03www\x04test\0\0\x01\0\x01";
const ASKED: UpstreamQuestion<'_> = UpstreamQuestion {
    id: 0x1234,
    name: NAME,
    record_type: RecordType::A,
    dnssec_ok: true,
    checking_disabled: true,
    marks: Some(b"0123456789abcdef"),
};

/// A record of the question's name.
fn record(record_type: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut record = b"\xc0\x0c".to_vec();
    record.extend(record_type.to_be_bytes());
    record.extend(b"\0\x01");
    record.extend(ttl.to_be_bytes());
    record.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
    record.extend(data);
    record
}

fn soa(ttl: u32, minimum: u32) -> Vec<u8> {
    let mut data = vec![0; 18];
    data.extend(minimum.to_be_bytes());
    record(6, ttl, &data)
}

/// What `counts` and `parts` behind a question read as.
#[track_caller]
fn read(flags: u16, counts: [u16; 3], parts: &[&[u8]]) -> UpstreamReply {
    let [answers, authorities, additionals] = counts;
    let counts = [1, answers, authorities, additionals];
    let message = message(flags, counts, &[&[QUESTION], parts].concat());
    read_reply(&message, &ASKED).expect("a reply")
}

/// The message that a client gets for `reply`.
fn passed_on(reply: &UpstreamReply, age: Age, limit_bytes: usize, edns: &[u8]) -> Vec<u8> {
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

/// Reads one answer of this type and data as a reply, and compares whether that is possible.
#[track_caller]
fn check_data(record_type: u16, data: &[u8], is_right: bool) {
    let answer = record(record_type, 60, data);
    let message = message(0x8180, [1, 1, 0, 0], &[QUESTION, &answer]);
    let expected = if is_right {
        None
    } else {
        Some(NotTheReply::Malformed)
    };
    assert_eq!(read_reply(&message, &ASKED).err(), expected);
}

#[test]
fn names_and_data_of_a_wrong_form_are_malformed() {
    for (record_type, data) in [
        (1, &b"abc"[..]),
        (1, b"abcde"),
        (1, b""),
        (28, b"abcd"),
        (5, b"\xff\xff"),
        (5, b"\xc0\x0b"),
        (5, b"\xc0\x26"),
        (5, b"\x03www"),
        (5, b"\x41a\0"),
        (5, b"\xc0\x0cx"),
        (6, b"\0\0short"),
        (15, b"\0"),
        (16, b""),
        (16, b"\x05text"),
        (33, b"\0\0\0\0\0\0"),
        (46, b"not a signature"),
        (65, b"\0\x01\0\0\x01\0\x05abcd"),
        (65, b"\0\x01\0\0\x04\0\0\0\x03\0\0"),
        (257, b"\0\x05iss"),
    ] {
        check_data(record_type, data, false);
    }
    for (record_type, data) in [
        (1, &b"abcd"[..]),
        (5, b"\xc0\x0c"),
        (5, b"\x01a\xc0\x10"),
        (16, b"\x04text\0"),
        (33, b"\0\0\0\0\0\0\x01a\xc0\x10"),
        (65, b"\0\x01\0\0\x03\0\0\0\x04\0\x01a"),
        (257, b"\0\x05issueca"),
        (65_280, b""),
        (65_280, b"\xff\xff"),
    ] {
        check_data(record_type, data, true);
    }
    let too_long = [&[1, b'a'].repeat(127)[..], b"\0"].concat();
    check_data(5, &too_long, true);
    check_data(5, &[b"\x01b", &*too_long].concat(), false);
    let behind = message(
        0x8180,
        [1, 1, 0, 0],
        &[QUESTION, b"\xc0\xff\0\x01\0\x01\0\0\0\x3c\0\x04abcd"],
    );
    assert_eq!(
        read_reply(&behind, &ASKED).err(),
        Some(NotTheReply::Malformed)
    );
    let label = message(0x8180, [1, 1, 0, 0], &[QUESTION, b"\x80abcdefghijklmnopq"]);
    assert_eq!(
        read_reply(&label, &ASKED).err(),
        Some(NotTheReply::Malformed)
    );
}

#[test]
fn names_are_compressed() {
    let plain = b"\x03WWW\x04test\0\0\x01\0\x01\0\0\0\x3c\0\x04abcd";
    let reply = read(0x8180, [1, 0, 0], &[plain]);
    let out = passed_on(&reply, Age::Fresh(0), 512, &[]);
    assert_eq!(out[12 + QUESTION.len()..], record(1, 60, b"abcd"));
    let long = [&b"\x3f"[..], &[b'x'; 63], NAME].concat();
    let plain = [&*long, &b"\0\x01\0\x01\0\0\0\x3c\0\x04abcd"[..]].concat();
    let alias = record(5, 60, &long);
    let reply = read(
        0x8180,
        [12, 0, 0],
        &[&[&*alias][..], &vec![&*plain; 11]].concat(),
    );
    let out = passed_on(&reply, Age::Fresh(0), 512, &[]);
    assert_eq!(out.len(), 12 + QUESTION.len() + 12 + 66 + 11 * 16);
    let message = Message::from_vec(&out).expect("a message");
    let owner = message.answers[11].name.to_string();
    assert_eq!(owner, format!("{}.www.test.", "x".repeat(63)));
    // A name that not everyone knows to be one is written in full.
    let service = record(33, 60, b"\0\0\0\0\0\0\xc0\x0c");
    let reply = read(0x8180, [1, 0, 0], &[&service]);
    let out = passed_on(&reply, Age::Fresh(0), 512, &[]);
    assert!(out.ends_with(NAME), "{out:?}");
}

#[test]
fn what_nobody_asked_for_goes_first() {
    let (answer, server) = (
        record(1, 60, b"abcd"),
        record(2, 60, &[b"\x3f", &[b'n'; 63][..], b"\0"].concat()),
    );
    let text = record(16, 60, &[b"\xc8", &[b't'; 200][..]].concat());
    let servers = vec![&*server; 4];
    let soa = soa(300, 60);
    let parts = [&[&*answer][..], &servers, &[&*soa], &[&*text, &*text]].concat();
    let reply = read(0x8180, [1, 5, 2], &parts);
    let counts = |limit_bytes, edns: &[u8]| {
        let out = passed_on(&reply, Age::Fresh(1), limit_bytes, edns);
        let message = Message::from_vec(&out).expect("a message");
        assert!(message.all_sections().all(|one| one.ttl != 60));
        let sections = [&message.answers, &message.authorities, &message.additionals];
        (message.metadata.truncation, sections.map(Vec::len))
    };
    assert_eq!(counts(1232, OPT), (false, [1, 5, 2]));
    assert_eq!(counts(600, OPT), (false, [1, 5, 0]));
    assert_eq!(counts(150, OPT), (false, [1, 1, 0]));
    assert_eq!(counts(60, OPT), (true, [0, 0, 0]));
}

#[test]
fn over_a_stream_there_is_the_whole_or_servfail() {
    let a = record(1, 60, b"abcd");
    let cut = read(0x8380, [1, 0, 0], &[&a]);
    let over_udp =
        Message::from_vec(&passed_on(&cut, Age::Fresh(0), 1232, OPT)).expect("a message");
    assert!(
        over_udp.metadata.truncation && over_udp.answers.len() == 1,
        "what there is"
    );
    let over_tcp = passed_on(&cut, Age::Fresh(0), MAX_TCP_BYTES, OPT);
    assert_eq!((over_tcp[2] & 2, over_tcp[3] & 0xf, over_tcp[7]), (0, 2, 0));
}

#[test]
fn the_soa_says_how_long_there_is_nothing() {
    for (ttl, minimum) in [(300, 60), (60, 300)] {
        let reply = read(0x8183, [0, 1, 0], &[&soa(ttl, minimum)]);
        assert!(reply.is_negative() && reply.settles());
        let out = passed_on(&reply, Age::Fresh(1), 512, &[]);
        let message = Message::from_vec(&out).expect("a message");
        assert_eq!(message.authorities[0].ttl, 59);
    }
    let positive = read(
        0x8180,
        [1, 1, 0],
        &[&record(1, 300, b"abcd"), &soa(300, 60)],
    );
    assert!(!positive.is_negative());
    assert_eq!(positive.lifetime_seconds, 300);
    let huge = read(0x8180, [1, 0, 0], &[&record(1, u32::MAX, b"abcd")]);
    let out = passed_on(&huge, Age::Fresh(0), 512, &[]);
    let message = Message::from_vec(&out).expect("a message");
    assert_eq!((message.answers[0].ttl, huge.lifetime_seconds), (0, 0));
}

/// Compares the response code of a reply with these flags and parts, and whether another upstream could do better.
#[track_caller]
fn check_code(flags: u16, counts: [u16; 3], parts: &[&[u8]], rcode: u16, settles: bool) {
    let reply = read(flags, counts, parts);
    assert_eq!((reply.rcode, reply.settles()), (rcode, settles));
}

#[test]
fn only_what_says_something_settles_a_question() {
    let (a, ns) = (record(1, 60, b"abcd"), record(2, 60, NAME));
    check_code(0x8180, [1, 0, 0], &[&a], 0, true);
    check_code(0x8100, [1, 1, 0], &[&a, &ns], 0, true);
    check_code(0x8100, [0, 1, 0], &[&soa(60, 60)], 0, true);
    check_code(0x8180, [0, 0, 0], &[], 0, true);
    check_code(0x8500, [0, 0, 0], &[], 0, true);
    // A referral, and nothing from one who looks nothing up.
    check_code(0x8100, [0, 1, 0], &[&ns], 2, false);
    check_code(0x8100, [0, 1, 1], &[&ns, &a], 2, false);
    check_code(0x8100, [0, 0, 0], &[], 0, false);
    for rcode in [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 15] {
        check_code(0x8180 | rcode, [0, 0, 0], &[], rcode, false);
        check_code(0x8180 | rcode, [0, 0, 1], &[&OPT[..5]], rcode, false);
    }
    let bad_version = [&OPT[..5], b"\x01", &OPT[6..]].concat();
    check_code(0x8180, [0, 0, 1], &[&bad_version], 16, false);
    let marks = [b"\xfd\xe9\0\x10", &b"0123456789abcdef"[..]].concat();
    check_code(0x8130, [0, 0, 1], &[&opt_with(&marks)], 1, false);
    check_code(0x8180, [1, 0, 1], &[&a, &opt_with(&marks)], 0, true);
}

#[test]
fn a_failure_needs_no_question() {
    for (flags, counts, parts, rcode) in [
        (0x8104, [0; 4], &[][..], Some(4)),
        (0x8101, [1, 0, 0, 1], &[], Some(1)),
        (0x8101, [0, 0, 0, 1], &[OPT], Some(1)),
        (
            0x8100,
            [0, 0, 0, 1],
            &[&[&OPT[..5], b"\x01", &OPT[6..]].concat()[..]],
            Some(16),
        ),
        (0x8180, [0; 4], &[], None),
        (0x8183, [0; 4], &[], None),
    ] {
        let read = read_reply(&message(flags, counts, parts), &ASKED);
        assert_eq!(read.ok().map(|reply| reply.rcode), rcode);
    }
}

#[test]
fn opt_records_are_passed_over_wherever_they_stand() {
    let a = record(1, 60, b"abcd");
    for (counts, parts) in [
        ([2, 0, 0], [OPT, &a].concat()),
        ([1, 1, 0], [&*a, OPT].concat()),
        ([1, 0, 2], [&*a, OPT, OPT].concat()),
    ] {
        let reply = read(0x8180, counts, &[&parts]);
        let out = passed_on(&reply, Age::Fresh(0), 512, OPT);
        let message = Message::from_vec(&out).expect("a message");
        let sections = [&message.answers, &message.authorities, &message.additionals];
        assert_eq!(sections.map(Vec::len), [1, 0, 0]);
        assert!(message.edns.is_some());
    }
}

#[test]
fn marks_are_found_among_other_options() {
    let options = [b"\0\x0a\0\x08abcdefgh", &b"\xfd\xe9\0\x10"[..], &[5; 16]].concat();
    let asked = message(0x0100, [1, 0, 0, 1], &[QUESTION, &opt_with(&options)]);
    let mut name = NameBuffer::default();
    let query = parse(&asked, 0, &mut name).expect("a query");
    assert_eq!(marks(&query, &asked), [5; 16]);
}

/// Types whose data hickory reads as this module does.
const KNOWN: [u16; 10] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 65_280];

prop_compose! {
    fn names()(
        labels in proptest::collection::vec(prop::sample::select(vec!["www", "test", "a", "WWW", "long-label-of-a-name"]), 0..5),
        pointer in proptest::option::of(prop::sample::select(vec![12_u16, 16])),
    ) -> Vec<u8> {
        let mut name = Vec::new();
        for label in labels {
            name.push(u8::try_from(label.len()).expect("short labels"));
            name.extend(label.as_bytes());
        }
        match pointer {
            Some(at) => name.extend((0xc000 | at).to_be_bytes()),
            None => name.push(0),
        }
        name
    }
}

prop_compose! {
    fn records()(
        owner in names(),
        record_type in prop::sample::select(KNOWN.to_vec()),
        ttl in any::<u32>(),
        first in names(),
        second in names(),
        bytes in proptest::collection::vec(any::<u8>(), 20),
    ) -> Vec<u8> {
        let data = match record_type {
            1 => bytes[..4].to_vec(),
            28 => bytes[..16].to_vec(),
            6 => [first, second, bytes].concat(),
            15 => [&bytes[..2], &first].concat(),
            33 => [&bytes[..6], &first].concat(),
            16 => [&[20], &*bytes].concat(),
            65_280 => bytes,
            _ => first,
        };
        let mut record = owner;
        record.extend(record_type.to_be_bytes());
        record.extend(1_u16.to_be_bytes());
        record.extend(ttl.to_be_bytes());
        record.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
        record.extend(data);
        record
    }
}

/// The records of each section without their TTLs, in an order of their own.
fn texts(bytes: &[u8]) -> [Vec<String>; 3] {
    let message = super::decode(bytes);
    [message.answers, message.authorities, message.additionals].map(|section| {
        let mut texts: Vec<_> = section
            .into_iter()
            .map(|mut record| {
                record.ttl = 0;
                record.to_string().to_lowercase()
            })
            .collect();
        texts.sort();
        texts
    })
}

proptest! {
    #[test]
    fn what_is_passed_on_is_what_came(
        sections in proptest::collection::vec(proptest::collection::vec(records(), 0..6), 3),
        rcode in prop::sample::select(vec![0_u16, 3]),
    ) {
        let counts = [0, 1, 2].map(|section| u16::try_from(sections[section].len()).expect("few"));
        let [answers, authorities, additionals] = counts;
        let parts = sections.concat().concat();
        let message = message(0x8180 | rcode, [1, answers, authorities, additionals], &[QUESTION, &parts]);
        let reply = read_reply(&message, &ASKED).expect("a well-formed reply");
        let out = passed_on(&reply, Age::Fresh(0), MAX_TCP_BYTES, &[]);
        prop_assert_eq!(texts(&out), texts(&message));
    }

    #[test]
    fn another_reader_reads_what_is_passed_on_of_any_reply(
        flags in any::<u16>(),
        counts in any::<[u8; 3]>(),
        whole in proptest::collection::vec(records(), 0..6),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        limit_bytes in prop_oneof![512..1232_usize, Just(MAX_TCP_BYTES)],
    ) {
        let mut parts = [whole.concat(), bytes].concat();
        for (at, byte) in damage {
            if !parts.is_empty() {
                let at = at.index(parts.len());
                parts[at] = byte;
            }
        }
        let [answers, authorities, additionals] = counts.map(|count| u16::from(count % 4));
        let message = message(flags, [1, answers, authorities, additionals], &[QUESTION, &parts]);
        if let Ok(reply) = read_reply(&message, &ASKED)
            && holds_only_known(&reply)
        {
            let out = passed_on(&reply, Age::Stale, limit_bytes, OPT);
            prop_assert!(out.len() <= limit_bytes);
            super::decode(&out);
        }
    }
}

/// Whether all records are of a type whose data hickory reads as this module does, and have data: it takes none for a mistake.
fn holds_only_known(reply: &UpstreamReply) -> bool {
    reply.ttl_at.iter().all(|&at| {
        let fixed = &reply.records[usize::from(at) - 4..][..10];
        let record_type = u16::from_be_bytes([fixed[0], fixed[1]]);
        let is_opaque = record_type > 300 && record_type != 65_305;
        (KNOWN.contains(&record_type) || is_opaque) && fixed[8..] != [0, 0]
    })
}

proptest! {
    #[test]
    fn any_reply_can_be_read_or_refused_and_passed_on(
        flags in any::<u16>(),
        counts in any::<[u8; 3]>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        records in 0..4_u16,
        seconds in any::<u32>(),
    ) {
        let counts = counts.map(|count| u16::from(count % 4));
        let [answers, authorities, additionals] = counts;
        let whole = record(1, 60, b"abcd").repeat(records.into());
        let message = message(flags, [1, answers, authorities, additionals], &[QUESTION, &whole, &bytes]);
        if let Ok(reply) = read_reply(&message, &ASKED) {
            for (limit_bytes, edns) in [(512, &[][..]), (1232, OPT)] {
                for age in [Age::Fresh(seconds), Age::Stale] {
                    let out = passed_on(&reply, age, limit_bytes, edns);
                    prop_assert!(out.len() <= limit_bytes);
                    prop_assert!(out.len() >= 12 + QUESTION.len() + edns.len());
                }
            }
        }
    }
}
