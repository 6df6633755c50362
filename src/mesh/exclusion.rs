use std::fmt;

use crate::manifest::Address;

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
    /// It fails a check of ours: which, and since when.
    CheckFailed(Box<str>),
    /// It came while the server ran, and has not passed its check so far.
    CheckPending(Box<str>),
    /// A person takes it out before it is stopped: who says so, and until when.
    Drained(Box<str>),
    /// A person takes it out: who says so, and until when.
    ForcedDown(Box<str>),
    /// Its report is older than its heartbeat allows.
    ReportStale(Box<str>),
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
            Self::CheckFailed(_) => "CheckFailed",
            Self::CheckPending(_) => "CheckPending",
            Self::Drained(_) => "Drained",
            Self::ForcedDown(_) => "ForcedDown",
            Self::ReportStale(_) => "ReportStale",
            Self::NotAnAddress(_) => "NotAnAddress",
        }
    }

    /// Whether a person's word leaves it out.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Self::Drained(_) | Self::ForcedDown(_))
    }

    /// Whether the workload is expected to come back by itself: it has an address and waits for its health.
    pub fn is_unready(&self) -> bool {
        matches!(
            self,
            Self::PodNotReady(_)
                | Self::Unhealthy(_)
                | Self::HealthUnknown
                | Self::CheckFailed(_)
                | Self::CheckPending(_)
                | Self::ReportStale(_)
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
            Self::CheckFailed(text)
            | Self::CheckPending(text)
            | Self::Drained(text)
            | Self::ForcedDown(text)
            | Self::ReportStale(text) => f.write_str(text),
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
