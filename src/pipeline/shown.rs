//! What there is to show of hosts that were compiled: looked up after they are published, so that no query waits for it.

use std::sync::Arc;

use super::{Alike, Pipeline};
use crate::{
    catalogue::{HostCounts, HostFacts, HostUpdate},
    dns::Name,
    parallel,
    select::{self, Choice, Selection},
    zone::{Found, RRsets, Snapshot},
};

impl Pipeline {
    /// What there is of `hosts`, and whether they answer otherwise than in `before`.
    pub fn host_updates(&self, hosts: &[Name], before: &Snapshot) -> Vec<HostUpdate> {
        let choices = parallel::map(hosts, |host| select::choose(&self.mesh, host));
        let own = |host: &Name| self.policy.traffic.shares.contains_key(host);
        let alike = Alike::of(hosts, &choices, own);
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

/// Whether a host has the same addresses in both.
fn answers_alike(before: &Snapshot, after: &Snapshot, host: &Name) -> bool {
    match (records(before, host), records(after, host)) {
        (Some(before), Some(after)) => before.addresses().eq(after.addresses()),
        (before, after) => before.is_none() == after.is_none(),
    }
}

/// What a host answers with; `None` where the mesh does not answer for it.
fn records<'s>(snapshot: &'s Snapshot, host: &Name) -> Option<RRsets<'s>> {
    match snapshot.find(host.as_wire()) {
        Found::Name(owner) => owner.records,
        Found::NoName { .. } | Found::NotOurs { .. } => None,
    }
}
