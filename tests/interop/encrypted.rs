//! Programs that ask meshdns where nobody else can read it, and check its certificate.

use std::{collections::BTreeSet, fs, net::IpAddr};

use crate::{
    forwarders::{coredns_with, machine, none_failed, under_load, wait_for},
    machine::{Machine, Reply, SERVERS},
    mesh,
    program::Server,
    secure::Certificate,
};

/// The name in the certificates of `secure`.
const NAME: &str = "dns.test";

/// A server of the machine's mesh for every transport, with the certificate of the machine.
fn serve(machine: &Machine, address: &str) -> Server {
    let mut command = machine.command(env!("CARGO_BIN_EXE_meshdns"));
    command.args(["serve", "--zone=internal.com"]);
    for scheme in ["", "tls://", "https://", "quic://"] {
        command.arg(format!("--listen={scheme}{address}"));
    }
    command
        .arg(format!("--http={address}:9153"))
        .arg(format!(
            "--tls-certificate={}",
            machine.path("tls.crt").display()
        ))
        .arg(format!("--tls-key={}", machine.path("tls.key").display()))
        .arg(machine.path("zones"));
    Server::without_http(command)
}

/// A machine with a certificate, which programs trust as its own authority.
fn started() -> (Machine, Server) {
    let machine = machine();
    Certificate::for_address(SERVERS[0]).write(&machine.path(""));
    let server = serve(&machine, SERVERS[0]);
    (machine, server)
}

/// Asks for every kind of name in these ways, each by more arguments of a program like dig.
fn answers(program: &str, ways: &[&[&str]]) {
    let (machine, _server) = started();
    let authority = machine.path("tls.crt");
    let authority = format!("+tls-ca={}", authority.display());
    let (at, name) = (format!("@{}", SERVERS[0]), format!("+tls-hostname={NAME}"));
    for way in ways {
        for host in mesh::hosts() {
            for (record_type, is_v4) in [("A", true), ("AAAA", false)] {
                let mut expected = host.addresses.clone();
                expected.retain(|address| address.is_ipv4() == is_v4);
                let mut command = machine.command(program);
                command.args([&at, host.name, record_type, &authority, &name]);
                let output = command.args(*way).output().expect("it runs");
                let printed = String::from_utf8_lossy(&output.stdout);
                // kdig tells the status of HTTP before that of DNS.
                let (_, message) = printed.split_once("->>HEADER<<-").unwrap_or_default();
                let reply = Reply::parse(message);
                let status = if host.exists { "NOERROR" } else { "NXDOMAIN" };
                assert_eq!(reply.status, status, "{command:?}: {printed}");
                assert_eq!(reply.addresses, expected, "{command:?}: {printed}");
            }
        }
    }
}

pub(crate) fn kdig() {
    answers(
        "kdig",
        &[
            &["+tls"],
            &["+tls", "+padding", "+keepopen"],
            &["+https"],
            &["+https-get"],
            &["+quic"],
            &["+quic", "+padding"],
        ],
    );
}

pub(crate) fn dig() {
    let ways: &[&[&str]] = &[&["+tls"], &["+https"], &["+https-get"]];
    answers("dig", ways);
}

/// curl looks a name of the mesh up over HTTPS, and then fetches a page from where it is.
pub(crate) fn curl_resolves() {
    let (machine, _server) = started();
    let mesh = mesh::service_entry(
        "pages.internal.com",
        &format!("endpoints: [{{address: {}}}]", SERVERS[0]),
    );
    machine.write("zones/pages.yaml", &mesh);
    wait_for(&machine, SERVERS[0], || "pages.internal.com".to_owned());
    let authority = machine.path("tls.crt");
    let url = format!("https://{}/dns-query", SERVERS[0]);
    let printed = machine.run(
        "curl",
        &[
            "--silent",
            "--show-error",
            "--cacert",
            &authority.to_string_lossy(),
            "--doh-url",
            &url,
            "http://pages.internal.com:9153/health",
        ],
    );
    assert_eq!(printed, "OK\n");
}

/// curl sends a message as it is, in both versions of HTTP, by GET and POST.
pub(crate) fn curl_sends() {
    let (machine, _server) = started();
    let authority = machine.path("tls.crt");
    let (query, answer) = (machine.path("query"), machine.path("answer"));
    // `v4.internal.com`, type A.
    let message = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x02v4\x08internal\x03com\0\0\x01\0\x01";
    fs::write(&query, message).expect("the machine's folder is ours");
    let url = format!("https://{}/dns-query", SERVERS[0]);
    let get = format!("{url}?dns=AAABAAABAAAAAAAAAnY0CGludGVybmFsA2NvbQAAAQAB");
    let body = format!("@{}", query.display());
    let post = [
        "--header",
        "content-type: application/dns-message",
        "--data-binary",
        &body,
        &url,
    ];
    for (version, told) in [("--http1.1", "1.1"), ("--http2", "2")] {
        for request in [&post[..], &[&get]] {
            let printed = machine.run(
                "curl",
                &[
                    &[
                        "--silent",
                        "--show-error",
                        version,
                        "--cacert",
                        &authority.to_string_lossy(),
                        "--output",
                        &answer.to_string_lossy(),
                        "--write-out",
                        "%{http_version} %{http_code} %{content_type} %header{cache-control}",
                    ],
                    request,
                ]
                .concat(),
            );
            assert_eq!(
                printed,
                format!("{told} 200 application/dns-message max-age=5")
            );
            let answer = fs::read(&answer).expect("it is written");
            let addresses: BTreeSet<IpAddr> = answer[message.len()..]
                .chunks(16)
                .map(|record| {
                    <[u8; 4]>::try_from(&record[12..])
                        .expect("an A record")
                        .into()
                })
                .collect();
            let hosts = mesh::hosts();
            let host = hosts.iter().find(|host| host.name == "v4.internal.com");
            assert_eq!(addresses, host.expect("it is there").addresses);
        }
    }
}

/// CoreDNS as `docs/coredns.md` has it for connections over TLS, with two servers.
fn coredns(machine: &Machine) -> crate::machine::Daemon {
    let corefile = format!(
        "internal.com:53 {{
    bind 127.0.0.1
    errors
    forward . tls://{} tls://{} {{
        tls {}
        tls_servername {NAME}
        max_fails 2
        health_check 1s
    }}
}}
",
        SERVERS[0],
        SERVERS[1],
        machine.path("tls.crt").display()
    );
    coredns_with(machine, &corefile)
}

/// CoreDNS asks two servers over TLS alone.
pub(crate) fn coredns_names() {
    let (machine, _first) = started();
    let _second = serve(&machine, SERVERS[1]);
    let _coredns = coredns(&machine);
    wait_for(&machine, "127.0.0.1", || "v4.internal.com".to_owned());
    mesh::is_answered(&machine, "127.0.0.1", &[]);
    mesh::is_answered(&machine, "127.0.0.1", &["+tcp"]);
    let page = machine.run(
        "curl",
        &["--silent", &format!("http://{}:9153/metrics", SERVERS[0])],
    );
    assert!(page.contains("proto=\"tls\""), "{page}");
    assert!(!page.contains("proto=\"udp\""), "{page}");
}

/// CoreDNS asks over TLS while the mesh changes, and the certificate again and again: it trusts the next ones as well.
pub(crate) fn coredns_changes() {
    let (machine, _first) = started();
    let _second = serve(&machine, SERVERS[1]);
    let certificates: Vec<_> = (0..3).map(|_| Certificate::new()).collect();
    let first = fs::read_to_string(machine.path("tls.crt")).expect("it is written");
    let trusted: String = certificates.iter().map(|next| &*next.pem).collect();
    // The server's own file holds what it shows, so that CoreDNS gets one of its own.
    let authorities = machine.write("authorities.pem", &(first + &trusted));
    let corefile = format!(
        "internal.com:53 {{
    bind 127.0.0.1
    errors
    forward . tls://{} tls://{} {{
        tls {}
        tls_servername {NAME}
        expire 500ms
    }}
}}
",
        SERVERS[0],
        SERVERS[1],
        authorities.display()
    );
    let _coredns = coredns_with(&machine, &corefile);
    wait_for(&machine, "127.0.0.1", || "v4.internal.com".to_owned());
    let mut others = 0;
    let asked = under_load(&machine, "127.0.0.1", || {
        others += 1;
        mesh::replace(&machine, mesh::WILDCARD, &mesh::wildcard(others % 50));
        if others % 100 == 0 {
            certificates[others / 100 % 3].write(&machine.path(""));
        }
    });
    none_failed(&asked);
}
