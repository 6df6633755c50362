//! `WorkloadEntry`: the rules of its own, and what a selector sees of it.

use super::{
    address::Ip,
    findings::Findings,
    host,
    metadata::Decoded,
    object::{LabelMap, WorkloadEntry},
    value::Fields,
    workload::{self, Form, Holder, WorkloadSpec},
};
use crate::diagnostic::code;

/// The label that stands for a locality where the spec has none; dots in it stand for slashes.
const LOCALITY_LABEL: &str = "istio-locality";

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
    healthy: Option<&str>,
    spec: Fields<'_, '_>,
    decoded: Decoded<'_>,
) -> Option<WorkloadEntry> {
    let workload = workload::decode(findings, spec, Holder::Entry);
    workload::require_address(findings, &workload, spec.id);
    if let Some(address) = workload
        .address
        .filter(|address| address.form() == Form::Other)
        && host::check_name(address.text).is_err()
    {
        findings.error(
            address.at,
            code::ADDRESS_SYNTAX,
            workload::explain_address(address.text),
        );
    }
    let address = workload::usable_address(findings, &workload)?;
    let labels = selectable_labels(workload, &decoded.metadata.labels);
    Some(WorkloadEntry {
        labels,
        address,
        healthy: healthy.map(Into::into),
        health_checks_enabled: decoded.health_checks.is_some_and(is_go_true),
        metadata: decoded.metadata,
    })
}

/// What a selector sees: `metadata.labels` win over the spec's, and the topology is added.
fn selectable_labels(spec: WorkloadSpec<'_>, metadata: &LabelMap) -> LabelMap {
    let WorkloadSpec {
        locality,
        network,
        mut labels,
        ..
    } = spec;
    labels.extend(
        metadata
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    let locality = match (locality, labels.get(LOCALITY_LABEL)) {
        (Some(locality), _) => Some(locality.to_owned()),
        (None, Some(label)) if label.contains('/') => Some(label.to_string()),
        (None, Some(label)) => Some(label.replace('.', "/")),
        (None, None) => None,
    };
    let parts = locality.iter().flat_map(|locality| locality.split('/'));
    for (label, part) in LOCALITY_LABELS
        .into_iter()
        .zip(parts)
        .filter(|(_, part)| !part.is_empty())
    {
        labels.insert(label.into(), part.into());
    }
    if let Some(network) = network {
        labels
            .entry(NETWORK_LABEL.into())
            .or_insert_with(|| network.text.into());
    }
    labels
}

/// Whether Go's `strconv.ParseBool` reads `text` as true.
fn is_go_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True")
}

/// Whether an address is an IP that a STATIC endpoint may have.
pub(super) fn is_ip(form: Form) -> bool {
    matches!(form, Form::Ip(Ip::Plain(_) | Ip::Zoned))
}
