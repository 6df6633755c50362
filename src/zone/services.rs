//! What a host answers besides addresses, held so that a host which says nothing more costs nothing, and one with ports a number.
//!
//! Names and records of single endpoints are made when they are asked for ([`made`](super::made)): here stand the service's ports,
//! of which there is one copy for all services with the same ones, and what endpoints have of their own, where they have
//! something. Texts and their like are few, and are held as a message has them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{
    HostRecords,
    octets::{V4_LEN, V6_LEN},
    records::RRsets,
    texts::Texts,
};
use crate::{
    dns::Name,
    manifest::{ServicePort, Transport},
    mesh::Locality,
    select,
};

/// In the place of an endpoint's second address where there is none.
const NONE: u32 = u32::MAX;

/// What a host answers besides addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Services {
    /// The service's ports; `None` without any.
    pub(super) ports: Option<Arc<[ServicePort]>>,
    /// The endpoints, where they differ in more than their addresses.
    pub(super) targets: Option<Arc<Targets>>,
    /// What is held as a message has it.
    pub(super) texts: Option<Arc<Texts>>,
}

impl Services {
    /// Whether that is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.ports.is_none() && self.targets.is_none() && self.texts.is_none()
    }

    /// Whether both are the same copies.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        fn is_same<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            match (one, other) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (one, other) => one.is_none() && other.is_none(),
            }
        }
        is_same(self.ports.as_ref(), other.ports.as_ref())
            && is_same(self.targets.as_ref(), other.targets.as_ref())
            && is_same(self.texts.as_ref(), other.texts.as_ref())
    }

    /// The ports of a transport.
    pub(super) fn ports_of(
        &self,
        transport: Transport,
    ) -> impl Iterator<Item = &ServicePort> + use<'_> {
        let ports = self.ports.as_deref().unwrap_or_default().iter();
        ports.filter(move |port| port.transport == transport)
    }
}

/// A host's endpoints where they differ in more than their addresses.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Targets {
    /// The ports that endpoints have of their own, each list once.
    port_maps: Box<[select::PortMap]>,
    /// Where endpoints are, each place once; none where that is all the same to clients.
    localities: Box<[Option<Locality>]>,
    /// Whether each address is an endpoint like the others: then none of them is told.
    are_alike: bool,
    /// Those that are addresses, in the order of the addresses.
    each: Box<[Each]>,
    /// Those that are names.
    named: Box<[Named]>,
}

/// An endpoint that has addresses.
#[derive(Debug, Eq, PartialEq)]
struct Each {
    /// Which of the host's addresses it has, and an IPv6 address beside an IPv4 one.
    at: u32,
    also_at: u32,
    said: Said,
}

/// An endpoint that is a name.
#[derive(Debug, Eq, PartialEq)]
struct Named {
    name: Name,
    said: Said,
}

/// What is said of an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Said {
    weight: u16,
    /// Which of the places it is at.
    locality: u16,
    /// Which of the lists of ports it has.
    ports: u16,
}

impl Targets {
    /// Packs the endpoints of a host with these addresses; `None` where they differ in nothing else.
    pub(super) fn pack(targets: &select::Targets, records: &HostRecords) -> Option<Self> {
        let addresses: Vec<IpAddr> = records.rrsets().addresses().collect();
        let place = |address: IpAddr| {
            let place = addresses.binary_search(&address).ok()?;
            u32::try_from(place).ok()
        };
        let mut localities: Vec<_> = targets.each.iter().map(|target| target.locality).collect();
        localities.sort_unstable();
        localities.dedup();
        let (mut each, mut named) = (Vec::new(), Vec::new());
        for target in &targets.each {
            let locality = localities.binary_search(&target.locality).unwrap_or(0);
            let said = Said {
                weight: target.weight,
                // What is beyond that many is nobody's.
                locality: u16::try_from(locality).unwrap_or(u16::MAX),
                ports: u16::try_from(target.ports).unwrap_or(u16::MAX),
            };
            match &target.at {
                select::TargetAt::Name(name) => named.push(Named {
                    name: name.clone(),
                    said,
                }),
                select::TargetAt::Address(at, also_at) => {
                    let Some(at) = place(*at) else { continue };
                    let also_at = also_at.and_then(place).unwrap_or(NONE);
                    each.push(Each { at, also_at, said });
                }
            }
        }
        each.sort_by_key(|each| each.at);
        let are_alike = each.len() == addresses.len()
            && named.is_empty()
            && (0..).zip(&each).all(|(place, one)| {
                one.at == place && one.also_at == NONE && one.said == each[0].said
            });
        let has_ports = targets.port_maps.iter().any(|ports| !ports.is_empty());
        if are_alike && !has_ports {
            return None;
        }
        Some(Self {
            port_maps: targets.port_maps.clone().into(),
            localities: if !are_alike && localities.iter().any(Option::is_some) {
                localities.into()
            } else {
                Box::default()
            },
            are_alike,
            each: if are_alike {
                Box::default()
            } else {
                each.into()
            },
            named: named.into(),
        })
    }
}

/// A host's endpoints, as a snapshot holds them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoints<'s> {
    v4_count: usize,
    octets: &'s [u8],
    targets: Option<&'s Targets>,
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

impl Endpoint<'_> {
    /// Its port for a port of the service: its own, else the service's target port, else its number
    /// (Istio's `convertEndpoint`, `serviceentry/conversion.go`).
    pub(super) fn port(&self, port: &ServicePort) -> u16 {
        let own = self.ports.iter().find(|(name, _)| **name == *port.name);
        own.map_or(port.target.unwrap_or(port.number), |(_, port)| *port)
    }
}
