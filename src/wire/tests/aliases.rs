use hickory_proto::op::Message;
use proptest::prelude::*;

use super::message;
use crate::{
    dns::{Name, RecordType},
    wire::{
        Alias, Content, MOST_ALIASES, UpstreamQuestion, UpstreamReply, aliases, behind_aliases,
        find_addresses, read_reply,
    },
};

const OWNER: &[u8] = b"\x03www\x04test\0";
const QUESTION: &[u8] = b"\x03www\x04test\0\0\x01\0\x01";
const ASKED: UpstreamQuestion<'_> = UpstreamQuestion {
    id: 0x1234,
    name: OWNER,
    record_type: RecordType::A,
    dnssec_ok: false,
    checking_disabled: false,
    marks: None,
};

fn name(text: &str) -> Name {
    Name::from_text(text).expect("a name")
}

fn record(owner: &[u8], record_type: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short data");
    [
        owner,
        &record_type.to_be_bytes(),
        &[0, 1],
        &ttl.to_be_bytes(),
        &length.to_be_bytes(),
        data,
    ]
    .concat()
}

/// Reads a reply with these flags and records in its answer and authority sections.
fn read(flags: u16, answers: &[Vec<u8>], authorities: &[Vec<u8>]) -> UpstreamReply {
    let count = |records: &[Vec<u8>]| u16::try_from(records.len()).expect("few records");
    let counts = [1, count(answers), count(authorities), 0];
    let records = [answers.concat(), authorities.concat()].concat();
    read_reply(&message(flags, counts, &[QUESTION, &records]), &ASKED).expect("a reply")
}

#[track_caller]
fn check_content(flags: u16, answers: &[Vec<u8>], authorities: &[Vec<u8>], expected: Content) {
    assert_eq!(read(flags, answers, authorities).content, expected);
}

#[test]
fn replies_are_told_apart_by_their_records() {
    let a = || record(b"\xc0\x0c", 1, 60, &[192, 0, 2, 1]);
    let alias = || record(b"\xc0\x0c", 5, 60, b"\x01a\x04test\0");
    let ns = || record(b"\0", 2, 60, b"\x02ns\x04test\0");
    let soa = || record(b"\0", 6, 60, &[0; 22]);
    let (data, negative) = (
        |is_aliased| Content::Data { is_aliased },
        |is_aliased| Content::Negative { is_aliased },
    );
    check_content(0x8180, &[a()], &[], data(false));
    check_content(0x8180, &[alias(), a()], &[ns()], data(true));
    check_content(0x8180, &[alias()], &[], Content::OnlyAliases);
    check_content(0x8180, &[alias()], &[ns()], Content::OnlyAliases);
    check_content(0x8180, &[alias()], &[soa()], negative(true));
    check_content(0x8183, &[alias()], &[], negative(true));
    check_content(0x8180, &[], &[soa(), ns()], negative(false));
    check_content(0x8180, &[], &[], negative(false));
    check_content(0x8100, &[], &[], Content::Nothing);
    check_content(0x8580, &[], &[ns()], negative(false));
    check_content(0x8380, &[alias()], &[], data(false));
    check_content(0x8182, &[], &[ns()], data(false));
    check_content(0x8180, &[], &[ns()], negative(false));
    let referral = read(0x8100, &[], &[ns()]);
    assert_eq!((referral.rcode, referral.settles()), (2, false));
}

/// An alias of `<from>.test` to `<to>.test`.
fn link(from: &str, to: &str) -> Vec<u8> {
    record(name(from).as_wire(), 5, 60, name(to).as_wire())
}

#[track_caller]
fn check_aliases(links: &[Vec<u8>], expected: &[&str]) {
    let found = aliases(&read(0x8180, links, &[]), &name("www.test"), RecordType::A);
    let targets = found.expect("readable").into_iter();
    let targets: Vec<_> = targets.map(|alias| alias.target).collect();
    let expected: Vec<_> = expected.iter().map(|text| name(text)).collect();
    assert_eq!(targets, expected);
}

#[test]
fn aliases_are_followed_from_the_asked_name_in_any_order() {
    check_aliases(&[], &[]);
    check_aliases(&[link("other.test", "www.test")], &[]);
    check_aliases(
        &[link("b.test", "c.test"), link("www.test", "b.test")],
        &["b.test", "c.test"],
    );
    let upper = record(b"\x03WWW\xc0\x10", 5, 60, b"\x01B\xc0\x10");
    check_aliases(&[upper, link("b.test", "c.test")], &["b.test", "c.test"]);
    // A circle is shown once.
    let circle = [link("www.test", "b.test"), link("b.test", "www.test")];
    check_aliases(&circle, &["b.test", "www.test"]);
    let long: Vec<_> = (0..30)
        .map(|number| {
            let from = if number == 0 {
                "www.test".to_owned()
            } else {
                format!("n{number}.test")
            };
            link(&from, &format!("n{}.test", number + 1))
        })
        .collect();
    let expected: Vec<_> = (1..=MOST_ALIASES)
        .map(|number| format!("n{number}.test"))
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check_aliases(&long, &expected);
}

#[test]
fn two_replies_become_one() {
    let first = [Alias {
        target: name("a.test"),
        ttl_seconds: 300,
    }];
    let asked = UpstreamQuestion {
        name: b"\x01a\x04test\0",
        ..ASKED
    };
    let question = b"\x01a\x04test\0\0\x01\0\x01";
    let records = record(b"\xc0\x0c", 1, 60, &[192, 0, 2, 1]);
    let reply = read_reply(
        &message(0x8180, [1, 1, 0, 0], &[question, &records]),
        &asked,
    );
    let whole = behind_aliases(&ASKED, &first, &reply.expect("a reply")).expect("it fits");
    assert_eq!(whole.content, Content::Data { is_aliased: true });
    assert_eq!(whole.lifetime_seconds, 60);
    let found = find_addresses(&whole, &name("www.test"), RecordType::A).expect("readable");
    assert_eq!(found.addresses.len(), 1);
    assert_eq!(found.ttl_seconds, Some(60));
}

proptest! {
    #[test]
    fn any_aliases_can_be_followed_or_refused(
        answers in 0..5_u16,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        has_link in any::<bool>(),
    ) {
        let link = if has_link { link("www.test", "b.test") } else { Vec::new() };
        let counts = [1, answers + u16::from(has_link), 0, 0];
        let message = message(0x8180, counts, &[QUESTION, &link, &bytes]);
        if let Ok(reply) = read_reply(&message, &ASKED) {
            let found = aliases(&reply, &name("www.test"), RecordType::A);
            let found = found.unwrap_or_default();
            prop_assert!(found.len() <= MOST_ALIASES);
            find_addresses(&reply, &name("www.test"), RecordType::A);
            if let Some(whole) = behind_aliases(&ASKED, &found, &reply) {
                prop_assert!(whole.has_aliases() || whole.truncated);
            }
        }
    }

    #[test]
    fn what_is_completed_fits_and_can_be_read(
        count in 0..5_usize,
        limit_bytes in 512..1500_usize,
        is_stale in any::<bool>(),
    ) {
        use crate::{answer::{answer, Query}, dns::Class, wire::{Age, write_aliased, parse, NameBuffer}};
        let mesh = crate::answer::sample::snapshot();
        let host = name("svc1.internal.com");
        let mut aliases: Vec<_> = (0..count)
            .map(|number| Alias { target: name(&format!("n{number}.test")), ttl_seconds: 60 })
            .collect();
        aliases.push(Alias { target: host.clone(), ttl_seconds: 60 });
        let asked = message(0x0100, [1, 0, 0, 0], &[QUESTION]);
        let mut buffer = NameBuffer::default();
        let query = parse(&asked, 0, &mut buffer).expect("a query");
        let target = Query { name: host.as_wire(), class: Class::IN, ..query };
        let answer = answer(mesh, &target);
        let mut out = Vec::new();
        let age = if is_stale { Age::Stale } else { Age::Fresh(5) };
        let written = write_aliased(&query, &asked, &aliases, age, &answer, limit_bytes, &mut out);
        prop_assert!(out.len() <= limit_bytes && written.bytes == out.len());
        let read = Message::from_vec(&out).expect("a message");
        prop_assert!(!read.metadata.authoritative);
        prop_assert!(written.truncated || read.answers.len() > aliases.len());
        for alias in &read.answers[..aliases.len().min(read.answers.len())] {
            prop_assert_eq!(alias.ttl, if is_stale { 30 } else { 55 });
        }
    }
}
