//! Which hosts a change affects, and which workloads a selector picks, without looking at everything.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use smallvec::SmallVec;

use super::{
    EndpointCounts, Endpoints, Entry, Exclusion, Service, Workload,
    labels::{Label, Labels, Symbols},
};
use crate::{diagnostic::ObjectKey, dns::Name, manifest::Address};

/// The number of a workload; reused when the workload goes.
type Slot = u32;

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub(super) symbols: Symbols,
    hosts: HashMap<Name, SmallVec<[Arc<Service>; 1]>>,
    workloads: Vec<Option<Picked>>,
    free: Vec<Slot>,
    slots: HashMap<Arc<ObjectKey>, Slot>,
    namespaces: HashMap<Arc<str>, Namespace>,
    counts: EndpointCounts,
}

/// A workload and how many services pick it.
#[derive(Clone, Debug)]
struct Picked {
    workload: Arc<Workload>,
    services: u32,
}

/// Selection never crosses a namespace, so each has its own part of the index.
#[derive(Clone, Debug, Default)]
struct Namespace {
    /// The workloads that have a label, by slot, ascending.
    workloads: HashMap<Label, SmallVec<[Slot; 2]>>,
    /// The services with a selector, by one of its labels: a workload without that label can't be picked.
    services: HashMap<Label, Vec<Arc<Service>>>,
}

impl Index {
    /// Puts `after` where `before` stood and adds the hosts for which that may matter to `affected`.
    pub(super) fn replace(
        &mut self,
        key: &Arc<ObjectKey>,
        before: Option<Entry>,
        after: Option<Entry>,
        affected: &mut BTreeSet<Name>,
    ) {
        match (before, after) {
            (Some(Entry::Workload(before)), Some(Entry::Workload(after)))
                if before.labels == after.labels =>
            {
                self.update_workload(&before, after, affected);
            }
            (before, after) => {
                match before {
                    Some(Entry::Service(service)) => self.remove_service(&service, affected),
                    Some(Entry::Workload(workload)) => {
                        self.remove_workload(key, &workload, affected);
                    }
                    Some(Entry::Group) | None => {}
                }
                match after {
                    Some(Entry::Service(service)) => self.insert_service(&service, affected),
                    Some(Entry::Workload(workload)) => {
                        self.insert_workload(key, &workload, affected);
                    }
                    Some(Entry::Group) | None => {}
                }
            }
        }
    }

    pub(super) fn hosts(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.hosts.keys()
    }

    pub(super) fn services_of(&self, host: &Name) -> &[Arc<Service>] {
        self.hosts.get(host).map_or(&[], |services| services)
    }

    pub(super) fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.workloads
            .iter()
            .flatten()
            .map(|picked| &picked.workload)
    }

    pub(super) fn endpoint_counts(&self) -> EndpointCounts {
        self.counts
    }

    pub(super) fn selected<'a>(
        &'a self,
        namespace: &str,
        selector: &'a Labels,
    ) -> Box<dyn Iterator<Item = &'a Arc<Workload>> + 'a> {
        let slots = self
            .namespaces
            .get(namespace)
            .map_or(&[][..], |namespace| namespace.rarest(selector));
        let picked = slots.iter().map(|&slot| &self.held(slot).workload);
        Box::new(picked.filter(move |workload| selector.is_subset_of(&workload.labels)))
    }

    fn held(&self, slot: Slot) -> &Picked {
        self.workloads[slot as usize]
            .as_ref()
            .expect("the index names only slots that are in use")
    }

    fn insert_service(&mut self, service: &Arc<Service>, affected: &mut BTreeSet<Name>) {
        affected.extend(service.hosts.iter().cloned());
        for host in &service.hosts {
            self.hosts
                .entry(host.clone())
                .or_default()
                .push(service.clone());
        }
        self.count_service(service, 1);
        if let Endpoints::Selector(selector) = &service.endpoints
            && let Some(label) = selector.iter().next()
        {
            let namespace = self
                .namespaces
                .entry(service.key.namespace.clone())
                .or_default();
            namespace
                .services
                .entry(label)
                .or_default()
                .push(service.clone());
        }
    }

    fn remove_service(&mut self, service: &Arc<Service>, affected: &mut BTreeSet<Name>) {
        affected.extend(service.hosts.iter().cloned());
        let is_other = |held: &Arc<Service>| held.key != service.key;
        for host in &service.hosts {
            let Some(services) = self.hosts.get_mut(host) else {
                continue;
            };
            services.retain(|held| is_other(held));
            if services.is_empty() {
                self.hosts.remove(host);
            }
        }
        self.count_service(service, -1);
        if let Endpoints::Selector(selector) = &service.endpoints
            && let Some(label) = selector.iter().next()
            && let Some(namespace) = self.namespaces.get_mut(&service.key.namespace)
            && let Some(services) = namespace.services.get_mut(&label)
        {
            services.retain(is_other);
            if services.is_empty() {
                namespace.services.remove(&label);
            }
        }
    }

    fn insert_workload(
        &mut self,
        key: &Arc<ObjectKey>,
        workload: &Arc<Workload>,
        affected: &mut BTreeSet<Name>,
    ) {
        let services = self.affect(workload, affected);
        self.counts.add(services, workload.excluded.as_ref(), 1);
        let picked = Some(Picked {
            workload: workload.clone(),
            services,
        });
        let slot = if let Some(slot) = self.free.pop() {
            self.workloads[slot as usize] = picked;
            slot
        } else {
            self.workloads.push(picked);
            Slot::try_from(self.workloads.len() - 1)
                .expect("fewer than 2^32 workloads fit the memory")
        };
        self.slots.insert(key.clone(), slot);
        let namespace = self.namespaces.entry(key.namespace.clone()).or_default();
        for label in workload.labels.iter() {
            let slots = namespace.workloads.entry(label).or_default();
            if let Err(at) = slots.binary_search(&slot) {
                slots.insert(at, slot);
            }
        }
    }

    fn remove_workload(
        &mut self,
        key: &Arc<ObjectKey>,
        workload: &Workload,
        affected: &mut BTreeSet<Name>,
    ) {
        let services = self.affect(workload, affected);
        self.counts.add(services, workload.excluded.as_ref(), -1);
        let slot = self
            .slots
            .remove(key)
            .expect("a workload that was served has a slot");
        self.workloads[slot as usize] = None;
        self.free.push(slot);
        let namespace = self
            .namespaces
            .get_mut(&key.namespace)
            .expect("a workload's namespace is indexed");
        for label in workload.labels.iter() {
            let Some(slots) = namespace.workloads.get_mut(&label) else {
                continue;
            };
            if let Ok(at) = slots.binary_search(&slot) {
                slots.remove(at);
            }
            if slots.is_empty() {
                namespace.workloads.remove(&label);
            }
        }
    }

    /// The common change: addresses or health, with the same labels. Nothing but the workload itself moves.
    fn update_workload(
        &mut self,
        before: &Workload,
        after: Arc<Workload>,
        affected: &mut BTreeSet<Name>,
    ) {
        if before.addresses != after.addresses || before.excluded != after.excluded {
            self.affect(&after, affected);
        }
        let slot = self.slots[&after.key];
        let held = self.workloads[slot as usize]
            .as_mut()
            .expect("a workload that was served has a slot");
        self.counts.add(held.services, before.excluded.as_ref(), -1);
        self.counts.add(held.services, after.excluded.as_ref(), 1);
        held.workload = after;
    }

    /// Adds the hosts of the services that pick `workload`, and counts those services.
    fn affect(&self, workload: &Workload, affected: &mut BTreeSet<Name>) -> u32 {
        let Some(namespace) = self.namespaces.get(&workload.key.namespace) else {
            return 0;
        };
        let mut picked_by = 0;
        for service in workload
            .labels
            .iter()
            .filter_map(|label| namespace.services.get(&label))
            .flatten()
        {
            if let Endpoints::Selector(selector) = &service.endpoints
                && selector.is_subset_of(&workload.labels)
            {
                picked_by += 1;
                affected.extend(service.hosts.iter().cloned());
            }
        }
        picked_by
    }

    /// Counts a service's endpoints when it comes (`by` 1) or goes (`by` -1).
    fn count_service(&mut self, service: &Service, by: i32) {
        match &service.endpoints {
            Endpoints::Neither => {}
            Endpoints::Inline(addresses) => {
                for address in addresses {
                    let excluded = match address {
                        Address::Ip(_) => None,
                        other => Some(Exclusion::NotAnAddress(other.clone())),
                    };
                    self.counts.add(1, excluded.as_ref(), by);
                }
            }
            Endpoints::Selector(selector) => {
                let Some(namespace) = self.namespaces.get(&service.key.namespace) else {
                    return;
                };
                for &slot in namespace.rarest(selector) {
                    let held = self.workloads[slot as usize]
                        .as_mut()
                        .expect("the index names slots that are in use");
                    if !selector.is_subset_of(&held.workload.labels) {
                        continue;
                    }
                    let excluded = held.workload.excluded.as_ref();
                    self.counts.add(held.services, excluded, -1);
                    held.services = held
                        .services
                        .checked_add_signed(by)
                        .expect("as many go as came");
                    self.counts.add(held.services, excluded, 1);
                }
            }
        }
    }
}

impl Namespace {
    /// The fewest workloads that are sure to hold all that `selector` picks.
    fn rarest(&self, selector: &Labels) -> &[Slot] {
        let with_label = |label| self.workloads.get(&label).map_or(&[][..], |slots| slots);
        selector
            .iter()
            .map(with_label)
            .min_by_key(|slots| slots.len())
            .unwrap_or(&[])
    }
}

impl EndpointCounts {
    fn add(&mut self, services: u32, excluded: Option<&Exclusion>, by: i32) {
        let count = match excluded {
            _ if services == 0 => &mut self.unselected,
            None => &mut self.selected,
            Some(exclusion) if exclusion.is_unready() => &mut self.unready,
            Some(_) => &mut self.excluded,
        };
        *count = count
            .checked_add_signed(by as isize)
            .expect("as many go as came");
    }
}
