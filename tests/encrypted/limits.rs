//! All connections share the limits, whatever is spoken in them.

use std::{
    cell::RefCell,
    io::{Read, Write},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use quinn::{Endpoint, crypto::rustls::QuicClientConfig};
use tokio_rustls::rustls::version;

use crate::{
    harness::{Server, answers, ask_for},
    program::PATIENCE,
    secure::{VERSIONS, connect_tls, quic::Quic},
    serving::{connect, framed, is_closed},
};

#[test]
fn one_client_has_no_more_than_its_share_over_all_transports() {
    let server = Server::with("tcp: {maxConnectionsPerClient: 3}\n", &[]);
    let query = ask_for("one.internal.com", &[]);
    let mut tls = server.tls();
    assert!(answers(&mut tls));
    let mut https = server.https(true);
    assert_eq!(https.post(&query).status, 200);
    let quic = server.quic();
    assert!(quic.ask(&query).len() > 12);

    assert!(!answers(&mut server.tls()));
    assert!(!answers(&mut connect(server.program.dns)));
    assert!(is_closed(&mut connect(server.https)));
    let refused = Quic::offering(server.quic, &server.place.certificate, &["doq"]);
    assert!(refused.is_err());
    let refused: u64 = server
        .program
        .metric("meshdns_tcp_connections_refused_total");
    assert_eq!(refused, 4);

    drop(quic);
    server
        .program
        .wait("the place is free", || answers(&mut server.tls()));
    assert!(answers(&mut tls));
}

#[test]
fn idle_connections_make_room() {
    let server = Server::with("tcp: {maxConnections: 3}\n", &[]);
    let query = ask_for("one.internal.com", &[]);
    let mut idle_tls = server.tls();
    assert!(answers(&mut idle_tls));
    let mut idle_https = server.https(false);
    assert_eq!(idle_https.post(&query).status, 200);
    let idle_quic = server.quic();
    idle_quic.ask(&query);
    // Each takes the place of one that has been idle for a while.
    let newer = RefCell::new(Vec::new());
    for _ in 0..3 {
        server.program.wait("room is made", || {
            // Those that are served stay, and not idle.
            newer.borrow_mut().retain_mut(answers);
            let mut stream = server.tls();
            let is_served = answers(&mut stream);
            newer.borrow_mut().extend(is_served.then_some(stream));
            is_served
        });
    }
    assert_eq!(idle_tls.read(&mut [0; 1]).expect("close_notify"), 0);
    assert!(idle_quic.ended_with().is_some());
    let method = hyper::Method::POST;
    let content_type = Some("application/dns-message");
    assert!(
        idle_https
            .try_request(&method, "/dns-query", content_type, &query)
            .is_none()
    );
}

#[test]
fn a_crowded_server_takes_quic_clients_that_are_where_they_say() {
    let server = Server::with("tcp: {maxConnections: 4}\n", &[]);
    let mut crowd = [server.tls(), server.tls(), server.tls()];
    assert!(crowd.iter_mut().all(answers));
    // It is told to try again, with proof that it has heard that.
    let query = ask_for("one.internal.com", &[]);
    assert!(server.quic().ask(&query).len() > 12);
}

#[test]
fn a_stalled_handshake_gives_its_place_to_others() {
    let server = Server::with("tcp: {maxConnections: 2}\n", &[]);
    let mut stalled = [connect(server.tls), connect(server.https)];
    server
        .program
        .wait("room is made", || answers(&mut server.tls()));
    assert!(stalled.iter_mut().any(is_closed));
}

#[test]
fn a_client_that_does_not_read_is_left() {
    let server = Server::with("tcp: {writeTimeout: 300ms}\n", &[]);
    let config = server.place.certificate.client(&["dot"], &VERSIONS);
    let mut greedy = connect_tls(server.tls, config);
    let limit = Some(Duration::from_millis(300));
    greedy.sock.set_write_timeout(limit).expect("a time-out");
    let query = framed(&ask_for("huge.internal.com", &[]));
    while greedy.write_all(&query).is_ok() {}
    server.program.wait("the greedy connection ends", || {
        server.program.metric::<u64>("meshdns_tcp_connections_open") == 0
    });
}

/// What begins the handshakes of so many QUIC clients that hear nothing: they can't tell where they are.
fn first_datagrams(server: &Server, count: usize) -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = server
        .place
        .certificate
        .client(&["doq"], &[&version::TLS13]);
    let config = Arc::new(QuicClientConfig::try_from(config).expect("TLS 1.3"));
    let _inside = runtime.enter();
    let begun: Vec<_> = (0..count)
        .map(|_| {
            let nobody = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            nobody.set_read_timeout(Some(PATIENCE)).expect("a time-out");
            let address = nobody.local_addr().expect("it is bound");
            let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)));
            let endpoint = endpoint.expect("a free port");
            let config = quinn::ClientConfig::new(config.clone());
            let connecting = endpoint.connect_with(config, address, "dns.test");
            let connecting = connecting.expect("a connection");
            let mut datagram = vec![0; 2048];
            let length = nobody.recv(&mut datagram).expect("a datagram");
            datagram.truncate(length);
            // A client that is dropped would say so.
            (datagram, connecting, endpoint)
        })
        .collect();
    begun.into_iter().map(|(datagram, ..)| datagram).collect()
}

#[test]
fn handshakes_in_the_name_of_another_cost_that_client_no_place() {
    let server = Server::with("tcp: {maxConnectionsPerClient: 3}\n", &[]);
    let spoofer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for datagram in first_datagrams(&server, 50) {
        spoofer.send_to(&datagram, server.quic).expect("sent bytes");
    }
    // Answered behind those, and told to prove where it is: too many others are under way.
    let query = ask_for("one.internal.com", &[]);
    let quic = server.quic();
    assert!(quic.ask(&query).len() > 12);
    assert!(answers(&mut connect(server.program.dns)));
    let open: u64 = server.program.metric("meshdns_tcp_connections_open");
    assert!(open <= 2, "{open}");
    let refused: u64 = server
        .program
        .metric("meshdns_tcp_connections_refused_total");
    assert_eq!(refused, 0);
    spoofer
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out");
    let told = spoofer.recv(&mut [0; 2048]);
    assert!(told.is_ok(), "they reached the server: {told:?}");
}

#[test]
fn bodies_that_do_not_end_take_no_more_memory_than_allowed() {
    const LIMIT: u64 = 1 << 20;
    let server = Server::with("tcp: {maxBufferedBytes: 1MiB, messageTimeout: 60s}\n", &[]);
    let before = server.program.resident_bytes();
    let crowd: Vec<_> = (0..4)
        .map(|_| {
            let https = server.https(true);
            https.begin_bodies(99, 60_000);
            https
        })
        .collect();
    server.program.wait("too much is sent", || {
        server.program.metric::<u64>("meshdns_tcp_unbuffered_total") > 0
    });
    let buffered: u64 = server.program.metric("meshdns_tcp_buffered_bytes");
    assert!(buffered <= LIMIT, "{buffered}");
    let more = server.program.resident_bytes().saturating_sub(before);
    assert!(more < 16 << 20, "{more} bytes, of 24 MB that were sent");
    drop(crowd);
    server.program.wait("all is given back", || {
        server.program.metric::<u64>("meshdns_tcp_buffered_bytes") == 0
    });
    let mut https = server.https(true);
    assert_eq!(https.post(&ask_for("one.internal.com", &[])).status, 200);
}
