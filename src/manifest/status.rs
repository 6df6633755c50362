//! `status.conditions`, which Istio's objects and Pods share.

use super::{findings::Findings, value::Fields};

/// What a condition's `status` can be.
pub(super) const VALUES: &[&str] = &["True", "False", "Unknown"];

/// The `status` of the first condition of type `name`, as written.
pub(super) fn condition<'a>(
    findings: &mut Findings,
    root: Fields<'a>,
    name: &str,
) -> Option<&'a str> {
    let status = findings.fields(root.get_set("status")?, "`status`")?;
    let conditions = findings.items(status.get_set("conditions")?, "`status.conditions`")?;
    let mut found = None;
    for node in conditions {
        let Some(condition) = findings.fields(node, "a condition in `status.conditions`") else {
            continue;
        };
        let kind = condition
            .get_set("type")
            .and_then(|node| findings.text(node, "a condition's `type`"));
        let value = condition
            .get_set("status")
            .and_then(|node| findings.text(node, "a condition's `status`"));
        if found.is_none() && kind == Some(name) {
            found = Some(value.unwrap_or_default());
        }
    }
    found
}
