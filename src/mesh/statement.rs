//! What an object says of its workload's health, by the rules of Istio.

use std::sync::{Arc, LazyLock};

use super::{addresses::Addresses, exclusion::Exclusion};
use crate::manifest::{Notes, Pod, WorkloadEntry};

/// What an object says of its workload's health, and what is noted on it for us.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statement {
    /// Why it is no endpoint, if nothing else is known of it.
    pub excluded: Option<Exclusion>,
    /// Whether it is reported to be well: a WorkloadEntry's `Healthy` condition is `True`.
    pub reports_well: bool,
    /// When the report was made, in seconds since 1970, where it says so.
    pub reported: Option<i64>,
    /// `metadata.creationTimestamp` in seconds since 1970, 0 without one.
    pub created: i64,
    /// What is noted on it for us.
    pub notes: Option<Box<Notes>>,
}

/// What a WorkloadEntry says that is reported to be well, and nothing else.
static WELL: LazyLock<Arc<Statement>> = LazyLock::new(|| {
    Arc::new(Statement {
        reports_well: true,
        ..Statement::default()
    })
});

impl Statement {
    /// What a WorkloadEntry says; takes its notes.
    ///
    /// As Istio's `isHealthy` (`serviceentry/conversion.go`), but a `Healthy` condition that is not `True` counts with or
    /// without the annotation.
    pub(super) fn of_workload_entry(entry: &mut WorkloadEntry) -> Option<Arc<Self>> {
        let is_usable = !matches!(Addresses::from(&entry.address), Addresses::Other(_));
        let excluded = match entry.healthy.as_deref() {
            _ if !is_usable => Some(Exclusion::NotAnAddress(entry.address.clone())),
            Some("True") => None,
            Some(status) => Some(Exclusion::Unhealthy(status.into())),
            None if entry.health_checks_enabled => Some(Exclusion::HealthUnknown),
            None => None,
        };
        let reports_well = entry.healthy.as_deref() == Some("True");
        let notes = entry.notes.take();
        match (&excluded, &notes, entry.reported) {
            (None, None, None) => reports_well.then(|| WELL.clone()),
            (_, _, reported) => Some(Arc::new(Self {
                excluded,
                reports_well,
                reported,
                created: entry.metadata.created,
                notes,
            })),
        }
    }

    /// What a Pod says; takes its notes. As Istio's eligibility of Pods (`pilot/pkg/serviceregistry/kube/controller/pod.go`).
    pub(super) fn of_pod(pod: &mut Pod) -> Option<Arc<Self>> {
        let excluded = pod_exclusion(pod);
        let notes = pod.notes.take();
        if excluded.is_none() && notes.is_none() {
            return None;
        }
        Some(Arc::new(Self {
            excluded,
            notes,
            ..Self::default()
        }))
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
