//! Real programs that ask meshdns, set up as `meshdns snippet` says: forwarders, and the resolvers that programs are
//! built with. Each runs in a machine of its own.
//!
//! `docs/interop.md` has a row for each check. `UPDATE=1 cargo test --test interop` writes it.

mod coredns;
mod encrypted;
mod forwarders;
mod machine;
mod mesh;
mod pages;
#[path = "../program/mod.rs"]
mod program;
#[path = "../secure/mod.rs"]
mod secure;
mod stubs;

use std::{fmt::Write as _, fs, io::Write as _, path::Path, process::Command};

use forwarders::{outlives_a_server, passes_changes, passes_names};

const LOOPBACK: &str = "127.0.0.1";
const NODE_LOCAL: &str = "169.254.20.10";
const RESOLVED: &str = "127.0.0.53";

const NAMES: &str = "every kind of name, over UDP and TCP";
const CHANGES: &str = "3,000 questions while the mesh changes";
const SERVERS: &str =
    "two servers: one restarted under load; it is killed, it comes back, the other one is killed";
const LOOKUP: &str = "every kind of name, with a resolv.conf that names meshdns alone";

const ALL: &str = "all resolve; NXDOMAIN and no data come through";
const NONE_FAILED: &str = "no question failed";
const ONE_RETRY: &str =
    "no question failed at the restart; otherwise an answer at the second try at the latest";

/// One row of the matrix.
struct Row {
    program: &'static str,
    /// The command that tells the version.
    version: &'static str,
    tried: &'static str,
    result: &'static str,
}

/// Makes a test and a row of each check: program, command for the version, what is tried, the result, how it is tried.
macro_rules! checks {
    ($($test:ident: $program:expr, $version:expr, $tried:expr, $result:expr, $run:expr;)*) => {
        const ROWS: &[Row] = &[$(Row {
            program: $program,
            version: $version,
            tried: $tried,
            result: $result,
        }),*];

        $(#[test]
        fn $test() {
            run($version, $run);
        })*
    };
}

#[rustfmt::skip]
checks! {
    coredns_names: "CoreDNS", "coredns -version", NAMES, ALL, || passes_names(forwarders::coredns, LOOPBACK);
    coredns_changes: "CoreDNS", "coredns -version", CHANGES, NONE_FAILED, || passes_changes(forwarders::coredns, LOOPBACK);
    coredns_servers: "CoreDNS", "coredns -version", SERVERS, ONE_RETRY, || outlives_a_server(forwarders::coredns, LOOPBACK);
    coredns_variants: "CoreDNS", "coredns -version", "no cache, caches of 5 s and 30 s, `loadbalance`, `force_tcp`, `prefer_udp`, each `policy`, no health checks", ALL, coredns::variants;
    coredns_health_checks: "CoreDNS", "coredns -version", "its health check `. IN NS`; the only server killed and back", "REFUSED at once; taken back", coredns::health_checks;
    node_local_dns_names: "NodeLocal DNSCache's block, in CoreDNS", "coredns -version", NAMES, ALL, || passes_names(forwarders::node_local_dns, NODE_LOCAL);
    coredns_over_tls: "CoreDNS, `forward . tls://`", "coredns -version", NAMES, ALL, encrypted::coredns_names;
    coredns_over_tls_changes: "CoreDNS, `forward . tls://`", "coredns -version", "3,000 questions while the mesh and the certificate change", NONE_FAILED, encrypted::coredns_changes;
    dnsmasq_names: "dnsmasq, with `stop-dns-rebind`", "dnsmasq --version", NAMES, ALL, || passes_names(forwarders::dnsmasq, LOOPBACK);
    dnsmasq_changes: "dnsmasq, with `stop-dns-rebind`", "dnsmasq --version", CHANGES, NONE_FAILED, || passes_changes(forwarders::dnsmasq, LOOPBACK);
    dnsmasq_servers: "dnsmasq, with `stop-dns-rebind`", "dnsmasq --version", SERVERS, ONE_RETRY, || outlives_a_server(forwarders::dnsmasq, LOOPBACK);
    network_manager_names: "NetworkManager's file, in dnsmasq", "dnsmasq --version", NAMES, ALL, || passes_names(forwarders::network_manager, LOOPBACK);
    unbound_names: "unbound, validating, with `private-address`", "unbound -V", NAMES, ALL, || passes_names(forwarders::unbound, LOOPBACK);
    unbound_changes: "unbound, validating, with `private-address`", "unbound -V", CHANGES, NONE_FAILED, || passes_changes(forwarders::unbound, LOOPBACK);
    unbound_servers: "unbound, validating, with `private-address`", "unbound -V", SERVERS, ONE_RETRY, || outlives_a_server(forwarders::unbound, LOOPBACK);
    bind_names: "BIND, validating", "named -v", NAMES, ALL, || passes_names(forwarders::bind, LOOPBACK);
    bind_changes: "BIND, validating", "named -v", CHANGES, NONE_FAILED, || passes_changes(forwarders::bind, LOOPBACK);
    bind_servers: "BIND, validating", "named -v", SERVERS, ONE_RETRY, || outlives_a_server(forwarders::bind, LOOPBACK);
    systemd_resolved_names: "systemd-resolved", "systemd-resolved --version", NAMES, ALL, || passes_names(forwarders::systemd_resolved, RESOLVED);
    systemd_resolved_changes: "systemd-resolved", "systemd-resolved --version", CHANGES, NONE_FAILED, || passes_changes(forwarders::systemd_resolved, RESOLVED);
    systemd_resolved_servers: "systemd-resolved", "systemd-resolved --version", SERVERS, ONE_RETRY, || outlives_a_server(forwarders::systemd_resolved, RESOLVED);
    getent: "glibc, `getent ahosts`", "getent --version", LOOKUP, ALL, stubs::getent;
    python: "Python, `socket.getaddrinfo` (glibc)", "python3 --version", LOOKUP, ALL, stubs::python;
    node_lookup: "Node, `dns.lookup` (glibc)", "node --version", LOOKUP, ALL, stubs::node_lookup;
    node_resolve: "Node, `dns.resolve` (c-ares)", "node -p process.versions.ares", LOOKUP, ALL, stubs::node_resolve;
    java: "Java, `InetAddress`", "java --version", LOOKUP, ALL, stubs::java;
    go: "Go, its own resolver", "go version", LOOKUP, ALL, stubs::go;
    kdig: "kdig", "kdig -V", "every kind of name, over TLS, HTTPS (GET and POST) and QUIC, padded and not, with the certificate checked", ALL, encrypted::kdig;
    dig: "dig", "dig -v", "every kind of name, over TLS and HTTPS (GET and POST), with the certificate checked", ALL, encrypted::dig;
    curl_resolves: "curl, `--doh-url`", "curl --version", "a page of a host in the mesh, whose name it looks up over HTTPS", "the page is there", encrypted::curl_resolves;
    curl_sends: "curl", "curl --version", "GET and POST over HTTP/1.1 and HTTP/2", "answered, with the TTL for caches", encrypted::curl_sends;
    musl: "musl, `getaddrinfo`", "dpkg-query -W -f ${Version} musl-dev", LOOKUP, "all resolve whose answer has at most 512 bytes (some 28 IPv4 addresses): musl asks over TCP since 1.2.4 only", stubs::musl;
}

/// Tries it, unless the program is not to be had on this machine.
fn run(version_command: &str, check: impl FnOnce()) {
    if version(version_command).is_some() {
        check();
    } else {
        say(&format!(
            "NOT TRIED: `{version_command}` does not run on this machine"
        ));
    }
}

#[test]
fn the_page_has_a_row_for_each_check() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interop.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, page(|row| version(row.version))).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).expect("the page is there");
    // The versions on the page are those of the machine that wrote it.
    let rows = written.lines().filter(|line| line.starts_with("| "));
    let mut versions = rows
        .skip(2) // the head of the table
        .map(|row| row.split(" | ").nth(1).unwrap_or_default().to_owned());
    let expected = page(|_| versions.next());
    assert_eq!(written, expected, "run UPDATE=1 cargo test --test interop");
}

#[test]
fn the_page_on_vms_tells_the_truth() {
    run("dnsmasq --version", || {
        run("systemd-resolved --version", pages::vm);
    });
}

#[test]
fn the_page_on_coredns_tells_the_truth() {
    run("coredns -version", pages::coredns);
}

/// The matrix, with versions told by `version`.
fn page(mut version: impl FnMut(&Row) -> Option<String>) -> String {
    let mut page = String::from(
        "\
# What meshdns is tried with

Each row is a check of `tests/interop`, run by `make test` against the real program on a machine of its own (namespaces of
Linux). Forwarders are set up by the text that [`meshdns snippet`](../README.md#commands) prints, in front of two meshdns
servers. \"Every kind of name\" is: A alone, AAAA alone, both, 100 addresses, a host without a healthy endpoint, a name
that does not exist, and one below a wildcard.

| Program | Version | Tried | Result |
| --- | --- | --- | --- |
",
    );
    for row in ROWS {
        let version = version(row).unwrap_or_default();
        let Row {
            program,
            tried,
            result,
            ..
        } = row;
        writeln!(page, "| {program} | {version} | {tried} | {result} |")
            .expect("a string can be written to");
    }
    page
}

/// The version that a command tells: the first word with a digit and a dot. `None` where the program can't be run.
fn version(command: &str) -> Option<String> {
    let mut words = command.split(' ');
    let output = Command::new(words.next()?)
        .args(words)
        .env("PATH", machine::path())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    // dig tells it to stderr.
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let is_version =
        |word: &&str| word.contains(|letter: char| letter.is_ascii_digit()) && word.contains('.');
    let word = printed.split([' ', '\n', '(', ')', ',']).find(is_version)?;
    Some(
        word.trim_start_matches(|letter: char| !letter.is_ascii_digit())
            .to_owned(),
    )
}

/// Tells whoever runs the tests, even where they pass.
pub(crate) fn say(text: &str) {
    // Where stderr is closed nobody can be told.
    let _ = writeln!(std::io::stderr(), "{text}");
}
