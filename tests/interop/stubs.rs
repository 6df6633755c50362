//! Programs on a machine whose `/etc/resolv.conf` names meshdns alone.

use std::{collections::BTreeSet, env::consts::ARCH, net::IpAddr, path::Path};

use crate::{
    forwarders::machine,
    machine::{Machine, SERVERS},
    mesh::{self, Host},
    program::Server,
};

/// A machine as `meshdns snippet resolv.conf` makes it, and its servers.
fn started() -> (Machine, [Server; 2]) {
    let machine = machine();
    machine.write("etc/resolv.conf", &machine.snippet("resolv.conf"));
    let servers = SERVERS.map(|server| machine.serve(server));
    (machine, servers)
}

/// A program of this folder.
fn source(name: &str) -> String {
    format!("{}/tests/interop/stubs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Checks that a program that prints what it finds finds every kind of name.
#[track_caller]
fn finds(machine: &Machine, program: &str, arguments: &[&str], hosts: &[Host]) {
    let names = hosts.iter().map(|host| host.name);
    let arguments: Vec<&str> = arguments.iter().copied().chain(names).collect();
    let printed = machine.run(program, &arguments);
    assert_eq!(printed.lines().count(), hosts.len(), "{printed}");
    for (line, host) in printed.lines().zip(hosts) {
        let found = line.strip_prefix(host.name).expect("the name comes first");
        let found: BTreeSet<&str> = found.split_whitespace().collect();
        // Java writes IPv6 addresses without `::`.
        let addresses: BTreeSet<IpAddr> = found.iter().flat_map(|text| text.parse()).collect();
        assert_eq!(addresses, host.addresses, "{line}");
        let is_none = found.contains("none");
        assert_eq!(is_none, host.addresses.is_empty(), "{line}");
    }
}

/// glibc, as `getent` asks it.
pub(crate) fn getent() {
    let (machine, _servers) = started();
    for host in mesh::hosts() {
        let output = machine
            .command("getent")
            .args(["ahosts", host.name])
            .output();
        let output = output.expect("getent is part of libc-bin");
        let printed = String::from_utf8_lossy(&output.stdout);
        let found = printed
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok());
        assert_eq!(
            found.collect::<BTreeSet<IpAddr>>(),
            host.addresses,
            "{}",
            host.name
        );
    }
}

/// glibc, as Python asks it.
pub(crate) fn python() {
    let (machine, _servers) = started();
    finds(&machine, "python3", &[&source("look.py")], &mesh::hosts());
}

/// glibc, as Node's `dns.lookup` asks it.
pub(crate) fn node_lookup() {
    let (machine, _servers) = started();
    finds(
        &machine,
        "node",
        &[&source("look.js"), "getaddrinfo"],
        &mesh::hosts(),
    );
}

/// c-ares, which Node's `dns.resolve` is.
pub(crate) fn node_resolve() {
    let (machine, _servers) = started();
    finds(
        &machine,
        "node",
        &[&source("look.js"), "c-ares"],
        &mesh::hosts(),
    );
}

/// Java.
pub(crate) fn java() {
    let (machine, _servers) = started();
    finds(&machine, "java", &[&source("Look.java")], &mesh::hosts());
}

/// Go's own resolver.
pub(crate) fn go() {
    let (machine, _servers) = started();
    let program = machine.path("look");
    let program = program.to_string_lossy();
    let built = std::process::Command::new("go")
        .args(["build", "-o", &program, &source("look.go")])
        .env("CGO_ENABLED", "0")
        .env("PATH", crate::machine::path())
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "go build failed"
    );
    finds(&machine, &program, &[], &mesh::hosts());
}

/// musl, the C library of Alpine. Before 1.2.4 it does not ask over TCP: it finds nothing where an answer is longer than
/// 512 bytes.
pub(crate) fn musl() {
    let (machine, _servers) = started();
    let program = machine.path("look");
    let program = program.to_string_lossy();
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/root/usr");
    let usr = ["/usr", unpacked]
        .into_iter()
        .find(|usr| Path::new(&format!("{usr}/lib/{ARCH}-linux-musl/libc.a")).exists());
    let usr = usr.expect("scripts/install-tools.sh test has installed musl-dev");
    let (include, lib) = (
        format!("{usr}/include/{ARCH}-linux-musl"),
        format!("{usr}/lib/{ARCH}-linux-musl"),
    );
    let [start, before, libc, after] =
        ["crt1.o", "crti.o", "libc.a", "crtn.o"].map(|file| format!("{lib}/{file}"));
    let text = source("look.c");
    // Not by musl-gcc, which knows no other place than /usr.
    let options = [
        "-D_GNU_SOURCE",
        "-static",
        "-no-pie",
        "-nostdinc",
        "-nostdlib",
        "-isystem",
    ];
    machine.run(
        "cc",
        &[
            &options[..],
            &[
                &include, &start, &before, &text, &libc, "-lgcc", &after, "-o", &program,
            ],
        ]
        .concat(),
    );
    let mut hosts = mesh::hosts();
    hosts.retain(|host| host.addresses.len() < 30);
    finds(&machine, &program, &[], &hosts);
}
