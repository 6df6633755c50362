//! Who is in: the endpoints each host answers with, and why the others are not.
//!
//! Reads the mesh and decides; what comes out says everything that `explain` prints and `zone` compiles. Follows Istio's
//! sidecar path (`pilot/pkg/serviceregistry/serviceentry`) with the decisions that the crate's front page lists.
//!
//! [`choose`] and [`gather`] are the decision: first which ServiceEntries answer, then with which addresses. [`select`]
//! makes them and keeps what they were made from. [`holder`] tells whose a name is.
//!
//! Never encodes a record and never remembers a decision.

mod gather;
mod holder;

use std::{net::IpAddr, sync::Arc};

use smallvec::SmallVec;

pub use gather::{Gathering, NameUse, gather};
pub use holder::{Domains, Holder, Standing, holder, standing};

use crate::{
    diagnostic::{Code, Diagnostic, Severity, code},
    dns::Name,
    mesh::{Endpoints, Exclusion, Labels, Mesh, Resolved, Service, Told, Workload},
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

/// What the endpoints of hosts are decided from.
#[derive(Clone, Copy, Debug)]
pub struct View<'v> {
    /// The mesh.
    pub mesh: &'v Mesh,
    /// What was told of names that stand in the place of addresses.
    pub resolved: &'v Resolved,
    /// The domains that the settings name.
    pub domains: Domains<'v>,
    /// What a host answers when every candidate is left out for its health.
    pub when_all_unhealthy: WhenAllUnhealthy,
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
    /// The name that has them, where one stands in the place of an address, and what became of it.
    pub named: Option<(Name, Lookup)>,
    /// Why it is left out; `None` where it answers, or would if its name had addresses.
    pub excluded: Option<Exclusion>,
}

impl Candidate {
    /// Whether its addresses would answer if it alone counted.
    pub fn is_good(&self) -> bool {
        self.excluded.is_none() && (self.named.is_none() || !self.addresses.is_empty())
    }
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

/// What became of a name that stands in the place of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lookup {
    /// The ServiceEntry's resolution passes names over.
    NotTaken,
    /// This host of the mesh has it, and what that answers counts.
    Host(Name),
    /// It leads back to the host that it is an endpoint of; what else is on the way counts.
    LeadsBack,
    /// It is in a zone of ours, and no host has it.
    NoHost,
    /// Nobody is there to look it up.
    NoUpstream,
    /// Nothing was told of it so far.
    Unknown,
    /// This was told.
    Told(Told),
}

impl Lookup {
    /// The stable name, as JSON outputs spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotTaken => "NameNotTaken",
            Self::Host(_) => "MeshHost",
            Self::LeadsBack => "LeadsBack",
            Self::NoHost => "NoSuchHost",
            Self::NoUpstream => "NoUpstream",
            Self::Unknown => "NotResolved",
            Self::Told(_) => "Resolved",
        }
    }
}

/// Chooses the endpoints of `host`; `None` where no ServiceEntry has it.
pub fn select(view: &View<'_>, host: &Name) -> Option<Selection> {
    let choice = choose(view.mesh, host)?;
    let services = choice.chosen.iter().enumerate();
    let candidates = services.flat_map(|(index, service)| {
        let endpoints = gather::endpoints(view.mesh, service).enumerate();
        endpoints.map(move |(place, endpoint)| {
            let mut addresses = endpoint.addresses.to_vec();
            let named = endpoint.name.map(|name| {
                let (added, lookup) = look_up(view, host, service, name);
                addresses = added;
                (name.clone(), lookup)
            });
            Candidate {
                service: index,
                source: match (endpoint.workload, &service.endpoints) {
                    (Some(workload), _) => Source::Workload(workload.clone()),
                    (None, Endpoints::Inline(_)) => Source::Inline(place),
                    (None, _) => Source::Addresses,
                },
                addresses,
                named,
                excluded: endpoint.excluded.cloned(),
            }
        })
    });
    Some(Selection {
        host: host.clone(),
        candidates: candidates.collect(),
        gathering: gather(view, &choice),
        chosen: choice.chosen.into_iter().cloned().collect(),
        lost: choice
            .lost
            .into_iter()
            .map(|(service, loss)| (service.clone(), loss))
            .collect(),
    })
}

/// What the endpoint `name` of `host` adds, and why.
fn look_up(view: &View<'_>, host: &Name, service: &Service, name: &Name) -> (Vec<IpAddr>, Lookup) {
    if !service.takes_names() {
        return (Vec::new(), Lookup::NotTaken);
    }
    let (addresses, leads_back) = gather::added_by(view, host, name);
    let lookup = match holder(view.mesh, &view.domains, name) {
        _ if leads_back => Lookup::LeadsBack,
        Holder::Host(holding) => Lookup::Host(holding),
        Holder::Zone => Lookup::NoHost,
        Holder::Others => match view.resolved.get(name) {
            Some(told) => Lookup::Told(told.clone()),
            None if view.domains.forwards(name) => Lookup::Unknown,
            None => Lookup::NoUpstream,
        },
    };
    (addresses, lookup)
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
        .find(|service| !service.is_hidden())
        .map(|service| &service.key.namespace);
    let (mut chosen, mut lost) = (SmallVec::new(), Vec::new());
    for &service in &services {
        if service.is_hidden() {
            lost.push((service, Loss::Hidden));
        } else if Some(&service.key.namespace) == winner {
            chosen.push(service);
        } else {
            lost.push((service, Loss::OtherNamespace));
        }
    }
    Some(Choice { chosen, lost })
}

impl<'m> Choice<'m> {
    /// The one selector that all ServiceEntries that answer select by, its namespace, and whether names may be endpoints:
    /// hosts with the same ones gather the same. `None` where there are several or other endpoints.
    pub fn selector(&self) -> Option<(&'m Arc<str>, &'m Labels, bool)> {
        let (first, others) = self.chosen.split_first()?;
        let selector = first.selector()?;
        let takes_names = first.takes_names();
        let is_alike = |other: &&Arc<Service>| {
            other.selector() == Some(selector) && other.takes_names() == takes_names
        };
        others
            .iter()
            .all(is_alike)
            .then_some((&first.key.namespace, selector, takes_names))
    }
}

/// What is noteworthy about a host: ServiceEntries that lose it, a selector that picks nobody, names that lead back to it.
pub fn remarks(host: &Name, choice: &Choice<'_>, gathering: &Gathering) -> Vec<Diagnostic> {
    let mut remarks = Vec::new();
    if let Some(winner) = choice.chosen.first() {
        let losers = choice.lost.iter();
        let losers = losers.filter(|(_, loss)| *loss == Loss::OtherNamespace);
        remarks.extend(losers.map(|(loser, _)| taken(host, loser, winner)));
        if gathering.through.contains(host) {
            remarks.push(leads_back(host, winner));
        }
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

fn leads_back(host: &Name, service: &Service) -> Diagnostic {
    let message =
        format!("endpoints of host {host} are names that lead back to it: that adds nothing");
    remark(service, Severity::Warning, code::NAME_LOOP, message)
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
