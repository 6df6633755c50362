//! What a host answers besides addresses, held so that a host which says nothing more costs nothing, and one with ports a number.
//!
//! Names and records of single endpoints are made when they are asked for ([`made`](super::made)): here stand the service's ports,
//! of which there is one copy for all services with the same ones, and what endpoints have of their own, where they have
//! something. Texts and their like are few, and are held as a message has them.

use std::{net::IpAddr, sync::Arc};

use super::texts::Texts;
use crate::{
    dns::Name,
    manifest::{ServicePort, Transport},
    mesh::Locality,
    select,
};

/// In the place of an endpoint's second address where there is none.
pub(super) const NONE: u32 = u32::MAX;

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
    pub(super) port_maps: Box<[select::PortMap]>,
    /// Where endpoints are, each place once; none where that is all the same to clients.
    pub(super) localities: Box<[Option<Locality>]>,
    /// Whether each address is an endpoint like the others: then none of them is told.
    pub(super) are_alike: bool,
    /// Those that are addresses, in the order of the addresses.
    pub(super) each: Box<[Each]>,
    /// Those that are names.
    pub(super) named: Box<[Named]>,
}

/// An endpoint that has addresses.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Each {
    /// Which of the host's addresses it has, and an IPv6 address beside an IPv4 one.
    pub(super) at: u32,
    pub(super) also_at: u32,
    pub(super) said: Said,
}

/// An endpoint that is a name.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Named {
    pub(super) name: Name,
    pub(super) said: Said,
}

/// What is said of an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) weight: u16,
    /// Which of the places it is at.
    pub(super) locality: u16,
    /// Which of the lists of ports it has.
    pub(super) ports: u16,
}

impl Targets {
    /// Packs the endpoints of a host with these addresses, in their order; `None` where they differ in nothing else.
    pub(super) fn pack(targets: &select::Targets, addresses: &[IpAddr]) -> Option<Self> {
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
