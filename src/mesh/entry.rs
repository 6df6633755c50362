use std::sync::Arc;

use super::{labels::Labels, service::Service, workload::Workload};
use crate::diagnostic::{ObjectKey, Origin};

/// An object, in the form that answers are made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    Service(Arc<Service>),
    Workload(Arc<Workload>),
    /// A WorkloadGroup is a template and never an endpoint.
    Group(Arc<(ObjectKey, Origin)>),
}

impl Entry {
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
