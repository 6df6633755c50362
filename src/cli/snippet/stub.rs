//! Machines: systemd-resolved and the C library's own resolver.

use super::{Mesh, Server, SnippetError, at_most};

/// The C libraries read no more `nameserver` lines.
const MOST_NAME_SERVERS: usize = 3;

pub(super) fn systemd_resolved(mesh: &Mesh) -> String {
    let servers = mesh.servers(" ", Server::as_socket);
    let zones = mesh.zones(" ", |zone| format!("~{zone}"));
    let check = mesh.zones("\n", |zone| {
        format!("# Check: resolvectl query --type=SOA {zone}")
    });
    let port = match mesh.server_with_port() {
        Some(_) => "\n# A port in DNS= takes systemd 246 or later.",
        None => "",
    };
    format!(
        "\
# systemd-resolved: /etc/systemd/resolved.conf.d/50-mesh.conf, then systemctl restart systemd-resolved.
# Domains: the tilde sends these domains here, and does not append them to short names. Other names stay with the
# servers of the links. Is there another `DNS=` without a link? Then tie this to a link instead, for resolved takes all
# of them for one list:
#   resolvectl dns eth0 {servers}; resolvectl domain eth0 {zones}
# DNSSEC: the domain is not signed, whatever its parent says.{port}
[Resolve]
DNS={servers}
Domains={zones}
DNSSEC=no
{check}"
    )
}

pub(super) fn resolv_conf(mesh: &Mesh) -> Result<String, SnippetError> {
    at_most(mesh, MOST_NAME_SERVERS, "resolv.conf")?;
    if let Some(server) = mesh.server_with_port() {
        return Err(SnippetError::Port(server.0));
    }
    let servers = mesh.servers("\n", |server| format!("nameserver {}", server.ip()));
    let zones = mesh.zones(", ", str::to_owned);
    let check = mesh.zones("\n", |zone| format!("# Check: dig {zone} SOA +short"));
    Ok(format!(
        "\
# /etc/resolv.conf: keep a copy of what it was, and see that no program (DHCP, NetworkManager) writes it anew.
# Every name of this machine goes to these servers, not those of {zones} alone, and a server beside them that does not
# know the mesh would break its names now and then. They know other names too where they run with --upstream; else a
# machine that needs these takes a resolver of its own, such as systemd-resolved or dnsmasq, with their snippet.
# timeout: a server that is gone costs a second, not five.
{servers}
options timeout:1 attempts:2 edns0
{check}"
    ))
}
