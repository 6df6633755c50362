//! Replies as upstreams send them, and what a client gets of them.

use hickory_proto::op::Message;

use super::{
    OPT, message, opt_with,
    upstreams::{ASKED, NAME, QUESTION, passed_on, read, record, soa},
};
use crate::wire::{Age, MAX_TCP_BYTES, NotTheReply, read_reply};

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
        &[&[&*alias][..], &[&*plain; 11]].concat(),
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
fn an_extended_error_without_a_code_is_left_out() {
    for (option, passed) in [(&b"\0\x0f\0\x01x"[..], 0), (b"\0\x0f\0\x03\0\x06x", 7)] {
        let reply = read(0x8182, [0, 0, 1], &[&opt_with(option)]);
        let out = passed_on(&reply, Age::Fresh(0), 512, OPT);
        assert_eq!(out.len(), 12 + QUESTION.len() + OPT.len() + passed);
    }
}
