//! `workloadSelector`.

use std::borrow::Cow;

use super::super::{
    findings::Findings,
    label_map::LabelMap,
    labels,
    value::{Entry, Fields, quoted},
};
use crate::diagnostic::code;

/// Reads `workloadSelector`; `None` where it is not set (or not to be read).
pub(super) fn decode(findings: &mut Findings, spec: Fields<'_>) -> Option<LabelMap> {
    let node = spec.get("workloadSelector")?;
    let selector = findings.fields(node, "`workloadSelector`")?;
    findings.check_known(selector, &["labels"]);
    let labels = match selector.get("labels") {
        Some(labels) => {
            let texts = findings.texts(labels, "`workloadSelector.labels`")?;
            findings.check_count(labels.id, texts.len(), 256, "`workloadSelector.labels`");
            texts
        }
        None => Cow::default(),
    };
    if labels.is_empty() {
        let message =
            "the selector has no labels and selects nothing: write at least one in `labels`";
        findings.warning(node.id, code::SELECTOR_EMPTY, message);
    }
    for Entry { key, value } in &*labels {
        if key.text.is_empty() {
            findings.error(
                key.id,
                code::SELECTOR_KEY,
                "a selector's key is empty: write a label's name",
            );
        }
        let text = value.as_text().unwrap_or_default();
        for (at, text) in [(key.id, key.text), (value.id, text)] {
            if text.contains('*') {
                let message = format!(
                    "{} has a `*`: a selector compares whole texts alone",
                    quoted(text)
                );
                findings.error(at, code::SELECTOR_WILDCARD, message);
            }
        }
        findings.check_length(value.id, text, 63, "a selector's value");
    }
    Some(labels::texts(&labels).collect())
}
