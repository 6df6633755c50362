//! `httpGet` with `scheme: HTTPS`.

use std::{
    io::{Read as _, Write as _},
    sync::Arc,
};

use meshdns::{
    health::{Failure, Observation},
    manifest::{HttpGet, ProbeMethod},
};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    version,
};

use crate::{
    fleet::{Vm, wait_for_end},
    observe::{LONG, assert_passes, get, observe},
    secure::Certificate,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// Answers over TLS, and notes which name it is greeted with.
fn serving(
    certificate: &Certificate,
    versions: &[&'static SupportedProtocolVersion],
    reply: impl Into<Vec<u8>>,
) -> Vm {
    let reply = reply.into();
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der()], key)
        .expect("a certificate and its key");
    let config = Arc::new(config);
    Vm::at("127.8.0.1", move |stream, seen| {
        let server = ServerConnection::new(config.clone()).expect("a server");
        let mut stream = StreamOwned::new(server, stream);
        seen.read_request(&mut stream);
        let name = stream.conn.server_name().unwrap_or("nobody");
        seen.note(name.to_owned());
        let _ = stream.write_all(&reply);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

fn probe_of(vm: &Vm) -> HttpGet {
    HttpGet {
        is_tls: true,
        ..get(vm.port())
    }
}

fn seen(vm: &Vm, probe: HttpGet) -> Observation {
    observe(vm.address, ProbeMethod::Http(probe), LONG)
}

#[test]
fn a_certificate_that_nobody_vouches_for_passes() {
    for certificate in [
        Certificate::new(),
        Certificate::valid(2019, 2020),
        Certificate::for_address("192.0.2.1"),
    ] {
        for version in [&version::TLS12, &version::TLS13] {
            let vm = serving(&certificate, &[version], OK);
            assert_passes(seen(&vm, probe_of(&vm)), 200);
        }
    }
}

#[test]
fn the_status_counts_over_tls_too() {
    let reply = *b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    let vm = serving(&Certificate::new(), &[&version::TLS13], reply);
    let observation = seen(&vm, probe_of(&vm));
    assert_eq!(observation, Observation::Fail(Failure::Status(500)));
}

#[test]
fn the_name_of_the_greeting_is_the_host_where_that_is_a_name() {
    let named = |host: Option<&str>, header: Option<&str>| {
        let vm = serving(&Certificate::new(), &[&version::TLS13], OK);
        let headers = header.map(|host| ("Host".into(), host.into()));
        let probe = HttpGet {
            host: host.map(Into::into),
            headers: headers.into_iter().collect(),
            ..probe_of(&vm)
        };
        assert_passes(seen(&vm, probe), 200);
        vm.requests().pop().expect("it was greeted")
    };
    assert_eq!(named(None, None), "nobody");
    assert_eq!(named(Some("other.example"), None), "other.example");
    assert_eq!(
        named(Some("other.example"), Some("a.example:8443")),
        "a.example"
    );
    assert_eq!(named(Some("10.9.8.7"), None), "nobody");
    assert_eq!(named(Some("localhost"), None), "nobody");
}

#[test]
fn http_becomes_https_at_the_same_address() {
    let last = serving(&Certificate::new(), &[&version::TLS13], OK);
    let location = format!("https://{}/", last.address);
    let reply = format!("HTTP/1.1 308 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let first = Vm::replying("127.8.0.1", reply);
    assert_passes(seen(&first, get(first.port())), 200);
    assert_eq!(last.connections(), 1);
}

#[test]
fn a_port_without_tls_fails() {
    let tls = Observation::Fail(Failure::Tls);
    let speaking = |reply: &'static [u8]| {
        Vm::at("127.8.0.1", move |mut stream, _| {
            // Something of the greeting has come; the rest is waited for, so that nothing is reset.
            let _ = stream.read(&mut [0; 16]);
            let _ = stream.write_all(reply);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            wait_for_end(stream);
        })
    };
    for reply in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
        b"\x16\x03\x03\x00\x05hello",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"",
    ] {
        let vm = speaking(reply);
        assert_eq!(seen(&vm, probe_of(&vm)), tls, "{reply:?}");
    }
}

#[test]
fn a_port_with_tls_is_no_http() {
    let vm = serving(&Certificate::new(), &[&version::TLS13], OK);
    let Observation::Fail(failure) = seen(&vm, get(vm.port())) else {
        panic!("it fails");
    };
    assert!(
        ["protocol", "reset"].contains(&failure.reason()),
        "{failure}"
    );
}

#[test]
fn a_greeting_that_hangs_fails_in_time() {
    let vm = Vm::at("127.8.0.1", |stream, _| wait_for_end(stream));
    let observation = observe(vm.address, ProbeMethod::Http(probe_of(&vm)), 1);
    assert_eq!(observation, Observation::Fail(Failure::Timeout));
    vm.wait_for_ends();
}
