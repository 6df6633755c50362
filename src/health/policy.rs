use std::sync::Arc;

use super::reach::Reach;
use crate::{
    diagnostic::Kind,
    dns::Name,
    manifest::{LabelMap, Probe},
};

/// Which endpoints are checked how, and what their checks may do to a host: what the configuration's `health` says of the mesh.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CheckPolicy {
    /// `workloadGroups`.
    pub workload_groups: GroupProbes,
    /// `checks`, in their order: the first that fits an endpoint counts.
    pub rules: Vec<CheckRule>,
    /// `whenAllFail`.
    pub when_all_fail: WhenAllFail,
    /// Where probes may go: other endpoints are not checked.
    pub reach: Reach,
    /// `reportMaxAge` in seconds: an older report counts as none. `None` is `off`.
    pub report_max_age: Option<u32>,
}

/// Whether the probe of a WorkloadGroup is a check of the endpoints that Istio made from it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum GroupProbes {
    /// It is none.
    #[default]
    Off,
    /// Of those without a condition `Healthy`.
    Unreported,
    /// Of all of them.
    All,
}

/// What a host answers that only failing checks of ours would leave without an address.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenAllFail {
    /// The endpoints that had a place before.
    #[default]
    All,
    /// Nothing.
    None,
}

/// A check of the configuration, and which endpoints it is for: those that every part of its `match` fits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckRule {
    /// What metrics and `explain` call it.
    pub name: Box<str>,
    /// The namespaces of the objects; empty for all.
    pub namespaces: Box<[Box<str>]>,
    /// Labels that the endpoint has, all of them.
    pub labels: LabelMap,
    /// `WorkloadEntry`, or `ServiceEntry` for inline endpoints; never empty.
    pub kinds: Box<[Kind]>,
    /// Hosts of a ServiceEntry, as it writes them; empty for all. Only inline endpoints have any.
    pub hosts: Box<[Name]>,
    /// How; `None` for no check, whatever a later rule says.
    pub probe: Option<Arc<Probe>>,
}
