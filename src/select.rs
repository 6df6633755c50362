//! Who is in: the endpoints each host answers with, and why the others are not.
//!
//! Reads the mesh and decides; what comes out says everything that `explain` prints and `zone` compiles. Follows Istio's
//! sidecar path (`pilot/pkg/serviceregistry/serviceentry`) with the decisions that the crate's front page lists.
//!
//! [`choose`] and [`gather`] are the decision: first which ServiceEntries answer, then with which addresses. [`select`]
//! makes them and keeps what they were made from.
//!
//! Never encodes a record and never remembers a decision.

mod clients;
mod gather;
mod split;
mod targets;

use std::{net::IpAddr, sync::Arc};

use smallvec::SmallVec;

pub use clients::{ClientNetwork, ClientNetworks};
pub use gather::{Kept, NameUse};
pub use split::{AskedBy, Group, GroupShare, Member, Nearness, Split, TrafficPolicy};
pub(crate) use split::{has_weights, tiers};
pub(crate) use targets::MAX_WEIGHT;
pub use targets::{PortMap, Target, TargetAt, Targets};

use crate::{
    authority::{Authority, Standing},
    diagnostic::{Code, Diagnostic, Severity, code},
    dns::Name,
    health::Verdicts,
    manifest::Resolution,
    mesh::{
        Endpoints, Exclusion, InlineEndpoint, Labels, Locality, Mesh, ResolvedName, ResolvedNames,
        Service, Workload,
    },
};
use gather::Meaning;

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
    /// What was told of endpoints that are names.
    pub resolved: &'v ResolvedNames,
    /// What holds of endpoints besides what their objects say.
    pub verdicts: &'v Verdicts,
    /// Who answers for names.
    pub authority: &'v Authority,
    /// What a host answers when every candidate is left out for its health.
    pub when_all_unhealthy: WhenAllUnhealthy,
    /// How questions are shared out among groups of endpoints.
    pub traffic: &'v TrafficPolicy,
    /// Whose view of the mesh it is.
    pub viewer: Viewer<'v>,
}

/// Whose view of the mesh is meant, which decides what `exportTo` hides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Viewer<'v> {
    /// Everybody's: it hides what nobody is to see, and no more.
    #[default]
    All,
    /// That of those of whom no namespace is known.
    Public,
    /// That of clients of this namespace.
    Namespace(&'v str),
}

impl Viewer<'_> {
    fn sees(self, service: &Service) -> bool {
        match self {
            Self::All => !service.is_hidden(),
            Self::Public => service.is_seen_by(None),
            Self::Namespace(namespace) => service.is_seen_by(Some(namespace)),
        }
    }

    fn is_of(self, service: &Service) -> bool {
        matches!(self, Self::Namespace(namespace) if *service.key.namespace == *namespace)
    }
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

/// What the ServiceEntries that answer come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathering {
    /// The addresses to answer with, ascending, once each.
    pub addresses: Vec<IpAddr>,
    /// Whether unhealthy candidates answer because there is no healthy one.
    pub all_unhealthy: bool,
    /// Whether candidates that only fail a check of ours answer because there are no others.
    pub kept: Kept,
    /// What the host is: [`Choice::standing`].
    pub standing: Standing,
    /// The selectors that pick nobody.
    pub idle: Vec<Labels>,
    /// The names that were looked at, in canonical order: what they mean decides the addresses.
    pub names: Vec<NameUse>,
    /// The names that lead back to the host and that nobody outside is asked for, in canonical order: they add nothing.
    pub dead_ends: Vec<Name>,
    /// How the questions are shared out, where endpoints have parts of their own.
    pub split: Option<Box<Split>>,
    /// The endpoints, where they differ in more than their addresses.
    pub targets: Option<Box<Targets>>,
}

impl Selection {
    /// Whether the candidate's addresses are answered.
    pub fn is_in(&self, candidate: &Candidate) -> bool {
        let is_good = match &candidate.excluded {
            None => candidate.is_good(),
            Some(_) if candidate.kept => true,
            Some(exclusion) => self.gathering.all_unhealthy && exclusion.is_unready(),
        };
        is_good && self.part_of(candidate, None).is_none_or(|part| part > 0.0)
    }

    /// The part of the host's answers that the candidate has for a client at `place`, where endpoints have parts of their own: those
    /// of all candidates are 1 together.
    pub fn part_of(&self, candidate: &Candidate, place: Option<Locality>) -> Option<f64> {
        let split = self.gathering.split.as_deref()?;
        let is_out = match &candidate.excluded {
            None => false,
            Some(exclusion) => !(candidate.kept || split.all_unhealthy && exclusion.is_unready()),
        };
        if is_out {
            return Some(0.0);
        }
        let near = place.zip(split.nearness);
        // An endpoint's addresses of two families have each a part; it is one endpoint.
        let of_group = |group: &Group| {
            let addresses = candidate.addresses.iter();
            addresses
                .map(|address| group.part_of(address, near))
                .sum::<f64>()
        };
        Some(split.groups.iter().map(of_group).sum())
    }
}

/// Why a ServiceEntry with the host does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// A ServiceEntry of another namespace is older.
    OtherNamespace,
    /// It is not exported to everyone, and a ServiceEntry of another namespace is.
    NotPublic,
    /// Of several ServiceEntries with resolution `DNS_ROUND_ROBIN` the oldest one's endpoint counts.
    RoundRobin,
    /// Its `exportTo` is `~`.
    Hidden,
    /// Its `exportTo` has not the namespace of who asks.
    NotExported,
    /// A ServiceEntry of the namespace of who asks has the host.
    OwnNamespace,
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
    /// The name that has them, where the endpoint is a name, and what became of it.
    pub named: Option<(Name, Lookup)>,
    /// Why it is left out; `None` where it answers, or would if its name had addresses.
    pub excluded: Option<Exclusion>,
    /// Whether it answers all the same: it only fails a check, and the host has nobody else.
    pub kept: bool,
    /// What is to be said of it though it is not left out: a person's word, a check.
    pub note: Option<Box<str>>,
}

impl Candidate {
    /// Why it is left out, or what is to be said of it though it is not.
    pub fn why(&self) -> Option<String> {
        match &self.excluded {
            Some(excluded) if self.kept => {
                Some(format!("{excluded}, kept: all endpoints fail theirs"))
            }
            Some(excluded) => Some(excluded.to_string()),
            None => self.note.as_deref().map(ToOwned::to_owned),
        }
    }

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

/// What became of an endpoint that is a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lookup {
    /// The ServiceEntry's resolution passes names over.
    NotTaken,
    /// This host of the mesh has it, and what that answers counts.
    Host(Name),
    /// It leads back to the host that it is an endpoint of, and nobody outside is asked for it.
    LeadsBack,
    /// It is in a declared zone, and no host has it.
    NoHost,
    /// Nobody is there to look it up.
    NoUpstream,
    /// Nothing was told of it so far.
    Unknown,
    /// This was told.
    Resolved(ResolvedName),
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
            Self::Resolved(_) => "Resolved",
        }
    }
}

/// Chooses the endpoints of `host`; `None` where no ServiceEntry has it.
pub fn select(view: &View<'_>, host: &Name) -> Option<Selection> {
    let choice = choose(view.mesh, host, view.viewer)?;
    let gathering = gather(view, host, &choice);
    let kept = gathering.kept;
    let services = choice.chosen.iter().enumerate();
    let candidates = services.flat_map(|(index, service)| {
        let endpoints = gather::endpoints(view, service, host);
        // A host that the mesh leaves to DNS has none.
        let is_left = choice.standing(host) == Standing::Left;
        let endpoints = endpoints.take_while(move |_| !is_left).enumerate();
        endpoints.map(move |(place, endpoint)| {
            let mut addresses = endpoint.addresses.to_vec();
            let named = endpoint.name.map(|name| {
                let (added, lookup) = look_up(view, host, service, name);
                addresses = added;
                (name.clone(), lookup)
            });
            let may_be_kept = endpoint.judgement.may_be_kept();
            Candidate {
                service: index,
                source: match (endpoint.workload, &service.endpoints) {
                    (Some(workload), _) => Source::Workload(workload.clone()),
                    (None, Endpoints::Inline(_)) => Source::Inline(place),
                    (None, _) => Source::Addresses,
                },
                kept: may_be_kept && addresses.iter().any(|address| kept.holds(address)),
                addresses,
                named,
                excluded: endpoint.judgement.exclusion(),
                note: view.verdicts.note(&endpoint.subject, &endpoint.judgement),
            }
        })
    });
    Some(Selection {
        host: host.clone(),
        candidates: candidates.collect(),
        gathering,
        chosen: choice.chosen.into_iter().cloned().collect(),
        lost: choice
            .lost
            .into_iter()
            .map(|(service, loss)| (service.clone(), loss))
            .collect(),
    })
}

/// Decides with which addresses the ServiceEntries of `choice` answer for `host`, and which part of the questions each has.
pub fn gather(view: &View<'_>, host: &Name, choice: &Choice<'_>) -> Gathering {
    let gathered = gather::gather(view, host, choice);
    let split = (gathered.standing != Standing::Left)
        .then(|| split::split(view, host, &choice.chosen, gathered.is_weighted))
        .flatten();
    let mut gathering = Gathering {
        addresses: gathered.addresses,
        all_unhealthy: gathered.all_unhealthy,
        kept: gathered.kept,
        standing: gathered.standing,
        idle: gathered.idle,
        names: gathered.names,
        dead_ends: gathered.dead_ends,
        split: None,
        targets: None,
    };
    if let Some(split) = split {
        gathering.addresses = split.addresses();
        gathering.all_unhealthy = split.all_unhealthy;
        gathering.kept = split.kept;
        gathering.split = Some(Box::new(split));
    }
    if gathering.split.is_some() || gathered.is_varied {
        let targets = targets::targets(view, host, &choice.chosen, &gathering);
        gathering.targets = Some(Box::new(targets));
    }
    gathering
}

/// What the endpoint `name` of `host` adds, and why.
fn look_up(view: &View<'_>, host: &Name, service: &Service, name: &Name) -> (Vec<IpAddr>, Lookup) {
    if !service.takes_names() {
        return (Vec::new(), Lookup::NotTaken);
    }
    let (addresses, meaning) = gather::added_by(view, host, name);
    let lookup = match meaning {
        Meaning::Host(holding) => Lookup::Host(holding),
        Meaning::NoHost => Lookup::NoHost,
        Meaning::DeadEnd => Lookup::LeadsBack,
        Meaning::Others => match view.resolved.get(name) {
            Some(told) => Lookup::Resolved(told.clone()),
            None if view.authority.forwards(name) => Lookup::Unknown,
            None => Lookup::NoUpstream,
        },
    };
    (addresses, lookup)
}

/// Decides which ServiceEntries answer for `host` to `viewer`; `None` where none has it.
///
/// Those of the viewer's own namespace come before all, as in Istio's sidecars; for [`Viewer::All`], then those that are exported
/// to everyone. The oldest counts.
pub fn choose<'m>(mesh: &'m Mesh, host: &Name, viewer: Viewer<'_>) -> Option<Choice<'m>> {
    let mut services: SmallVec<[&Arc<Service>; 1]> = mesh.services_of(host).iter().collect();
    if services.is_empty() {
        return None;
    }
    services.sort_by(|a, b| a.age().cmp(&b.age()));
    let is_own = |service: &&&Arc<Service>| viewer.is_of(service) && viewer.sees(service);
    let is_public = |service: &&&Arc<Service>| viewer == Viewer::All && service.is_public();
    let is_seen = |service: &&&Arc<Service>| viewer.sees(service);
    let winner = services.iter().find(is_own);
    let winner = winner.or_else(|| services.iter().find(is_public));
    let winner = winner.or_else(|| services.iter().find(is_seen)).copied();
    let (mut chosen, mut lost) = (SmallVec::<[_; 1]>::new(), Vec::new());
    for &service in &services {
        match winner {
            _ if service.is_hidden() => lost.push((service, Loss::Hidden)),
            _ if !viewer.sees(service) => lost.push((service, Loss::NotExported)),
            Some(winner) if winner.key.namespace == service.key.namespace => chosen.push(service),
            Some(winner) if viewer.is_of(winner) => lost.push((service, Loss::OwnNamespace)),
            Some(winner) if winner.is_public() && !service.is_public() && viewer == Viewer::All => {
                lost.push((service, Loss::NotPublic));
            }
            _ => lost.push((service, Loss::OtherNamespace)),
        }
    }
    if let [oldest, _, ..] = &*chosen
        && oldest.resolution == Resolution::DnsRoundRobin
    {
        let has_endpoints = |service: &&Arc<Service>| service.endpoints != Endpoints::Neither;
        let kept = chosen.iter().position(has_endpoints).unwrap_or(0);
        let kept = chosen.remove(kept);
        lost.extend(chosen.drain(..).map(|service| (service, Loss::RoundRobin)));
        chosen.push(kept);
    }
    Some(Choice { chosen, lost })
}

impl<'m> Choice<'m> {
    /// What `host`, for which this is the choice, is to those who ask.
    pub fn standing(&self, host: &Name) -> Standing {
        if self.chosen.is_empty() {
            Standing::Absent
        } else if self
            .chosen
            .iter()
            .all(|service| leaves_to_dns(service, host))
        {
            Standing::Left
        } else {
            Standing::Answers
        }
    }

    /// The one selector that all ServiceEntries that answer select by, its namespace, and whether names may be endpoints:
    /// hosts with the same ones gather the same. `None` where there are several or other endpoints, or
    /// where more is asked of the host's answers.
    pub fn selector(&self) -> Option<(&'m Arc<str>, &'m Labels, bool)> {
        let (first, others) = self.chosen.split_first()?;
        if self
            .chosen
            .iter()
            .any(|service| split::is_asked_by(service))
        {
            return None;
        }
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

/// Whether the ServiceEntry leaves the lookup of `host` to DNS: Istio's agent forwards it.
///
/// Without endpoints, `DNS`, `DNS_ROUND_ROBIN` and `DYNAMIC_DNS` mean the host's own DNS name, and `addresses` are virtual
/// ones for proxies; the host as its only endpoint says the same. `NONE` without addresses means the address that the
/// client has looked up itself.
fn leaves_to_dns(service: &Service, host: &Name) -> bool {
    match &service.endpoints {
        Endpoints::Neither => match service.resolution {
            Resolution::Static => false,
            _ => !service.has_real_addresses(),
        },
        Endpoints::Inline(endpoints) => {
            let is_host = |endpoint: &InlineEndpoint| match endpoint {
                InlineEndpoint::Name(name) => **name == *host,
                InlineEndpoint::Ip(_) | InlineEndpoint::Other(_) => false,
            };
            service.takes_names() && !endpoints.is_empty() && endpoints.iter().all(is_host)
        }
        Endpoints::Selector(_) => false,
    }
}

/// What is noteworthy about a host: ServiceEntries that lose it, a selector that picks nobody, names that lead back to it.
pub fn remarks(host: &Name, choice: &Choice<'_>, gathering: &Gathering) -> Vec<Diagnostic> {
    let mut remarks = Vec::new();
    if let Some(winner) = choice.chosen.first() {
        let is_left = gathering.standing == Standing::Left;
        for (loser, loss) in &choice.lost {
            match loss {
                // It makes no difference which of them leaves the host to DNS.
                _ if is_left && leaves_to_dns(loser, host) => {}
                Loss::OtherNamespace => remarks.push(taken(host, loser, "older", winner, is_left)),
                Loss::NotPublic => remarks.push(taken(host, loser, "public", winner, is_left)),
                // The same object in another cluster is no second one.
                Loss::RoundRobin if loser.key == winner.key => {}
                Loss::RoundRobin => remarks.push(is_not_first(host, loser, winner)),
                Loss::Hidden | Loss::NotExported | Loss::OwnNamespace => {}
            }
        }
        if let Some(split) = &gathering.split {
            remarks.extend(split::remarks(host, &choice.chosen, split));
        }
        let dead_ends = gathering.dead_ends.iter();
        remarks.extend(dead_ends.map(|name| leads_back(host, name, winner)));
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

fn taken(host: &Name, loser: &Service, why: &str, winner: &Service, is_left: bool) -> Diagnostic {
    let (key, origin) = (&winner.key, winner.origin());
    let message = if is_left {
        format!(
            "host {host} is left to DNS by the {why} {key} ({origin}): this one does not answer for it"
        )
    } else {
        format!("host {host} is answered by the {why} {key} ({origin}), not by this one")
    };
    remark(loser, Severity::Warning, code::HOST_TAKEN, message)
}

fn is_not_first(host: &Name, loser: &Service, winner: &Service) -> Diagnostic {
    let message = format!(
        "host {host} has resolution DNS_ROUND_ROBIN, which takes one endpoint: that of {} ({}), not this one's",
        winner.key,
        winner.origin()
    );
    remark(loser, Severity::Warning, code::ROUND_ROBIN, message)
}

fn leads_back(host: &Name, name: &Name, service: &Service) -> Diagnostic {
    let message = format!(
        "endpoint {} of host {host} leads back to it, and no upstream is asked for it: it adds no address",
        name.to_string().trim_end_matches('.')
    );
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
        origin: service.origin(),
        severity,
        code,
        message,
        object: Some(service.key.clone()),
    }
}
