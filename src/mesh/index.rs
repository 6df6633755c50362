//! Which hosts a change affects, and which workloads a selector picks, without looking at everything.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map},
    ops::Bound,
    sync::Arc,
};

use foldhash::{HashMap, HashSet};
use smallvec::SmallVec;

use super::{
    affected::Affected,
    attributes::Alike,
    census::{Census, EndpointCounts, States},
    differences::{self, Differences},
    entry::{Entry, Place},
    forwarders::Forwarders,
    labels::Labels,
    locality::Locality,
    namespace::{Namespace, SelectorId},
    namespaces::Namespaces,
    objects::Objects,
    posting::Posting,
    residents::{NodeId, Resident, Residents},
    service::Service,
    slot::Slot,
    unjudged::Unjudged,
    workload::Workload,
};
use crate::{
    diagnostic::Kind,
    dns::Name,
    manifest::{LabelMap, NODE_LABEL},
    parallel,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    namespaces: Namespaces<Namespace>,
    hosts: HashMap<Name, SmallVec<[Arc<Service>; 1]>>,
    /// The objects that name an endpoint instead of giving its address, by the name: what is below a name follows it.
    names: BTreeMap<Name, BTreeSet<Slot>>,
    census: Census,
    alike: Alike,
    forwarders: Forwarders,
    /// Where Nodes are that say so, by their names.
    nodes: HashMap<Box<str>, Place>,
    /// Those that are elsewhere than when that was last asked, perhaps.
    changed_nodes: HashSet<Box<str>>,
    residents: Option<Residents>,
    have_residents_changed: bool,
    /// How many ServiceEntries ask for endpoints near to the client.
    preferring: usize,
    touched: Touched,
    /// What may be judged otherwise.
    unjudged: Unjudged,
    differences: Differences,
    /// The objects that name endpoints otherwise, or are picked otherwise, than when that was last asked.
    other_names: BTreeSet<Slot>,
}

/// What changed since [`Index::take_affected`] was last called.
#[derive(Clone, Debug, Default)]
struct Touched {
    /// Hosts whose services changed, but for those that a touched selector brings.
    hosts: HashSet<Name>,
    /// Selectors that pick other workloads, or others of their workloads' addresses.
    selectors: Vec<(Arc<str>, SelectorId)>,
    /// Selectors that went.
    gone: Vec<(Arc<str>, Labels)>,
}

/// What stands for a key among labels.
fn value_in<'t>(texts: &[(&str, &'t str)]) -> impl Fn(&str) -> Option<&'t str> {
    |key| {
        let found = texts.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| *value)
    }
}

impl Index {
    /// The one copy of a namespace's name that all its objects share.
    pub(super) fn share(&mut self, namespace: &str) -> Arc<str> {
        self.namespaces.share(namespace)
    }

    /// What entries say alike.
    pub(super) fn alike(&mut self) -> &mut Alike {
        &mut self.alike
    }

    /// The Pods that ask for others.
    pub(super) fn forwarders(&self) -> &Forwarders {
        &self.forwarders
    }

    /// Whether these are others than when that was last asked.
    pub(super) fn take_forwarders_changed(&mut self) -> bool {
        self.forwarders.take_changed()
    }

    /// Whether a ServiceEntry asks for endpoints near to the client.
    pub(super) fn prefers_near(&self) -> bool {
        self.preferring > 0
    }

    /// From now on it is known who has which address, or not any more: whom there is so far has to be
    /// [told](Index::note_residents).
    pub(super) fn follow_residents(&mut self, follows: bool) {
        self.residents = follows.then(|| {
            let mut residents = Residents::default();
            residents.set_nodes(&self.nodes);
            residents
        });
        self.have_residents_changed = true;
    }

    /// Who has which address, where that is followed.
    pub(super) fn residents(&self) -> Option<&Residents> {
        self.residents.as_ref()
    }

    /// Whether these are others than when that was last asked.
    pub(super) fn take_residents_changed(&mut self) -> bool {
        std::mem::take(&mut self.have_residents_changed)
    }

    /// Notes whose addresses an entry has that takes the place of another one.
    pub(super) fn note_residents(&mut self, before: Option<&Entry>, after: Option<&Entry>) {
        let Some(mut residents) = self.residents.take() else {
            return;
        };
        let (before, after) = (
            before.and_then(Entry::resident),
            after.and_then(Entry::resident),
        );
        let resident = |workload: &Workload| {
            let (locality, node) = self.stated_place(workload);
            Resident {
                namespace: workload.key.namespace.clone(),
                locality,
                node: node.filter(|_| locality.is_none()).map(NodeId::of),
            }
        };
        let is_else = match (before, after) {
            (Some(before), Some(after)) => {
                before.addresses != after.addresses || before.labels != after.labels
            }
            (before, after) => before.is_some() || after.is_some(),
        };
        if is_else {
            if let Some(workload) = before {
                let resident = resident(workload);
                for address in &*workload.addresses {
                    residents.remove(*address, &resident);
                }
            }
            if let Some(workload) = after {
                let resident = resident(workload);
                for address in &*workload.addresses {
                    residents.insert(*address, &resident);
                }
            }
        }
        self.residents = Some(residents);
        self.have_residents_changed |= is_else;
    }

    fn replace_node(&mut self, before: Option<&Entry>, after: Option<&Entry>) {
        let place = |entry: Option<&Entry>| match entry {
            Some(Entry::Node(node)) => Some((node.key.name.clone(), node.place.clone()?)),
            _ => None,
        };
        let (before, after) = (place(before), place(after));
        if before == after {
            return;
        }
        if let Some((name, _)) = before {
            self.nodes.remove(&name);
            self.changed_nodes.insert(name);
        }
        if let Some((name, place)) = after {
            self.changed_nodes.insert(name.clone());
            self.nodes.insert(name, place);
        }
        if let Some(residents) = &mut self.residents {
            residents.set_nodes(&self.nodes);
            self.have_residents_changed = true;
        }
    }

    /// The Nodes that may be elsewhere than when that was last asked.
    pub(super) fn take_changed_nodes(&mut self) -> HashSet<Box<str>> {
        std::mem::take(&mut self.changed_nodes)
    }

    /// Whether a Pod is where one of these Nodes is.
    pub(super) fn is_on(&self, workload: &Workload, nodes: &HashSet<Box<str>>) -> bool {
        let (locality, node) = self.stated_place(workload);
        locality.is_none() && node.is_some_and(|node| nodes.contains(node))
    }

    /// Where the labels of a workload say that it is, and the Node that it is on.
    fn stated_place<'a>(&'a self, workload: &'a Workload) -> (Option<Locality>, Option<&'a str>) {
        let texts = self.texts(&workload.key.namespace, &workload.labels);
        match workload.key.kind {
            Kind::Pod => {
                let value_of = value_in(&texts);
                (Locality::of_pod(&value_of), value_of(NODE_LABEL))
            }
            _ => (Locality::of_vm(value_in(&texts)), None),
        }
    }

    /// Where the labels of a workload, or of the Node that it is on, say that it is.
    pub(super) fn locality_of(&self, workload: &Workload) -> Option<Locality> {
        let (locality, node) = self.stated_place(workload);
        locality.or_else(|| Some(self.nodes.get(node?)?.locality))
    }

    /// The same, as it is written in a locality.
    pub(super) fn locality_text_of(&self, workload: &Workload) -> Option<String> {
        let texts = self.texts(&workload.key.namespace, &workload.labels);
        let stated = Locality::text_of(workload.key.kind == Kind::Pod, value_in(&texts));
        let (_, node) = self.stated_place(workload);
        stated.or_else(|| Some(self.nodes.get(node?)?.text.to_string()))
    }

    /// The labels of a new entry, which hold until it is [released](Index::release).
    pub(super) fn acquire(&mut self, namespace: &Arc<str>, labels: &LabelMap) -> Labels {
        self.namespace(namespace).labels.acquire(labels)
    }

    /// Notes that an entry is held once more.
    pub(super) fn acquire_again(&mut self, entry: &Entry) {
        if let Some(labels) = entry.labels() {
            let namespace = self.namespace(&entry.key().namespace);
            namespace.labels.acquire_again(labels);
        }
    }

    /// Notes that an entry is no longer held.
    pub(super) fn release(&mut self, entry: &Entry) {
        let name = &entry.key().namespace;
        let namespace = self.namespace(name);
        if let Some(labels) = entry.labels() {
            namespace.labels.release(labels);
        }
        if namespace.is_empty() {
            self.namespaces.remove(name);
        }
    }

    /// Puts `after` where `before` was served and notes what that touches.
    pub(super) fn replace(
        &mut self,
        slot: Slot,
        before: Option<&Entry>,
        after: Option<&Entry>,
        objects: &Objects,
    ) {
        self.forwarders.replace(before, after);
        self.replace_node(before, after);
        self.note_residents(before, after);
        let preferring =
            |entry: Option<&Entry>| usize::from(entry.is_some_and(Entry::prefers_near));
        self.preferring = self.preferring + preferring(after) - preferring(before);
        let mut differences = std::mem::take(&mut self.differences);
        differences.note(before, after, |service| {
            let namespace = &service.key.namespace;
            let labels = self.texts(namespace, service.selector()?);
            Some(differences::scope(namespace, &labels))
        });
        self.differences = differences;
        let was_picked = self.census.is_picked(slot);
        self.unjudged.note(slot, before, after, was_picked);
        match (before, after) {
            (Some(Entry::Workload(before)), Some(Entry::Workload(after)))
                if before.labels == after.labels =>
            {
                self.update_workload(slot, before, after);
            }
            (before, after) => {
                match before {
                    Some(Entry::Service(service)) => self.remove_service(slot, service, objects),
                    Some(Entry::Workload(workload)) => self.remove_workload(slot, workload),
                    Some(Entry::Group(_) | Entry::Node(_)) | None => {}
                }
                match after {
                    Some(Entry::Service(service)) => self.insert_service(slot, service, objects),
                    Some(Entry::Workload(workload)) => self.insert_workload(slot, workload),
                    Some(Entry::Group(_) | Entry::Node(_)) | None => {}
                }
            }
        }
    }

    /// Hands out what was touched since the last time.
    pub(super) fn take_affected(&mut self) -> Affected {
        let Touched {
            hosts,
            selectors,
            gone,
        } = std::mem::take(&mut self.touched);
        let mut hosts = Vec::from_iter(hosts);
        let mut touched = gone;
        touched.reserve(selectors.len());
        for (name, id) in selectors {
            let selector = self
                .namespaces
                .get_mut(&name)
                .and_then(|namespace| namespace.selectors.get_mut(id as usize));
            if let Some(selector) = selector
                && std::mem::take(&mut selector.is_touched)
            {
                let services = selector.services.iter();
                hosts.extend(services.flat_map(|service| service.hosts.iter().cloned()));
                touched.push((name, selector.labels.clone()));
            }
        }
        parallel::sort_by_cached_key(&mut hosts, Name::canonical_key);
        hosts.dedup();
        Affected {
            hosts,
            selectors: touched,
            ..Affected::default()
        }
    }

    pub(super) fn hosts(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.hosts.keys()
    }

    pub(super) fn services_of(&self, host: &Name) -> &[Arc<Service>] {
        self.hosts.get(host).map_or(&[], |services| services)
    }

    pub(super) fn endpoint_counts(&self) -> EndpointCounts {
        self.census.counts()
    }

    pub(super) fn selected<'a>(
        &'a self,
        namespace: &str,
        selector: &'a Labels,
        objects: &'a Objects,
    ) -> impl Iterator<Item = (Slot, &'a Arc<Workload>)> + use<'a> {
        let slots = self
            .namespaces
            .get(namespace)
            .and_then(|namespace| namespace.rarest(selector));
        // Those that have a label are those that a selector of this one label picks.
        let is_exact = selector.len() == 1;
        slots
            .into_iter()
            .flat_map(Posting::iter)
            .map(|slot| (slot, objects.workload(slot)))
            .filter(move |(_, workload)| is_exact || selector.is_subset_of(&workload.labels))
    }

    pub(super) fn texts<'a>(
        &'a self,
        namespace: &str,
        labels: &'a Labels,
    ) -> Vec<(&'a str, &'a str)> {
        self.namespaces
            .get(namespace)
            .map(|namespace| namespace.labels.texts(labels))
            .unwrap_or_default()
    }

    /// The objects that name an endpoint instead of giving its address, in no order; one of several names several times.
    pub(super) fn names(&self) -> impl Iterator<Item = Slot> {
        self.names.values().flatten().copied()
    }

    /// Those of them that name an endpoint at or below `base`.
    pub(super) fn names_below(&self, base: &Name) -> impl Iterator<Item = Slot> {
        let from = (Bound::Included(base), Bound::Unbounded);
        let names = self.names.range::<Name, _>(from);
        let below = names.take_while(|(name, _)| name.is_at_or_below(base));
        below.flat_map(|(_, slots)| slots).copied()
    }

    /// What is judged otherwise, perhaps, than when that was last asked.
    pub(super) fn unjudged(&mut self) -> &mut Unjudged {
        &mut self.unjudged
    }

    /// What became otherwise of objects.
    pub(super) fn differences(&mut self) -> &mut Differences {
        &mut self.differences
    }

    /// Counts an object's endpoints as what they are judged to be; `None` for what the object says.
    pub(super) fn judge(&mut self, slot: Slot, entry: &Entry, states: Option<States>) {
        match entry {
            Entry::Workload(workload) => self.census.judge_workload(slot, workload, states),
            Entry::Service(service) => self.census.judge_inline(slot, service, states),
            Entry::Group(_) | Entry::Node(_) => {}
        }
    }

    /// Notes that an object's endpoints are judged otherwise: whoever answers with them is touched.
    pub(super) fn touch_entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Workload(workload) => {
                self.touch(workload);
            }
            Entry::Service(service) => self.touched.hosts.extend(service.hosts.iter().cloned()),
            Entry::Group(_) | Entry::Node(_) => {}
        }
    }

    /// The hosts that an object's endpoints stand for, some twice.
    pub(super) fn hosts_of<'a>(&'a self, entry: &'a Entry) -> Vec<&'a Name> {
        match entry {
            Entry::Workload(workload) => {
                let Some(namespace) = self.namespaces.get(&workload.key.namespace) else {
                    return Vec::new();
                };
                let picking = namespace.picking(&workload.labels);
                let services = picking.flat_map(|id| &namespace.selectors[id as usize].services);
                services.flat_map(|service| &service.hosts).collect()
            }
            Entry::Service(service) => service.hosts.iter().collect(),
            Entry::Group(_) | Entry::Node(_) => Vec::new(),
        }
    }

    /// Whether a selector picks the workload with this number.
    pub(super) fn is_picked(&self, slot: Slot) -> bool {
        self.census.is_picked(slot)
    }

    /// The objects that [`Index::names`] describes otherwise, or that are picked otherwise, than at the last call.
    pub(super) fn take_other_names(&mut self) -> BTreeSet<Slot> {
        std::mem::take(&mut self.other_names)
    }

    /// Notes that the object names an endpoint.
    fn insert_name(&mut self, slot: Slot, name: &Name) {
        self.names.entry(name.clone()).or_default().insert(slot);
        self.other_names.insert(slot);
    }

    /// Notes that it does not any more.
    fn remove_name(&mut self, slot: Slot, name: &Name) {
        if let Some(slots) = self.names.get_mut(name) {
            slots.remove(&slot);
            if slots.is_empty() {
                self.names.remove(name);
            }
        }
        self.other_names.insert(slot);
    }

    fn namespace(&mut self, name: &Arc<str>) -> &mut Namespace {
        self.namespaces.get_or_insert(name)
    }

    fn insert_service(&mut self, slot: Slot, service: &Arc<Service>, objects: &Objects) {
        for host in &service.hosts {
            self.hosts
                .entry(host.clone())
                .or_default()
                .push(service.clone());
        }
        self.count_inline(slot, service, 1);
        if !self.insert_into_selector(service, objects) {
            self.touched.hosts.extend(service.hosts.iter().cloned());
        }
    }

    /// Makes the service one of those that select as it does. Returns whether all their hosts are touched.
    fn insert_into_selector(&mut self, service: &Arc<Service>, objects: &Objects) -> bool {
        let Some(labels) = service.selector() else {
            return false;
        };
        let name = &service.key.namespace;
        let namespace = self.namespace(name);
        let id = namespace
            .find(labels)
            .unwrap_or_else(|| namespace.insert(labels));
        let selector = &mut namespace.selectors[id as usize];
        selector.services.push(service.clone());
        let is_first = selector.services.len() == 1;
        let was_touched = selector.is_touched;
        selector.is_touched |= is_first;
        if is_first {
            if !was_touched {
                self.touched.selectors.push((name.clone(), id));
            }
            self.count_picked(name, labels, 1, objects);
        }
        is_first || was_touched
    }

    fn remove_service(&mut self, slot: Slot, service: &Arc<Service>, objects: &Objects) {
        for host in &service.hosts {
            if let hash_map::Entry::Occupied(mut held) = self.hosts.entry(host.clone()) {
                forget(held.get_mut(), service);
                if held.get().is_empty() {
                    held.remove();
                }
            }
            self.touched.hosts.insert(host.clone());
        }
        self.count_inline(slot, service, -1);
        if let Some(labels) = service.selector() {
            let name = &service.key.namespace;
            let namespace = self.namespace(name);
            let id = namespace
                .find(labels)
                .expect("a service's selector is indexed");
            forget(&mut namespace.selectors[id as usize].services, service);
            if namespace.selectors[id as usize].services.is_empty() {
                let selector = namespace.remove(id);
                self.touched.gone.push((name.clone(), selector.labels));
                self.count_picked(name, labels, -1, objects);
            }
        }
    }

    fn insert_workload(&mut self, slot: Slot, workload: &Workload) {
        let picks = self.touch(workload);
        self.census.insert(slot, workload, picks);
        if let Some(name) = workload.name() {
            self.insert_name(slot, name);
        }
        let namespace = self.namespace(&workload.key.namespace);
        for label in workload.labels.iter() {
            namespace.labels.held(label).workloads.insert(slot);
        }
    }

    fn remove_workload(&mut self, slot: Slot, workload: &Workload) {
        self.touch(workload);
        self.census.remove(slot, workload);
        if let Some(name) = workload.name() {
            self.remove_name(slot, name);
        }
        let namespace = self.namespace(&workload.key.namespace);
        for label in workload.labels.iter() {
            namespace.labels.held(label).workloads.remove(slot);
        }
    }

    /// The common change: addresses or health, with the same labels. Nothing but the workload itself moves.
    fn update_workload(&mut self, slot: Slot, before: &Workload, after: &Workload) {
        if before.addresses != after.addresses || before.statement != after.statement {
            self.touch(after);
        }
        self.census.replace(slot, before, after);
        if let Some(name) = before.name() {
            self.remove_name(slot, name);
        }
        if let Some(name) = after.name() {
            self.insert_name(slot, name);
        }
    }

    /// Notes the selectors that pick `workload`, and counts them.
    fn touch(&mut self, workload: &Workload) -> u32 {
        let name = &workload.key.namespace;
        let Some(namespace) = self.namespaces.get_mut(name) else {
            return 0;
        };
        let picking: SmallVec<[SelectorId; 4]> = namespace.picking(&workload.labels).collect();
        for &id in &picking {
            if !std::mem::replace(&mut namespace.selectors[id as usize].is_touched, true) {
                self.touched.selectors.push((name.clone(), id));
            }
        }
        u32::try_from(picking.len()).expect("selectors have 32-bit numbers")
    }

    /// Counts a service's inline endpoints when it comes (`by` 1) or goes (`by` -1).
    fn count_inline(&mut self, slot: Slot, service: &Service, by: isize) {
        self.census.count_inline(slot, service, by);
        for name in service.names() {
            if by > 0 {
                self.insert_name(slot, name);
            } else {
                self.remove_name(slot, name);
            }
        }
    }

    /// Counts the workloads that a selector picks when it comes (`by` 1) or goes (`by` -1).
    fn count_picked(
        &mut self,
        namespace: &Arc<str>,
        selector: &Labels,
        by: i32,
        objects: &Objects,
    ) {
        let Some(namespace) = self.namespaces.get(namespace) else {
            return;
        };
        for slot in namespace
            .rarest(selector)
            .into_iter()
            .flat_map(Posting::iter)
        {
            let workload = objects.workload(slot);
            if !selector.is_subset_of(&workload.labels) {
                continue;
            }
            if self.census.pick(slot, workload, by) {
                self.unjudged.note_pick(slot, workload, by < 0);
                if workload.name().is_some() {
                    self.other_names.insert(slot);
                }
            }
        }
    }
}

/// Takes out one of what may be many services, without a look at the others.
fn forget(services: &mut SmallVec<[Arc<Service>; 1]>, service: &Arc<Service>) {
    let place = services
        .iter()
        .position(|held| Arc::ptr_eq(held, service))
        .expect("the index holds what is served");
    services.swap_remove(place);
}
