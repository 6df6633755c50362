#![no_main]
//! Any request over HTTPS holds a query or not, and a query is no longer than a message can be.

use libfuzzer_sys::fuzz_target;
use meshdns::{
    serve::queries,
    wire::{MAX_TCP_BYTES, NameBuffer, parse},
};

fuzz_target!(|bytes: &[u8]| {
    for query in queries(bytes, "/dns-query") {
        assert!(query.len() <= MAX_TCP_BYTES);
        let mut buffer = NameBuffer::default();
        // Whatever it is, it is answered as over TCP: the target `query` is about that.
        let _ = parse(&query, 0, &mut buffer);
    }
});
