use std::{hash::BuildHasher, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;

use super::{
    labels::{Label, LabelTable, Labels},
    posting::Posting,
    service::Service,
};

/// The number of a selector in its namespace.
pub(super) type SelectorId = u32;

/// Selection never crosses a namespace, so each has an index of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespace {
    pub(super) labels: LabelTable,
    pub(super) selectors: Slab<Selector>,
    by_labels: HashTable<SelectorId>,
    hasher: RandomState,
}

/// One set of labels that services select by.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) labels: Labels,
    /// The one of its labels where it is looked for: a workload without that label can't be picked.
    anchor: Label,
    /// The services that select by it, in no order.
    pub(super) services: SmallVec<[Arc<Service>; 1]>,
    /// Whether what it picks changed since the mesh was last asked.
    pub(super) is_touched: bool,
}

impl Namespace {
    /// The selector with these labels.
    pub(super) fn find(&self, labels: &Labels) -> Option<SelectorId> {
        let is_it = |id: &SelectorId| self.selectors[*id as usize].labels == *labels;
        self.by_labels
            .find(self.hasher.hash_one(labels), is_it)
            .copied()
    }

    /// Makes a selector of `labels`, at least one. It has no service.
    pub(super) fn insert(&mut self, labels: &Labels) -> SelectorId {
        // Where the fewest selectors are looked for, the fewest workloads meet this one in vain.
        let anchor = labels
            .iter()
            .min_by_key(|label| {
                let held = self.labels.get(*label);
                (held.selectors.len(), held.workloads.len())
            })
            .expect("an empty selector picks nothing and is not indexed");
        let id = self.selectors.insert(Selector {
            labels: labels.clone(),
            anchor,
            services: SmallVec::new(),
            is_touched: false,
        });
        let id = SelectorId::try_from(id).expect("fewer than 2^32 values fit the memory");
        self.labels.held(anchor).selectors.push(id);
        let hash = self.hasher.hash_one(labels);
        self.by_labels.insert_unique(hash, id, |id| {
            self.hasher.hash_one(&self.selectors[*id as usize].labels)
        });
        id
    }

    /// Removes a selector.
    pub(super) fn remove(&mut self, id: SelectorId) -> Selector {
        let selector = self.selectors.remove(id as usize);
        let anchored = &mut self.labels.held(selector.anchor).selectors;
        anchored.retain(|other| *other != id);
        let hash = self.hasher.hash_one(&selector.labels);
        self.by_labels
            .find_entry(hash, |other| *other == id)
            .expect("a selector is found by its labels")
            .remove();
        selector
    }

    /// The selectors that pick a workload with these labels.
    pub(super) fn picking<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = SelectorId> {
        let anchored = labels
            .iter()
            .flat_map(|label| &self.labels.get(label).selectors);
        anchored
            .copied()
            .filter(|id| self.selectors[*id as usize].labels.is_subset_of(labels))
    }

    /// The fewest workloads that are sure to hold all that `selector` picks.
    pub(super) fn rarest(&self, selector: &Labels) -> Option<&Posting> {
        selector
            .iter()
            .map(|label| &self.labels.get(label).workloads)
            .min_by_key(|slots| slots.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.selectors.is_empty()
    }
}
