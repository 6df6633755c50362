//! Programs on a machine whose `/etc/resolv.conf` names meshdns alone.

use std::{collections::BTreeSet, env::consts::ARCH, net::IpAddr, path::Path};

use crate::{
    forwarders::machine,
    internet,
    machine::{Machine, SERVERS},
    mesh::{self, Host},
};

/// Checks that a program finds all of these hosts in a machine.
type Look = fn(&Machine, &[Host]);

/// Every kind of name of the mesh is found, with `/etc/resolv.conf` as `meshdns snippet` says; and the snippet's own check
/// says that all is well.
pub(crate) fn finds_mesh(look: Look) {
    let machine = machine();
    let snippet = machine.snippet("resolv.conf");
    machine.write("etc/resolv.conf", &snippet);
    let _servers = SERVERS.map(|server| machine.serve(server));
    let check = snippet
        .lines()
        .find_map(|line| line.strip_prefix("# Check: "));
    let printed = machine.run("sh", &["-c", check.expect("the snippet has one")]);
    assert!(printed.starts_with("ns.meshdns.invalid."), "{printed}");
    look(&machine, &mesh::hosts());
}

/// With servers that forward, every other name is found as well.
pub(crate) fn finds_all(look: Look) {
    let (machine, _internet, _servers) = internet::behind_servers();
    machine.write("etc/resolv.conf", &machine.snippet("resolv.conf"));
    let hosts = internet::hosts().into_iter().chain(mesh::hosts());
    look(&machine, &hosts.collect::<Vec<_>>());
}

/// A program of this folder.
fn source(name: &str) -> String {
    format!("{}/tests/interop/stubs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Checks that a program that prints what it finds finds these.
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
pub(crate) fn getent(machine: &Machine, hosts: &[Host]) {
    for host in hosts {
        let printed = machine.text_of("getent", &["ahosts", host.name]);
        let found = printed
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok());
        let found = found.collect::<BTreeSet<IpAddr>>();
        assert_eq!(found, host.addresses, "{}", host.name);
    }
}

/// glibc, as Python asks it.
pub(crate) fn python(machine: &Machine, hosts: &[Host]) {
    finds(machine, "python3", &[&source("look.py")], hosts);
}

/// glibc, as Node's `dns.lookup` asks it.
pub(crate) fn node_lookup(machine: &Machine, hosts: &[Host]) {
    finds(machine, "node", &[&source("look.js"), "getaddrinfo"], hosts);
}

/// c-ares, as Node's `dns.resolve` asks it.
pub(crate) fn node_resolve(machine: &Machine, hosts: &[Host]) {
    finds(machine, "node", &[&source("look.js"), "c-ares"], hosts);
}

/// c-ares, asked for all addresses at once.
pub(crate) fn c_ares(machine: &Machine, hosts: &[Host]) {
    let usr = usr_with("include/ares.h").expect("scripts/install-tools.sh test has installed it");
    let (program, text) = (machine.path("ares"), source("ares.c"));
    let program = program.to_string_lossy();
    let [include, lib] =
        ["include", &format!("lib/{ARCH}-linux-gnu")].map(|part| format!("{usr}/{part}"));
    let (include, look_in, found_in) = (
        format!("-I{include}"),
        format!("-L{lib}"),
        format!("-Wl,-rpath,{lib}"),
    );
    machine.run(
        "cc",
        &[
            &include, &text, &look_in, &found_in, "-lcares", "-o", &program,
        ],
    );
    finds(machine, &program, &[], hosts);
}

/// Java.
pub(crate) fn java(machine: &Machine, hosts: &[Host]) {
    finds(machine, "java", &[&source("Look.java")], hosts);
}

/// Go's own resolver.
pub(crate) fn go(machine: &Machine, hosts: &[Host]) {
    let program = machine.path("look");
    let program = program.to_string_lossy();
    let built = std::process::Command::new("go")
        .args(["build", "-o", &program, &source("look.go")])
        .env("CGO_ENABLED", "0")
        .env("PATH", crate::needs::path())
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "go build failed"
    );
    finds(machine, &program, &[], hosts);
}

/// musl, the C library of Alpine. Before 1.2.4 it does not ask over TCP: it finds nothing where an answer is longer than
/// 512 bytes.
pub(crate) fn musl(machine: &Machine, hosts: &[Host]) {
    let program = machine.path("look");
    let program = program.to_string_lossy();
    let usr = usr_with(&format!("lib/{ARCH}-linux-musl/libc.a"));
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
    let are_short = |host: &&Host| host.addresses.len() < 30;
    let hosts: Vec<Host> = hosts.iter().filter(are_short).cloned().collect();
    finds(machine, &program, &[], &hosts);
}

/// Where a file of a Debian package is below: `/usr`, or where scripts/install-tools.sh unpacked it.
fn usr_with(file: &str) -> Option<&'static str> {
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/root/usr");
    ["/usr", unpacked]
        .into_iter()
        .find(|usr| Path::new(usr).join(file).exists())
}
