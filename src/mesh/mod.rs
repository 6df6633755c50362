//! What the objects mean.
//!
//! Owns the translation from manifests to [`Service`] and [`Workload`], which version of an object counts (two files may
//! claim it, a cluster may have it too, its newest version may be broken: `ledger`), and the index that tells which hosts a change affects
//! (`index`). A change costs in proportion to what it touches, not to what is loaded.
//!
//! Never chooses an endpoint (that is `select`) and never reads a file or a clock.

mod addresses;
mod affected;
mod attributes;
mod census;
mod change;
mod claims;
mod differences;
mod entry;
mod exclusion;
mod forwarders;
mod half_hash;
mod index;
mod labels;
mod ledger;
mod lists;
mod locality;
mod manifests;
mod namespace;
mod namespaces;
mod news;
mod objects;
mod posting;
mod read_from;
mod residents;
mod resolved;
mod revision;
mod service;
mod slot;
mod statement;
mod translate;
mod unjudged;
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::SystemTime,
};

pub use addresses::Addresses;
pub use affected::Affected;
use affected::Tally;
pub use census::EndpointCounts;
pub(crate) use census::{EndpointState, States};
pub use change::{
    Change, ClusterChange, ClusterEvent, FileChange, Kept, KeptCounts, ListScope, Reading,
};
pub use differences::{ObjectChange, Touches, scope};
use entry::Entry;
pub use exclusion::Exclusion;
pub use labels::{Label, Labels};
pub use locality::Locality;
pub use news::News;
pub use read_from::ReadFrom;
pub use residents::{Resident, Residents};
pub use resolved::{ResolvedName, ResolvedNames};
pub use service::{Endpoints, InlineEndpoint, Service};
pub(crate) use slot::Slot;
pub use statement::Statement;
pub(crate) use unjudged::HadPlace;
pub use workload::Workload;

pub use crate::manifest::{Attributes, ServicePort, Transport};
use crate::{
    diagnostic::{Cluster, Diagnostic, Kind, ObjectKey, Severity, code},
    dns::Name,
    manifest::{LabelMap, Probe},
};

/// All objects of files and clusters, indexed by what their changes affect.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    ledger: ledger::Ledger,
    index: index::Index,
    tally: Tally,
}

/// An object that has endpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EndpointHolder<'m> {
    /// A workload, and whether a selector picks it.
    Workload {
        workload: &'m Arc<Workload>,
        is_picked: bool,
    },
    /// A ServiceEntry with inline endpoints, or none.
    Service(&'m Arc<Service>),
}

impl<'m> EndpointHolder<'m> {
    /// The cluster that it was read from, where it was.
    pub(crate) fn cluster(&self) -> Option<&'m Cluster> {
        match *self {
            Self::Workload { workload, .. } => workload.read_from.cluster(),
            Self::Service(service) => service.read_from.cluster(),
        }
    }
}

/// Why nobody knows the addresses of an endpoint that is a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unresolvable {
    /// It is none of ours, and no upstream is asked for it.
    NoUpstream,
    /// It is in a declared zone, in which no host has it.
    NoSuchHost,
}

impl Mesh {
    /// Takes in what changed in files and clusters; `now` is remembered for objects whose newest version can't be used.
    pub fn apply(&mut self, changes: impl IntoIterator<Item: Into<Change>>, now: SystemTime) {
        let Self {
            ledger,
            index,
            tally,
        } = self;
        for change in changes {
            match change.into() {
                Change::File(change) => ledger.apply(change, now, index, tally),
                Change::Cluster(change) => {
                    let mut context = ledger::Context {
                        now,
                        index: &mut *index,
                        tally: &mut *tally,
                    };
                    ledger.apply_cluster(change, &mut context);
                }
            }
        }
    }

    /// Notes that answers are made from the mesh: from now on nothing of a list of a cluster counts before it ends, even where
    /// nothing of its scope was known before.
    pub fn begin_serving(&mut self) {
        self.ledger.begin_serving();
    }

    /// Whether a list that began before [`Mesh::begin_serving`] is half taken in.
    pub fn has_half_a_list(&self) -> bool {
        self.ledger.has_half_a_list()
    }

    /// Whether anything is served or said otherwise than when that was last taken.
    pub fn has_changed(&self) -> bool {
        let Tally {
            added,
            changed,
            removed,
        } = self.tally;
        added + changed + removed > 0 || self.ledger.has_news()
    }

    /// What was affected since the last call.
    pub fn take_affected(&mut self) -> Affected {
        let Tally {
            added,
            changed,
            removed,
        } = std::mem::take(&mut self.tally);
        Affected {
            added,
            changed,
            removed,
            ..self.index.take_affected()
        }
    }

    /// From now on it is noted what becomes otherwise of objects.
    pub fn follow_differences(&mut self) {
        self.index.differences().follow();
    }

    /// What became otherwise of objects since the last call, from [`Mesh::follow_differences`] on; of very many the first.
    pub fn take_differences(&mut self) -> Vec<ObjectChange> {
        self.index.differences().take()
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
    pub(crate) fn selected<'a>(
        &'a self,
        namespace: &str,
        selector: &'a Labels,
    ) -> impl Iterator<Item = (Slot, &'a Arc<Workload>)> + use<'a> {
        self.index
            .selected(namespace, selector, self.ledger.objects())
    }

    /// Every Pod and WorkloadEntry that is served, in no order.
    pub fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> {
        let workloads = self.ledger.objects().workloads();
        let served = workloads.filter(|(slot, _)| self.ledger.is_served(*slot));
        served.map(|(_, workload)| workload)
    }

    /// The texts of a label set of an object of `namespace`, in the order of the keys.
    pub fn label_texts<'a>(
        &'a self,
        namespace: &str,
        labels: &'a Labels,
    ) -> Vec<(&'a str, &'a str)> {
        self.index.texts(namespace, labels)
    }

    /// The addresses of the Pods that ask for others, by their labels: CoreDNS and its caches on the nodes. Ascending, once each.
    pub fn forwarders(&self) -> Vec<IpAddr> {
        self.index.forwarders().addresses().collect()
    }

    /// Whether [`Mesh::forwarders`] are others than when that was last asked.
    pub fn take_forwarders_changed(&mut self) -> bool {
        self.index.take_forwarders_changed()
    }

    /// Whether a ServiceEntry asks for endpoints near to the client: who asks then matters by its address.
    pub fn prefers_near(&self) -> bool {
        self.index.prefers_near()
    }

    /// From now on it is known who has which address, or not any more.
    pub fn follow_residents(&mut self, follows: bool) {
        if follows == self.index.residents().is_some() {
            return;
        }
        self.index.follow_residents(follows);
        if follows {
            let workloads = self.ledger.objects().iter();
            for (slot, entry) in workloads {
                if self.ledger.is_served(slot) {
                    self.index.note_residents(None, Some(entry));
                }
            }
        }
    }

    /// Who has which address, where that is followed.
    pub fn residents(&self) -> Option<&Residents> {
        self.index.residents()
    }

    /// Whether [`Mesh::residents`] are others than when that was last asked.
    pub fn take_residents_changed(&mut self) -> bool {
        self.index.take_residents_changed()
    }

    /// Notes that the Pods on Nodes that are elsewhere than at the last call may answer otherwise, where that matters.
    pub fn settle_nodes(&mut self) {
        let changed = self.index.take_changed_nodes();
        if changed.is_empty() || self.index.residents().is_none() {
            return;
        }
        for (slot, workload) in self.ledger.objects().workloads() {
            if self.ledger.is_served(slot) && self.index.is_on(workload, &changed) {
                self.index.touch_entry(self.ledger.objects().get(slot));
            }
        }
    }

    /// Where the labels of a workload, or of the Node that it is on, say that it is.
    pub fn locality_of(&self, workload: &Workload) -> Option<Locality> {
        self.index.locality_of(workload)
    }

    /// The same, as it is written in a locality.
    pub fn locality_text_of(&self, workload: &Workload) -> Option<String> {
        self.index.locality_text_of(workload)
    }

    /// From now on every object is noted whose endpoints may be judged otherwise, or only those that are noted on.
    pub(crate) fn follow_all(&mut self, follows_all: bool) {
        self.index.unjudged().follow_all(follows_all);
    }

    /// The objects whose endpoints may be judged otherwise than at the last call, some twice, and the WorkloadGroups that changed.
    pub(crate) fn take_unjudged(&mut self) -> (Vec<(Slot, HadPlace)>, Vec<ObjectKey>) {
        self.index.unjudged().take()
    }

    /// The object with this number, where it is served and has endpoints.
    pub(crate) fn holder(&self, slot: Slot) -> Option<EndpointHolder<'_>> {
        if !self.ledger.is_served(slot) {
            return None;
        }
        match self.ledger.objects().get(slot) {
            Entry::Workload(workload) => Some(EndpointHolder::Workload {
                workload,
                is_picked: self.index.is_picked(slot),
            }),
            Entry::Service(service) => Some(EndpointHolder::Service(service)),
            Entry::Group(_) | Entry::Node(_) => None,
        }
    }

    /// The numbers of all objects that are served and have endpoints, in no order.
    pub(crate) fn holders(&self) -> Vec<Slot> {
        let objects = self.ledger.objects().iter();
        let holders = objects.filter(|(slot, entry)| {
            !matches!(entry, Entry::Group(_) | Entry::Node(_)) && self.ledger.is_served(*slot)
        });
        holders.map(|(slot, _)| slot).collect()
    }

    /// The number of a ServiceEntry that is served.
    pub(crate) fn slot_of(&self, service: &Service) -> Option<Slot> {
        let cluster = service.read_from.cluster();
        self.ledger.objects().number_of(&service.key, cluster)
    }

    /// The probe of the WorkloadGroup that an object of `cluster`, or of a file, means: the one that was read where it was, else any.
    pub(crate) fn group_probe(
        &self,
        group: &ObjectKey,
        cluster: Option<&Cluster>,
    ) -> Option<&Arc<Probe>> {
        let objects = self.ledger.objects();
        let slot = objects.number_of(group, cluster).or_else(|| {
            let elsewhere = objects.clusters_of(group).min();
            objects.number_of(group, elsewhere)
        })?;
        match objects.get(slot) {
            Entry::Group(group) if self.ledger.is_served(slot) => group.probe.as_ref(),
            _ => None,
        }
    }

    /// The hosts that the endpoints of an object stand for, some twice, in no order.
    pub(crate) fn hosts_of(&self, slot: Slot) -> Vec<&Name> {
        if !self.ledger.is_served(slot) {
            return Vec::new();
        }
        self.index.hosts_of(self.ledger.objects().get(slot))
    }

    /// The WorkloadGroups that have a probe, with the labels of their members, in no order.
    pub(crate) fn groups_with_probes(&self) -> impl Iterator<Item = (&ObjectKey, &LabelMap)> {
        let objects = self.ledger.objects().iter();
        objects.filter_map(|(slot, entry)| match entry {
            Entry::Group(group) if group.probe.is_some() && self.ledger.is_served(slot) => {
                Some((&group.key, &group.labels))
            }
            _ => None,
        })
    }

    /// Notes that the endpoints of an object are judged otherwise: the hosts that they serve are affected.
    pub(crate) fn touch(&mut self, slot: Slot) {
        if self.ledger.is_served(slot) {
            self.index.touch_entry(self.ledger.objects().get(slot));
        }
    }

    /// Counts an object's endpoints as what they are judged to be; `None` for what the object says.
    pub(crate) fn count_as(&mut self, slot: Slot, states: Option<States>) {
        if self.ledger.is_served(slot) {
            let entry = self.ledger.objects().get(slot);
            self.index.judge(slot, entry, states);
        }
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
    pub fn ignored_counts(&self) -> Arc<BTreeMap<Box<str>, usize>> {
        self.ledger.ignored_counts()
    }

    /// How many files are held.
    pub fn file_count(&self) -> usize {
        self.ledger.file_count()
    }

    /// The files that hold objects, or held them and can't be read, in no order.
    pub fn files_with_objects(&self) -> impl Iterator<Item = &Arc<str>> {
        self.ledger.files_with_objects()
    }

    /// Appends the objects of `file`, each in its last version that can be used, as manifests in JSON with commas between them:
    /// as much of each as gives the same answers. Returns how many there are.
    pub fn write_objects(&self, file: &Arc<str>, out: &mut String) -> usize {
        let mut count = 0;
        for entry in self.ledger.entries_of(file) {
            count += usize::from(self.write_entry(entry, count == 0, out));
        }
        count
    }

    /// Whether a cluster has an object that can be used.
    pub fn has_object(&self, cluster: &Cluster, key: &ObjectKey) -> bool {
        let objects = self.ledger.objects();
        objects.of_cluster(key, cluster).is_some()
    }

    /// Appends an object of a cluster as [`Mesh::write_objects`] does. Tells whether it was appended: one that answers nothing, or is gone, is not.
    pub fn write_object(
        &self,
        cluster: &Cluster,
        key: &ObjectKey,
        is_first: bool,
        out: &mut String,
    ) -> bool {
        let entry = self.ledger.objects().of_cluster(key, cluster);
        entry.is_some_and(|entry| self.write_entry(entry, is_first, out))
    }

    /// The same for the objects of a cluster from a number on, about `bytes` of them. Returns from which number on to continue.
    pub(crate) fn write_cluster(
        &self,
        cluster: &Cluster,
        from: Slot,
        bytes: usize,
        out: &mut String,
    ) -> Option<Slot> {
        let start = out.len();
        let mut is_first = true;
        for (slot, entry) in self.ledger.objects().of_cluster_from(cluster, from) {
            if out.len() - start >= bytes {
                return Some(slot);
            }
            is_first &= !self.write_entry(entry, is_first, out);
        }
        None
    }

    /// Appends an object, behind a comma where it is not the first. Tells whether it did.
    fn write_entry(&self, entry: &Entry, is_first: bool, out: &mut String) -> bool {
        let end = out.len();
        if !is_first {
            out.push(',');
        }
        let is_written = match entry {
            Entry::Service(service) => {
                let selector = service.selector();
                let labels =
                    selector.map(|labels| self.label_texts(&service.key.namespace, labels));
                manifests::push_service(service, &labels.unwrap_or_default(), out)
            }
            Entry::Workload(workload) => {
                let labels = self.label_texts(&workload.key.namespace, &workload.labels);
                manifests::push_workload(workload, &labels, out);
                true
            }
            Entry::Group(group) => manifests::push_group(group, out),
            Entry::Node(node) => {
                manifests::push_node(node, out);
                true
            }
        };
        if !is_written {
            out.truncate(end);
        }
        is_written
    }

    /// The objects of clusters that are otherwise than at the last call, from the first call on.
    pub fn take_touched(&mut self) -> Vec<(Cluster, ObjectKey)> {
        self.ledger.take_touched()
    }

    /// The objects whose newest version can't be used, with the time since when an older one serves.
    pub fn kept(&self) -> Vec<Kept> {
        self.ledger.kept()
    }

    /// What is wrong with files and objects: what the manifests' reader said, objects that are claimed twice, last good
    /// versions in service, endpoints that are `unresolvable` names. Sorted by place.
    pub fn diagnostics(
        &self,
        unresolvable: impl Fn(&Name) -> Option<Unresolvable>,
    ) -> Vec<Diagnostic> {
        let mut all: Vec<_> = self.ledger.diagnostics().collect();
        let with_names: BTreeSet<Slot> = self.index.names().collect();
        for slot in with_names {
            self.remark_names(slot, &unresolvable, &mut all);
        }
        all.sort_unstable();
        all
    }

    /// An info for each WorkloadEntry that no ServiceEntry picks, sorted by place. Looks at every workload, and so it is no
    /// part of [`Mesh::diagnostics`], which costs what changed.
    pub fn unselected(&self) -> Vec<Diagnostic> {
        let workloads = self.ledger.objects().workloads();
        let unselected = workloads.filter(|(slot, workload)| {
            workload.key.kind == Kind::WorkloadEntry
                && !self.index.is_picked(*slot)
                && self.ledger.is_served(*slot)
        });
        let remarks = unselected.map(|(_, workload)| Diagnostic {
            origin: workload.origin(),
            severity: Severity::Info,
            code: code::NOT_SELECTED,
            message: format!(
                "no ServiceEntry of namespace {} selects it: it is in no answer; a Kubernetes Service may select it, whose name is the cluster's",
                workload.key.namespace
            ),
            object: Some(workload.key.clone()),
        });
        let mut remarks: Vec<_> = remarks.collect();
        remarks.sort_unstable();
        remarks
    }

    /// How many objects are kept whose newest version can't be used.
    pub fn kept_counts(&self) -> &KeptCounts {
        self.ledger.kept_counts()
    }

    /// What changed of [`Mesh::diagnostics`] since the last call, but for what is said of names.
    pub fn take_news(&mut self) -> News {
        self.ledger.take_news()
    }

    /// The objects whose [`Mesh::name_remarks`] may differ from those of the last call, as far as that is in the mesh.
    pub(crate) fn take_other_names(&mut self) -> BTreeSet<Slot> {
        self.index.take_other_names()
    }

    /// Whether an endpoint is a name.
    pub(crate) fn has_names(&self) -> bool {
        self.index.names().next().is_some()
    }

    /// The objects with endpoints that are names at or below `base`, or with any, in no order.
    pub(crate) fn with_names(&self, base: Option<&Name>) -> Vec<Slot> {
        match base {
            Some(base) => self.index.names_below(base).collect(),
            None => self.index.names().collect(),
        }
    }

    /// What is said of an object's endpoints that are `unresolvable` names; nothing where the object is gone.
    pub(crate) fn name_remarks(
        &self,
        slot: Slot,
        unresolvable: impl Fn(&Name) -> Option<Unresolvable>,
    ) -> Vec<Diagnostic> {
        let mut remarks = Vec::new();
        if self.ledger.is_served(slot) {
            self.remark_names(slot, &unresolvable, &mut remarks);
        }
        remarks
    }

    /// Says of each name that nobody can resolve that it adds no address: once for the object, whichever hosts it serves.
    fn remark_names(
        &self,
        slot: Slot,
        unresolvable: &impl Fn(&Name) -> Option<Unresolvable>,
        remarks: &mut Vec<Diagnostic>,
    ) {
        let entry = self.ledger.objects().get(slot);
        let mut remark = |name: &Name, before: &str, behind: &str| {
            let Some(unresolvable) = unresolvable(name) else {
                return;
            };
            let name = name.to_string();
            let name = name.trim_end_matches('.');
            let (code, message) = match unresolvable {
                Unresolvable::NoUpstream => (
                    code::NAME_ENDPOINT,
                    format!(
                        "{before} {name} is a name: without an upstream it adds no address{behind}"
                    ),
                ),
                Unresolvable::NoSuchHost => (
                    code::NO_SUCH_HOST,
                    format!(
                        "{before} {name} is in a zone that is declared here, and no host has it: it adds no address{behind}"
                    ),
                ),
            };
            remarks.push(Diagnostic {
                origin: entry.origin(),
                severity: Severity::Warning,
                code,
                message,
                object: Some(entry.key().clone()),
            });
        };
        match entry {
            Entry::Service(service) => {
                for name in service.names() {
                    remark(name, "endpoint", "");
                }
            }
            Entry::Workload(workload) if self.index.is_picked(slot) => {
                if let Some(name) = workload.name() {
                    remark(name, "address", " to the hosts that select it");
                }
            }
            Entry::Workload(_) | Entry::Group(_) | Entry::Node(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
