//! A query costs no allocation: the heap is for reloads.
#![allow(unsafe_code)] // an allocator that counts can't be written without

mod serving;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
    time::Duration,
};

use meshdns::{
    answer::answer,
    metrics::{Exchange, Protocol, Traffic},
    wire,
};
use serving::{a_query, opt, query, sample};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_query_allocates_nothing() {
    let snapshot = sample();
    let traffic = Arc::new(Traffic::default());
    let address = "127.0.0.1:53".parse().expect("an address");
    let mut recorder = traffic.recorder(address, Protocol::Udp);
    let cookie = opt(1232, 0, 0x8000, b"\0\x0a\0\x08abcdefgh\0\x03\0\0");
    let messages = [
        query(0x0100, "Svc1.internal.com", 1, 1, &cookie),
        query(0x0100, "svc1.internal.com", 28, 1, &cookie),
        query(0x0100, "x.y.wild.internal.com", 1, 1, &cookie),
        query(0x0100, "nope.internal.com", 1, 1, &cookie),
        query(0x0100, "internal.com", 6, 1, &cookie),
        query(0x0100, "many.internal.com", 1, 1, &cookie),
        query(0x0100, "svc1.internal.com", 255, 1, &cookie),
        query(0x0100, "version.bind", 16, 3, &cookie),
        a_query("example.org"),
        query(0x2800, "internal.com", 6, 1, &[]),
        a_query("solo.test")[..20].to_vec(),
    ];
    let mut out = Vec::with_capacity(wire::MAX_UDP_BYTES);
    let mut round = |turn| {
        recorder.follow(&snapshot);
        for message in &messages {
            out.clear();
            match wire::parse(message, turn) {
                Ok(query) => {
                    let answer = answer(&snapshot, &query);
                    let limit_bytes = wire::udp_limit_bytes(&query);
                    let written = wire::write(&query, &answer, limit_bytes, &mut out);
                    recorder.record(&Exchange {
                        apex: answer.apex_at.map(|at| &query.name.as_wire()[at..]),
                        record_type: Some(query.record_type),
                        rcode: answer.outcome.rcode(),
                        dnssec_ok: false,
                        truncated: written.truncated,
                        request_bytes: message.len(),
                        response_bytes: out.len(),
                    });
                }
                Err(refusal) => {
                    wire::write_refusal(&refusal, &mut out);
                }
            }
            assert!(!out.is_empty());
        }
        recorder.finish(Duration::from_micros(3));
    };
    // The first round makes the recorder's tallies.
    round(0);
    let before = ALLOCATIONS.get();
    for turn in 0..1000 {
        round(turn << 22);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
