//! What there is to show of hosts that were compiled: looked up after they are published, so that no query waits for it.

use std::{net::IpAddr, sync::Arc};

use foldhash::{HashMap, HashMapExt as _, HashSet};

use super::{Alike, Pipeline};
use crate::{
    catalogue::{HostCounts, HostFacts, HostUpdate},
    dns::Name,
    history::{AddressChange, MOST_NAMED, Scope},
    mesh::{self, ObjectChange},
    parallel,
    select::{self, Choice, Selection},
    zone::{Found, RRsets, Snapshot},
};

impl Pipeline {
    /// What there is of `hosts`, and whether they answer otherwise than in `before`.
    pub fn host_updates(&self, hosts: &[Name], before: &Snapshot) -> Vec<HostUpdate> {
        let viewer = self.viewer();
        let choices = parallel::map(hosts, |host| select::choose(&self.mesh, host, viewer));
        let alike = Alike::of(hosts, &choices, |host| self.is_alone(host));
        let counted = parallel::map(&alike.first, |(host, _)| {
            self.select(host)
                .map(|selection| (count(&selection), selection.gathering.names.is_empty()))
        });
        let after = self.snapshot();
        let hosts: Vec<_> = hosts.iter().zip(&choices).zip(&alike.numbers).collect();
        parallel::map(&hosts, |((host, choice), number)| {
            let shared = number.and_then(|number| counted[number].as_ref());
            // What a name means may differ from host to host.
            let shared = shared.filter(|(_, has_no_names)| *has_no_names);
            let shared = shared.map(|(counts, _)| counts.clone());
            HostUpdate {
                host: (*host).clone(),
                facts: choice
                    .as_ref()
                    .map(|choice| self.facts(host, choice, shared)),
                answers_otherwise: !answers_alike(before, after, host),
            }
        })
    }

    /// Which addresses came and went since `before`, or are answered in other parts, for `hosts`: once for all that select alike, and
    /// for each of those in `alone`.
    pub fn address_changes(
        &self,
        hosts: &[Name],
        before: &Snapshot,
        alone: &HashSet<&Name>,
    ) -> Vec<AddressChange> {
        let after = self.snapshot();
        let differences = parallel::map(hosts, |host| {
            let differing = differing(before, after, host)?;
            let scope = self.scope_of(host).filter(|_| !alone.contains(host));
            let scope = scope.map_or_else(|| Scope::Host(host.clone()), Scope::Selector);
            Some((scope, differing))
        });
        let mut numbers = HashMap::new();
        let mut changes: Vec<AddressChange> = Vec::new();
        let differing = hosts.iter().zip(differences);
        for (host, key) in differing.filter_map(|(host, key)| Some((host, key?))) {
            let number = *numbers.entry(key).or_insert_with_key(|(scope, differing)| {
                changes.push(AddressChange {
                    scope: scope.clone(),
                    removed: differing.removed.clone(),
                    added: differing.added.clone(),
                    reweighed: differing.reweighed.clone(),
                    hosts: 0,
                    names: Vec::new(),
                });
                changes.len() - 1
            });
            let change = &mut changes[number];
            change.hosts += 1;
            if change.names.len() < MOST_NAMED {
                change.names.push(host.clone());
            }
        }
        changes
    }

    /// What `host` selects by, where hosts that select so answer alike.
    pub fn scope_of(&self, host: &Name) -> Option<Arc<str>> {
        if self.is_alone(host) {
            return None;
        }
        let choice = select::choose(&self.mesh, host, self.viewer())?;
        let (namespace, labels, _) = choice.selector()?;
        let labels = self.mesh.label_texts(namespace, labels);
        Some(mesh::scope(namespace, &labels))
    }

    /// Whether a host may answer otherwise than others that select as it does.
    pub(super) fn is_alone(&self, host: &Name) -> bool {
        let traffic = &self.policy.traffic;
        traffic.prefers_near || traffic.shares.contains_key(host)
    }

    /// From now on it is noted what becomes otherwise of objects, for [`Pipeline::take_differences`].
    pub fn follow_differences(&mut self) {
        self.mesh.follow_differences();
    }

    /// What became otherwise of objects since the last call.
    pub fn take_differences(&mut self) -> Vec<ObjectChange> {
        self.mesh.take_differences()
    }

    fn facts(
        &self,
        host: &Name,
        choice: &Choice<'_>,
        counts: Option<Arc<HostCounts>>,
    ) -> HostFacts {
        let own = || self.select(host).map(|selection| count(&selection));
        let counts = counts.or_else(own).unwrap_or_default();
        HostFacts::new(self.authority(), host, choice, counts)
    }
}

fn count(selection: &Selection) -> Arc<HostCounts> {
    Arc::new(HostCounts::of(selection))
}

/// Whether a host has the same addresses in both, in the same parts.
fn answers_alike(before: &Snapshot, after: &Snapshot, host: &Name) -> bool {
    match (records(before, host), records(after, host)) {
        (Some(before), Some(after)) => {
            before.addresses().eq(after.addresses()) && before.draws() == after.draws()
        }
        (before, after) => before.is_none() == after.is_none(),
    }
}

/// In what the answers of a host differ.
#[derive(Eq, Hash, PartialEq)]
struct Differing {
    removed: Vec<IpAddr>,
    added: Vec<IpAddr>,
    /// All of them, where none came or went and they are answered in other parts.
    reweighed: Vec<IpAddr>,
}

/// In what a host answers otherwise in `after` than in `before`; `None` where it does not.
fn differing(before: &Snapshot, after: &Snapshot, host: &Name) -> Option<Differing> {
    if answers_alike(before, after, host) {
        return None;
    }
    let addresses = |snapshot| -> Vec<IpAddr> {
        let records = records(snapshot, host);
        records.map_or_else(Vec::new, |records| records.addresses().collect())
    };
    let (before, after) = (addresses(before), addresses(after));
    if before == after {
        return (!after.is_empty()).then_some(Differing {
            removed: Vec::new(),
            added: Vec::new(),
            reweighed: after,
        });
    }
    let only = |these: &[IpAddr], others: &[IpAddr]| {
        let these = these.iter().copied();
        these
            .filter(|address| others.binary_search(address).is_err())
            .collect()
    };
    Some(Differing {
        removed: only(&before, &after),
        added: only(&after, &before),
        reweighed: Vec::new(),
    })
}

/// What a host answers with; `None` where the mesh does not answer for it.
pub(crate) fn records<'s>(snapshot: &'s Snapshot, host: &Name) -> Option<RRsets<'s>> {
    match snapshot.find(host.as_wire()) {
        Found::Name(owner) => owner.records,
        Found::Made { .. } | Found::NoName { .. } | Found::NotOurs { .. } => None,
    }
}
