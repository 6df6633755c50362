//! `httpGet`: what is sent, and where to.

use meshdns::{
    health::{Nothing, Observation},
    manifest::{HttpGet, ProbeMethod},
};

use crate::{
    fleet::Vm,
    needs::{self, Need},
    observe::{LONG, assert_passes, get, observe},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What a VM at `ip` is sent.
#[track_caller]
fn sent(ip: &str, change: impl FnOnce(&mut HttpGet)) -> String {
    let vm = Vm::replying(ip, OK);
    let mut probe = get(vm.port());
    change(&mut probe);
    let observation = observe(vm.address, ProbeMethod::Http(probe), LONG);
    assert_passes(observation, 200);
    let port = format!(":{}", vm.port());
    vm.requests().remove(0).replace(&port, ":PORT")
}

fn headers(headers: &[(&str, &str)]) -> Box<[(Box<str>, Box<str>)]> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

/// The lines of a head that are about `name`.
fn lines<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head.lines();
    let is_about = |line: &&str| {
        let found = line.split_once(':').map_or("", |(name, _)| name);
        found.eq_ignore_ascii_case(name)
    };
    lines.filter(is_about).collect()
}

#[test]
fn a_request_is_short_and_says_whose_it_is() {
    let head = sent("127.8.0.1", |_| {});
    let mut sorted: Vec<&str> = head.trim_end().lines().collect();
    sorted[1..].sort_unstable();
    assert_eq!(
        sorted,
        [
            "GET / HTTP/1.1",
            "Accept: */*",
            "Connection: close",
            "Host: 127.8.0.1:PORT",
            "User-Agent: meshdns-probe/0.1",
        ]
    );
}

#[test]
fn a_query_is_sent_and_a_fragment_is_not() {
    for (path, expected) in [
        ("/x?a=1#f", "GET /x?a=1 HTTP/1.1"),
        ("healthz", "GET /healthz HTTP/1.1"),
        ("/with space", "GET /with%20space HTTP/1.1"),
        ("/%41?b", "GET /%41?b HTTP/1.1"),
        (
            "//elsewhere.example/x",
            "GET //elsewhere.example/x HTTP/1.1",
        ),
        ("@elsewhere.example/x", "GET /@elsewhere.example/x HTTP/1.1"),
    ] {
        let head = sent("127.8.0.1", |get| get.path = path.into());
        assert_eq!(head.lines().next(), Some(expected), "{path}");
    }
}

#[test]
fn a_host_header_is_who_is_asked_and_the_endpoint_is_where() {
    let head = sent("127.8.0.1", |get| {
        get.headers = headers(&[("host", "a.example"), ("X-One", "1")]);
    });
    assert_eq!(lines(&head, "Host"), ["Host: a.example"]);
    assert_eq!(lines(&head, "X-One"), ["X-One: 1"]);
}

#[test]
fn a_header_that_is_there_twice_is_sent_twice() {
    let head = sent("127.8.0.1", |get| {
        get.headers = headers(&[("x-one", "1"), ("X-One", "2")]);
    });
    assert_eq!(lines(&head, "X-One"), ["X-One: 1", "X-One: 2"]);
}

#[test]
fn what_we_say_of_ourselves_can_be_said_otherwise_or_left_out() {
    let head = sent("127.8.0.1", |get| {
        get.headers = headers(&[("User-Agent", "mine/2"), ("Accept", "text/plain")]);
    });
    assert_eq!(lines(&head, "User-Agent"), ["User-Agent: mine/2"]);
    assert_eq!(lines(&head, "Accept"), ["Accept: text/plain"]);
    let head = sent("127.8.0.1", |get| {
        get.headers = headers(&[("User-Agent", ""), ("Accept", "")]);
    });
    assert_eq!(lines(&head, "User-Agent"), [""; 0]);
    assert_eq!(lines(&head, "Accept"), [""; 0]);
}

#[test]
fn headers_that_frame_the_request_are_not_the_users() {
    let head = sent("127.8.0.1", |get| {
        get.headers = headers(&[
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "keep-alive"),
        ]);
    });
    assert_eq!(lines(&head, "Connection"), ["Connection: close"]);
    assert_eq!(lines(&head, "Content-Length"), [""; 0]);
    assert_eq!(lines(&head, "Transfer-Encoding"), [""; 0]);
}

#[test]
fn a_header_that_would_end_early_is_not_sent_and_says_nothing_of_the_endpoint() {
    let vm = Vm::replying("127.8.0.1", OK);
    let probe = HttpGet {
        headers: headers(&[("X-One", "1\r\nX-Two: 2")]),
        ..get(vm.port())
    };
    let observation = observe(vm.address, ProbeMethod::Http(probe), LONG);
    assert_eq!(observation, Observation::Nothing(Nothing::Request));
    assert_eq!(vm.connections(), 0);
}

#[test]
fn a_host_that_means_the_vm_itself_is_the_endpoint() {
    for host in [
        "127.0.0.1",
        "localhost",
        "::1",
        "0.0.0.0",
        "[::]",
        "LocalHost",
    ] {
        let head = sent("127.8.0.1", |get| get.host = Some(host.into()));
        assert_eq!(lines(&head, "Host"), ["Host: 127.8.0.1:PORT"], "{host}");
    }
}

#[test]
fn another_host_is_named_and_never_connected_to_nor_looked_up() {
    for (host, expected) in [
        ("other.example", "Host: other.example:PORT"),
        ("10.9.8.7", "Host: 10.9.8.7:PORT"),
    ] {
        let head = sent("127.8.0.1", |get| get.host = Some(host.into()));
        assert_eq!(lines(&head, "Host"), [expected]);
    }
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    if !needs::met(&[Need::Ipv6]) {
        return;
    }
    let head = sent("::1", |_| {});
    assert_eq!(lines(&head, "Host"), ["Host: [::1]:PORT"]);
}
