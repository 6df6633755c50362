//! What the objects mean.
//!
//! Owns the translation from manifests to [`Service`] and [`Workload`], which version of an object counts (two files may
//! claim it, its newest version may be broken: `ledger`), and the index that tells which hosts a change affects
//! (`index`). A change costs in proportion to what it touches, not to what is loaded.
//!
//! Never chooses an endpoint (that is `select`) and never reads a file or a clock.

mod index;
mod labels;
mod ledger;
mod service;
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

pub use labels::{Label, Labels};
pub use ledger::{FileChange, Kept, Reading};
pub use service::{Endpoints, Service};
pub use workload::{Exclusion, Workload};

use crate::{
    diagnostic::{Diagnostic, Kind, ObjectKey},
    dns::Name,
};

/// All objects of the mesh folders, indexed by what their changes affect.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    ledger: ledger::Ledger,
    index: index::Index,
}

/// An object, in the form that answers are made from.
#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Service(Arc<Service>),
    Workload(Arc<Workload>),
    /// A WorkloadGroup is a template and never an endpoint.
    Group,
}

/// What was touched by what [`Mesh::apply`] took in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Affected {
    /// The hosts that may answer otherwise than before and must be recompiled.
    pub hosts: BTreeSet<Name>,
    /// How many objects are served that were not before.
    pub added: usize,
    /// How many objects are served in another version than before.
    pub changed: usize,
    /// How many objects are no longer served.
    pub removed: usize,
}

/// How many workloads and inline endpoints are in which state, whichever host they serve.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EndpointCounts {
    /// Picked by a ServiceEntry, with an address, ready and healthy.
    pub selected: usize,
    /// Picked by a ServiceEntry, with an address, and not ready or not healthy.
    pub unready: usize,
    /// Picked by a ServiceEntry and never an answer as it is: terminating, finished, without an IP.
    pub excluded: usize,
    /// Picked by no ServiceEntry.
    pub unselected: usize,
}

impl Mesh {
    /// Takes in what changed in the files and adds to `affected` what that touches; `now` is remembered for objects whose
    /// newest version can't be used.
    pub fn apply(&mut self, changes: Vec<FileChange>, now: SystemTime, affected: &mut Affected) {
        for change in changes {
            for (key, before, after) in self.ledger.apply(change, now, &mut self.index.symbols) {
                match (&before, &after) {
                    (None, None) => continue,
                    (None, Some(_)) => affected.added += 1,
                    (Some(_), None) => affected.removed += 1,
                    (Some(_), Some(_)) => affected.changed += 1,
                }
                self.index.replace(&key, before, after, &mut affected.hosts);
            }
        }
    }

    /// The hosts of all ServiceEntries, hidden ones included, in canonical order.
    pub fn hosts(&self) -> Vec<&Name> {
        let mut hosts: Vec<_> = self.index.hosts().collect();
        hosts.sort_unstable();
        hosts
    }

    /// How many hosts there are, hidden ones included.
    pub fn host_count(&self) -> usize {
        self.index.hosts().len()
    }

    /// The ServiceEntries that have `host`, in no order.
    pub fn services_of(&self, host: &Name) -> &[Arc<Service>] {
        self.index.services_of(host)
    }

    /// The workloads of `namespace` that have every label of `selector`, in no order; none for an empty selector.
    pub fn selected<'a>(
        &'a self,
        namespace: &str,
        selector: &'a Labels,
    ) -> Box<dyn Iterator<Item = &'a Arc<Workload>> + 'a> {
        self.index.selected(namespace, selector)
    }

    /// Every Pod and WorkloadEntry that is served, in no order.
    pub fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.index.workloads()
    }

    /// A label set's texts.
    pub fn label_texts<'a>(&'a self, labels: &'a Labels) -> Vec<(&'a str, &'a str)> {
        self.index.symbols.texts(labels)
    }

    /// How many endpoints are in which state.
    pub fn endpoint_counts(&self) -> EndpointCounts {
        self.index.endpoint_counts()
    }

    /// How many objects of each kind are served.
    pub fn object_counts(&self) -> BTreeMap<Kind, usize> {
        self.ledger.object_counts()
    }

    /// How many objects of other kinds the files hold, by kind.
    pub fn ignored_counts(&self) -> BTreeMap<Box<str>, usize> {
        self.ledger.ignored_counts()
    }

    /// How many files are held.
    pub fn file_count(&self) -> usize {
        self.ledger.file_count()
    }

    /// The objects whose newest version can't be used, with the time since when an older one serves.
    pub fn kept(&self) -> Vec<Kept> {
        self.ledger.kept()
    }

    /// What is wrong with files and objects: what the manifests' reader said, objects that are claimed twice, and last
    /// good versions in service. Sorted by place.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.ledger.diagnostics()
    }
}

/// An object that changed: what was served before and what is served now.
type Replacement = (Arc<ObjectKey>, Option<Entry>, Option<Entry>);

#[cfg(test)]
mod tests;
