//! `WorkloadGroup`: a template, of which nothing is answered, and the probe of its members.

use std::{borrow::Cow, sync::Arc};

use super::{
    findings::Findings,
    labels::{self, Judge},
    object::{Metadata, WorkloadGroup},
    probe,
    value::{Entry, Fields},
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
    let mut of_template = Cow::default();
    match spec.get("template") {
        Some(node) => {
            if let Some(template) = findings.fields(node, "`template`") {
                of_template = workload::decode(findings, template, Holder::Template).labels;
            }
        }
        None => findings.error(
            spec.id,
            code::NO_TEMPLATE,
            "`template` is missing: write one (it may be `{}`)",
        ),
    }
    let fields = spec
        .get("metadata")
        .and_then(|node| findings.fields(node, "`spec.metadata`"));
    let of_metadata = fields.map(|fields| metadata_labels(findings, fields));
    let labels = of_metadata.iter().flat_map(|labels| labels.iter());
    let labels = labels.chain(of_template.iter());
    let labels = labels.filter_map(|label| Some((label.key.text, label.value.as_text()?)));
    let probe = spec
        .get("probe")
        .and_then(|node| findings.fields(node, "`probe`"))
        .and_then(|fields| probe::decode(findings, fields));
    WorkloadGroup {
        metadata,
        labels: labels.collect(),
        probe: probe.map(Arc::new),
    }
}

/// The labels of the members' `metadata`, which is checked.
fn metadata_labels<'t>(findings: &mut Findings, fields: Fields<'t>) -> Cow<'t, [Entry<'t>]> {
    let mut labels = Cow::default();
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
            labels = texts;
        }
    }
    labels
}
