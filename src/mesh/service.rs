use std::{net::IpAddr, sync::Arc};

use super::labels::Labels;
use crate::{
    diagnostic::{ObjectKey, Origin},
    dns::Name,
    manifest::{Address, Resolution},
};

/// A ServiceEntry, as far as it decides what its hosts answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its kind, namespace and name.
    pub key: Arc<ObjectKey>,
    /// The hosts that it gives addresses to, each once; wildcards as `*.<name>`.
    pub hosts: Box<[Name]>,
    /// The single IPs of `spec.addresses`.
    pub addresses: Box<[IpAddr]>,
    /// How clients find the endpoints.
    pub resolution: Resolution,
    /// Where the endpoints come from.
    pub endpoints: Endpoints,
    /// Whether `exportTo` is `~` alone.
    pub hidden: bool,
    /// `metadata.creationTimestamp` in seconds since 1970, 0 without one.
    pub created: i64,
    /// Where it was read.
    pub origin: Origin,
}

/// Where a service's endpoints come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoints {
    /// Neither endpoints nor a selector.
    Neither,
    /// A list in the ServiceEntry itself.
    Inline(Box<[Address]>),
    /// The workloads of the same namespace that have all these labels.
    Selector(Labels),
}

impl Service {
    /// Sorts the oldest first, as Istio's `SortServicesByCreationTime` (`pilot/pkg/model/push_context.go`).
    pub fn age(&self) -> impl Ord + '_ {
        (self.created, &*self.key.namespace, &*self.key.name)
    }
}
