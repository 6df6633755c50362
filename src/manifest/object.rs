//! The objects as their manifests state them, checked: what a value of these types holds passed every rule.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use smallvec::SmallVec;

use super::{
    attributes::Attributes,
    label_map::LabelMap,
    notes::{NotedWeight, Notes},
    probe::Probe,
    traffic::TrafficNotes,
};
use crate::{
    diagnostic::{Diagnostic, FilePlace, Kind, ObjectKey},
    dns::Name,
};

/// One object of a file, or what stands in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where the object begins; the items of a list share the document's number.
    pub place: FilePlace,
    /// What was read.
    pub outcome: DocumentOutcome,
    /// A digest of what it says, wherever it stands, where the outcome is [`DocumentOutcome::Rejected`] without a key, else 0:
    /// it tells a document that changed from one that was bad all along.
    pub digest: u64,
}

/// What became of a document or list item.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentOutcome {
    /// A valid object.
    Object(Object),
    /// Not usable; a diagnostic says why. The key, where it could be told, lets the last good version stay.
    Rejected(Option<ObjectKey>),
    /// An object of a kind that meshdns does not read (its `kind`, or `?` without one).
    Ignored(Box<str>),
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Every object in the file's order; empty documents leave none. Of those that can't be used and name no object the first
    /// 1000, and the others as one behind all others; of other kinds the first 1000.
    pub documents: Vec<Document>,
    /// How many more objects of other kinds there are than documents of the outcome [`DocumentOutcome::Ignored`].
    pub more_ignored: usize,
    /// What is wrong with them, in the file's order.
    pub diagnostics: Vec<Diagnostic>,
}

/// What the newest version of an object of a cluster holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectContents {
    /// The object; `None` where it can't be used, and a diagnostic says why.
    pub object: Option<Object>,
    /// What is wrong with it, in the order of its fields.
    pub diagnostics: Vec<Diagnostic>,
}

/// A valid object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A host and where its endpoints come from.
    ServiceEntry(Box<ServiceEntry>),
    /// A VM.
    WorkloadEntry(Box<WorkloadEntry>),
    /// A template of VMs.
    WorkloadGroup(Box<WorkloadGroup>),
    /// A Pod.
    Pod(Box<Pod>),
    /// Where the Pods on it are.
    Node(Box<Node>),
}

impl Object {
    /// The object's metadata.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::ServiceEntry(entry) => &entry.metadata,
            Self::WorkloadEntry(entry) => &entry.metadata,
            Self::WorkloadGroup(group) => &group.metadata,
            Self::Pod(pod) => &pod.metadata,
            Self::Node(node) => &node.metadata,
        }
    }

    /// The object's kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ServiceEntry(_) => Kind::ServiceEntry,
            Self::WorkloadEntry(_) => Kind::WorkloadEntry,
            Self::WorkloadGroup(_) => Kind::WorkloadGroup,
            Self::Pod(_) => Kind::Pod,
            Self::Node(_) => Kind::Node,
        }
    }

    /// Whether an annotation can't be read whose last good value counts on.
    pub(crate) fn has_unreadable(&self) -> bool {
        match self {
            Self::ServiceEntry(entry) => {
                let traffic = entry.traffic.as_ref();
                traffic.is_some_and(|traffic| !traffic.unreadable.is_empty())
            }
            Self::Pod(pod) => pod.weight == NotedWeight::Unreadable,
            Self::WorkloadEntry(_) | Self::WorkloadGroup(_) | Self::Node(_) => false,
        }
    }

    /// What identifies the object.
    pub fn key(&self) -> ObjectKey {
        let metadata = self.metadata();
        ObjectKey {
            kind: self.kind(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
        }
    }
}

/// The parts of `metadata` that have a meaning here.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.namespace`, or `default`.
    pub namespace: Arc<str>,
    /// `metadata.creationTimestamp` in seconds since 1970; 0, the oldest, where there is none (Istio sorts so too).
    pub created: i64,
}

/// A checked ServiceEntry.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEntry {
    /// Name, namespace, age.
    pub metadata: Metadata,
    /// `spec.hosts` that can answer: names and `*.` wildcards. Partial wildcards (`*foo.com`) are left out, with a
    /// warning.
    pub hosts: Vec<Name>,
    /// The single IPs of `spec.addresses`, `/32` and `/128` included; wider blocks are left out.
    pub addresses: Vec<IpAddr>,
    /// `spec.resolution`.
    pub resolution: Resolution,
    /// `spec.ports`, in the manifest's order.
    pub ports: Vec<ServicePort>,
    /// `spec.endpoints` or `spec.workloadSelector`.
    pub endpoints: EndpointSource,
    /// Who may see the hosts.
    pub export: Export,
    /// What is noted on it for us.
    pub notes: Option<Box<Notes>>,
    /// What its annotations ask of the answers of its hosts.
    pub traffic: Option<Box<TrafficNotes>>,
}

/// Who may see a ServiceEntry's hosts: `spec.exportTo`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Export {
    /// Every namespace: `*`, or no `exportTo`.
    Everyone,
    /// These namespaces, ascending: names, and for `.` its own.
    Some(Arc<[Box<str>]>),
    /// Nobody: `~` alone.
    Nobody,
}

/// How a ServiceEntry's clients find its endpoints: `spec.resolution`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// `NONE`, the default: the connection's own destination.
    None,
    /// `STATIC`: the endpoints' IPs.
    Static,
    /// `DNS`: every address that the endpoints' names have.
    Dns,
    /// `DNS_ROUND_ROBIN`: the first address that the endpoint's name has.
    DnsRoundRobin,
    /// `DYNAMIC_DNS`: the name that the client asks for, at the proxy.
    DynamicDns,
}

/// Where a ServiceEntry's endpoints come from.
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointSource {
    /// Neither `endpoints` nor `workloadSelector`.
    Neither,
    /// `spec.endpoints`, in the manifest's order.
    Inline(Vec<Endpoint>),
    /// `spec.workloadSelector.labels`: the Pods and WorkloadEntries of the same namespace that have them all. Empty
    /// selects nothing.
    Selector(LabelMap),
}

/// One of `spec.endpoints`.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its `address`, or its `network` where it has none.
    pub address: Address,
    /// Its `labels`, and the topology labels that Istio derives from locality and network.
    pub labels: LabelMap,
    /// Its `weight` and `ports`.
    pub attributes: Attributes,
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        Self {
            address,
            labels: LabelMap::default(),
            attributes: Attributes::default(),
        }
    }
}

/// One of `spec.ports`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServicePort {
    /// Its `name`, as written.
    pub name: Box<str>,
    /// Its `number`.
    pub number: u16,
    /// Its `targetPort`: the endpoints' port, where that is another one.
    pub target: Option<u16>,
    /// What its `protocol` runs over.
    pub transport: Transport,
    /// Whether its `protocol` is HTTPS.
    pub is_https: bool,
}

/// What a port's protocol runs over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Transport {
    /// TCP, as everything but UDP does, or says that it does.
    Tcp,
    /// UDP.
    Udp,
}

/// An endpoint's address in any form that Istio takes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Address {
    /// An IPv4 or IPv6 address, never an IPv4-mapped one.
    Ip(IpAddr),
    /// A name, as written.
    Name(Box<str>),
    /// A `unix://` socket, as written.
    Unix(Box<str>),
    /// No address but a network: whatever is behind that network's gateway.
    Network(Box<str>),
}

/// A checked WorkloadEntry.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadEntry {
    /// Name, namespace, age.
    pub metadata: Metadata,
    /// What a selector sees: `spec.labels`, overlaid with `metadata.labels`, and the topology labels that Istio derives
    /// from locality and network.
    pub labels: LabelMap,
    /// `spec.address`.
    pub address: Address,
    /// `spec.weight` and `spec.ports`.
    pub attributes: Attributes,
    /// The `status` of the first condition of type `Healthy`, as written.
    pub healthy: Option<Box<str>>,
    /// Whether the annotation `proxy.istio.io/health-checks-enabled` is true as Go's `ParseBool` reads it.
    pub health_checks_enabled: bool,
    /// `lastProbeTime` of that condition in seconds since 1970.
    pub reported: Option<i64>,
    /// What is noted on it for us.
    pub notes: Option<Box<Notes>>,
}

/// A checked Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Name, namespace, age.
    pub metadata: Metadata,
    /// What a selector sees: `metadata.labels` and `kubernetes.io/hostname` (the node's name).
    pub labels: LabelMap,
    /// `status.phase`; empty where there is none.
    pub phase: Cow<'static, str>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    /// The `status` of the condition `Ready`, as written.
    pub ready: Option<Cow<'static, str>>,
    /// `status.podIPs`, or `status.podIP` alone, in order and once each.
    pub addresses: SmallVec<[IpAddr; 2]>,
    /// What is noted on it for us.
    pub notes: Option<Box<Notes>>,
    /// `meshdns.io/weight`.
    pub weight: NotedWeight,
}

/// A checked WorkloadGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadGroup {
    /// Name, namespace, age.
    pub metadata: Metadata,
    /// The labels that members have where Istio makes them: `spec.metadata.labels` and `spec.template.labels`.
    pub labels: LabelMap,
    /// `spec.probe`.
    pub probe: Option<Arc<Probe>>,
}

/// A Node: where the Pods on it are.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name, which `spec.nodeName` of its Pods is.
    pub metadata: Metadata,
    /// Its `metadata.labels`, of which those of its topology count.
    pub labels: LabelMap,
}
