//! DNS over QUIC (RFC 9250).

use crate::{
    harness::{Server, ask_for},
    secure::quic::Quic,
    serving::{ask_tcp, connect, framed, opt},
};

/// The codes of RFC 9250 §4.3.
const NO_ERROR: u64 = 0;
const PROTOCOL_ERROR: u64 = 2;

#[test]
fn answers_are_those_over_tcp() {
    let server = Server::start();
    let mut plain = connect(server.program.dns);
    let quic = server.quic();
    for name in ["one.internal.com", "nosuch.internal.com", "foreign.test"] {
        for edns in [Vec::new(), opt(512, 0, 0x8000, &[])] {
            let query = ask_for(name, &edns);
            assert_eq!(quic.ask(&query), ask_tcp(&mut plain, &query));
        }
    }
    let huge = ask_for("huge.internal.com", &[]);
    assert_eq!(quic.ask(&huge).len(), ask_tcp(&mut plain, &huge).len());
}

#[test]
fn a_connection_carries_many_queries_side_by_side() {
    let server = Server::start();
    let quic = server.quic();
    let query = framed(&ask_for("hundred.internal.com", &[]));
    quic.runtime.block_on(async {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let (connection, query) = (quic.connection.clone(), query.clone());
            asking.spawn(async move {
                let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
                send.write_all(&query).await.expect("a sent query");
                send.finish().expect("a sent end");
                receive.read_to_end(4096).await.expect("an answer")
            });
        }
        while let Some(answer) = asking.join_next().await {
            assert!(answer.expect("no panic").len() > 1600);
        }
    });
}

#[track_caller]
fn check_broken(stream: &[u8]) {
    let server = Server::start();
    let quic = server.quic();
    assert!(quic.exchange(stream).is_none());
    assert_eq!(quic.ended_with(), Some(PROTOCOL_ERROR));
    let query = ask_for("one.internal.com", &[]);
    assert!(server.quic().ask(&query).len() > 12, "others are served");
}

#[test]
fn an_id_other_than_0_breaks_the_protocol() {
    let mut query = ask_for("one.internal.com", &[]);
    query[1] = 1;
    check_broken(&framed(&query));
}

#[test]
fn keepalive_breaks_the_protocol() {
    let edns = opt(1232, 0, 0, b"\0\x0b\0\0");
    check_broken(&framed(&ask_for("one.internal.com", &edns)));
}

#[test]
fn two_queries_in_a_stream_break_the_protocol() {
    check_broken(&framed(&ask_for("one.internal.com", &[])).repeat(2));
}

#[test]
fn a_query_that_ends_early_breaks_the_protocol() {
    let query = framed(&ask_for("one.internal.com", &[]));
    check_broken(&query[..query.len() - 1]);
    check_broken(&[0]);
    check_broken(&[]);
}

#[test]
fn what_is_itself_an_answer_breaks_the_protocol() {
    let mut query = ask_for("one.internal.com", &[]);
    query[2] |= 0x80;
    check_broken(&framed(&query));
}

#[test]
fn only_dns_is_spoken() {
    let server = Server::start();
    for protocols in [&["h3"][..], &[]] {
        let refused = Quic::offering(server.quic, &server.place.certificate, protocols);
        assert!(refused.is_err());
    }
    let both = Quic::offering(server.quic, &server.place.certificate, &["h3", "doq"]);
    assert!(both.is_ok());
}

#[test]
fn an_idle_connection_ends_in_good_order() {
    let server = Server::with("tcp: {idleTimeout: 500ms}\n", &[]);
    let quic = server.quic();
    quic.ask(&ask_for("one.internal.com", &[]));
    // By word of the server, or by QUIC's own clock.
    assert!(matches!(quic.ended_with(), None | Some(NO_ERROR)));
    server.program.wait("its place is free", || {
        server.program.metric::<u64>("meshdns_tcp_connections_open") == 0
    });
}

#[test]
fn clients_hear_that_the_server_stops() {
    let mut server = Server::start();
    let quic = server.quic();
    quic.ask(&ask_for("one.internal.com", &[]));
    server.program.signal(rustix::process::Signal::TERM);
    assert_eq!(quic.ended_with(), Some(NO_ERROR));
    assert_eq!(server.program.wait_for_end().code(), Some(0));
}

#[test]
fn a_stream_that_stalls_holds_nobody_up() {
    let server = Server::with("tcp: {messageTimeout: 500ms}\n", &[]);
    let quic = server.quic();
    let query = framed(&ask_for("one.internal.com", &[]));
    let reset = quic.runtime.block_on(async {
        let (mut send, mut receive) = quic.connection.open_bi().await.expect("a stream");
        send.write_all(&query[..5]).await.expect("sent bytes");
        receive.read_to_end(4096).await.is_err()
    });
    assert!(reset, "given up");
    assert!(quic.exchange(&query).is_some(), "the others go on");
}
