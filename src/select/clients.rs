//! What the configuration says of clients and endpoints by their networks.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

use crate::mesh::Locality;

/// What holds of everybody in a network, before what objects say of single addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientNetwork {
    /// Whose view of the mesh they have.
    pub namespace: Option<Arc<str>>,
    /// Where they are.
    pub locality: Option<Locality>,
    /// The same as it is written.
    pub locality_text: Option<Box<str>>,
}

/// Networks, of which the narrowest that holds an address says what holds of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientNetworks {
    /// Longer prefixes first, and within a length in order.
    networks: Vec<(IpNet, ClientNetwork)>,
}

impl ClientNetworks {
    /// Of networks that are there twice the first one counts.
    pub fn new(networks: impl IntoIterator<Item = (IpNet, ClientNetwork)>) -> Self {
        let truncated = networks
            .into_iter()
            .map(|(network, said)| (network.trunc(), said));
        let mut networks: Vec<_> = truncated.collect();
        networks.sort_by_key(|(network, _)| order(network));
        networks.dedup_by_key(|(network, _)| *network);
        Self { networks }
    }

    /// What is said of `address`; `None` where nothing is.
    pub fn of(&self, address: IpAddr) -> Option<&ClientNetwork> {
        let mut rest = &*self.networks;
        while let Some((first, _)) = rest.first() {
            let length = first.prefix_len();
            let (of_length, others) =
                rest.split_at(rest.partition_point(|(network, _)| network.prefix_len() >= length));
            rest = others;
            let Some(wanted) = IpNet::new(address, length)
                .ok()
                .map(|wanted| wanted.trunc())
            else {
                continue;
            };
            let found =
                of_length.binary_search_by_key(&order(&wanted), |(network, _)| order(network));
            if let Ok(place) = found {
                return Some(&of_length[place].1);
            }
        }
        None
    }
}

fn order(network: &IpNet) -> impl Ord + use<> {
    (std::cmp::Reverse(network.prefix_len()), network.addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_that_holds_an_address_counts() {
        let network = |text: &str| text.parse::<IpNet>().expect("a network");
        let of = |text: &str| ClientNetwork {
            locality_text: Some(text.into()),
            ..ClientNetwork::default()
        };
        let networks = ClientNetworks::new([
            (network("10.0.0.0/8"), of("wide")),
            (network("10.1.2.3/16"), of("narrow")),
            (network("10.1.7.7/32"), of("one")),
            (network("2001:db8::/32"), of("six")),
            (network("10.1.0.0/16"), of("later")),
        ]);
        for (address, expected) in [
            ("10.1.7.7", Some("one")),
            ("10.1.7.8", Some("narrow")),
            ("10.2.0.1", Some("wide")),
            ("2001:db8::1", Some("six")),
            ("192.0.2.1", None),
            ("2001:db9::1", None),
        ] {
            let address = address.parse().expect("an address");
            let text = networks
                .of(address)
                .and_then(|said| said.locality_text.as_deref());
            assert_eq!(text, expected, "{address}");
        }
    }
}
