//! `WorkloadGroup`: a template, of which nothing is answered, and the probe of its members.

use std::sync::Arc;

use super::{
    findings::Findings,
    labels::{self, Judge},
    object::{Metadata, WorkloadGroup},
    probe,
    value::Fields,
    workload::{self, Holder},
};
use crate::diagnostic::code;

const FIELDS: &[&str] = &["metadata", "template", "probe"];

/// Reads a `WorkloadGroup`'s `spec`.
pub(super) fn decode(
    findings: &mut Findings,
    spec: Fields<'_>,
    metadata: Metadata,
) -> WorkloadGroup {
    findings.check_known(spec, FIELDS);
    match spec.get("template") {
        Some(node) => {
            if let Some(template) = findings.fields(node, "`template`") {
                workload::decode(findings, template, Holder::Template);
            }
        }
        None => findings.error(
            spec.id,
            code::NO_TEMPLATE,
            "`template` is missing: write one (it may be `{}`)",
        ),
    }
    if let Some(fields) = spec
        .get("metadata")
        .and_then(|node| findings.fields(node, "`spec.metadata`"))
    {
        check_metadata(findings, fields);
    }
    let probe = spec
        .get("probe")
        .and_then(|node| findings.fields(node, "`probe`"))
        .and_then(|fields| probe::decode(findings, fields));
    WorkloadGroup {
        metadata,
        probe: probe.map(Arc::new),
    }
}

fn check_metadata(findings: &mut Findings, fields: Fields<'_>) {
    findings.check_known(fields, &["labels", "annotations"]);
    for name in ["labels", "annotations"] {
        let Some(node) = fields.get(name) else {
            continue;
        };
        let what = format!("`spec.metadata.{name}`");
        let texts = findings.texts(node, &what).unwrap_or_default();
        findings.check_count(node.id, texts.len(), 256, &what);
        if name == "labels" {
            labels::check(findings, &texts, Judge::Istio);
        }
    }
}
