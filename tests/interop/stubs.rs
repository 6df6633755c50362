//! Programs on a machine whose `/etc/resolv.conf` names meshdns alone.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    clients::{self, Client},
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

/// Checks that a program that prints what it finds finds these.
#[track_caller]
fn finds(machine: &Machine, client: &Client, hosts: &[Host]) {
    let names: Vec<&str> = hosts.iter().map(|host| host.name).collect();
    let printed = client.look(machine, &names);
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
    finds(machine, &clients::python(machine), hosts);
}

/// glibc, as Node's `dns.lookup` asks it.
pub(crate) fn node_lookup(machine: &Machine, hosts: &[Host]) {
    finds(machine, &clients::node_lookup(machine), hosts);
}

/// c-ares, as Node's `dns.resolve` asks it.
pub(crate) fn node_resolve(machine: &Machine, hosts: &[Host]) {
    finds(machine, &clients::node_resolve(machine), hosts);
}

/// c-ares, asked for all addresses at once.
pub(crate) fn c_ares(machine: &Machine, hosts: &[Host]) {
    finds(machine, &clients::c_ares(machine), hosts);
}

/// Java.
pub(crate) fn java(machine: &Machine, hosts: &[Host]) {
    finds(machine, &clients::java(machine), hosts);
}

/// Go's own resolver.
pub(crate) fn go(machine: &Machine, hosts: &[Host]) {
    finds(machine, &clients::go(machine), hosts);
}

/// musl, the C library of Alpine. Before 1.2.4 it does not ask over TCP: it finds nothing where an answer is longer than
/// 512 bytes.
pub(crate) fn musl(machine: &Machine, hosts: &[Host]) {
    let are_short = |host: &&Host| host.addresses.len() < 30;
    let hosts: Vec<Host> = hosts.iter().filter(are_short).cloned().collect();
    finds(machine, &clients::musl(machine), &hosts);
}
