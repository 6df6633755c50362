//! An answer from the cache of a forwarder costs no allocation.
#![allow(unsafe_code)] // an allocator that counts can't be written without

mod serving;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use meshdns::{
    dns::Name,
    forward::{Endpoint, Forwarder, Now, Policy, Route, Settings, Source, Transport},
    wire,
    zone::Snapshot,
};
use serving::{opt, query};

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

/// An upstream that answers every A query with one address.
fn upstream() -> std::net::SocketAddr {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((_, peer)) = socket.recv_from(&mut message) {
            let mut reply = message[..12 + 17].to_vec();
            reply[2..12].copy_from_slice(b"\x81\x80\0\x01\0\x01\0\0\0\0");
            reply.extend(b"\xc0\x0c\0\x01\0\x01\0\x01\x51\x80\0\x04\xc0\0\x02\x01");
            let _ = socket.send_to(&reply, peer);
        }
    });
    address
}

#[test]
fn an_answer_from_the_cache_allocates_nothing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let source = Source::At(Endpoint {
        transport: Transport::Udp,
        address: upstream(),
    });
    let settings = Settings {
        routes: vec![Route {
            domain: Name::root(),
            upstreams: vec![source],
        }],
        policy: Policy::Sequential,
        timeout: Duration::from_secs(20),
        retry_after: None,
        clients: vec!["127.0.0.0/8".parse().expect("a network")],
        max_waiting: 1,
        cache_bytes: 1 << 20,
        serve_stale: Duration::ZERO,
        resolv_conf: "/etc/resolv.conf".into(),
    };
    let mesh = Arc::new(ArcSwap::from_pointee(Snapshot::not_ready(Arc::default())));
    let forwarder = Forwarder::start(settings, &[], mesh).expect("a forwarder");
    let message = query(0x0100, "Example.org", 1, 1, &opt(1232, 0, 0, &[]));
    let mut name = wire::NameBuffer::default();
    let asked = wire::parse(&message, 0, &mut name).expect("a query");
    let mut out = Vec::with_capacity(wire::MAX_UDP_BYTES);
    let client = "127.0.0.1".parse().expect("an address");
    let Now::Later(deferred) = forwarder.now(&asked, &message, client, 1232, &mut out) else {
        panic!("nothing is in the cache");
    };
    let waiting = deferred.answer(&asked, &message, 1232, &mut out);
    assert_eq!(
        runtime.block_on(waiting).rcode.map(|rcode| rcode as u16),
        Some(0)
    );
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        out.clear();
        assert!(forwarder.serves(client));
        let now = forwarder.now(&asked, &message, client, 1232, &mut out);
        assert!(matches!(now, Now::Passed(_)) && !out.is_empty());
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
