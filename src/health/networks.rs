use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// Where probes may go: `health.networks`.
///
/// Link-local addresses (169.254.169.254 is a cloud's metadata), unspecified ones and multicast are never probed, whatever is
/// listed. Loopback is probed only where a network inside of it is listed: `0.0.0.0/0` does not include it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Networks(Box<[IpNet]>);

/// Private addresses: RFC 1918, RFC 6598, RFC 4193.
impl Default for Networks {
    fn default() -> Self {
        let private = [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "fc00::/7",
        ];
        let private = private.iter().map(|network| network.parse());
        Self(private.map(|network| network.expect("a network")).collect())
    }
}

impl Networks {
    /// Those networks.
    ///
    /// # Errors
    ///
    /// A network of which no address may ever be probed.
    pub fn new(networks: Vec<IpNet>) -> Result<Self, IpNet> {
        // `0.0.0.0/0` begins with an address that nobody has.
        let is_all = |network: &IpNet| network.prefix_len() == 0;
        let is_useless = |network: &&IpNet| !is_all(network) && is_forbidden(network.addr());
        match networks.iter().find(is_useless) {
            Some(useless) => Err(*useless),
            None => Ok(Self(networks.into())),
        }
    }

    /// Whether an address may be probed.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let reaches = |network: &&IpNet| {
            network.contains(&address) && (!address.is_loopback() || network.addr().is_loopback())
        };
        !is_forbidden(address) && self.0.iter().any(|network| reaches(&network))
    }
}

fn is_forbidden(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address == Ipv4Addr::BROADCAST,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    is_link_local || address.is_multicast() || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(networks: &[&str], address: &str, expected: bool) {
        let networks = networks.iter().map(|text| text.parse().expect("a network"));
        let networks = Networks::new(networks.collect()).expect("networks to probe");
        let address = address.parse().expect("an address");
        assert_eq!(networks.holds(address), expected, "{address}");
    }

    #[test]
    fn what_is_listed_is_probed_but_for_what_never_is() {
        check(&["10.0.0.0/8"], "10.1.2.3", true);
        check(&["10.0.0.0/8"], "11.1.2.3", false);
        check(&["0.0.0.0/0"], "203.0.113.1", true);
        check(&["0.0.0.0/0", "::/0"], "127.0.0.1", false);
        check(&["0.0.0.0/0", "::/0"], "::1", false);
        check(&["0.0.0.0/0", "::/0"], "::ffff:127.0.0.1", false);
        check(&["127.0.0.0/8"], "127.0.0.1", true);
        check(&["127.0.3.0/24"], "127.0.3.9", true);
        check(&["::1/128"], "::1", true);
        check(&["0.0.0.0/0"], "169.254.169.254", false);
        check(&["0.0.0.0/0"], "224.0.0.1", false);
        check(&["0.0.0.0/0"], "0.0.0.0", false);
        check(&["0.0.0.0/0"], "255.255.255.255", false);
        check(&["::/0"], "fe80::1", false);
        check(&["::/0"], "ff02::1", false);
    }

    #[test]
    fn private_networks_are_probed_by_default() {
        let networks = Networks::default();
        let holds = |address: &str| networks.holds(address.parse().expect("an address"));
        assert!(holds("192.168.1.1") && holds("100.64.0.1") && holds("fd00::1"));
        assert!(!holds("8.8.8.8") && !holds("127.0.0.1") && !holds("2001:db8::1"));
    }

    #[test]
    fn a_network_that_is_never_probed_is_refused() {
        for network in [
            "169.254.0.0/16",
            "fe80::/10",
            "224.0.0.0/4",
            "ff00::/8",
            "0.0.0.0/32",
        ] {
            let network = network.parse().expect("a network");
            assert_eq!(Networks::new(vec![network]), Err(network));
        }
    }
}
