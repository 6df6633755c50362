//! DNS over TLS (RFC 7858).

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
};

use tokio_rustls::rustls::{AlertDescription, Error};

use crate::{
    harness::{Server, answers, ask_for, exchange, first_address, receive, send},
    secure::{VERSIONS, connect_tls},
    serving::{ask_tcp, connect, framed, is_closed, opt},
};

#[test]
fn answers_are_those_over_tcp() {
    let server = Server::start();
    let mut plain = connect(server.program.dns);
    let mut private = server.tls();
    for name in ["one.internal.com", "nosuch.internal.com", "foreign.test"] {
        for edns in [Vec::new(), opt(1232, 0, 0, &[]), opt(512, 1, 0x8000, &[])] {
            let query = ask_for(name, &edns);
            assert_eq!(exchange(&mut private, &query), ask_tcp(&mut plain, &query));
        }
    }
    for name in ["hundred.internal.com", "huge.internal.com"] {
        let query = ask_for(name, &[]);
        let (private, plain) = (exchange(&mut private, &query), ask_tcp(&mut plain, &query));
        assert_eq!(private.len(), plain.len());
        assert_eq!(private[2] & 2, 0, "not cut");
    }
}

#[test]
fn both_versions_of_tls_are_spoken_and_older_ones_are_not() {
    let server = Server::start();
    for version in VERSIONS {
        let config = server.place.certificate.client(&["dot"], &[version]);
        let mut stream = connect_tls(server.tls, config);
        assert!(answers(&mut stream));
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"dot"[..]));
    }
    // A greeting of TLS 1.1, which rustls can't say.
    let mut hello = b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x02".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\0\0\x04\xc0\x13\xc0\x14\x01\0");
    let mut stream = connect(server.tls);
    stream.write_all(&hello).expect("a sent greeting");
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).expect("an alert");
    assert_eq!([alert[0], alert[5]], [0x15, 2], "a fatal one");
}

#[test]
fn a_client_that_wants_something_else_is_turned_away() {
    let server = Server::start();
    let offers = |protocols: &[&str]| {
        let config = server.place.certificate.client(protocols, &VERSIONS);
        let mut stream = connect_tls(server.tls, config);
        let sent = stream.write_all(&framed(&ask_for("one.internal.com", &[])));
        sent.and_then(|()| stream.read(&mut [0; 1])).map(drop)
    };
    assert!(offers(&[]).is_ok(), "none is as good as dot");
    assert!(offers(&["h2", "dot"]).is_ok());
    let refused = offers(&["h2", "http/1.1"]).expect_err("an alert");
    let refused = refused.downcast::<Error>().expect("from TLS");
    let alert = AlertDescription::NoApplicationProtocol;
    assert_eq!(refused, Error::AlertReceived(alert));
}

#[test]
fn plain_queries_get_nothing_from_a_port_for_tls() {
    let server = Server::start();
    for address in [server.tls, server.https] {
        let mut stream = connect(address);
        let query = framed(&ask_for("one.internal.com", &[]));
        stream.write_all(&query).expect("a sent query");
        let mut reply = Vec::new();
        // An alert, or a connection that is reset.
        let _ = stream.read_to_end(&mut reply);
        assert!(reply.len() <= 7, "{reply:?}");
    }
    assert!(answers(&mut server.tls()), "others are served");
}

#[test]
fn a_handshake_that_stalls_is_not_waited_for() {
    let server = Server::with("tcp: {messageTimeout: 300ms}\n", &[]);
    for address in [server.tls, server.https] {
        let mut silent = connect(address);
        assert!(is_closed(&mut silent));
        let mut halting = connect(address);
        halting.write_all(b"\x16\x03\x01\x02").expect("sent bytes");
        assert!(is_closed(&mut halting));
    }
    let mut stream = server.tls();
    assert!(answers(&mut stream), "a whole one is served");
}

#[test]
fn an_end_is_told() {
    let server = Server::with("tcp: {idleTimeout: 300ms}\n", &[]);
    let mut stream = server.tls();
    assert!(answers(&mut stream));
    // A connection that is cut would be an error.
    assert_eq!(stream.read(&mut [0; 1]).expect("close_notify"), 0);
}

#[test]
fn a_client_may_end_its_side_before_it_reads() {
    let server = Server::start();
    let mut stream = server.tls();
    for _ in 0..20 {
        send(&mut stream, &ask_for("huge.internal.com", &[]));
    }
    stream.conn.send_close_notify();
    stream.flush().expect("a sent end");
    for _ in 0..20 {
        assert!(receive(&mut stream).expect("an answer").len() > 60_000);
    }
}

#[test]
fn queries_may_be_sent_ahead() {
    let server = Server::start();
    let mut stream = server.tls();
    for id in 0..1000_u16 {
        let mut query = ask_for("three.internal.com", &[]);
        query[..2].copy_from_slice(&id.to_be_bytes());
        send(&mut stream, &query);
        if id % 50 == 49 {
            for id in id - 49..=id {
                let answer = receive(&mut stream).expect("an answer");
                assert_eq!(answer[..2], id.to_be_bytes());
            }
        }
    }
}

#[test]
fn every_address_comes_first_though_every_id_is_0() {
    let server = Server::start();
    let name = "three.internal.com";
    let query = ask_for(name, &[]);
    let mut stream = server.tls();
    let (mut http1, mut http2) = (server.https(false), server.https(true));
    let quic = server.quic();
    let asks: [&mut dyn FnMut() -> Vec<u8>; 4] = [
        &mut || exchange(&mut stream, &query),
        &mut || http1.post(&query).body,
        &mut || http2.get(&query).body,
        &mut || quic.ask(&query),
    ];
    for ask in asks {
        let first: BTreeSet<u8> = (0..60).map(|_| first_address(name, &ask())).collect();
        assert_eq!(first, BTreeSet::from([0, 1, 2]));
    }
}

#[test]
fn padding_and_keepalive_are_for_those_who_ask() {
    const PADDING: &[u8] = b"\0\x0c\0\x04\0\0\0\0";
    const KEEPALIVE: &[u8] = b"\0\x0b\0\0";
    let server = Server::with("tcp: {idleTimeout: 12s}\n", &[]);
    let name = "three.internal.com";
    let query = |options: &[u8]| ask_for(name, &opt(1232, 0, 0, options));
    let mut tls = server.tls();
    let mut https = server.https(true);
    let quic = server.quic();
    let padded = query(PADDING);
    for answer in [
        exchange(&mut tls, &padded),
        https.post(&padded).body,
        quic.ask(&padded),
    ] {
        assert_eq!(answer.len(), 468);
    }
    let unpadded = quic.ask(&query(&[])).len();
    let told = query(KEEPALIVE);
    let mut plain = connect(server.program.dns);
    for answer in [exchange(&mut tls, &told), ask_tcp(&mut plain, &told)] {
        assert_eq!(answer.len(), unpadded + 6);
        assert!(answer.ends_with(b"\0\x0b\0\x02\0\x78"), "120 tenths");
    }
    assert_eq!(https.post(&told).body.len(), unpadded);
    assert_eq!(ask_tcp(&mut plain, &padded).len(), unpadded);
    let udp = crate::serving::udp_client(server.program.dns);
    for options in [PADDING, KEEPALIVE] {
        let answer = crate::serving::ask_udp(&udp, &query(options));
        assert_eq!(answer.len(), unpadded);
    }
}

#[test]
fn what_comes_in_is_counted_by_its_transport() {
    let server = Server::start();
    let query = ask_for("one.internal.com", &[]);
    exchange(&mut server.tls(), &query);
    server.https(true).post(&query);
    server.quic().ask(&query);
    TcpStream::connect(server.tls).expect("a connection that says nothing");
    let page = server.program.get("/metrics").body;
    for (scheme, address) in [
        ("tls", server.tls),
        ("https", server.https),
        ("quic", server.quic),
    ] {
        let line = format!(
            "meshdns_dns_requests_total{{server=\"{scheme}://{address}\",zone=\"internal.com.\",view=\"\",proto=\"{scheme}\",family=\"1\",type=\"A\"}} 1\n"
        );
        assert!(page.contains(&line), "{line} in {page}");
    }
}
