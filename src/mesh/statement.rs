//! What an object says of its workload besides where it is: of its health, by the rules of Istio, and of its part among others.

use std::{num::NonZeroI64, sync::Arc};

use super::{addresses::Addresses, exclusion::Exclusion};
use crate::manifest::{Attributes, Notes, Pod, WorkloadEntry};

/// The labels of Pods that ask for others, as Kubernetes' and CoreDNS' own manifests give them.
const OF_FORWARDERS: [(&str, &str); 3] = [
    ("k8s-app", "kube-dns"),
    ("k8s-app", "node-local-dns"),
    ("app.kubernetes.io/name", "coredns"),
];

/// What an object says of its workload's health and part among others, and what is noted on it for us.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statement {
    /// Why it is no endpoint, if nothing else is known of it.
    pub excluded: Option<Exclusion>,
    /// Whether it is reported to be well: a WorkloadEntry's `Healthy` condition is `True`.
    pub reports_well: bool,
    /// Whether its labels say that it asks for others: CoreDNS and its caches on the nodes.
    pub(super) asks_for_others: bool,
    /// When the report was made, where it says so: the complement of the seconds, so that none takes no place of its own.
    pub(super) reported: Option<NonZeroI64>,
    /// `metadata.creationTimestamp` in seconds since 1970, 0 without one.
    pub created: i64,
    /// What is noted on it for us.
    pub notes: Option<Box<Notes>>,
    /// Its weight and ports, where it says anything of them. Of equal ones there is one copy.
    pub(super) attributes: Option<Arc<Attributes>>,
}

// A mesh of a million workloads has one for each that is not well.
const _: () = assert!(size_of::<Statement>() == 64);

impl Statement {
    /// When the report was made, in seconds since 1970, where it says so.
    pub fn reported(&self) -> Option<i64> {
        self.reported.map(|reported| !reported.get())
    }

    /// What a WorkloadEntry says, but for its attributes; takes its notes.
    ///
    /// As Istio's `isHealthy` (`serviceentry/conversion.go`), but a `Healthy` condition that is not `True` counts with or
    /// without the annotation. Of one that says no more than whether it is well it keeps the age only with `keeps_age`.
    pub(super) fn of_workload_entry(entry: &mut WorkloadEntry, keeps_age: bool) -> Self {
        let is_usable = !matches!(Addresses::from(&entry.address), Addresses::Other(_));
        let excluded = match entry.healthy.as_deref() {
            _ if !is_usable => Some(Exclusion::NotAnAddress(entry.address.clone())),
            Some("True") => None,
            Some(status) => Some(Exclusion::Unhealthy(status.into())),
            None if entry.health_checks_enabled => Some(Exclusion::HealthUnknown),
            None => None,
        };
        let said = Self {
            excluded,
            reports_well: entry.healthy.as_deref() == Some("True"),
            reported: entry.reported.and_then(|seconds| NonZeroI64::new(!seconds)),
            notes: entry.notes.take(),
            ..Self::default()
        };
        let created = if keeps_age || !said.is_usual() {
            entry.metadata.created
        } else {
            0
        };
        Self { created, ..said }
    }

    /// What a Pod says, but for its attributes; takes its notes. As Istio's eligibility of Pods
    /// (`pilot/pkg/serviceregistry/kube/controller/pod.go`).
    pub(super) fn of_pod(pod: &mut Pod) -> Self {
        Self {
            excluded: pod_exclusion(pod),
            asks_for_others: pod
                .labels
                .iter()
                .any(|label| OF_FORWARDERS.contains(&label)),
            notes: pod.notes.take(),
            ..Self::default()
        }
    }

    /// Whether it says no more than many others do: attributes, and that all is well.
    pub(super) fn is_usual(&self) -> bool {
        self.excluded.is_none()
            && self.reported.is_none()
            && self.notes.is_none()
            && self.created == 0
            && !self.asks_for_others
    }
}

fn pod_exclusion(pod: &Pod) -> Option<Exclusion> {
    if matches!(&*pod.phase, "Failed" | "Succeeded") {
        return Some(Exclusion::PodFinished((&*pod.phase).into()));
    }
    if pod.terminating {
        return Some(Exclusion::PodTerminating);
    }
    if pod.addresses.is_empty() {
        return Some(Exclusion::PodHasNoAddress);
    }
    match pod.ready.as_deref() {
        Some("True") => None,
        ready => Some(Exclusion::PodNotReady(ready.map(Into::into))),
    }
}
