//! `status.conditions`, which Istio's objects and Pods share.

use super::{findings::Findings, timestamp, value::Fields};

/// What a condition's `status` can be.
pub(super) const VALUES: &[&str] = &["True", "False", "Unknown"];

/// A condition, as far as it has a meaning here.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a> {
    /// Its `status`, as written.
    pub(super) status: &'a str,
    /// Its `lastProbeTime` in seconds since 1970, where it has a readable one.
    pub(super) probed: Option<i64>,
}

/// The first condition of type `name`.
pub(super) fn condition<'a>(
    findings: &mut Findings,
    root: Fields<'a>,
    name: &str,
) -> Option<Condition<'a>> {
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
            let probed = condition.text("lastProbeTime");
            found = Some(Condition {
                status: value.unwrap_or_default(),
                probed: probed.and_then(timestamp::seconds),
            });
        }
    }
    found
}
