//! `exportTo`.

use std::collections::HashSet;

use super::super::{
    findings::Findings,
    host,
    object::Export,
    value::{Fields, quoted},
    workload::Stated,
};
use crate::diagnostic::code;

/// Reads `exportTo`; an empty list is none.
pub(super) fn decode(findings: &mut Findings, spec: Fields<'_>, namespace: &str) -> Export {
    let Some(list) = spec.get("exportTo") else {
        return Export::Everyone;
    };
    let Some(items) = findings.items(list, "`exportTo`") else {
        return Export::Everyone;
    };
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    for node in items {
        let Some(text) = findings.text(node, "an entry of `exportTo`") else {
            continue;
        };
        if !matches!(text, "." | "*" | "~") && !host::is_label(text) {
            let message = format!(
                "{} is no namespace: write one, or `.` (this one), `*` (all) or `~` (none)",
                quoted(text)
            );
            findings.error(node.id, code::EXPORT_TO, message);
        }
        if !seen.insert(if text == "." { namespace } else { text }) {
            let message = format!(
                "{} repeats a namespace: take it out (`.` is {})",
                quoted(text),
                quoted(namespace)
            );
            findings.error(node.id, code::EXPORT_TO_TWICE, message);
        }
        entries.push(Stated { at: node.id, text });
    }
    for (alone, code) in [("*", code::EXPORT_TO_ALL), ("~", code::EXPORT_TO_NONE)] {
        let stated = entries.iter().find(|entry| entry.text == alone);
        if let Some(entry) = stated.filter(|_| entries.iter().any(|entry| entry.text != alone)) {
            findings.error(
                entry.at,
                code,
                format!("`{alone}` stands alone in `exportTo`: take the others out"),
            );
        }
    }
    match &*entries {
        [] => Export::Everyone,
        [alone] if alone.text == "*" => Export::Everyone,
        [alone] if alone.text == "~" => Export::Nobody,
        entries => {
            let names = entries.iter().map(|entry| match entry.text {
                "." => namespace,
                name => name,
            });
            let mut names: Vec<Box<str>> = names.map(Into::into).collect();
            names.sort_unstable();
            names.dedup();
            Export::Some(names.into())
        }
    }
}
