//! One name's story, from document to record.
//!
//! Tells what a query for a name gets and why: which host answers (itself, or a wildcard), which ServiceEntries have it and
//! which of them lost, each candidate endpoint with the reason it is in or out, the records, and for a name that does not
//! exist the hosts that are spelt alike. Reads the same snapshot and the same selection that answers are made from.
//!
//! Never prints: the command line and the status pages do, in the words of `text` and `json`.

mod json;
mod named;
mod near;
mod records;
mod shares;
pub(crate) mod text;

use std::{net::IpAddr, sync::Arc};

pub use json::Story;
pub use named::{about_name, age_of};
pub use near::{Miss, NearWorkload};
pub use records::Record;
pub use text::write as write_text;

use crate::{
    answer::{self, Query},
    diagnostic::ObjectKey,
    dns::{Name, Rcode, RecordType},
    mesh::{Endpoints, Locality, Mesh, Service},
    pipeline::Pipeline,
    select::{Candidate, Loss, Selection, Source},
    zone::{Asker, Below, Found, Here, Made, Node, Role, Snapshot},
};

/// What a query for one name and type gets, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The name that was asked.
    pub name: Name,
    /// The type that was asked.
    pub record_type: RecordType,
    /// Who was said to ask, and what that makes of it; `None` where nobody was.
    pub asker: Option<AskerStory>,
    /// What the query gets.
    pub outcome: Outcome,
    /// Whether an upstream's answer comes before this one, where one is asked.
    pub is_others: bool,
    /// The response code that it comes with.
    pub rcode: Rcode,
    /// The apex of the zone that holds the name; `None` where it is in none of ours.
    pub zone: Option<Zone>,
    /// Why the name exists, or doesn't.
    pub via: Via,
    /// The hosts that have a part in it: the one that answers first, then those that the name could be and that don't.
    pub hosts: Vec<HostStory>,
    /// The answer section.
    pub answer: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// Hosts that are spelt alike, the nearest first; only where no host answers.
    pub near: Vec<Name>,
    /// How many hosts are below the name; only where it is in none of our zones, which a declared zone would change.
    pub hosts_below: usize,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct AskerStory {
    /// The address that was said.
    pub client: IpAddr,
    /// What it is to answers.
    pub asker: Asker,
    /// The objects that have the address, in their order.
    pub objects: Vec<ObjectKey>,
    /// Where it is, as that is written, where answers depend on it and it is known.
    pub locality: Option<String>,
    /// Whose view of the mesh it has, where views differ and that is known.
    pub namespace: Option<Arc<str>>,
}

/// Who answers for a name that the mesh leaves to others.
#[derive(Clone, Debug)]
pub enum Others<'a> {
    /// Upstreams: those of the route for this domain.
    Upstreams {
        /// The domain.
        domain: &'a Name,
        /// Them, in the order in which they are asked.
        addresses: Vec<String>,
    },
    /// This server, without asking anybody, as this RFC says.
    Special(&'static str),
}

/// What a query gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Records.
    Answer,
    /// The name exists and has no record of the type.
    NoData,
    /// The name does not exist in one of our zones.
    NoName,
    /// The name is in none of our zones.
    NotOurs,
    /// The type is not one that a name has, such as AXFR.
    NoSuchQuestion,
}

impl Outcome {
    /// The stable name, as JSON outputs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::NoData => "nodata",
            Self::NoName => "nxdomain",
            Self::NotOurs => "refused",
            Self::NoSuchQuestion => "declined",
        }
    }
}

impl From<answer::Outcome<'_>> for Outcome {
    fn from(outcome: answer::Outcome<'_>) -> Self {
        match outcome {
            answer::Outcome::Addresses(_)
            | answer::Outcome::NameServers { .. }
            | answer::Outcome::Services(_)
            | answer::Outcome::Pointer(_)
            | answer::Outcome::Encoded { .. }
            | answer::Outcome::Soa(_)
            | answer::Outcome::Minimal(_)
            | answer::Outcome::Identity(_) => Self::Answer,
            answer::Outcome::NoData(_) => Self::NoData,
            answer::Outcome::NoName(_) => Self::NoName,
            answer::Outcome::NotOurs | answer::Outcome::NotReady => Self::NotOurs,
            answer::Outcome::OtherClass
            | answer::Outcome::Transfer
            | answer::Outcome::MetaType
            | answer::Outcome::MailType
            | answer::Outcome::BadVersion => Self::NoSuchQuestion,
        }
    }
}

/// The zone that a name is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    /// Its apex.
    pub apex: Name,
    /// Whether the settings declare it; else it is a host's own.
    pub is_declared: bool,
}

/// Why a name exists, or doesn't.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Via {
    /// It is a host.
    Host,
    /// It does not exist by itself, and this wildcard host covers it.
    Wildcard(Name),
    /// It exists because there are hosts below it, and this wildcard host covers it.
    CopyOf(Name),
    /// It is made from this host: below it, or the name of one of its addresses.
    Made(Name, Made),
    /// It is a declared zone's apex and no host.
    Apex,
    /// It exists because there are hosts below it.
    EmptyNonTerminal,
    /// It does not exist.
    Nothing,
}

impl Via {
    /// The stable name, as JSON outputs spell it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Wildcard(_) => "wildcard",
            Self::CopyOf(_) => "wildcardCopy",
            Self::Made(_, Made::Endpoint(_)) => "endpoint",
            Self::Made(_, Made::Service(_)) => "service",
            Self::Made(_, Made::GrpcConfig) => "grpcConfig",
            Self::Made(_, Made::Https(_)) => "https",
            Self::Made(_, Made::Address(_)) => "address",
            Self::Made(_, Made::Between) => "between",
            Self::Apex => "apex",
            Self::EmptyNonTerminal => "emptyNonTerminal",
            Self::Nothing => "nothing",
        }
    }
}

/// One host: who has it and who answers for it.
#[derive(Clone, Debug)]
pub struct HostStory {
    /// Whether the answer is made from this host.
    pub answers: bool,
    /// The decision, with its candidates sorted by kind, namespace and name.
    pub selection: Selection,
    /// The selectors' texts, one for each of [`Selection::chosen`]; `None` where it has no selector.
    pub selectors: Vec<Option<Vec<(String, String)>>>,
    /// Workloads that a selector just misses, where it picks none at all.
    pub near: Vec<NearWorkload>,
    /// Where the asker is, where that is said and known.
    pub place: Option<Locality>,
}

impl HostStory {
    /// The part of the asker's answers that a candidate has, where endpoints have parts of their own.
    pub fn part_of(&self, candidate: &Candidate) -> Option<f64> {
        self.selection.part_of(candidate, self.place)
    }

    /// Every ServiceEntry that has the host, those that answer first, with why the others don't.
    pub fn service_entries(&self) -> impl Iterator<Item = (&Arc<Service>, Option<Loss>)> {
        let chosen = self.selection.chosen.iter().map(|service| (service, None));
        let lost = &self.selection.lost;
        chosen.chain(lost.iter().map(|(service, loss)| (service, Some(*loss))))
    }
}

/// Tells what a query of `client` for `name` and `record_type` gets from the pipeline's newest snapshot, and why.
pub fn explain(
    pipeline: &Pipeline,
    name: &Name,
    record_type: RecordType,
    client: Option<IpAddr>,
) -> Explanation {
    let asker = client.map(|client| asker_story(pipeline, client));
    let seen_by = asker.as_ref().map_or(Asker::DIRECT, |story| story.asker);
    let snapshot = pipeline.snapshot().seen_by(seen_by);
    let via = via(snapshot, name);
    let zone = zone(snapshot, name);
    let hosts = hosts(pipeline, name, &via, asker.as_ref());
    let near = if hosts.iter().any(|host| host.answers) {
        Vec::new()
    } else {
        near::hosts(pipeline.mesh(), name)
    };
    let query = Query {
        asker: &seen_by,
        ..Query::of(name, record_type)
    };
    let answer = answer::answer(snapshot, &query);
    let (answers, authority) = records::sections(&answer, name, seen_by);
    let outcome = Outcome::from(answer.outcome);
    let is_others = answer.others.is_some();
    let hosts_below = if outcome == Outcome::NotOurs {
        let all = pipeline.mesh().hosts();
        all.iter().filter(|host| host.is_at_or_below(name)).count()
    } else {
        0
    };
    Explanation {
        name: name.clone(),
        record_type,
        asker,
        outcome,
        is_others,
        rcode: answer.outcome.rcode(),
        zone,
        via,
        hosts,
        answer: answers,
        authority,
        near,
        hosts_below,
    }
}

fn asker_story(pipeline: &Pipeline, client: IpAddr) -> AskerStory {
    let asker = pipeline.snapshot().asker(client);
    let mesh = pipeline.mesh();
    let having = mesh
        .workloads()
        .filter(|workload| workload.addresses.contains(&client));
    let having: Vec<_> = having.collect();
    let of_network = pipeline.policy().traffic.clients.of(client);
    let stated = of_network.and_then(|said| said.locality_text.as_deref());
    let of_object = || {
        having
            .iter()
            .find_map(|workload| mesh.locality_text_of(workload))
    };
    let locality = asker
        .locality
        .and_then(|_| stated.map(ToOwned::to_owned).or_else(of_object));
    let mut objects: Vec<_> = having.iter().map(|workload| workload.key.clone()).collect();
    objects.sort_unstable();
    let residents = mesh.residents();
    let resident = || residents.and_then(|known| known.at(&client).0.cloned());
    let namespace = of_network
        .and_then(|said| said.namespace.clone())
        .or_else(resident);
    let has_view = pipeline.policy().enforces_export && asker.role == Role::Direct;
    AskerStory {
        namespace: namespace.filter(|_| has_view),
        client,
        asker,
        objects,
        locality,
    }
}

fn via(snapshot: &Snapshot, name: &Name) -> Via {
    if let Found::Made { host_at, made, .. } = snapshot.find(name.as_wire()) {
        let host = match made {
            Made::Address(address) => snapshot.host_of_address(address).cloned(),
            // Above names of addresses.
            Made::Between if host_at == 0 => return Via::EmptyNonTerminal,
            _ => Some(Name::from_lowercase_wire(&name.as_wire()[host_at..])),
        };
        return host.map_or(Via::Nothing, |host| Via::Made(host, made));
    }
    let wildcard = |base: &Name| base.wildcard_below().unwrap_or_else(|| base.clone());
    if let Some(node) = snapshot.node(name.as_wire()) {
        return match &node.here {
            Here::Records(_) => Via::Host,
            Here::CopyOf(base) => Via::CopyOf(wildcard(base)),
            Here::Others { .. } => Via::Nothing,
            Here::Empty if snapshot.settings().zones.contains(name) => Via::Apex,
            Here::Empty => Via::EmptyNonTerminal,
        };
    }
    let closest = name
        .ancestors()
        .find_map(|above| snapshot.node(above.as_wire()));
    let below = |node: Node| Some((node.name, node.below?));
    match closest.and_then(below) {
        Some((name, Below::Records(_))) => Via::Wildcard(wildcard(&name)),
        Some((_, Below::CopyOf(base))) => Via::Wildcard(wildcard(&base)),
        Some((_, Below::Others)) | None => Via::Nothing,
    }
}

fn zone(snapshot: &Snapshot, name: &Name) -> Option<Zone> {
    let apex_at = match snapshot.find(name.as_wire()) {
        Found::Name(owner) => owner.apex_at,
        Found::Made { apex_at, .. } | Found::NoName { apex_at } => apex_at,
        Found::NotOurs { .. } => return None,
    };
    let apex = Name::from_lowercase_wire(&name.as_wire()[apex_at..]);
    let is_declared = snapshot.settings().zones.contains(&apex);
    Some(Zone { apex, is_declared })
}

/// The host that answers, then every host that the name could be and that does not answer: hidden, or left to others.
fn hosts(
    pipeline: &Pipeline,
    name: &Name,
    via: &Via,
    asker: Option<&AskerStory>,
) -> Vec<HostStory> {
    let answering = match via {
        Via::Host => Some(name.clone()),
        Via::Wildcard(host) | Via::CopyOf(host) | Via::Made(host, _) => Some(host.clone()),
        Via::Apex | Via::EmptyNonTerminal | Via::Nothing => None,
    };
    let wildcards_above = name.ancestors().filter_map(|above| above.wildcard_below());
    let others = std::iter::once(name.clone()).chain(wildcards_above);
    let mut candidates: Vec<Name> = others.collect();
    if let Some(host) = &answering {
        // What stands behind the host that answers plays no part.
        let reach = candidates.iter().position(|candidate| candidate == host);
        candidates.truncate(reach.unwrap_or(0));
        candidates.insert(0, host.clone());
    }
    let story = |host: &Name| {
        let namespace = asker.and_then(|story| story.namespace.as_deref());
        let selection = pipeline.select_for(namespace, host)?;
        let mut story = host_story(pipeline, selection, Some(host) == answering.as_ref());
        story.place = asker.and_then(|story| story.asker.locality);
        Some(story)
    };
    candidates.iter().filter_map(story).collect()
}

fn host_story(pipeline: &Pipeline, mut selection: Selection, answers: bool) -> HostStory {
    let mesh = pipeline.mesh();
    selection.candidates.sort_by_cached_key(place);
    let texts = |service: &Arc<Service>| match &service.endpoints {
        Endpoints::Selector(labels) => {
            let texts = mesh.label_texts(&service.key.namespace, labels).into_iter();
            Some(
                texts
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
            )
        }
        Endpoints::Inline(_) | Endpoints::Neither => None,
    };
    HostStory {
        answers,
        selectors: selection.chosen.iter().map(texts).collect(),
        near: near_workloads(mesh, &selection),
        selection,
        place: None,
    }
}

/// Sorts by kind, namespace and name; a ServiceEntry's own endpoints stand in its order.
fn place(candidate: &Candidate) -> impl Ord + use<> {
    match &candidate.source {
        Source::Workload(workload) => (1, Some(workload.key.clone()), 0, 0),
        Source::Inline(index) => (0, None, candidate.service, *index),
        Source::Addresses => (0, None, candidate.service, 0),
    }
}

fn near_workloads(mesh: &Mesh, selection: &Selection) -> Vec<NearWorkload> {
    let picks_none = |index: usize| {
        selection
            .candidates
            .iter()
            .all(|candidate| candidate.service != index)
    };
    let barren = selection.chosen.iter().enumerate();
    barren
        .filter(|(index, _)| picks_none(*index))
        .flat_map(|(_, service)| near::workloads(mesh, service))
        .collect()
}

#[cfg(test)]
mod tests;
