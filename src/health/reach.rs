//! Where probes may go.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ipnet::IpNet;

/// Where probes may go: into some networks, but never to what only this machine or this link has, and never to this server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reach {
    networks: Vec<IpNet>,
    own: Vec<SocketAddr>,
}

/// Why no probe goes to an address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Forbidden {
    /// It is this machine's own, and no network that is named is inside of those.
    Loopback,
    /// It means something else on each link; clouds have their secrets there.
    LinkLocal,
    /// It is no machine's address.
    NoHost,
    /// This server listens there.
    Own,
    /// It is in none of the networks.
    Networks,
}

impl Reach {
    /// Into `networks`, but not to `own`, where this server listens: an unspecified address there stands for the loopback
    /// addresses, the only ones of this machine that are known without asking it.
    pub fn new(networks: Vec<IpNet>, own: Vec<SocketAddr>) -> Self {
        Self { networks, own }
    }

    /// Why no probe goes to `to`; `None` where it may.
    pub fn forbids(&self, to: SocketAddr) -> Option<Forbidden> {
        let ip = to.ip().to_canonical();
        if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Some(Forbidden::NoHost);
        }
        if is_link_local(ip) {
            return Some(Forbidden::LinkLocal);
        }
        if self.is_own(SocketAddr::new(ip, to.port())) {
            return Some(Forbidden::Own);
        }
        let mut named = self.networks.iter().filter(|network| network.contains(&ip));
        if ip.is_loopback() {
            let is_named = named.any(is_loopback);
            return (!is_named).then_some(Forbidden::Loopback);
        }
        named.next().is_none().then_some(Forbidden::Networks)
    }

    /// Whether this server listens at that port on all addresses of this machine: whether `to` is one of them is for the shell
    /// to find out.
    pub fn is_at_own_port(&self, to: SocketAddr) -> bool {
        let mut own = self.own.iter();
        own.any(|own| own.ip().is_unspecified() && own.port() == to.port())
    }

    fn is_own(&self, to: SocketAddr) -> bool {
        self.own.iter().any(|own| {
            let ip = own.ip().to_canonical();
            let is_same = ip == to.ip() || ip.is_unspecified() && to.ip().is_loopback();
            is_same && own.port() == to.port()
        })
    }
}

/// Whether all of `network` is this machine's own.
fn is_loopback(network: &IpNet) -> bool {
    let (first, last) = (network.network(), network.broadcast());
    first.is_loopback() && last.is_loopback()
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address is this machine's own",
            Self::LinkLocal => "a link-local address is never probed",
            Self::NoHost => "the address is no machine's",
            Self::Own => "this server listens there",
            Self::Networks => "the address is outside of `health.networks`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what is said of each address, `None` for those that may be probed.
    #[track_caller]
    fn check(networks: &[&str], expected: &[(&str, Option<Forbidden>)]) {
        let networks = networks.iter().map(|text| text.parse().expect("a network"));
        let own = ["0.0.0.0:53", "10.0.0.53:9153", "[::]:53"];
        let own = own.iter().map(|text| text.parse().expect("an address"));
        let reach = Reach::new(networks.collect(), own.collect());
        for (to, expected) in expected {
            let found = reach.forbids(to.parse().expect("an address"));
            assert_eq!(found, *expected, "{to}");
        }
    }

    #[test]
    fn probes_stay_in_the_networks_that_are_named() {
        check(
            &["10.0.0.0/8", "fc00::/7"],
            &[
                ("10.1.2.3:80", None),
                ("[::ffff:10.1.2.3]:80", None),
                ("11.0.0.1:80", Some(Forbidden::Networks)),
                ("[fd00::1]:80", None),
                ("[2001:db8::1]:80", Some(Forbidden::Networks)),
                ("127.0.0.1:80", Some(Forbidden::Loopback)),
                ("[::1]:80", Some(Forbidden::Loopback)),
            ],
        );
    }

    #[test]
    fn loopback_is_probed_only_where_a_network_inside_of_it_is_named() {
        check(
            &["0.0.0.0/0"],
            &[("127.0.0.1:80", Some(Forbidden::Loopback))],
        );
        check(&["127.0.0.0/8"], &[("127.9.0.1:80", None)]);
        check(
            &["127.1.0.0/16", "::1/128"],
            &[
                ("127.1.0.1:80", None),
                ("127.2.0.1:80", Some(Forbidden::Loopback)),
                ("[::1]:80", None),
            ],
        );
    }

    #[test]
    fn what_is_no_machine_of_the_mesh_is_never_probed() {
        check(
            &["0.0.0.0/0", "::/0", "127.0.0.0/8", "169.254.0.0/16"],
            &[
                ("169.254.169.254:80", Some(Forbidden::LinkLocal)),
                ("[::ffff:169.254.169.254]:80", Some(Forbidden::LinkLocal)),
                ("[fe80::1]:80", Some(Forbidden::LinkLocal)),
                ("0.0.0.0:80", Some(Forbidden::NoHost)),
                ("[::]:80", Some(Forbidden::NoHost)),
                ("224.0.0.1:80", Some(Forbidden::NoHost)),
                ("[ff02::1]:80", Some(Forbidden::NoHost)),
                ("255.255.255.255:80", Some(Forbidden::NoHost)),
            ],
        );
    }

    #[test]
    fn this_server_never_probes_itself() {
        check(
            &["10.0.0.0/8", "127.0.0.0/8"],
            &[
                ("127.0.0.1:53", Some(Forbidden::Own)),
                ("10.0.0.53:9153", Some(Forbidden::Own)),
                ("10.0.0.53:80", None),
                ("10.0.0.7:53", None),
            ],
        );
    }
}
