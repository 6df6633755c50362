//! What became otherwise of objects, for those who want to know which of them changed an answer.

use std::{net::IpAddr, sync::Arc};

use smallvec::SmallVec;

use super::{
    addresses::Addresses, entry::Entry, exclusion::Exclusion, read_from::ReadFrom,
    service::Service, workload::Workload,
};
use crate::{
    diagnostic::{Kind, ObjectKey},
    dns::Name,
};

/// How many are kept until somebody takes them: a change of more objects is told without them.
const MOST: usize = 100_000;

/// An object that is served otherwise than before.
#[derive(Clone, Debug)]
pub struct ObjectChange {
    /// Which.
    pub key: ObjectKey,
    /// Where it stands, or stood where it is gone.
    pub read_from: ReadFrom,
    /// What became of it: `added`, `changed`, `removed` or `condition`.
    pub what: &'static str,
    /// Which field of it says something else, where that is one.
    pub field: Option<&'static str>,
    /// What it said before.
    pub before: Option<Box<str>>,
    /// What it says.
    pub after: Option<Box<str>>,
    /// Whose answers that may change.
    pub touches: Touches,
}

/// What an object has to do with answers.
#[derive(Clone, Debug)]
pub enum Touches {
    /// A workload: the addresses that it has or had.
    Addresses(SmallVec<[IpAddr; 2]>),
    /// A ServiceEntry.
    Hosts {
        /// The hosts that it has or had.
        hosts: Vec<Name>,
        /// What it selected by, as [`scope`] writes it.
        selected: Option<Arc<str>>,
        /// What it selects by.
        selects: Option<Arc<str>>,
    },
}

/// The differences since they were last taken; `None` where nobody takes them.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences(Option<Vec<ObjectChange>>);

/// A selector of a namespace as one text: `ns1/app=foo`.
pub fn scope(namespace: &str, labels: &[(&str, &str)]) -> Arc<str> {
    let labels: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{namespace}/{}", labels.join(",")).into()
}

impl Differences {
    /// From now on they are kept.
    pub(super) fn follow(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn take(&mut self) -> Vec<ObjectChange> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes that `after` takes the place of `before`; `scope_of` tells what a ServiceEntry selects by.
    pub(super) fn note(
        &mut self,
        before: Option<&Entry>,
        after: Option<&Entry>,
        scope_of: impl Fn(&Service) -> Option<Arc<str>>,
    ) {
        let Some(kept) = self.0.as_mut().filter(|kept| kept.len() < MOST) else {
            return;
        };
        let of_workloads = |before: Option<&Workload>, after: Option<&Workload>| {
            let both = before.into_iter().chain(after);
            Touches::Addresses(
                both.flat_map(|workload| workload.addresses.iter().copied())
                    .collect(),
            )
        };
        let of_services = |before: Option<&Service>, after: Option<&Service>| Touches::Hosts {
            hosts: before
                .into_iter()
                .chain(after)
                .flat_map(|service| service.hosts.iter().cloned())
                .collect(),
            selected: before.and_then(&scope_of),
            selects: after.and_then(&scope_of),
        };
        let (difference, touches) = match (before, after) {
            (Some(Entry::Workload(before)), Some(Entry::Workload(after))) => (
                of_workload(before, after),
                of_workloads(Some(before), Some(after)),
            ),
            (Some(Entry::Service(before)), Some(Entry::Service(after))) => (
                of_service(before, after),
                of_services(Some(before), Some(after)),
            ),
            (None, Some(Entry::Workload(after))) => (ADDED, of_workloads(None, Some(after))),
            (Some(Entry::Workload(before)), None) => (REMOVED, of_workloads(Some(before), None)),
            (None, Some(Entry::Service(after))) => (ADDED, of_services(None, Some(after))),
            (Some(Entry::Service(before)), None) => (REMOVED, of_services(Some(before), None)),
            _ => return,
        };
        let Some(entry) = after.or(before) else {
            return;
        };
        let Difference {
            what,
            field,
            before,
            after,
        } = difference;
        kept.push(ObjectChange {
            key: entry.key().clone(),
            read_from: entry.read_from().clone(),
            what,
            field,
            before,
            after,
            touches,
        });
    }
}

struct Difference {
    what: &'static str,
    field: Option<&'static str>,
    before: Option<Box<str>>,
    after: Option<Box<str>>,
}

const ADDED: Difference = Difference {
    what: "added",
    field: None,
    before: None,
    after: None,
};

const REMOVED: Difference = Difference {
    what: "removed",
    ..ADDED
};

const CHANGED: Difference = Difference {
    what: "changed",
    ..ADDED
};

fn of_workload(before: &Workload, after: &Workload) -> Difference {
    let (was, is) = (before.excluded(), after.excluded());
    if was != is {
        let (what, field) = field_of(is.or(was));
        return Difference {
            what,
            field,
            before: said(was, field),
            after: said(is, field),
        };
    }
    if before.addresses != after.addresses {
        return Difference {
            field: Some("address"),
            before: Some(addresses(&before.addresses)),
            after: Some(addresses(&after.addresses)),
            ..CHANGED
        };
    }
    if before.labels != after.labels {
        return Difference {
            field: Some("labels"),
            ..CHANGED
        };
    }
    let (was, is) = (before.attributes().weight, after.attributes().weight);
    if was != is {
        return Difference {
            field: Some(match after.key.kind {
                Kind::Pod => "meshdns.io/weight",
                _ => "weight",
            }),
            before: Some(was.to_string().into()),
            after: Some(is.to_string().into()),
            ..CHANGED
        };
    }
    CHANGED
}

/// The first annotation of `after` about the parts of answers that says something else in `before`, or is not there.
fn of_parts(before: &Service, after: &Service) -> Option<Difference> {
    if before.traffic == after.traffic {
        return None;
    }
    let parts = |service: &Service| service.traffic.as_ref().map(|notes| notes.parts());
    let (before, after) = (
        parts(before).unwrap_or_default(),
        parts(after).unwrap_or_default(),
    );
    let text = |parts: &[(&'static str, String)], field| {
        let mut parts = parts.iter();
        let (_, text) = parts.find(|(name, _)| *name == field)?;
        Some(text.as_str().into())
    };
    let mut fields = after.iter().chain(&before).map(|(field, _)| *field);
    let field = fields.find(|field| text(&before, *field) != text(&after, *field))?;
    Some(Difference {
        field: Some(field),
        before: text(&before, field),
        after: text(&after, field),
        ..CHANGED
    })
}

fn of_service(before: &Service, after: &Service) -> Difference {
    let field = if before.hosts != after.hosts {
        Some("hosts")
    } else if before.endpoints != after.endpoints || before.details != after.details {
        Some(if after.selector().is_some() {
            "workloadSelector"
        } else {
            "endpoints"
        })
    } else if before.addresses != after.addresses {
        Some("addresses")
    } else if before.resolution != after.resolution {
        Some("resolution")
    } else if before.export != after.export {
        Some("exportTo")
    } else if let Some(difference) = of_parts(before, after) {
        return difference;
    } else {
        None
    };
    Difference { field, ..CHANGED }
}

/// The field that an exclusion is about, and whether that is a condition.
fn field_of(excluded: Option<&Exclusion>) -> (&'static str, Option<&'static str>) {
    match excluded {
        Some(Exclusion::PodNotReady(_)) => ("condition", Some("Ready")),
        Some(Exclusion::Unhealthy(_) | Exclusion::HealthUnknown) => ("condition", Some("Healthy")),
        Some(Exclusion::PodTerminating) => ("changed", Some("deletionTimestamp")),
        Some(Exclusion::PodFinished(_)) => ("changed", Some("phase")),
        Some(Exclusion::PodHasNoAddress) => ("changed", Some("podIP")),
        Some(Exclusion::NotAnAddress(_)) => ("changed", Some("address")),
        Some(_) | None => ("changed", None),
    }
}

/// What the field says where the object is left out so.
fn said(excluded: Option<&Exclusion>, field: Option<&'static str>) -> Option<Box<str>> {
    match excluded {
        Some(Exclusion::PodNotReady(status)) => status.clone(),
        Some(Exclusion::Unhealthy(status)) => Some(status.clone()),
        Some(Exclusion::PodFinished(phase)) => Some(phase.clone()),
        Some(Exclusion::PodTerminating) => Some("set".into()),
        None if matches!(field, Some("Ready" | "Healthy")) => Some("True".into()),
        Some(_) | None => None,
    }
}

fn addresses(addresses: &Addresses) -> Box<str> {
    if let Addresses::Name(name) = addresses {
        return name.to_host().into();
    }
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ").into()
}
