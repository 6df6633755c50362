use hickory_proto::{op::Message, rr::RData};
use proptest::prelude::*;

use super::{decode, message};
use crate::{
    answer::{Outcome, answer, sample},
    dns::Rcode,
    wire::{NameBuffer, parse, udp_limit_bytes, write, write_refusal},
};

fn names() -> impl Strategy<Value = String> {
    let known = [
        "svc1.Internal.com",
        "many.internal.com",
        "x.y.WILD.internal.com",
        "b.internal.com",
        "nope.internal.com",
        "internal.com",
        "solo.test",
        "version.bind",
        "",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        "[a-zA-Z*_-]{1,20}(\\.[a-z0-9]{1,63}){0,3}",
    ]
}

fn types() -> impl Strategy<Value = u16> {
    prop_oneof![Just(1), Just(28), Just(6), Just(2), Just(255), any::<u16>()]
}

prop_compose! {
    fn messages()(
        name in names(),
        record_type in types(),
        class in prop_oneof![8 => Just(1_u16), 1 => Just(3), 1 => any::<u16>()],
        rd in any::<bool>(),
        edns in proptest::option::of((any::<u16>(), prop_oneof![9 => Just(0_u8), 1 => any::<u8>()], any::<u16>(), any::<bool>())),
    ) -> Vec<u8> {
        let mut question = sample::wire_name(&name);
        question.extend(record_type.to_be_bytes());
        question.extend(class.to_be_bytes());
        let mut opt = Vec::new();
        if let Some((payload, version, flags, nsid)) = edns {
            opt.extend(b"\0\0\x29");
            opt.extend(payload.to_be_bytes());
            opt.extend([0, version]);
            opt.extend(flags.to_be_bytes());
            opt.extend(if nsid { &b"\0\x04\0\x03\0\0"[..] } else { b"\0\0" });
        }
        let counts = [1, 0, 0, u16::from(edns.is_some())];
        message(u16::from(rd) << 8, counts, &[&question, &opt])
    }
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer_or_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..600), turn in any::<u32>()) {
        respond(&bytes, turn);
    }

    #[test]
    fn any_damage_to_a_query_gets_an_answer_or_a_refusal(
        bytes in messages(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = bytes;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        respond(&bytes[..cut.index(bytes.len() + 1)], 0);
        bytes.extend(tail);
        respond(&bytes, 0);
    }

    #[test]
    fn another_reader_reads_what_was_written(bytes in messages(), turn in any::<u32>(), limit in 512..1300_usize) {
        let snapshot = sample::snapshot();
        let mut buffer = NameBuffer::default();
        let query = parse(&bytes, turn, &mut buffer).expect("a well-formed query");
        let answer = answer(snapshot, &query);
        let mut out = Vec::new();
        let written = write(&query, &answer, limit, &mut out);
        let asked = Message::from_vec(&bytes).expect("a well-formed query");
        let message = decode(&out);
        prop_assert!(out.len() <= limit);
        prop_assert_eq!(message.metadata.id, 0x1234);
        prop_assert_eq!(message.metadata.recursion_desired, asked.metadata.recursion_desired);
        prop_assert_eq!(u16::from(message.metadata.response_code), answer.outcome.rcode() as u16);
        prop_assert_eq!(message.metadata.authoritative, answer.outcome.is_authoritative());
        prop_assert_eq!(message.metadata.truncation, written.truncated);
        prop_assert!(!message.metadata.recursion_available);
        prop_assert!(!message.metadata.authentic_data);
        prop_assert_eq!(&message.queries, &asked.queries);
        prop_assert_eq!(&out[12..12 + query.question.len()], query.question, "the case is kept");
        prop_assert_eq!(message.edns.is_some(), asked.edns.is_some());
        if let (Some(edns), Some(asked)) = (&message.edns, &asked.edns) {
            prop_assert_eq!(edns.version(), 0);
            prop_assert_eq!(edns.max_payload(), 1232);
            prop_assert_eq!(edns.flags().dnssec_ok, asked.flags().dnssec_ok);
            prop_assert_eq!(edns.flags().z, 0);
        }
        let (answers, authorities) = match answer.outcome {
            _ if written.truncated => (0, 0),
            Outcome::Addresses(addresses) => {
                let record_len = addresses.encoded_len() / addresses.count();
                let around = out.len() - message.answers.len() * record_len;
                (addresses.count().min((limit - around) / record_len), 0)
            }
            Outcome::NameServers { count, .. } => (count, 0),
            Outcome::Soa(_) | Outcome::Minimal(_) | Outcome::Identity(_) => (1, 0),
            Outcome::NoData(_) | Outcome::NoName(_) => (0, 1),
            _ => (0, 0),
        };
        prop_assert_eq!((message.answers.len(), message.authorities.len()), (answers, authorities));
        prop_assert!(message.answers.iter().all(|record| &record.name == asked.queries[0].name()));
        for record in &message.authorities {
            prop_assert!(record.name.zone_of(asked.queries[0].name()));
            prop_assert!(matches!(record.data, RData::SOA(_)));
        }
    }
}

/// Puts bytes through the whole path; whatever is sent must be readable and a response.
fn respond(bytes: &[u8], turn: u32) {
    let snapshot = sample::snapshot();
    let mut out = Vec::new();
    match parse(bytes, turn, &mut NameBuffer::default()) {
        Ok(query) => {
            write(
                &query,
                &answer(snapshot, &query),
                udp_limit_bytes(&query),
                &mut out,
            );
        }
        Err(refusal) => {
            if write_refusal(&refusal, &mut out).is_none() {
                assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0);
                return;
            }
        }
    }
    assert_eq!(out[..2], bytes[..2]);
    assert_eq!(out[2] & 0x80, 0x80);
    // hickory has no place for unassigned opcodes.
    if out[3] & 0xf != Rcode::NotImp as u8 {
        decode(&out);
    }
}
