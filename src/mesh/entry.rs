use std::sync::Arc;

use super::{
    index::Index,
    labels::Labels,
    service::{Endpoints, Service},
    workload::{self, Addresses, Workload},
};
use crate::{
    diagnostic::{ObjectKey, Origin},
    manifest::{EndpointSource, Metadata, Object},
};

/// An object, in the form that answers are made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    Service(Arc<Service>),
    Workload(Arc<Workload>),
    /// A WorkloadGroup is a template and never an endpoint.
    Group(Arc<(ObjectKey, Origin)>),
}

impl Entry {
    /// Translates a manifest. Its labels are acquired: the entry has to be [released](Index::release).
    pub(super) fn new(object: Object, origin: Origin, index: &mut Index) -> Self {
        let kind = object.kind();
        let key = |metadata: Metadata, index: &mut Index| ObjectKey {
            kind,
            namespace: index.share(&metadata.namespace),
            // The reader's own: texts of this size are nearly all kept, and so none of them keeps a page in use for little.
            name: metadata.name,
        };
        match object {
            Object::ServiceEntry(entry) => {
                let mut hosts = entry.hosts;
                hosts.sort_unstable();
                hosts.dedup();
                let created = entry.metadata.created;
                let key = key(entry.metadata, index);
                let endpoints = match entry.endpoints {
                    EndpointSource::Neither => Endpoints::Neither,
                    EndpointSource::Inline(addresses) => Endpoints::inline(addresses),
                    EndpointSource::Selector(labels) => {
                        Endpoints::Selector(index.acquire(&key.namespace, &labels))
                    }
                };
                Self::Service(Arc::new(Service {
                    key,
                    hosts: hosts.into(),
                    addresses: entry.addresses.into(),
                    resolution: entry.resolution,
                    endpoints,
                    export: entry.export,
                    created,
                    origin,
                }))
            }
            Object::WorkloadEntry(entry) => {
                let excluded = workload::workload_entry_exclusion(&entry).map(Box::new);
                let key = key(entry.metadata, index);
                Self::Workload(Arc::new(Workload {
                    labels: index.acquire(&key.namespace, &entry.labels),
                    key,
                    excluded,
                    addresses: Addresses::from(&entry.address),
                    origin,
                }))
            }
            Object::Pod(pod) => {
                let excluded = workload::pod_exclusion(&pod).map(Box::new);
                let key = key(pod.metadata, index);
                Self::Workload(Arc::new(Workload {
                    labels: index.acquire(&key.namespace, &pod.labels),
                    key,
                    excluded,
                    addresses: pod.addresses.into(),
                    origin,
                }))
            }
            Object::WorkloadGroup(metadata) => {
                Self::Group(Arc::new((key(metadata, index), origin)))
            }
        }
    }

    pub(super) fn key(&self) -> &ObjectKey {
        match self {
            Self::Service(service) => &service.key,
            Self::Workload(workload) => &workload.key,
            Self::Group(group) => &group.0,
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::Service(service) => &service.origin,
            Self::Workload(workload) => &workload.origin,
            Self::Group(group) => &group.1,
        }
    }

    /// The labels that it has or selects by.
    pub(super) fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Service(service) => service.selector(),
            Self::Workload(workload) => Some(&workload.labels),
            Self::Group(_) => None,
        }
    }
}
