#![no_main]
//! Any message is answered, refused or ignored; what is sent is a response that another reader reads.

use std::sync::{Arc, LazyLock};

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use meshdns::{
    answer::answer,
    wire::{NameBuffer, parse, udp_limit_bytes, write, write_refusal},
    zone::Snapshot,
};

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(meshdns_fuzz::snapshot);

/// NOTIMP, for kinds of queries that the other reader does not know.
const NOT_IMPLEMENTED: u8 = 4;

fuzz_target!(init: {
    if let Some(folder) = std::env::var_os("SEEDS") {
        meshdns_fuzz::seeds::write(std::path::Path::new(&folder));
        std::process::exit(0);
    }
}, |message: &[u8]| {
    let mut out = Vec::new();
    let mut buffer = NameBuffer::default();
    match parse(message, 7, &mut buffer) {
        Ok(query) => {
            let limit = udp_limit_bytes(&query);
            write(&query, &answer(&SNAPSHOT, &query), limit, &mut out);
            assert!(out.len() <= limit);
        }
        Err(refusal) => {
            if write_refusal(&refusal, &mut out).is_none() {
                assert!(message.len() < 12 || message[2] & 0x80 != 0);
                return;
            }
        }
    }
    assert_eq!(out[..2], message[..2]);
    assert_eq!(out[2] & 0x80, 0x80);
    if out[3] & 0xf != NOT_IMPLEMENTED {
        Message::from_vec(&out).expect("a response that can be read");
    }
});
