//! The story as one JSON object.

use std::{collections::BTreeMap, net::IpAddr, time::SystemTime};

use serde::Serialize;

use super::{HostStory, Miss, Others};
use crate::{
    dns::Name,
    explain,
    mesh::{Endpoints, Exclusion, ReadFrom},
    select::{Candidate, Group, Lookup, Loss, Source},
    zone::Role,
};

/// What `explain --output json` prints, and the API has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story<'e> {
    name: String,
    r#type: String,
    outcome: &'static str,
    /// `null` where others answer.
    rcode: Option<&'static str>,
    /// Who asks, where that was said.
    asker: Option<AskerStory<'e>>,
    forward: Option<Forward<'e>>,
    via: &'static str,
    zone: Option<Zone>,
    hosts: Vec<Host<'e>>,
    answer: Vec<Record<'e>>,
    authority: Vec<Record<'e>>,
    /// Hosts that are spelt alike.
    near: Vec<String>,
    /// How many hosts are below a name that is in none of our zones.
    hosts_below: usize,
}

#[derive(Serialize)]
struct AskerStory<'e> {
    client: IpAddr,
    kind: &'static str,
    objects: Vec<String>,
    /// Where answers depend on it and it is known.
    locality: Option<&'e str>,
    namespace: Option<&'e str>,
}

/// How the host's questions are shared out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Share<'e> {
    group: &'e str,
    /// Parts of one.
    wanted: f64,
    effective: f64,
    r#in: usize,
    unready: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Zone {
    apex: String,
    declared: bool,
}

/// Who is asked for a name that is not ours.
#[derive(Serialize)]
struct Forward<'e> {
    domain: String,
    upstreams: &'e [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Host<'e> {
    #[serde(rename = "host")]
    name: String,
    answers: bool,
    all_unhealthy: bool,
    /// None where every endpoint has the same part.
    shares: Vec<Share<'e>>,
    service_entries: Vec<Entry<'e>>,
    endpoints: Vec<Endpoint<'e>>,
    near: Vec<Near<'e>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'e> {
    namespace: &'e str,
    name: &'e str,
    #[serde(flatten)]
    place: Place<'e>,
    chosen: bool,
    reason: Option<&'static str>,
    source: &'static str,
    selector: Option<BTreeMap<&'e str, &'e str>>,
}

/// Where an object stands.
#[derive(Serialize)]
#[serde(untagged)]
enum Place<'e> {
    File { file: &'e str, line: u32 },
    Cluster { cluster: &'e str },
}

impl<'e> From<&'e ReadFrom> for Place<'e> {
    fn from(read_from: &'e ReadFrom) -> Self {
        match read_from {
            ReadFrom::File(place) => Self::File {
                file: &place.file,
                line: place.position.line,
            },
            ReadFrom::Cluster(cluster) => Self::Cluster {
                cluster: cluster.name(),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'e> {
    /// `Pod`, `WorkloadEntry`, or `ServiceEntry` for what stands in the ServiceEntry itself.
    kind: &'static str,
    namespace: &'e str,
    name: &'e str,
    #[serde(flatten)]
    place: Place<'e>,
    addresses: &'e [IpAddr],
    /// The name that has them, where the endpoint is a name.
    named: Option<Named>,
    r#in: bool,
    /// Its part of the answers, as a part of one, where endpoints have parts of their own.
    part: Option<f64>,
    /// The stable name of the reason, and the reason in words.
    reason: Option<&'static str>,
    message: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    lookup: &'static str,
    /// The host of the mesh that has the name.
    host: Option<String>,
    /// The name that it is an alias of.
    alias: Option<String>,
    /// How long ago upstreams told the addresses.
    age_seconds: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Near<'e> {
    kind: &'static str,
    namespace: &'e str,
    name: &'e str,
    #[serde(flatten)]
    place: Place<'e>,
    reason: &'static str,
    label: Option<&'e str>,
    wanted: Option<&'e str>,
    found: Option<&'e str>,
}

#[derive(Serialize)]
struct Record<'e> {
    name: String,
    ttl: u32,
    r#type: String,
    data: &'e str,
}

impl<'e> Story<'e> {
    /// The story, and for a name that is not ours which others answer for it.
    pub fn new(told: &'e explain::Explanation, others: Option<&'e Others<'_>>) -> Self {
        Self {
            name: told.name.to_string(),
            r#type: told.record_type.to_string(),
            outcome: match others {
                Some(Others::Upstreams { .. }) => "forwarded",
                Some(Others::Special(_)) => "special",
                None => told.outcome.as_str(),
            },
            rcode: others.is_none().then(|| told.rcode.as_str()),
            asker: told.asker.as_ref().map(|story| AskerStory {
                client: story.client,
                kind: match story.asker.role {
                    Role::Direct => "direct",
                    Role::Forwarder => "forwarder",
                },
                objects: story.objects.iter().map(ToString::to_string).collect(),
                locality: story.locality.as_deref(),
                namespace: story.namespace.as_deref(),
            }),
            forward: match others {
                Some(Others::Upstreams { domain, addresses }) => Some(Forward {
                    domain: domain.to_string(),
                    upstreams: addresses,
                }),
                Some(Others::Special(_)) | None => None,
            },
            via: told.via.as_str(),
            zone: told.zone.as_ref().map(|zone| Zone {
                apex: zone.apex.to_string(),
                declared: zone.is_declared,
            }),
            hosts: told.hosts.iter().map(Host::from).collect(),
            answer: records(&told.answer, others),
            authority: records(&told.authority, others),
            near: told.near.iter().map(Name::to_host).collect(),
            hosts_below: told.hosts_below,
        }
    }
}

/// None where others answer: what they say takes the place of these.
fn records<'e>(records: &'e [explain::Record], others: Option<&Others<'_>>) -> Vec<Record<'e>> {
    let records = records.iter().filter(|_| others.is_none());
    records.map(Record::from).collect()
}

impl<'e> From<&'e HostStory> for Host<'e> {
    fn from(story: &'e HostStory) -> Self {
        let selection = &story.selection;
        let candidates = selection.candidates.iter();
        Self {
            name: selection.host.to_host(),
            answers: story.answers,
            all_unhealthy: selection.gathering.all_unhealthy,
            shares: selection
                .gathering
                .split
                .iter()
                .flat_map(|split| &split.groups)
                .map(Share::from)
                .collect(),
            service_entries: entries(story),
            endpoints: candidates
                .map(|candidate| endpoint(story, candidate))
                .collect(),
            near: story.near.iter().map(Near::from).collect(),
        }
    }
}

impl<'e> From<&'e Group> for Share<'e> {
    fn from(group: &'e Group) -> Self {
        Self {
            group: &group.name,
            wanted: group.wanted,
            effective: group.effective,
            r#in: group.in_count,
            unready: group.unready_count,
        }
    }
}

fn entries(story: &HostStory) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    for (index, (service, loss)) in story.service_entries().enumerate() {
        let selector = story.selectors.get(index).and_then(Option::as_ref);
        entries.push(Entry {
            namespace: &service.key.namespace,
            name: &service.key.name,
            place: Place::from(&service.read_from),
            chosen: loss.is_none(),
            reason: loss.map(|loss| match loss {
                Loss::OtherNamespace => "OtherNamespace",
                Loss::NotPublic => "NotPublic",
                Loss::RoundRobin => "RoundRobin",
                Loss::Hidden => "Hidden",
                Loss::NotExported => "NotExported",
                Loss::OwnNamespace => "OwnNamespace",
            }),
            source: match &service.endpoints {
                Endpoints::Selector(_) => "selector",
                Endpoints::Inline(_) => "endpoints",
                Endpoints::Neither if service.has_real_addresses() => "addresses",
                Endpoints::Neither => "none",
            },
            selector: selector.map(|labels| {
                let labels = labels.iter();
                labels.map(|(key, value)| (&**key, &**value)).collect()
            }),
        });
    }
    entries
}

fn endpoint<'e>(story: &'e HostStory, candidate: &'e Candidate) -> Endpoint<'e> {
    let service = &story.selection.chosen[candidate.service];
    let (key, read_from) = match &candidate.source {
        Source::Workload(workload) => (&workload.key, &workload.read_from),
        Source::Inline(_) | Source::Addresses => (&service.key, &service.read_from),
    };
    let excluded = candidate.excluded.as_ref();
    let now = SystemTime::now();
    let unnamed = candidate.named.as_ref().filter(|_| !candidate.is_good());
    Endpoint {
        kind: key.kind.as_str(),
        namespace: &key.namespace,
        name: &key.name,
        place: Place::from(read_from),
        addresses: &candidate.addresses,
        named: candidate
            .named
            .as_ref()
            .map(|(name, lookup)| named(name, lookup, now)),
        r#in: story.selection.is_in(candidate),
        part: story.part_of(candidate),
        reason: excluded
            .map(Exclusion::name)
            .or(unnamed.map(|(_, lookup)| lookup.name())),
        message: candidate
            .why()
            .or_else(|| unnamed.and_then(|_| explain::about_name(candidate, now))),
    }
}

fn named(name: &Name, lookup: &Lookup, now: SystemTime) -> Named {
    Named {
        name: name.to_host(),
        lookup: lookup.name(),
        host: match lookup {
            Lookup::Host(holding) => Some(holding.to_host()),
            _ => None,
        },
        alias: match lookup {
            Lookup::Resolved(told) => told.alias.as_ref().map(Name::to_host),
            _ => None,
        },
        age_seconds: explain::age_of(lookup, now).map(|age| age.as_secs_f64()),
    }
}

impl<'e> From<&'e explain::NearWorkload> for Near<'e> {
    fn from(near: &'e explain::NearWorkload) -> Self {
        let workload = &near.workload;
        let (reason, label, wanted, found) = match &near.miss {
            Miss::OtherNamespace => ("OtherNamespace", None, None, None),
            Miss::Label { key, wanted, found } => {
                ("Label", Some(&**key), Some(&**wanted), found.as_deref())
            }
        };
        Self {
            kind: workload.key.kind.as_str(),
            namespace: &workload.key.namespace,
            name: &workload.key.name,
            place: Place::from(&workload.read_from),
            reason,
            label,
            wanted,
            found,
        }
    }
}

impl<'e> From<&'e explain::Record> for Record<'e> {
    fn from(record: &'e explain::Record) -> Self {
        Self {
            name: record.owner.to_string(),
            ttl: record.ttl,
            r#type: record.record_type.to_string(),
            data: &record.data,
        }
    }
}
