//! `WorkloadEntry`: the rules of its own, and what a selector sees of it.

use std::borrow::Cow;

use super::{
    address::Ip,
    findings::Findings,
    host,
    label_map::LabelMap,
    labels,
    metadata::Decoded,
    object::WorkloadEntry,
    status::Condition,
    value::{Entry, Fields},
    workload::{self, Form, Holder, WorkloadSpec},
};
use crate::diagnostic::code;

/// The labels that stand for a locality where the spec has none, the first one that is there; dots in it stand for slashes
/// (Istio's `GetLocalityLabel`, `pilot/pkg/model/proxy.go`).
pub(crate) const STATING_LABELS: [&str; 2] = ["topology.istio.io/locality", "istio-locality"];

const NETWORK_LABEL: &str = "topology.istio.io/network";

/// The labels that Istio derives from a locality `region/zone/subzone`.
const LOCALITY_LABELS: [&str; 3] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
];

/// Reads a `WorkloadEntry`'s `spec`; `healthy` is what its status says.
pub(super) fn decode(
    findings: &mut Findings,
    healthy: Option<Condition<'_>>,
    spec: Fields<'_>,
    decoded: Decoded<'_>,
) -> Option<WorkloadEntry> {
    let workload = workload::decode(findings, spec, Holder::Entry);
    workload::require_address(findings, &workload, spec.id);
    if let Some(address) = workload
        .address
        .filter(|address| address.form == Form::Other)
        && host::check_name(address.text).is_err()
    {
        findings.error(
            address.at,
            code::ADDRESS_SYNTAX,
            workload::explain_address(address.text),
        );
    }
    let address = workload::usable_address(findings, &workload)?;
    let labels = selectable_labels(&workload, decoded.labels);
    Some(WorkloadEntry {
        labels,
        address,
        attributes: workload.attributes(),
        healthy: healthy.map(|healthy| healthy.status.into()),
        reported: healthy.and_then(|healthy| healthy.probed),
        health_checks_enabled: decoded.health_checks.is_some_and(is_go_true),
        notes: decoded.noted.notes,
        metadata: decoded.metadata,
    })
}

/// What a selector sees: `metadata.labels` win over the spec's, and the topology is added.
pub(super) fn selectable_labels(spec: &WorkloadSpec<'_>, metadata: &[Entry<'_>]) -> LabelMap {
    let stated = STATING_LABELS.iter().find_map(|label| {
        labels::get(metadata, label).or_else(|| labels::get(&spec.labels, label))
    });
    let locality = match (spec.locality, stated) {
        (Some(locality), _) => Cow::Borrowed(locality),
        (None, Some(label)) if label.contains('/') => Cow::Borrowed(label),
        (None, Some(label)) => Cow::Owned(label.replace('.', "/")),
        (None, None) => Cow::Borrowed(""),
    };
    let topology = LOCALITY_LABELS
        .into_iter()
        .zip(locality.split('/'))
        .filter(|(_, part)| !part.is_empty());
    let network = spec.network.map(|network| (NETWORK_LABEL, network.text));
    network
        .into_iter()
        .chain(labels::texts(&spec.labels))
        .chain(labels::texts(metadata))
        .chain(topology)
        .collect()
}

/// Whether Go's `strconv.ParseBool` reads `text` as true.
fn is_go_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True")
}

/// Whether an address is an IP that a STATIC endpoint may have.
pub(super) fn is_ip(form: Form) -> bool {
    matches!(form, Form::Ip(Ip::Plain(_) | Ip::Zoned))
}
