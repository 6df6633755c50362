//! DNS over HTTPS (RFC 8484).

use std::{
    io::{Read, Write},
    time::Duration,
};

use hyper::Method;

use crate::{
    harness::{Place, Server, ask_for},
    secure::{
        VERSIONS, connect_tls,
        https::{Https, base64url},
    },
    serving::{ask_tcp, connect, opt},
};

const DNS: Option<&str> = Some("application/dns-message");

#[test]
fn answers_are_those_over_tcp() {
    let server = Server::start();
    let mut plain = connect(server.program.dns);
    for is_http2 in [false, true] {
        let mut https = server.https(is_http2);
        for name in ["one.internal.com", "nosuch.internal.com", "foreign.test"] {
            for edns in [Vec::new(), opt(512, 0, 0x8000, &[])] {
                let query = ask_for(name, &edns);
                let expected = ask_tcp(&mut plain, &query);
                for response in [https.get(&query), https.post(&query)] {
                    assert_eq!(response.status, 200);
                    assert_eq!(response.header("content-type"), "application/dns-message");
                    assert_eq!(response.body, expected);
                }
            }
        }
        let huge = https.post(&ask_for("huge.internal.com", &[]));
        assert!(huge.body.len() > 60_000);
    }
}

#[test]
fn ids_are_given_back() {
    let server = Server::start();
    let mut query = ask_for("one.internal.com", &[]);
    query[..2].copy_from_slice(&[0xab, 0xcd]);
    assert_eq!(server.https(true).post(&query).body[..2], [0xab, 0xcd]);
}

#[test]
fn caches_are_told_what_the_ttls_say() {
    let server = Server::with("negativeTtl: 3s\n", &["--ttl", "77s"]);
    let mut https = server.https(true);
    for (name, expected) in [
        ("one.internal.com", "max-age=77"),
        ("nosuch.internal.com", "max-age=3"),
        ("internal.com", "max-age=3"),
        ("foreign.test", "max-age=0"),
    ] {
        let response = https.get(&ask_for(name, &[]));
        assert_eq!(response.header("cache-control"), expected, "{name}");
    }
}

#[track_caller]
fn check(https: &mut Https, request: (&Method, &str, Option<&str>, &[u8]), status: u16) {
    let (method, path, content_type, body) = request;
    let response = https.request(method, path, content_type, body);
    assert_eq!(response.status, status, "{method} {path}");
    assert_eq!(response.header("content-type"), "text/plain");
    assert_eq!(response.header("cache-control"), "");
    let allowed = if status == 405 { "GET, POST" } else { "" };
    assert_eq!(response.header("allow"), allowed);
}

#[test]
fn what_is_no_query_gets_a_status_of_its_own() {
    let server = Server::start();
    let query = ask_for("one.internal.com", &[]);
    let mut response = query.clone();
    response[2] |= 0x80;
    let path = "/dns-query";
    for is_http2 in [false, true] {
        let mut https = server.https(is_http2);
        let https = &mut https;
        check(https, (&Method::GET, path, None, b""), 400);
        check(https, (&Method::GET, "/dns-query?dns=a+b", None, b""), 400);
        check(https, (&Method::GET, "/dns-query?dns=", None, b""), 400);
        check(https, (&Method::GET, "/", None, b""), 404);
        check(https, (&Method::POST, "/dns-query/", DNS, &query), 404);
        check(https, (&Method::PUT, path, DNS, &query), 405);
        check(https, (&Method::DELETE, path, None, b""), 405);
        check(https, (&Method::POST, path, None, &query), 415);
        let form = Some("application/x-www-form-urlencoded");
        check(https, (&Method::POST, path, form, &query), 415);
        check(https, (&Method::POST, path, DNS, b""), 400);
        check(https, (&Method::POST, path, DNS, &response), 400);
        let with_parameter = Some("Application/DNS-Message; charset=x");
        let good = https.request(&Method::POST, path, with_parameter, &query);
        assert_eq!(good.status, 200);
    }
    check(
        &mut server.https(true),
        (&Method::POST, path, DNS, &vec![0; 65_536]),
        413,
    );
    check(
        &mut server.https(false),
        (&Method::POST, path, DNS, &vec![0; 65_536]),
        413,
    );
}

#[test]
fn a_query_that_is_malformed_is_answered_by_dns() {
    let server = Server::start();
    let mut https = server.https(true);
    let mut cut = ask_for("one.internal.com", &[]);
    cut.truncate(20);
    let response = https.post(&cut);
    assert_eq!((response.status, response.body[3] & 0xf), (200, 1));
    assert_eq!(response.header("cache-control"), "max-age=0");
}

#[test]
fn the_path_may_be_another() {
    let server = Server::with("", &["--listen", "https://127.0.0.2:0/resolve"]);
    let query = ask_for("one.internal.com", &[]);
    assert_eq!(server.https(true).post(&query).status, 200);
    let log = server.program.log();
    let line = log.lines().find(|line| line.contains("/resolve"));
    let (_, address) = line
        .expect("a log line")
        .split_once("address=")
        .expect("an address");
    let address = address.split(' ').next().expect("an address");
    let address = address.parse().expect("an address");
    let mut https = Https::connect(address, &server.place.certificate, false);
    assert_eq!(
        https.request(&Method::POST, "/resolve", DNS, &query).status,
        200
    );
    assert_eq!(https.post(&query).status, 404);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::with("tcp: {messageTimeout: 300ms}\n", &[]);
    let config = server.place.certificate.client(&["http/1.1"], &VERSIONS);
    let mut stream = connect_tls(server.https, config);
    let head = "POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nContent-Type: application/dns-message\r\nContent-Length: 40\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("a sent head");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("a status");
    assert_eq!(&status, b"HTTP/1.1 408");
}

#[test]
fn an_idle_connection_is_kept_for_its_time_and_not_longer() {
    let server = Server::with("tcp: {idleTimeout: 500ms}\n", &[]);
    for is_http2 in [false, true] {
        let mut https = server.https(is_http2);
        let query = ask_for("one.internal.com", &[]);
        assert_eq!(https.post(&query).status, 200);
        server.program.wait("the idle connection ends", || {
            server.program.metric::<u64>("meshdns_tcp_connections_open") == 0
        });
        let closed = https.try_request(&Method::POST, "/dns-query", DNS, &query);
        assert!(closed.is_none());
    }
}

#[test]
fn a_client_that_does_not_read_is_left() {
    let server = Server::at(
        Place::new(),
        "tcp: {idleTimeout: 500ms, writeTimeout: 300ms}\n",
        &[],
    );
    let config = server.place.certificate.client(&["http/1.1"], &VERSIONS);
    let mut stream = connect_tls(server.https, config);
    let query = base64url(&ask_for("huge.internal.com", &[]));
    let request = format!("GET /dns-query?dns={query} HTTP/1.1\r\nHost: dns.test\r\n\r\n");
    stream
        .sock
        .set_write_timeout(Some(Duration::from_millis(300)))
        .expect("a time-out");
    // Until nobody takes any more.
    while stream.write_all(request.as_bytes()).is_ok() {}
    server.program.wait("the greedy connection ends", || {
        server.program.metric::<u64>("meshdns_tcp_connections_open") == 0
    });
}
