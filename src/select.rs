//! Who is in: the endpoints each host answers with, and why the others are not.
//!
//! Reads the mesh and decides; what comes out says everything that `explain` prints and `zone` compiles. Follows Istio's
//! sidecar path (`pilot/pkg/serviceregistry/serviceentry`) with the decisions that the crate's front page lists.
//!
//! Never encodes a record and never remembers a decision.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use crate::{
    diagnostic::{Code, Diagnostic, ObjectKey, Origin, Severity, code},
    dns::Name,
    manifest::{Address, Resolution},
    mesh::{Endpoints, Exclusion, Mesh, Service, Workload},
};

/// What a host answers when every candidate is left out for its health.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WhenAllUnhealthy {
    /// Nothing: "no data".
    #[default]
    None,
    /// The candidates that have an address and only lack health or readiness.
    All,
}

/// The endpoints of one host, chosen and not.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The host; a wildcard as `*.<name>`.
    pub host: Name,
    /// The ServiceEntries that answer, the oldest first: all of one namespace.
    pub chosen: Vec<Arc<Service>>,
    /// The ServiceEntries that have the host and do not answer.
    pub lost: Vec<(Arc<Service>, Loss)>,
    /// Every endpoint that was looked at.
    pub candidates: Vec<Candidate>,
    /// Whether unhealthy candidates answer because there is no healthy one.
    pub all_unhealthy: bool,
    /// Whether the mesh leaves the lookup to someone else's DNS (see [`Compiled::Elsewhere`](crate::zone::Compiled)).
    pub elsewhere: bool,
    /// The addresses to answer with, ascending, once each.
    pub addresses: Vec<IpAddr>,
}

/// Why a ServiceEntry with the host does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// A ServiceEntry of another namespace is older.
    OtherNamespace,
    /// Its `exportTo` is `~`.
    Hidden,
}

/// One endpoint that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Which ServiceEntry brought it: an index into [`Selection::chosen`].
    pub service: usize,
    /// What it is.
    pub source: Source,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Why it is left out; `None` where it answers.
    pub excluded: Option<Exclusion>,
}

/// What a candidate is.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A Pod or WorkloadEntry that the selector picks.
    Workload(Arc<Workload>),
    /// The ServiceEntry's inline endpoint with this index.
    Inline(usize),
    /// The ServiceEntry's own `addresses`, in place of endpoints.
    Addresses,
}

/// Chooses the endpoints of `host`; `None` where no ServiceEntry has it.
pub fn select(mesh: &Mesh, host: &Name, when_all_unhealthy: WhenAllUnhealthy) -> Option<Selection> {
    let mut services = mesh.services_of(host).to_vec();
    if services.is_empty() {
        return None;
    }
    services.sort_by(|a, b| a.age().cmp(&b.age()));
    let winner = services
        .iter()
        .find(|service| !service.hidden)
        .map(|service| service.key.namespace.clone());
    let (mut chosen, mut lost) = (Vec::new(), Vec::new());
    for service in services {
        if service.hidden {
            lost.push((service, Loss::Hidden));
        } else if Some(&service.key.namespace) == winner.as_ref() {
            chosen.push(service);
        } else {
            lost.push((service, Loss::OtherNamespace));
        }
    }
    let candidates: Vec<Candidate> = chosen
        .iter()
        .enumerate()
        .flat_map(|(index, service)| candidates(mesh, index, service))
        .collect();
    let elsewhere = !chosen.is_empty()
        && chosen
            .iter()
            .all(|service| leaves_the_lookup_to_others(service));
    let mut addresses: BTreeSet<IpAddr> = addresses_of(&candidates, |excluded| excluded.is_none());
    let mut all_unhealthy = false;
    if addresses.is_empty() && when_all_unhealthy == WhenAllUnhealthy::All {
        addresses = addresses_of(&candidates, |excluded| {
            excluded.is_some_and(Exclusion::is_unready)
        });
        all_unhealthy = !addresses.is_empty();
    }
    let addresses = addresses.into_iter().collect();
    Some(Selection {
        host: host.clone(),
        chosen,
        lost,
        candidates,
        all_unhealthy,
        elsewhere,
        addresses,
    })
}

fn candidates(mesh: &Mesh, service: usize, entry: &Service) -> Vec<Candidate> {
    match &entry.endpoints {
        Endpoints::Neither if entry.addresses.is_empty() => Vec::new(),
        Endpoints::Neither => {
            vec![Candidate {
                service,
                source: Source::Addresses,
                addresses: entry.addresses.to_vec(),
                excluded: None,
            }]
        }
        Endpoints::Inline(endpoints) => endpoints
            .iter()
            .enumerate()
            .map(|(index, address)| inline_candidate(service, index, address))
            .collect(),
        Endpoints::Selector(selector) => mesh
            .selected(&entry.key.namespace, selector)
            .map(|workload| Candidate {
                service,
                addresses: workload.addresses.to_vec(),
                excluded: workload.excluded.clone(),
                source: Source::Workload(workload.clone()),
            })
            .collect(),
    }
}

fn inline_candidate(service: usize, index: usize, address: &Address) -> Candidate {
    let (addresses, excluded) = match address {
        Address::Ip(ip) => (vec![*ip], None),
        other => (Vec::new(), Some(Exclusion::NotAnAddress(other.clone()))),
    };
    Candidate {
        service,
        source: Source::Inline(index),
        addresses,
        excluded,
    }
}

/// With nothing to answer from, `DNS`, `DNS_ROUND_ROBIN` and `DYNAMIC_DNS` mean the host's own DNS name, and `NONE` the
/// address that the client has looked up itself: Istio's agent forwards all of them upstream.
fn leaves_the_lookup_to_others(service: &Service) -> bool {
    service.endpoints == Endpoints::Neither
        && service.addresses.is_empty()
        && service.resolution != Resolution::Static
}

fn addresses_of(
    candidates: &[Candidate],
    is_in: impl Fn(Option<&Exclusion>) -> bool,
) -> BTreeSet<IpAddr> {
    let chosen = candidates
        .iter()
        .filter(|candidate| is_in(candidate.excluded.as_ref()));
    chosen
        .flat_map(|candidate| candidate.addresses.iter().copied())
        .collect()
}

/// What is noteworthy about a host: ServiceEntries that lose it, endpoints that add nothing, a selector that picks
/// nobody.
pub fn remarks(selection: &Selection) -> Vec<Diagnostic> {
    let losers = selection
        .chosen
        .first()
        .into_iter()
        .flat_map(|winner| taken(selection, winner));
    let idle = selection
        .chosen
        .iter()
        .enumerate()
        .filter_map(|(index, service)| {
            let picks = selection
                .candidates
                .iter()
                .any(|candidate| candidate.service == index);
            (!picks)
                .then(|| selects_nothing(&selection.host, service))
                .flatten()
        });
    let names = selection
        .candidates
        .iter()
        .filter_map(|candidate| name_endpoint(selection, candidate));
    losers.chain(idle).chain(names).collect()
}

fn taken<'s>(
    selection: &'s Selection,
    winner: &'s Service,
) -> impl Iterator<Item = Diagnostic> + 's {
    let losers = selection
        .lost
        .iter()
        .filter(|(_, loss)| *loss == Loss::OtherNamespace);
    losers.map(move |(loser, _)| {
        let host = &selection.host;
        let message = format!(
            "host {host} is answered by the older {} ({}), not by this one",
            winner.key, winner.origin
        );
        remark(
            &loser.key,
            &loser.origin,
            Severity::Warning,
            code::HOST_TAKEN,
            message,
        )
    })
}

fn selects_nothing(host: &Name, service: &Service) -> Option<Diagnostic> {
    match &service.endpoints {
        // An empty one can't pick anybody; the manifest's reader has said so.
        Endpoints::Selector(selector) if !selector.is_empty() => {
            let namespace = &service.key.namespace;
            let message = format!(
                "the selector of host {host} picks no Pod and no WorkloadEntry of namespace {namespace}"
            );
            Some(remark(
                &service.key,
                &service.origin,
                Severity::Info,
                code::SELECTS_NOTHING,
                message,
            ))
        }
        _ => None,
    }
}

fn name_endpoint(selection: &Selection, candidate: &Candidate) -> Option<Diagnostic> {
    let Some(Exclusion::NotAnAddress(Address::Name(name))) = &candidate.excluded else {
        return None;
    };
    let host = &selection.host;
    let message =
        format!("endpoint {name} of host {host} is a name: without an upstream it adds no address");
    let (key, origin) = match &candidate.source {
        Source::Workload(workload) => (&workload.key, &workload.origin),
        Source::Inline(_) | Source::Addresses => {
            let service = &selection.chosen[candidate.service];
            (&service.key, &service.origin)
        }
    };
    Some(remark(
        key,
        origin,
        Severity::Warning,
        code::NAME_ENDPOINT,
        message,
    ))
}

fn remark(
    key: &ObjectKey,
    origin: &Origin,
    severity: Severity,
    code: Code,
    message: String,
) -> Diagnostic {
    Diagnostic {
        origin: origin.clone(),
        severity,
        code,
        message,
        object: Some(key.clone()),
    }
}
