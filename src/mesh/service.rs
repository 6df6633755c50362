use std::{net::IpAddr, sync::Arc};

use super::{
    addresses::Addresses,
    attributes::{Alike, Details},
    exclusion::Exclusion,
    labels::Labels,
    read_from::ReadFrom,
};
use crate::{
    diagnostic::{ObjectKey, Origin},
    dns::Name,
    manifest::{Attributes, Endpoint, Export, Notes, Resolution, ServicePort, TrafficNotes},
};

/// A ServiceEntry, as far as it decides what its hosts answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Its kind, namespace and name.
    pub key: ObjectKey,
    /// The hosts that it gives addresses to, each once; wildcards as `*.<name>`.
    pub hosts: Box<[Name]>,
    /// The single IPs of `spec.addresses`.
    pub addresses: Box<[IpAddr]>,
    /// How clients find the endpoints.
    pub resolution: Resolution,
    /// The ports, in the manifest's order. Of equal lists there is one copy.
    pub ports: Arc<[ServicePort]>,
    /// Where the endpoints come from.
    pub endpoints: Endpoints,
    /// What each inline endpoint says besides its address; empty where none says anything.
    pub(super) details: Box<[Option<Arc<Details>>]>,
    /// Who may see the hosts.
    pub export: Export,
    /// What is noted of the inline endpoints.
    pub notes: Option<Box<Notes>>,
    /// What its annotations ask of the answers of its hosts.
    pub traffic: Option<Box<TrafficNotes>>,
    /// `metadata.creationTimestamp` in seconds since 1970, 0 without one.
    pub created: i64,
    /// What it was read from.
    pub read_from: ReadFrom,
}

/// Where a service's endpoints come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoints {
    /// Neither endpoints nor a selector.
    Neither,
    /// A list in the ServiceEntry itself.
    Inline(Box<[InlineEndpoint]>),
    /// The workloads of the same namespace that have all these labels.
    Selector(Labels),
}

/// An endpoint that stands in the ServiceEntry itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InlineEndpoint {
    /// An address.
    Ip(IpAddr),
    /// A name, whose addresses stand elsewhere.
    Name(Box<Name>),
    /// Something that can't be answered, and why.
    Other(Exclusion),
}

impl Service {
    /// Where it was read, as it is shown.
    pub fn origin(&self) -> Origin {
        self.read_from.origin_of(&self.key)
    }

    /// Whether `exportTo` keeps the hosts from everyone.
    pub fn is_hidden(&self) -> bool {
        self.export == Export::Nobody
    }

    /// Sorts the oldest first, as Istio's `SortServicesByCreationTime` (`pilot/pkg/model/push_context.go`); one that is in
    /// several clusters by their names.
    pub fn age(&self) -> impl Ord + '_ {
        let cluster = self.read_from.cluster();
        (self.created, &*self.key.namespace, &*self.key.name, cluster)
    }

    /// Whether it is exported to everyone.
    pub fn is_public(&self) -> bool {
        self.export == Export::Everyone
    }

    /// Whether its hosts are there for clients of `namespace`, for whom none is known where that is `None`.
    pub fn is_seen_by(&self, namespace: Option<&str>) -> bool {
        match &self.export {
            Export::Everyone => true,
            Export::Some(namespaces) => namespace
                .is_some_and(|namespace| namespaces.iter().any(|known| **known == *namespace)),
            Export::Nobody => false,
        }
    }

    /// The namespaces that it is exported to, where it is not to everyone.
    pub fn exported_to(&self) -> &[Box<str>] {
        match &self.export {
            Export::Some(namespaces) => namespaces,
            Export::Everyone | Export::Nobody => &[],
        }
    }

    /// The labels that it selects by; `None` where it does not select, or selects nobody.
    pub fn selector(&self) -> Option<&Labels> {
        match &self.endpoints {
            Endpoints::Selector(labels) if !labels.is_empty() => Some(labels),
            _ => None,
        }
    }

    /// Whether names may stand for endpoints: other resolutions pass them over (Istio's
    /// `convertWorkloadEntryToWorkloadInstance`).
    pub fn takes_names(&self) -> bool {
        matches!(self.resolution, Resolution::Dns | Resolution::DnsRoundRobin)
    }

    /// Whether it has addresses that clients reach, and not virtual ones for proxies: resolution `DNS` and its like look the
    /// host up, whatever they are.
    pub fn has_real_addresses(&self) -> bool {
        !self.addresses.is_empty()
            && matches!(self.resolution, Resolution::Static | Resolution::None)
    }

    /// What the inline endpoint with this index says of itself.
    pub fn attributes_of(&self, place: usize) -> &Attributes {
        self.details_of(place)
            .map_or(Attributes::plain(), |details| &details.attributes)
    }

    /// The value of a label of the inline endpoint with this index.
    pub fn label_of(&self, place: usize, key: &str) -> Option<&str> {
        self.details_of(place)?.labels.get(key)
    }

    /// What the inline endpoint with this index says besides its address, where it says anything.
    pub(super) fn details_of(&self, place: usize) -> Option<&Details> {
        self.details.get(place)?.as_deref()
    }

    /// The inline endpoints that are names.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        let endpoints = match &self.endpoints {
            Endpoints::Inline(endpoints) => &**endpoints,
            Endpoints::Neither | Endpoints::Selector(_) => &[],
        };
        endpoints.iter().filter_map(|endpoint| match endpoint {
            InlineEndpoint::Name(name) => Some(&**name),
            InlineEndpoint::Ip(_) | InlineEndpoint::Other(_) => None,
        })
    }
}

impl Endpoints {
    /// Inline endpoints, and what each says besides its address.
    pub(super) fn inline(
        endpoints: Vec<Endpoint>,
        alike: &mut Alike,
    ) -> (Self, Box<[Option<Arc<Details>>]>) {
        let mut inline = Vec::with_capacity(endpoints.len());
        let mut details = Vec::new();
        for (place, endpoint) in endpoints.into_iter().enumerate() {
            let Endpoint {
                address,
                labels,
                attributes,
            } = endpoint;
            inline.push(match Addresses::from(&address) {
                Addresses::One(ip) => InlineEndpoint::Ip(ip),
                Addresses::Name(name) => InlineEndpoint::Name(name),
                Addresses::Other(_) => InlineEndpoint::Other(Exclusion::NotAnAddress(address)),
            });
            let of_endpoint = alike.details(Details { attributes, labels });
            if of_endpoint.is_some() {
                details.resize(place, None);
                details.push(of_endpoint);
            }
        }
        (Self::Inline(inline.into()), details.into())
    }
}
