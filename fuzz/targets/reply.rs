#![no_main]
//! Any reply of an upstream is taken or not; what is passed on of it is a response within its limit.

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use meshdns::{
    dns::{Name, RecordType},
    wire::{
        Age, NameBuffer, find_addresses, freshness_seconds, parse, read_reply, relay,
        write_question,
    },
};
use meshdns_fuzz::{ASKED_NAME, asked};

static NAME: LazyLock<Name> = LazyLock::new(|| Name::from_text(ASKED_NAME).expect("a name"));

fuzz_target!(|message: &[u8]| {
    let question = asked(&NAME);
    let Ok(reply) = read_reply(message, &question) else {
        return;
    };
    if let Some(found) = find_addresses(&reply, &NAME, RecordType::A) {
        assert!(found.addresses.iter().all(|address| address.is_ipv4()));
    }
    let mut asking = Vec::new();
    write_question(&question, &mut asking);
    let mut buffer = NameBuffer::default();
    let query = parse(&asking, 0, &mut buffer).expect("our own question");
    for (age, limit) in [
        (Age::Fresh(7), 512),
        (Age::Stale, 1232),
        (Age::Fresh(0), 65_535),
    ] {
        let mut out = Vec::new();
        relay(&query, &asking, &reply, age, limit, &mut out);
        assert!(out.len() <= limit);
        assert_eq!((&out[..2], out[2] & 0x80), (&asking[..2], 0x80));
        let _ = freshness_seconds(&out);
        // What came through once comes through again.
        if limit == 65_535 {
            let mut again = out.clone();
            again[..2].copy_from_slice(&question.id.to_be_bytes());
            read_reply(&again, &question).expect("what we pass on can be read");
        }
    }
});
