//! A host's endpoints, read from its addresses and from what they have of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    octets::{V4_LEN, V6_LEN},
    records::RRsets,
    services::{NONE, Said, Services, Targets},
};
use crate::{dns::Name, manifest::ServicePort, mesh::Locality, select};

/// A host's endpoints, as a snapshot holds them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoints<'s> {
    pub(super) v4_count: usize,
    pub(super) octets: &'s [u8],
    pub(super) targets: Option<&'s Targets>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint<'s> {
    pub(super) at: EndpointAt<'s>,
    pub(super) locality: Option<Locality>,
    pub(super) weight: u16,
    ports: &'s [(Box<str>, u16)],
}

/// Where it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndpointAt<'s> {
    /// Its first address, and an IPv6 address beside an IPv4 one.
    Address(IpAddr, Option<IpAddr>),
    /// A name that others have the addresses of.
    Name(&'s Name),
}

impl<'s> Endpoints<'s> {
    /// Those of the host that answers with `records` and `services`.
    pub(super) fn of(records: RRsets<'s>, services: Option<&'s Services>) -> Self {
        Self {
            v4_count: records.v4_bytes / V4_LEN,
            octets: records.octets.as_slice(),
            targets: services.and_then(|services| services.targets.as_deref()),
        }
    }

    /// Whether clients near to some of them are to try those before others.
    pub(super) fn have_places(self) -> bool {
        let places = self.targets.map(|targets| &targets.localities);
        places.is_some_and(|places| !places.is_empty())
    }

    /// Whether each address is one endpoint, and none is a name.
    pub(super) fn are_distinct(self) -> bool {
        self.targets.is_none_or(|targets| targets.are_alike)
    }

    /// How many there are.
    pub(super) fn len(self) -> usize {
        match self.targets {
            Some(targets) if !targets.are_alike => targets.each.len() + targets.named.len(),
            _ => self.address_count(),
        }
    }

    fn address_count(self) -> usize {
        self.v4_count + (self.octets.len() - self.v4_count * V4_LEN) / V6_LEN
    }

    /// The one with this number, below [`Endpoints::len`].
    pub(super) fn get(self, number: usize) -> Endpoint<'s> {
        let alike = |ports| Endpoint {
            at: EndpointAt::Address(self.address(number), None),
            locality: None,
            weight: select::MAX_WEIGHT,
            ports,
        };
        let Some(targets) = self.targets else {
            return alike(&[]);
        };
        let ports = |number: usize| targets.port_maps.get(number).map_or(&[][..], |ports| ports);
        let endpoint = |at, said: Said| Endpoint {
            at,
            locality: targets
                .localities
                .get(usize::from(said.locality))
                .copied()
                .flatten(),
            weight: said.weight,
            ports: ports(said.ports.into()),
        };
        if targets.are_alike {
            return alike(ports(0));
        }
        if let Some(each) = targets.each.get(number) {
            let also_at = (each.also_at != NONE).then(|| self.address(each.also_at as usize));
            let at = EndpointAt::Address(self.address(each.at as usize), also_at);
            return endpoint(at, each.said);
        }
        let named = &targets.named[number - targets.each.len()];
        endpoint(EndpointAt::Name(&named.name), named.said)
    }

    /// The address with this number, IPv4 first, ascending.
    fn address(self, number: usize) -> IpAddr {
        let (v4, v6) = self.octets.split_at(self.v4_count * V4_LEN);
        match v4.as_chunks::<V4_LEN>().0.get(number) {
            Some(octets) => Ipv4Addr::from(*octets).into(),
            None => Ipv6Addr::from(v6.as_chunks::<V6_LEN>().0[number - self.v4_count]).into(),
        }
    }

    /// The number of `address` among the host's.
    pub(super) fn place_of(self, address: IpAddr) -> Option<usize> {
        let (v4, v6) = self.octets.split_at(self.v4_count * V4_LEN);
        match address {
            IpAddr::V4(address) => {
                let addresses = v4.as_chunks::<V4_LEN>().0;
                addresses.binary_search(&address.octets()).ok()
            }
            IpAddr::V6(address) => {
                let addresses = v6.as_chunks::<V6_LEN>().0;
                let place = addresses.binary_search(&address.octets()).ok()?;
                Some(self.v4_count + place)
            }
        }
    }

    /// The number of the address that the endpoint which is named after `address` has in the family of IPv4 or IPv6.
    pub(super) fn place_beside(self, address: IpAddr, is_v4: bool) -> Option<usize> {
        let place = self.place_of(address)?;
        if address.is_ipv4() == is_v4 {
            return Some(place);
        }
        let each = &self.targets?.each;
        let first = each.partition_point(|each| (each.at as usize) < place);
        let mut of_address = each[first..]
            .iter()
            .take_while(|each| each.at as usize == place);
        let beside = of_address.find(|each| each.also_at != NONE)?;
        Some(beside.also_at as usize)
    }
}

impl EndpointAt<'_> {
    /// Its own addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (first, second) = match self {
            Self::Address(address, beside) => (Some(*address), *beside),
            Self::Name(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl Endpoint<'_> {
    /// Its port for a port of the service: its own, else the service's target port, else its number
    /// (Istio's `convertEndpoint`, `serviceentry/conversion.go`).
    pub(super) fn port(&self, port: &ServicePort) -> u16 {
        let own = self.ports.iter().find(|(name, _)| **name == *port.name);
        own.map_or(port.target.unwrap_or(port.number), |(_, port)| *port)
    }
}
