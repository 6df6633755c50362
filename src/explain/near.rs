//! What the user may have meant: hosts spelt alike, workloads that a selector just misses.

use std::sync::Arc;

use crate::{
    dns::Name,
    mesh::{Endpoints, Mesh, Service, Workload},
};

/// How many suggestions help more than they confuse.
const MOST: usize = 3;

/// How much alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.8;

/// A workload that a selector just misses.
#[derive(Clone, Debug, PartialEq)]
pub struct NearWorkload {
    /// The workload.
    pub workload: Arc<Workload>,
    /// Why the selector does not pick it.
    pub miss: Miss,
}

/// Why a selector does not pick a workload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Miss {
    /// The labels match, but the workload is in another namespace than the ServiceEntry.
    OtherNamespace,
    /// One label is missing or different: what the selector wants and what the workload has.
    Label {
        /// The label's key.
        key: String,
        /// The value that the selector wants.
        wanted: String,
        /// The value that the workload has; `None` where it has no such label.
        found: Option<String>,
    },
}

/// The mesh's hosts that are spelt most like `name`, the nearest first.
pub(super) fn hosts(mesh: &Mesh, name: &Name) -> Vec<Name> {
    let asked = name.to_string();
    let mut scored: Vec<(f64, &Name)> = mesh
        .hosts()
        .into_iter()
        .filter(|host| *host != name)
        .map(|host| {
            (
                strsim::normalized_damerau_levenshtein(&asked, &host.to_string()),
                host,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let nearest = scored.into_iter().take(MOST);
    nearest.map(|(_, host)| host.clone()).collect()
}

/// The workloads that `service`'s selector would pick but for their namespace or one label.
pub(super) fn workloads(mesh: &Mesh, service: &Service) -> Vec<NearWorkload> {
    let Endpoints::Selector(selector) = &service.endpoints else {
        return Vec::new();
    };
    if selector.is_empty() {
        return Vec::new();
    }
    let wanted = mesh.label_texts(&service.key.namespace, selector);
    let mut near: Vec<NearWorkload> = mesh
        .workloads()
        .filter_map(|workload| {
            let namespace = &workload.key.namespace;
            let found = mesh.label_texts(namespace, &workload.labels);
            let miss = if *namespace == service.key.namespace {
                one_label_off(&wanted, &found)
            } else {
                let matches = wanted.iter().all(|label| found.contains(label));
                matches.then_some(Miss::OtherNamespace)
            }?;
            Some(NearWorkload {
                workload: workload.clone(),
                miss,
            })
        })
        .collect();
    near.sort_by(|a, b| a.workload.key.cmp(&b.workload.key));
    near.truncate(MOST);
    near
}

/// The one label of `wanted` that `found` does not have, if it is only one, and if something speaks for the workload:
/// another label matches, or the value is spelt alike.
fn one_label_off(wanted: &[(&str, &str)], found: &[(&str, &str)]) -> Option<Miss> {
    let mut missed = wanted.iter().filter(|label| !found.contains(label));
    let (Some((key, value)), None) = (missed.next(), missed.next()) else {
        return None;
    };
    let held = found.iter().find(|(held, _)| held == key);
    let held = held.map(|(_, value)| *value);
    let is_alike = held.is_some_and(|held| strsim::jaro_winkler(held, value) >= ALIKE);
    (wanted.len() > 1 || is_alike).then(|| Miss::Label {
        key: (*key).to_owned(),
        wanted: (*value).to_owned(),
        found: held.map(str::to_owned),
    })
}
