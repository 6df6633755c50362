//! The annotations `meshdns.io/…`: which there are, on which kinds, and what they tell us of an endpoint's health. Istio's tie of a
//! WorkloadEntry to its group belongs to that; what they ask of answers is read by [`traffic`].
//!
//! Nothing of it changes an answer where nobody writes it.

use std::{num::NonZeroU32, sync::Arc};

use super::{
    findings::{Findings, nearest},
    host::is_lowercase_subdomain,
    probe::{self, Probe},
    timestamp,
    traffic::{self, PREFIX, TrafficNotes},
    value::{Entry, Fields, Node, NodeId, Value, quoted},
};
use crate::diagnostic::{Kind, code};

/// The annotations that are read, without the prefix, with the kinds that may have them.
const KNOWN: &[(&str, &[Kind])] = &[
    ("state", ORDERED),
    ("state-until", ORDERED),
    ("state-reason", ORDERED),
    ("probe", &[Kind::WorkloadEntry, Kind::ServiceEntry]),
    ("workload-group", &[Kind::WorkloadEntry]),
    ("heartbeat", &[Kind::WorkloadEntry]),
    ("weight", &[Kind::Pod]),
    ("share", OF_ANSWERS),
    ("share-by", OF_ANSWERS),
    ("answer", OF_ANSWERS),
    ("max-addresses", OF_ANSWERS),
    ("https", OF_ANSWERS),
    ("txt", OF_ANSWERS),
    ("grpc-config", OF_ANSWERS),
    ("ptr", OF_ANSWERS),
];

/// The kinds that have what [`traffic`] reads.
const OF_ANSWERS: &[Kind] = &[Kind::ServiceEntry];

const ORDERED: &[Kind] = &[Kind::WorkloadEntry, Kind::Pod, Kind::ServiceEntry];

/// Istio's tie of a WorkloadEntry that registered itself to its group (`pilot/pkg/autoregistration`).
const REGISTRATION_GROUP: &str = "istio.io/autoRegistrationGroup";

/// What an object's annotations say; of a ServiceEntry it holds for its inline endpoints.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notes {
    /// `meshdns.io/state` with its `-until` and `-reason`.
    pub order: Option<Order>,
    /// `meshdns.io/probe`.
    pub probe: Option<ProbeNote>,
    /// `meshdns.io/workload-group`: the WorkloadGroup of the same namespace whose probe is meant.
    pub workload_group: Option<Box<str>>,
    /// The WorkloadGroup that Istio tied the WorkloadEntry to: its annotation, or the object's controller.
    pub registration_group: Option<Box<str>>,
    /// `meshdns.io/heartbeat`: the age in seconds from which on a report counts for nothing.
    pub heartbeat_seconds: Option<NonZeroU32>,
}

/// What a person says of an endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// What is to be done.
    pub state: OrderedState,
    /// Until when, in seconds since 1970; for ever where there is none.
    pub until: Option<i64>,
    /// Why, as written.
    pub reason: Option<Box<str>>,
}

/// What a person wants of an endpoint. What is out by order is not unhealthy: nothing brings it back but another order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum OrderedState {
    /// In, whatever reports and checks say.
    Up,
    /// Out, and not probed.
    Down,
    /// Out, and still probed: it is about to be stopped.
    Drain,
    /// As reports and checks say.
    Auto,
}

/// What `meshdns.io/probe` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProbeNote {
    /// `none`: never probed.
    Never,
    /// The stanza of a WorkloadGroup.
    Probe(Arc<Probe>),
}

impl OrderedState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Drain, Self::Auto];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Drain => "drain",
            Self::Auto => "auto",
        }
    }

    /// The state that is written so.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What an object's annotations say.
#[derive(Default)]
pub(super) struct Decoded {
    /// Of the health of its endpoints.
    pub(super) notes: Option<Box<Notes>>,
    /// Of the answers of its hosts.
    pub(super) traffic: Option<Box<TrafficNotes>>,
    /// `meshdns.io/weight`.
    pub(super) weight: NotedWeight,
}

/// What `meshdns.io/weight` says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NotedWeight {
    /// There is none.
    #[default]
    Unset,
    /// A weight.
    Weight(NonZeroU32),
    /// It can't be read: what it said before counts on.
    Unreadable,
}

/// Reads what the annotations of an object of this kind say.
pub(super) fn decode(
    findings: &mut Findings,
    kind: Kind,
    metadata: Fields<'_>,
    annotations: &[Entry<'_>],
) -> Decoded {
    let mut notes = None;
    let mut order = Ordering::default();
    let mut traffic = traffic::Reader::default();
    let mut weight = NotedWeight::Unset;
    for Entry { key, value } in annotations {
        if key.text == REGISTRATION_GROUP && kind == Kind::WorkloadEntry {
            let notes: &mut Box<Notes> = notes.get_or_insert_default();
            notes.registration_group = value.as_text().map(Into::into);
        }
        let text = value.as_text().unwrap_or_default().trim();
        let Some(name) = key.text.strip_prefix(PREFIX) else {
            if kind == Kind::ServiceEntry {
                traffic.read_foreign(key.text, text);
            }
            continue;
        };
        let Some((_, kinds)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            warn_unknown(findings, key.id, key.text);
            continue;
        };
        if !kinds.contains(&kind) {
            warn_misplaced(findings, key.id, key.text, kind);
            continue;
        }
        if *kinds == OF_ANSWERS {
            traffic.read(findings, name, key.id, value.id, text);
            continue;
        }
        if name == "weight" {
            let read = traffic::weight(findings, value.id, text);
            weight = read.map_or(NotedWeight::Unreadable, NotedWeight::Weight);
            continue;
        }
        let notes: &mut Box<Notes> = notes.get_or_insert_default();
        match name {
            "state" => order.state = state(findings, value.id, text).map(|state| (key.id, state)),
            "state-until" => order.until = until(findings, value.id, text).map(|at| (key.id, at)),
            "state-reason" => order.reason = Some((key.id, text.into())),
            "probe" => notes.probe = probe(findings, value.id, text),
            "workload-group" => notes.workload_group = group(findings, value.id, text),
            "heartbeat" => notes.heartbeat_seconds = heartbeat(findings, value.id, text),
            _ => unreachable!("the names are those of the table"),
        }
    }
    if kind == Kind::WorkloadEntry
        && let Some(group) = controlling_group(metadata)
    {
        let notes = notes.get_or_insert_default();
        notes.registration_group.get_or_insert(group);
    }
    if let Some(notes) = &mut notes {
        notes.order = order.finish(findings);
    }
    Decoded {
        notes: notes.filter(|notes| **notes != Notes::default()),
        traffic: traffic.finish(findings),
        weight,
    }
}

/// The parts of an order, with the keys that said them.
#[derive(Default)]
struct Ordering {
    state: Option<(NodeId, OrderedState)>,
    until: Option<(NodeId, i64)>,
    reason: Option<(NodeId, Box<str>)>,
}

impl Ordering {
    fn finish(self, findings: &mut Findings) -> Option<Order> {
        if let (None, Some(at)) = (
            self.state,
            self.until
                .map(|(at, _)| at)
                .or(self.reason.as_ref().map(|(at, _)| *at)),
        ) {
            let message = "there is no `meshdns.io/state` that this annotation belongs to: write one, or take this out";
            findings.warning(at, code::OUR_ANNOTATION, message);
        }
        let (_, state) = self.state?;
        Some(Order {
            state,
            until: self.until.map(|(_, until)| until),
            reason: self.reason.map(|(_, reason)| reason),
        })
    }
}

fn warn_unknown(findings: &mut Findings, at: NodeId, annotation: &str) {
    let name = &annotation[PREFIX.len()..];
    let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
    let message = match nearest(name, &names) {
        Some(near) => format!(
            "unknown annotation {}; did you mean `{PREFIX}{near}`?",
            quoted(annotation)
        ),
        None => format!("unknown annotation {}: it is ignored", quoted(annotation)),
    };
    findings.warning(at, code::OUR_ANNOTATION, message);
}

fn warn_misplaced(findings: &mut Findings, at: NodeId, annotation: &str, kind: Kind) {
    let name = &annotation[PREFIX.len()..];
    let is_of_answers = KNOWN.contains(&(name, OF_ANSWERS));
    let mend = match (kind, name) {
        (Kind::Pod | Kind::WorkloadEntry, _) if is_of_answers => {
            ": write it on the ServiceEntry that selects it"
        }
        (Kind::WorkloadEntry, "weight") => ": write `weight` into its `spec`",
        (Kind::ServiceEntry, "weight") => {
            ": write it on the Pods, or `weight` into the WorkloadEntries or `endpoints`"
        }
        (Kind::Pod, _) => ", whose kubelet checks it: take it out",
        _ => ": take it out",
    };
    let message = format!("`{annotation}` means nothing on a {kind}{mend}");
    findings.warning(at, code::OUR_ANNOTATION, message);
}

fn state(findings: &mut Findings, at: NodeId, text: &str) -> Option<OrderedState> {
    let state = OrderedState::from_text(text);
    if state.is_none() {
        let message = format!(
            "`meshdns.io/state` is {}: write `up`, `down`, `drain` or `auto`",
            quoted(text)
        );
        findings.error(at, code::OUR_ANNOTATION, message);
    }
    state
}

fn until(findings: &mut Findings, at: NodeId, text: &str) -> Option<i64> {
    let until = timestamp::seconds(text);
    if until.is_none() {
        let message = format!(
            "`meshdns.io/state-until` is {}: write it as `2006-01-02T15:04:05Z`",
            quoted(text)
        );
        findings.error(at, code::OUR_ANNOTATION, message);
    }
    until
}

fn probe(findings: &mut Findings, at: NodeId, text: &str) -> Option<ProbeNote> {
    if text == "none" {
        return Some(ProbeNote::Never);
    }
    match probe::from_text(text) {
        Ok(probe) => Some(ProbeNote::Probe(Arc::new(probe))),
        Err(problems) => {
            for problem in problems {
                let message = format!("`meshdns.io/probe`: {problem}");
                findings.error(at, code::OUR_ANNOTATION, message);
            }
            None
        }
    }
}

fn group(findings: &mut Findings, at: NodeId, text: &str) -> Option<Box<str>> {
    if is_lowercase_subdomain(text) {
        return Some(text.into());
    }
    let message = format!(
        "`meshdns.io/workload-group` is {}: write the name of a WorkloadGroup of the same namespace",
        quoted(text)
    );
    findings.error(at, code::OUR_ANNOTATION, message);
    None
}

fn heartbeat(findings: &mut Findings, at: NodeId, text: &str) -> Option<NonZeroU32> {
    let duration = humantime::parse_duration(text).ok();
    let seconds = duration.and_then(|duration| u32::try_from(duration.as_secs()).ok());
    let seconds = seconds.and_then(NonZeroU32::new);
    if seconds.is_none() {
        let message = format!(
            "`meshdns.io/heartbeat` is {}: write a duration such as `60s` or `5m`, of a second at least",
            quoted(text)
        );
        findings.error(at, code::OUR_ANNOTATION, message);
    }
    seconds
}

/// The WorkloadGroup that is the object's controller.
fn controlling_group(metadata: Fields<'_>) -> Option<Box<str>> {
    let owners = metadata.get_set("ownerReferences")?;
    let Value::List(owners) = owners.value else {
        return None;
    };
    let owners = owners.iter().filter_map(Node::as_fields);
    let mut groups = owners.filter(|owner| {
        let is_controller = owner.get("controller").map(|node| node.value);
        owner.text("kind") == Some("WorkloadGroup") && is_controller == Some(Value::Bool(true))
    });
    groups.next()?.text("name").map(Into::into)
}
