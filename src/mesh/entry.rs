use std::sync::Arc;

use super::{
    attributes::Alike, exclusion::Exclusion, labels::Labels, locality::Locality,
    read_from::ReadFrom, service::Service, workload::Workload,
};
use crate::{
    diagnostic::{ObjectKey, Origin},
    manifest::{LabelMap, Probe, TrafficNotes},
};

/// An object, in the form that answers are made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    Service(Arc<Service>),
    Workload(Arc<Workload>),
    Group(Arc<Group>),
    Node(Arc<Node>),
}

/// A WorkloadGroup: a template, never an endpoint, and the probe of its members.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Group {
    pub(super) key: ObjectKey,
    pub(super) read_from: ReadFrom,
    /// The labels of its members.
    pub(super) labels: LabelMap,
    pub(super) probe: Option<Arc<Probe>>,
}

/// A Node: where the Pods on it are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Node {
    pub(super) key: ObjectKey,
    pub(super) read_from: ReadFrom,
    /// Where it is, as far as its labels say.
    pub(super) place: Option<Place>,
}

/// Where a Node is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) locality: Locality,
    /// The same as it is written.
    pub(super) text: Box<str>,
}

impl Place {
    /// What a Node's labels say.
    pub(super) fn of_node(labels: &LabelMap) -> Option<Self> {
        let value_of = |key: &str| labels.get(key);
        Some(Self {
            locality: Locality::of_vm(value_of)?,
            text: Locality::text_of(false, value_of)?.into(),
        })
    }
}

impl Entry {
    /// Takes what `before`, which the object said before, has of annotations that can't be read. Nothing else may hold the entry.
    pub(super) fn keep_unreadable(&mut self, before: &Self, alike: &mut Alike) {
        match (self, before) {
            (Self::Service(service), Self::Service(before)) => {
                let service = Arc::get_mut(service);
                let traffic = service.and_then(|service| service.traffic.as_mut());
                if let (Some(traffic), Some(before)) = (traffic, &before.traffic) {
                    traffic.keep_unreadable(before);
                }
            }
            (Self::Workload(workload), Self::Workload(before)) => {
                if let Some(workload) = Arc::get_mut(workload) {
                    let said = workload.statement.as_deref().cloned();
                    let said = said.unwrap_or_default();
                    workload.statement = alike.statement(said, before.attributes());
                }
            }
            _ => {}
        }
    }

    /// Whoever may ask from its addresses: a Pod that has finished asks nothing, and its address may be another's by now.
    pub(super) fn resident(&self) -> Option<&Workload> {
        match self {
            Self::Workload(workload)
                if !matches!(workload.excluded(), Some(Exclusion::PodFinished(_))) =>
            {
                Some(workload)
            }
            _ => None,
        }
    }

    /// Whether it asks for endpoints near to the client.
    pub(super) fn prefers_near(&self) -> bool {
        match self {
            Self::Service(service) => service
                .traffic
                .as_deref()
                .is_some_and(TrafficNotes::prefers_near),
            Self::Workload(_) | Self::Group(_) | Self::Node(_) => false,
        }
    }

    pub(super) fn key(&self) -> &ObjectKey {
        match self {
            Self::Service(service) => &service.key,
            Self::Workload(workload) => &workload.key,
            Self::Group(group) => &group.key,
            Self::Node(node) => &node.key,
        }
    }

    pub(super) fn read_from(&self) -> &ReadFrom {
        match self {
            Self::Service(service) => &service.read_from,
            Self::Workload(workload) => &workload.read_from,
            Self::Group(group) => &group.read_from,
            Self::Node(node) => &node.read_from,
        }
    }

    /// Where it was read, as it is shown.
    pub(super) fn origin(&self) -> Origin {
        self.read_from().origin_of(self.key())
    }

    /// The document that it stands in; 0 in a cluster.
    pub(super) fn document(&self) -> u32 {
        self.read_from().file().map_or(0, |place| place.document)
    }

    /// The labels that it has or selects by.
    pub(super) fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Service(service) => service.selector(),
            Self::Workload(workload) => Some(&workload.labels),
            Self::Group(_) | Self::Node(_) => None,
        }
    }
}
