//! Real programs that ask meshdns, set up as `meshdns snippet` says: forwarders, and the resolvers that programs are
//! built with. Each runs in a machine of its own.
//!
//! `docs/interop.md` has a row for each check. `UPDATE=1 cargo test --test interop` writes it.

mod clients;
mod coredns;
mod encrypted;
mod forwarders;
mod internet;
mod limits;
mod machine;
mod mesh;
#[path = "../needs/mod.rs"]
mod needs;
mod outage;
mod pages;
#[path = "../program/mod.rs"]
mod program;
#[path = "../secure/mod.rs"]
mod secure;
mod shares;
mod stubs;

use std::{fmt::Write as _, fs, io::Write as _, path::Path, process::Command};

use forwarders::{outlives_a_server, passes_changes, passes_names};
use needs::Need;
use stubs::{finds_all, finds_mesh};

const LOOPBACK: &str = "127.0.0.1";
const NODE_LOCAL: &str = "169.254.20.10";
const RESOLVED: &str = "127.0.0.53";

const NAMES: &str = "every kind of name, over UDP and TCP";
const CHANGES: &str = "3,000 questions while the mesh changes and the servers reload";
const SERVERS: &str =
    "two servers: one restarted under load; it is killed, it comes back, the other one is killed";
const LOOKUP: &str = "every kind of name, with a resolv.conf that names meshdns alone";
const ELSEWHERE: &str = "the same with `--upstream`, and names elsewhere: A alone, AAAA alone, both, a chain of CNAMEs, 100 addresses, no data, a name that does not exist";
const OUTAGE: &str = "lookups by glibc while one of its two servers hangs, goes on, is killed, comes back and the other one is killed";

const MANY: &str = "150 addresses, where nobody says how many an answer holds";
const FITTING: &str = "resolves to some of them, as many as fit one message over UDP";

const ALL: &str = "all resolve; NXDOMAIN and no data come through";
const NONE_FAILED: &str = "no question failed";
const UP_TO_512: &str = "all resolve whose answer has at most 512 bytes (some 28 IPv4 addresses): musl asks over TCP since 1.2.4 only";
const SECOND_TRY: &str = "all resolve, at the second try at the latest";
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
    coredns_variants: "CoreDNS", "coredns -version", "no cache, caches of 5 s and 30 s, `loadbalance` with a cache and without, `force_tcp`, `prefer_udp`, each `policy`, `failover`, no health checks", ALL, coredns::variants;
    coredns_health_checks: "CoreDNS", "coredns -version", "its health check `. IN NS`; the only server killed and back", "REFUSED at once; taken back", coredns::health_checks;
    node_local_dns_names: "NodeLocal DNSCache's block, in CoreDNS", "coredns -version", NAMES, ALL, || passes_names(forwarders::node_local_dns, NODE_LOCAL);
    kube_dns_names: "NodeLocal DNSCache's block of kube-dns's ConfigMap, in CoreDNS", "coredns -version", NAMES, ALL, || passes_names(forwarders::kube_dns, NODE_LOCAL);
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
    bind_many: "BIND, validating", "named -v", MANY, FITTING, limits::bind;
    systemd_resolved_names: "systemd-resolved", "systemd-resolved --version", NAMES, ALL, || passes_names(forwarders::systemd_resolved, RESOLVED);
    systemd_resolved_changes: "systemd-resolved", "systemd-resolved --version", CHANGES, NONE_FAILED, || passes_changes(forwarders::systemd_resolved, RESOLVED);
    systemd_resolved_servers: "systemd-resolved", "systemd-resolved --version", SERVERS, ONE_RETRY, || outlives_a_server(forwarders::systemd_resolved, RESOLVED);
    dnsmasq_outage: "dnsmasq on a VM", "dnsmasq --version", OUTAGE, SECOND_TRY, || outage::local_resolver(forwarders::dnsmasq, LOOPBACK);
    unbound_outage: "unbound on a VM", "unbound -V", OUTAGE, SECOND_TRY, || outage::local_resolver(forwarders::unbound, LOOPBACK);
    systemd_resolved_outage: "systemd-resolved on a VM", "systemd-resolved --version", OUTAGE, SECOND_TRY, || outage::local_resolver(forwarders::systemd_resolved, RESOLVED);
    glibc_one_server: "glibc, one meshdns in resolv.conf", "getent --version", "it hangs, goes on, is killed, comes back", "no name resolves while it is gone, all do afterwards", outage::one_name_server;
    glibc_two_servers: "glibc, two meshdns in resolv.conf", "getent --version", "the first one hangs, goes on, is killed, comes back, the second one is killed", "all resolve at the first try", outage::two_name_servers;
    glibc_another_server: "glibc, another server before meshdns in resolv.conf", "getent --version", "names of the mesh", "do not resolve: see [docs/vm.md](vm.md)", || with_named(outage::beside_another_server);
    getent: "glibc, `getent ahosts`", "getent --version", LOOKUP, ALL, || finds_mesh(stubs::getent);
    getent_elsewhere: "glibc, `getent ahosts`", "getent --version", ELSEWHERE, ALL, || with_named(|| finds_all(stubs::getent));
    python: "Python, `socket.getaddrinfo` (glibc)", "python3 --version", LOOKUP, ALL, || finds_mesh(stubs::python);
    python_elsewhere: "Python, `socket.getaddrinfo` (glibc)", "python3 --version", ELSEWHERE, ALL, || with_named(|| finds_all(stubs::python));
    node_lookup: "Node, `dns.lookup` (glibc)", "node --version", LOOKUP, ALL, || finds_mesh(stubs::node_lookup);
    node_lookup_elsewhere: "Node, `dns.lookup` (glibc)", "node --version", ELSEWHERE, ALL, || with_named(|| finds_all(stubs::node_lookup));
    node_resolve: "Node, `dns.resolve` (its own c-ares)", "node -p process.versions.ares", LOOKUP, ALL, || finds_mesh(stubs::node_resolve);
    node_resolve_elsewhere: "Node, `dns.resolve` (its own c-ares)", "node -p process.versions.ares", ELSEWHERE, ALL, || with_named(|| finds_all(stubs::node_resolve));
    c_ares: "c-ares, `ares_getaddrinfo`", "package libc-ares-dev", LOOKUP, ALL, || finds_mesh(stubs::c_ares);
    c_ares_elsewhere: "c-ares, `ares_getaddrinfo`", "package libc-ares-dev", ELSEWHERE, ALL, || with_named(|| finds_all(stubs::c_ares));
    java: "Java, `InetAddress`", "java --version", LOOKUP, ALL, || finds_mesh(stubs::java);
    java_elsewhere: "Java, `InetAddress`", "java --version", ELSEWHERE, ALL, || with_named(|| finds_all(stubs::java));
    go: "Go, its own resolver", "go version", LOOKUP, ALL, || finds_mesh(stubs::go);
    go_elsewhere: "Go, its own resolver", "go version", ELSEWHERE, ALL, || with_named(|| finds_all(stubs::go));
    musl: "musl, `getaddrinfo`", "package musl-dev", LOOKUP, UP_TO_512, || finds_mesh(stubs::musl);
    musl_elsewhere: "musl, `getaddrinfo`", "package musl-dev", ELSEWHERE, UP_TO_512, || with_named(|| finds_all(stubs::musl));
    musl_many: "musl, `getaddrinfo`", "package musl-dev", MANY, FITTING, limits::musl;
    delv: "delv, validating", "delv -v", "names elsewhere in a signed zone, with the zone's key: A, AAAA, 100 addresses, no data, a name that does not exist", "all validated", || with_named(internet::validates);
    kdig: "kdig", "kdig -V", "every kind of name, over TLS, HTTPS (GET and POST) and QUIC, padded and not, with the certificate checked", ALL, encrypted::kdig;
    dig: "dig", "dig -v", "every kind of name, over TLS and HTTPS (GET and POST), with the certificate checked", ALL, encrypted::dig;
    curl_resolves: "curl, `--doh-url`", "curl --version", "a page of a host in the mesh, whose name it looks up over HTTPS", "the page is there", encrypted::curl_resolves;
    curl_sends: "curl", "curl --version", "GET and POST over HTTP/1.1 and HTTP/2", "answered, with the TTL for caches", encrypted::curl_sends;
}

/// Tries it, unless this machine lacks the program, or does not allow machines of their own.
fn run(version_command: &str, check: impl FnOnce()) {
    if version(version_command).is_none() {
        needs::skip(&format!("`{version_command}` does not run"));
    } else if needs::met(&[Need::MachineOfItsOwn]) {
        check();
    }
}

/// Tries what needs BIND to play the rest of the world.
fn with_named(check: impl FnOnce()) {
    run("named -v", check);
}

#[test]
fn the_page_has_a_row_for_each_check() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interop.md");
    if std::env::var_os("UPDATE").is_some() {
        let text = page(|row| version(row.version)) + &shares::page(None);
        fs::write(&path, text).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).expect("the page is there");
    // The versions on the page are those of the machine that wrote it, and so is what arrived there.
    let rows = written
        .lines()
        .filter(|line| line.starts_with("| ") && !shares::is_row(line));
    let mut versions = rows
        .skip(2) // the head of the table
        .map(|row| row.split(" | ").nth(1).unwrap_or_default().to_owned());
    let expected = page(|_| versions.next()) + &shares::page(Some(&written));
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
servers. \"Every kind of name\" is: A alone, AAAA alone, both, 100 addresses in one answer (`meshdns.io/max-addresses`), a host
without a healthy endpoint, a name that does not exist, and one below a wildcard.

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

/// The version that a command tells: the first word with a digit and a dot; or that of a Debian package, as in `package
/// musl-dev`. `None` where the program can't be run.
fn version(command: &str) -> Option<String> {
    if let Some(package) = command.strip_prefix("package ") {
        return package_version(package);
    }
    let mut words = command.split(' ');
    let output = Command::new(words.next()?)
        .args(words)
        .env("PATH", needs::path())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    // dig and delv tell it to stderr.
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    let is_version =
        |word: &&str| word.contains(|letter: char| letter.is_ascii_digit()) && word.contains('.');
    let word = printed.split([' ', '\n', '(', ')', ',']).find(is_version)?;
    Some(
        word.trim_start_matches(|letter: char| !letter.is_ascii_digit())
            .to_owned(),
    )
}

/// The version of a package that is installed, or that scripts/install-tools.sh has unpacked.
fn package_version(package: &str) -> Option<String> {
    let archives = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/target/tools/apt/cache/archives"
    );
    let unpacked = || {
        let files = fs::read_dir(archives).ok()?;
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let mut versions = names.filter_map(|name| {
            let rest = name.strip_prefix(package)?.strip_prefix('_')?;
            Some(rest.split('_').next()?.replace("%3a", ":"))
        });
        versions.next()
    };
    let asked = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Abbrev}${Version}", package])
        .output();
    let installed = asked.ok().and_then(|output| {
        let printed = String::from_utf8(output.stdout).ok()?;
        Some(printed.strip_prefix("ii ")?.to_owned())
    });
    installed.or_else(unpacked)
}

/// Tells whoever runs the tests, even where they pass.
pub(crate) fn say(text: &str) {
    // Where stderr is closed nobody can be told.
    let _ = writeln!(std::io::stderr(), "{text}");
}
