use std::{fmt, net::IpAddr, ops::Deref, slice};

use smallvec::SmallVec;

use super::{labels::Labels, read_from::ReadFrom};
use crate::{
    diagnostic::{ObjectKey, Origin},
    dns::Name,
    manifest::{Address, Pod, WorkloadEntry},
};

/// A Pod or a VM: after this point they differ only in what `explain` prints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Workload {
    /// Its kind, namespace and name.
    pub key: ObjectKey,
    /// What a selector sees.
    pub labels: Labels,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// Why it is no endpoint; `None` where it is one.
    pub excluded: Option<Box<Exclusion>>,
    /// What it was read from.
    pub read_from: ReadFrom,
}

impl Workload {
    /// Where it was read, as it is shown.
    pub fn origin(&self) -> Origin {
        self.read_from.origin_of(&self.key)
    }

    /// Its name, where it has that in place of an address.
    pub fn name(&self) -> Option<&Name> {
        match &self.addresses {
            Addresses::Name(name) => Some(name),
            Addresses::One(_) | Addresses::Other(_) => None,
        }
    }
}

/// The addresses of a workload: one as a rule, which needs no memory of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Addresses {
    /// A single one.
    One(IpAddr),
    /// None, or more than one.
    Other(Box<[IpAddr]>),
    /// Those of a name, which stand elsewhere.
    Name(Box<Name>),
}

// A mesh has one for each of what may be a million workloads.
const _: () = assert!(size_of::<Addresses>() == 24);

impl From<SmallVec<[IpAddr; 2]>> for Addresses {
    fn from(addresses: SmallVec<[IpAddr; 2]>) -> Self {
        match *addresses {
            [address] => Self::One(address),
            _ => Self::Other(addresses.into_boxed_slice()),
        }
    }
}

impl Deref for Addresses {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        match self {
            Self::One(address) => slice::from_ref(address),
            Self::Other(addresses) => addresses,
            Self::Name(_) => &[],
        }
    }
}

impl From<&Address> for Addresses {
    fn from(address: &Address) -> Self {
        match address {
            Address::Ip(ip) => Self::One(*ip),
            Address::Name(text) => Name::from_text(text).map_or_else(
                |_| Self::Other(Box::default()),
                |name| Self::Name(Box::new(name)),
            ),
            Address::Unix(_) | Address::Network(_) => Self::Other(Box::default()),
        }
    }
}

/// Why a candidate endpoint is left out of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exclusion {
    /// The Pod's `Ready` condition is not `True`; what it is instead, if there is one.
    PodNotReady(Option<Box<str>>),
    /// The Pod has a `deletionTimestamp`.
    PodTerminating,
    /// The Pod's phase is `Succeeded` or `Failed`.
    PodFinished(Box<str>),
    /// The Pod has no IP yet.
    PodHasNoAddress,
    /// The WorkloadEntry's `Healthy` condition is not `True`; what it is.
    Unhealthy(Box<str>),
    /// Health checks are enabled on the WorkloadEntry and no `Healthy` condition was reported yet.
    HealthUnknown,
    /// The address is a `unix://` socket, missing, or a name that no DNS message can carry.
    NotAnAddress(Address),
}

impl Exclusion {
    /// The stable name of the reason, as JSON outputs and metrics spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PodNotReady(_) => "PodNotReady",
            Self::PodTerminating => "PodTerminating",
            Self::PodFinished(_) => "PodFinished",
            Self::PodHasNoAddress => "PodHasNoAddress",
            Self::Unhealthy(_) => "Unhealthy",
            Self::HealthUnknown => "HealthUnknown",
            Self::NotAnAddress(_) => "NotAnAddress",
        }
    }

    /// Whether the workload is expected to come back by itself: it has an address and waits for its health.
    pub fn is_unready(&self) -> bool {
        matches!(
            self,
            Self::PodNotReady(_) | Self::Unhealthy(_) | Self::HealthUnknown
        )
    }
}

/// One sentence without its subject, for `explain`.
impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PodNotReady(Some(status)) => write!(f, "condition Ready is {status}"),
            Self::PodNotReady(None) => f.write_str("has no Ready condition"),
            Self::PodTerminating => {
                f.write_str("is terminating (metadata.deletionTimestamp is set)")
            }
            Self::PodFinished(phase) => write!(f, "phase is {phase}"),
            Self::PodHasNoAddress => f.write_str("has no status.podIP"),
            Self::Unhealthy(status) => write!(f, "condition Healthy is {status}"),
            Self::HealthUnknown => {
                f.write_str("health checks are enabled and no Healthy condition was reported")
            }
            Self::NotAnAddress(Address::Name(name)) => {
                write!(f, "address {name} is no name that DNS can carry")
            }
            Self::NotAnAddress(Address::Unix(path)) => {
                write!(f, "address {path} is a socket, not an IP")
            }
            Self::NotAnAddress(Address::Network(network)) => {
                write!(f, "has no address of its own, only network {network}")
            }
            Self::NotAnAddress(Address::Ip(ip)) => write!(f, "address {ip} can't be answered"),
        }
    }
}

/// Istio's eligibility of Pods (`pilot/pkg/serviceregistry/kube/controller/pod.go`).
pub(super) fn pod_exclusion(pod: &Pod) -> Option<Exclusion> {
    if matches!(&*pod.phase, "Failed" | "Succeeded") {
        return Some(Exclusion::PodFinished((&*pod.phase).into()));
    }
    if pod.terminating {
        return Some(Exclusion::PodTerminating);
    }
    if pod.addresses.is_empty() {
        return Some(Exclusion::PodHasNoAddress);
    }
    match pod.ready.as_deref() {
        Some("True") => None,
        ready => Some(Exclusion::PodNotReady(ready.map(Into::into))),
    }
}

/// The health of WorkloadEntries: as Istio's `isHealthy` (`serviceentry/conversion.go`), but a `Healthy` condition that
/// is not `True` counts with or without the annotation.
pub(super) fn workload_entry_exclusion(entry: &WorkloadEntry) -> Option<Exclusion> {
    if let Addresses::Other(_) = Addresses::from(&entry.address) {
        return Some(Exclusion::NotAnAddress(entry.address.clone()));
    }
    match entry.healthy.as_deref() {
        Some("True") => None,
        Some(status) => Some(Exclusion::Unhealthy(status.into())),
        None if entry.health_checks_enabled => Some(Exclusion::HealthUnknown),
        None => None,
    }
}
