//! A query over UDP costs no allocation: the heap is for reloads.
#![allow(unsafe_code)] // an allocator that counts can't be written without

mod needs;
mod serving;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use meshdns::serve::{AnswerLimits, CookieKeys, RateLimit, TcpLimits};
use serving::{Server, a_query, opt, query, udp_client};

/// Allocations on the threads of the server.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IS_CLIENT.get() {
            ALLOCATIONS.fetch_add(1, SeqCst);
        }
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
    IS_CLIENT.set(true);
    let cookie = opt(1232, 0, 0x8000, b"\0\x0a\0\x08abcdefgh\0\x03\0\0");
    let mut messages = vec![
        query(0x0100, "internal.com", 6, 1, &cookie),
        query(0x0100, "many.internal.com", 1, 1, &cookie),
        query(0x0100, "svc1.internal.com", 255, 1, &cookie),
        query(0x0100, "version.bind", 16, 3, &cookie),
        a_query("example.org"),
        query(0x2800, "internal.com", 6, 1, &[]),
        a_query("solo.test")[..20].to_vec(),
    ];
    for edns in [&cookie[..], &[]] {
        for (name, record_type) in [
            ("Svc1.internal.com", 1),
            ("svc1.internal.com", 28),
            ("one.internal.com", 28),
            ("drawn.internal.com", 1),
            ("drawn.internal.com", 28),
            ("nope.internal.com", 1),
            ("x.y.wild.internal.com", 1),
            ("_http._tcp.service.internal.com", 33),
            ("_tcp.service.internal.com", 33),
            ("10-0-2-1.service.internal.com", 1),
            ("10-0-2-9.service.internal.com", 1),
        ] {
            messages.push(query(0x0100, name, record_type, 1, edns));
        }
    }
    // On a wildcard address, each answer says which address it comes from.
    let mut listen = vec!["127.0.0.1:0", "0.0.0.0:0"];
    if needs::met(&[needs::Need::Ipv6]) {
        listen.push("[::1]:0");
    }
    let rate = RateLimit {
        answers_per_second: std::num::NonZeroU32::new(1_000_000).expect("not zero"),
        slip: 2,
        exempt: Vec::new(),
    };
    let answers = AnswerLimits {
        cookie_keys: Some(CookieKeys::random().expect("a random key")),
        rate: Some(rate),
        ..AnswerLimits::default()
    };
    let server = Server::with(&listen, TcpLimits::default(), answers);
    let clients: Vec<_> = server
        .addresses
        .iter()
        .map(|address| {
            let host = if address.is_ipv4() {
                "127.0.0.1"
            } else {
                "::1"
            };
            udp_client(
                (
                    host.parse::<std::net::IpAddr>().expect("an address"),
                    address.port(),
                )
                    .into(),
            )
        })
        .collect();
    let round = || {
        let mut answer = [0; 2048];
        for client in &clients {
            for message in &messages {
                client.send(message).expect("a sent query");
            }
            for _ in &messages {
                client.recv(&mut answer).expect("an answer");
            }
        }
    };
    // The first rounds fill what each thread makes once.
    for _ in 0..20 {
        round();
    }
    let before = ALLOCATIONS.load(SeqCst);
    for _ in 0..200 {
        round();
    }
    assert_eq!(ALLOCATIONS.load(SeqCst) - before, 0);
}
