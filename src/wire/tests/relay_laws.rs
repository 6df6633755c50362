use proptest::prelude::*;

use super::{
    OPT, decode, message,
    upstreams::{ASKED, QUESTION, passed_on, record},
};
use crate::wire::{Age, MAX_TCP_BYTES, UpstreamReply, read_reply};

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
    let message = decode(bytes);
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
            decode(&out);
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
