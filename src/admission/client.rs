use std::net::{IpAddr, Ipv6Addr};

/// Whoever is counted as one client: an IPv4 address, or an IPv6 network of 64 bits.
///
/// A machine has a whole such network to itself, as a rule
/// ([RFC 6177](https://www.rfc-editor.org/rfc/rfc6177)), and may use another address of it for each connection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Client(IpAddr);

/// The part of an IPv6 address that says which network it is in.
const NETWORK: u128 = !0 << 64;

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, are_one: bool) {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(client(one) == client(other), are_one, "{one} {other}");
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_are_one_client() {
        check("2001:db8::1", "2001:db8::ffff:0:0:2", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
    }
}
