//! `httpGet`: redirects, which are followed as long as they lead to the endpoint.

use std::{io::Write, sync::mpsc, time::Duration};

use meshdns::{
    health::{Failure, Observation, ProtocolFault},
    manifest::{HttpGet, ProbeMethod},
};

use crate::{
    fleet::Vm,
    observe::{LONG, assert_passes, get, observe, observe_http},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn another_port_of_the_endpoint_is_followed_and_its_status_decides() {
    let last = Vm::replying("127.8.0.1", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let first = Vm::replying("127.8.0.1", redirect(&format!("http://{}/x", last.address)));
    let observation = observe_http(first.address);
    assert_eq!(observation, Observation::Fail(Failure::Status(503)));
    assert!(last.requests()[0].starts_with("GET /x HTTP/1.1\r\n"));
}

#[test]
fn a_path_alone_is_followed_with_the_same_host_header() {
    let vm = Vm::at("127.8.0.1", |mut stream, seen| {
        seen.read_request(&mut stream);
        let reply = match seen.count() {
            1 => redirect("../ready?x=1"),
            _ => OK.to_owned(),
        };
        let _ = stream.write_all(reply.as_bytes());
    });
    let probe = HttpGet {
        path: "/a/b/c".into(),
        headers: [("Host".into(), "a.example".into())].into(),
        ..get(vm.port())
    };
    assert_passes(observe(vm.address, ProbeMethod::Http(probe), LONG), 200);
    let requests = vm.requests();
    assert!(requests[1].starts_with("GET /a/ready?x=1 HTTP/1.1\r\n"));
    assert!(requests[1].contains("\r\nHost: a.example\r\n"));
}

#[test]
fn another_host_is_not_followed_and_the_probe_passes() {
    let other = Vm::replying("127.8.0.2", OK);
    for location in [
        format!("http://{}/", other.address),
        format!("//{}/", other.address),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://elsewhere.example/".to_owned(),
        "http://127.8.0.1@127.8.0.2/".to_owned(),
    ] {
        let vm = Vm::replying("127.8.0.1", redirect(&location));
        assert_passes(observe_http(vm.address), 302);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_redirect_without_an_aim_passes() {
    for reply in [
        "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 300 Choose\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Same\r\nLocation: /x\r\n\r\n",
    ] {
        let vm = Vm::replying("127.8.0.1", reply);
        let status = reply[9..12].parse().expect("a status");
        assert_passes(observe_http(vm.address), status);
        assert_eq!(vm.connections(), 1);
    }
}

#[test]
fn an_aim_that_is_no_address_over_http_fails() {
    for location in [
        "ftp://127.8.0.1/",
        "http://[::1",
        "javascript:1",
        "http://\u{fffd}:99999/",
    ] {
        let vm = Vm::replying("127.8.0.1", redirect(location));
        let fault = Failure::Protocol(ProtocolFault::Redirect);
        assert_eq!(
            observe_http(vm.address),
            Observation::Fail(fault),
            "{location}"
        );
    }
}

#[test]
fn redirects_without_end_fail_after_ten_requests() {
    let vm = Vm::replying("127.8.0.1", redirect("/again"));
    let fault = Failure::Protocol(ProtocolFault::Redirects);
    assert_eq!(observe_http(vm.address), Observation::Fail(fault));
    assert_eq!(vm.connections(), 10);
}

#[test]
fn all_hops_share_one_timeout() {
    let vm = Vm::at("127.8.0.1", |mut stream, seen| {
        seen.read_request(&mut stream);
        // Nobody sends anything: this is how 600 ms pass.
        let (_waits, waited) = mpsc::channel::<()>();
        let _ = waited.recv_timeout(Duration::from_millis(600));
        let reply = match seen.count() {
            1 => redirect("/again"),
            _ => OK.to_owned(),
        };
        let _ = stream.write_all(reply.as_bytes());
    });
    let observation = observe(vm.address, ProbeMethod::Http(get(vm.port())), 1);
    assert_eq!(observation, Observation::Fail(Failure::Timeout));
}
