//! Resolvers that forward a domain: dnsmasq (`NetworkManager` runs one too), unbound and BIND.

use super::Mesh;

/// What shares need of a resolver that answers for others. They shuffle what they keep, all three of them.
const MANY_CLIENTS: &str = "\
Does it answer for more than this machine? Then list its address under `forwarders` in meshdns's configuration: all
get one answer while it is kept, and that has to hold addresses of all sides of a share.";

/// The same as lines of comments.
fn many_clients(comment: &str) -> String {
    let lines: Vec<String> = MANY_CLIENTS
        .lines()
        .map(|line| format!("{comment} {line}"))
        .collect();
    lines.join("\n")
}

pub(super) fn dnsmasq(mesh: &Mesh) -> String {
    format!(
        "\
# dnsmasq: /etc/dnsmasq.d/mesh.conf, then systemctl restart dnsmasq.
{}
{}
{}",
        many_clients("#"),
        dnsmasq_lines(mesh),
        mesh.check("#", "127.0.0.1"),
    )
}

pub(super) fn network_manager(mesh: &Mesh) -> String {
    format!(
        "\
# NetworkManager: /etc/NetworkManager/dnsmasq.d/mesh.conf, then systemctl reload NetworkManager.
# It is read where NetworkManager runs dnsmasq: `dns=dnsmasq` in the section [main] of NetworkManager.conf. Where it
# hands its servers to systemd-resolved, take `meshdns snippet systemd-resolved`.
{}
{}",
        dnsmasq_lines(mesh),
        mesh.check("#", "127.0.0.1"),
    )
}

fn dnsmasq_lines(mesh: &Mesh) -> String {
    let zones = mesh.zones("\n", |zone| {
        let servers = mesh.servers("\n", |server| {
            format!("server=/{zone}/{}", server.with_port("#"))
        });
        format!("{servers}\nrebind-domain-ok=/{zone}/")
    });
    let all_servers = match mesh.servers.len() {
        1 => "",
        _ => {
            "\
# all-servers: dnsmasq asks one server alone for up to 50 questions, even when that is gone; with this it asks all of
# them and takes the first answer. It holds for every domain.
all-servers
"
        }
    };
    format!(
        "\
{all_servers}# rebind-domain-ok: private addresses are right in these answers, even where stop-dns-rebind is set.
# No `local=` or `address=` may name the domain, or it is not forwarded.
{zones}"
    )
}

pub(super) fn unbound(mesh: &Mesh) -> String {
    let exceptions = mesh.zones("\n", |zone| {
        format!(
            "    private-domain: \"{zone}\"\n    domain-insecure: \"{zone}\"\n    local-zone: \"{zone}\" transparent"
        )
    });
    let loopback = if mesh.servers.iter().any(|server| server.ip().is_loopback()) {
        "\n    do-not-query-localhost: no"
    } else {
        ""
    };
    let forwards = mesh.zones("\n", |zone| {
        let servers = mesh.servers("\n", |server| {
            format!("    forward-addr: {}", server.with_port("@"))
        });
        format!("forward-zone:\n    name: \"{zone}\"\n{servers}")
    });
    format!(
        "\
# unbound: /etc/unbound/unbound.conf.d/mesh.conf, then unbound-checkconf && systemctl reload unbound.
# private-domain: private addresses are right in these answers, even where private-address is set.
# domain-insecure: the domain is not signed, whatever its parent says.
# local-zone: lets a domain through that unbound keeps to itself by default, as below home.arpa.
{}
server:
{exceptions}{loopback}
{forwards}
{}",
        many_clients("#"),
        mesh.check("#", "127.0.0.1"),
    )
}

pub(super) fn bind(mesh: &Mesh) -> String {
    let exceptions = mesh.zones(" ", |zone| format!("\"{zone}\";"));
    let forwarders = mesh.servers(" ", |server| format!("{};", server.with_port(" port ")));
    let zones = mesh.zones("\n", |zone| {
        format!(
            "\
zone \"{zone}\" {{
    type forward;
    forward only;
    forwarders {{ {forwarders} }};
}};"
        )
    });
    format!(
        "\
// BIND: /etc/bind/named.conf.local, or inside a view where there are views; then named-checkconf && rndc reconfig.
// The domain is not signed, whatever its parent says: where BIND validates, which is its default, this line has to stand
// in `options`, in /etc/bind/named.conf.options.
//   validate-except {{ {exceptions} }};
{}
{zones}
{}",
        many_clients("//"),
        mesh.check("//", "127.0.0.1"),
    )
}
