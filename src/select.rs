//! Who is in: the endpoints each host answers with, and why the others are not.
//!
//! Reads the mesh and decides; what comes out says everything that `explain` prints and `zone` compiles. Follows Istio's
//! sidecar path (`pilot/pkg/serviceregistry/serviceentry`) with the decisions that the crate's front page lists.
//!
//! [`choose`] and [`gather`] are the decision: first which ServiceEntries answer, then with which addresses. [`select`]
//! makes them and keeps what they were made from.
//!
//! Never encodes a record and never remembers a decision.

use std::{net::IpAddr, slice, sync::Arc};

use smallvec::SmallVec;

use crate::{
    diagnostic::{Code, Diagnostic, Severity, code},
    dns::Name,
    manifest::Resolution,
    mesh::{Endpoints, Exclusion, Labels, Mesh, Service, Workload},
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

/// Which ServiceEntries answer for a host.
#[derive(Clone, Debug)]
pub struct Choice<'m> {
    /// Those that answer, the oldest first: all of one namespace.
    pub chosen: SmallVec<[&'m Arc<Service>; 1]>,
    /// Those that have the host and do not answer.
    pub lost: Vec<(&'m Arc<Service>, Loss)>,
}

/// What the ServiceEntries that answer come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Gathering {
    /// The addresses to answer with, ascending, once each.
    pub addresses: Vec<IpAddr>,
    /// Whether unhealthy candidates answer because there is no healthy one.
    pub all_unhealthy: bool,
    /// Whether the mesh leaves the lookup to someone else's DNS (see [`Compiled::Elsewhere`](crate::zone::Compiled)).
    pub elsewhere: bool,
    /// The selectors that pick nobody.
    pub idle: Vec<Labels>,
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
    /// What the host answers.
    pub gathering: Gathering,
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

/// An endpoint where it stands in the mesh.
struct Endpoint<'m> {
    /// `None` where it stands in the ServiceEntry itself.
    workload: Option<&'m Arc<Workload>>,
    addresses: &'m [IpAddr],
    excluded: Option<&'m Exclusion>,
}

/// Chooses the endpoints of `host`; `None` where no ServiceEntry has it.
pub fn select(mesh: &Mesh, host: &Name, when_all_unhealthy: WhenAllUnhealthy) -> Option<Selection> {
    let choice = choose(mesh, host)?;
    let services = choice.chosen.iter().enumerate();
    let candidates = services.flat_map(|(index, service)| {
        let endpoints = endpoints(mesh, service).enumerate();
        endpoints.map(move |(place, endpoint)| Candidate {
            service: index,
            source: match (endpoint.workload, &service.endpoints) {
                (Some(workload), _) => Source::Workload(workload.clone()),
                (None, Endpoints::Inline(_)) => Source::Inline(place),
                (None, _) => Source::Addresses,
            },
            addresses: endpoint.addresses.to_vec(),
            excluded: endpoint.excluded.cloned(),
        })
    });
    Some(Selection {
        host: host.clone(),
        candidates: candidates.collect(),
        gathering: gather(mesh, &choice, when_all_unhealthy),
        chosen: choice.chosen.into_iter().cloned().collect(),
        lost: choice
            .lost
            .into_iter()
            .map(|(service, loss)| (service.clone(), loss))
            .collect(),
    })
}

/// Decides which ServiceEntries answer for `host`; `None` where none has it.
pub fn choose<'m>(mesh: &'m Mesh, host: &Name) -> Option<Choice<'m>> {
    let mut services: SmallVec<[&Arc<Service>; 1]> = mesh.services_of(host).iter().collect();
    if services.is_empty() {
        return None;
    }
    services.sort_by(|a, b| a.age().cmp(&b.age()));
    let winner = services
        .iter()
        .find(|service| !service.hidden)
        .map(|service| &service.key.namespace);
    let (mut chosen, mut lost) = (SmallVec::new(), Vec::new());
    for &service in &services {
        if service.hidden {
            lost.push((service, Loss::Hidden));
        } else if Some(&service.key.namespace) == winner {
            chosen.push(service);
        } else {
            lost.push((service, Loss::OtherNamespace));
        }
    }
    Some(Choice { chosen, lost })
}

/// Decides with which addresses the ServiceEntries of `choice` answer.
pub fn gather(mesh: &Mesh, choice: &Choice<'_>, when_all_unhealthy: WhenAllUnhealthy) -> Gathering {
    let chosen = &choice.chosen;
    let mut gathering = Gathering {
        elsewhere: !chosen.is_empty()
            && chosen
                .iter()
                .all(|service| leaves_the_lookup_to_others(service)),
        ..Gathering::default()
    };
    let (mut healthy, mut unready) = (Vec::new(), Vec::new());
    let mut seen = SmallVec::<[&Labels; 1]>::new();
    for service in chosen {
        if let Some(selector) = service.selector() {
            // Services of one namespace that select alike bring the same endpoints.
            if seen.contains(&selector) {
                continue;
            }
            seen.push(selector);
        }
        let mut is_idle = true;
        for endpoint in endpoints(mesh, service) {
            is_idle = false;
            match endpoint.excluded {
                None => healthy.extend_from_slice(endpoint.addresses),
                Some(exclusion)
                    if exclusion.is_unready() && when_all_unhealthy == WhenAllUnhealthy::All =>
                {
                    unready.extend_from_slice(endpoint.addresses);
                }
                Some(_) => {}
            }
        }
        if is_idle {
            gathering.idle.extend(service.selector().cloned());
        }
    }
    gathering.all_unhealthy = healthy.is_empty() && !unready.is_empty();
    gathering.addresses = if healthy.is_empty() { unready } else { healthy };
    gathering.addresses.sort_unstable();
    gathering.addresses.dedup();
    gathering
}

impl<'m> Choice<'m> {
    /// The one selector that all ServiceEntries that answer select by, and its namespace: hosts with the same one gather
    /// the same. `None` where there are several or other endpoints.
    pub fn selector(&self) -> Option<(&'m Arc<str>, &'m Labels)> {
        let (first, others) = self.chosen.split_first()?;
        let selector = first.selector()?;
        let is_alike = |other: &&Arc<Service>| other.selector() == Some(selector);
        others
            .iter()
            .all(is_alike)
            .then_some((&first.key.namespace, selector))
    }
}

fn endpoints<'m>(
    mesh: &'m Mesh,
    service: &'m Service,
) -> Box<dyn Iterator<Item = Endpoint<'m>> + 'm> {
    match &service.endpoints {
        Endpoints::Neither => {
            let own = (!service.addresses.is_empty()).then_some(Endpoint {
                workload: None,
                addresses: &service.addresses,
                excluded: None,
            });
            Box::new(own.into_iter())
        }
        Endpoints::Inline(endpoints) => Box::new(endpoints.iter().map(|endpoint| Endpoint {
            workload: None,
            addresses: endpoint.as_ref().map(slice::from_ref).unwrap_or_default(),
            excluded: endpoint.as_ref().err(),
        })),
        Endpoints::Selector(selector) => {
            let workloads = mesh.selected(&service.key.namespace, selector);
            Box::new(workloads.map(|workload| Endpoint {
                workload: Some(workload),
                addresses: &workload.addresses,
                excluded: workload.excluded.as_deref(),
            }))
        }
    }
}

/// With nothing to answer from, `DNS`, `DNS_ROUND_ROBIN` and `DYNAMIC_DNS` mean the host's own DNS name, and `NONE` the
/// address that the client has looked up itself: Istio's agent forwards all of them upstream.
fn leaves_the_lookup_to_others(service: &Service) -> bool {
    matches!(service.endpoints, Endpoints::Neither)
        && service.addresses.is_empty()
        && service.resolution != Resolution::Static
}

/// What is noteworthy about a host: ServiceEntries that lose it, a selector that picks nobody.
pub fn remarks(host: &Name, choice: &Choice<'_>, gathering: &Gathering) -> Vec<Diagnostic> {
    let mut remarks = Vec::new();
    if let Some(winner) = choice.chosen.first() {
        let losers = choice.lost.iter();
        let losers = losers.filter(|(_, loss)| *loss == Loss::OtherNamespace);
        remarks.extend(losers.map(|(loser, _)| taken(host, loser, winner)));
    }
    if !gathering.idle.is_empty() {
        let is_idle = |service: &&&Arc<Service>| {
            service
                .selector()
                .is_some_and(|selector| gathering.idle.contains(selector))
        };
        let idle = choice.chosen.iter().filter(is_idle);
        remarks.extend(idle.map(|service| selects_nothing(host, service)));
    }
    remarks
}

fn taken(host: &Name, loser: &Service, winner: &Service) -> Diagnostic {
    let message = format!(
        "host {host} is answered by the older {} ({}), not by this one",
        winner.key, winner.origin
    );
    remark(loser, Severity::Warning, code::HOST_TAKEN, message)
}

fn selects_nothing(host: &Name, service: &Service) -> Diagnostic {
    let namespace = &service.key.namespace;
    let message = format!(
        "the selector of host {host} picks no Pod and no WorkloadEntry of namespace {namespace}"
    );
    remark(service, Severity::Info, code::SELECTS_NOTHING, message)
}

fn remark(service: &Service, severity: Severity, code: Code, message: String) -> Diagnostic {
    Diagnostic {
        origin: service.origin.clone(),
        severity,
        code,
        message,
        object: Some(service.key.clone()),
    }
}
