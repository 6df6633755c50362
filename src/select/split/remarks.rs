use std::sync::Arc;

use super::{AskedBy, Split, has_weights};
use crate::{
    diagnostic::{Code, Diagnostic, Severity, code},
    dns::Name,
    manifest::Shares,
    mesh::Service,
};

/// What is noteworthy about how the questions for `host` are shared out.
pub(in crate::select) fn remarks(
    host: &Name,
    chosen: &[&Arc<Service>],
    split: &Split,
) -> Vec<Diagnostic> {
    let asking = match split.asked_by {
        Some(AskedBy::Service(index)) => chosen.get(index),
        Some(AskedBy::Configuration) | None => chosen.first(),
    };
    let Some(asking) = asking else {
        return Vec::new();
    };
    let warn = |code: Code, message: String| warning(asking, code, message);
    let mut remarks = Vec::new();
    if split.asked_by.is_some() {
        let empty = split
            .groups
            .iter()
            .filter(|group| group.wanted > 0.0 && group.count == 0);
        remarks.extend(empty.map(|group| {
            let message = format!(
                "host {host} has no endpoint in the group `{}`, which is to have {:.2} % of its questions: the others have them",
                group.name,
                group.wanted * 100.0
            );
            warn(code::EMPTY_SHARE, message)
        }));
    } else if split.has_weights_beside_pods && split.groups.iter().any(has_weights) {
        let message = format!(
            "host {host} has weights on VMs, and its Pods weigh 1 each: they have little of its questions. Use `meshdns.io/share` between both, or `meshdns.io/weight` on Pods"
        );
        remarks.push(warn(code::WEIGHTS_BESIDE_PODS, message));
    }
    let sharing = split.groups.iter().filter(|group| group.effective > 0.0);
    if sharing.count() > 1 && !split.has_in_common(true) && !split.has_in_common(false) {
        let message = format!(
            "the groups of host {host} have no common family of addresses: A and AAAA are answered each by those who have it, and the shares don't hold"
        );
        remarks.push(warn(code::NO_COMMON_FAMILY, message));
    }
    let stated = |service: &Service| -> Option<Shares> { service.traffic.as_ref()?.shares.clone() };
    if let Some(AskedBy::Service(index)) = split.asked_by {
        let (used, others) = (stated(chosen[index]), &chosen[index + 1..]);
        let differing = others.iter().filter(|other| {
            let shares = stated(other);
            shares.is_some() && shares != used
        });
        remarks.extend(differing.map(|other| {
            let message = format!(
                "host {host} has the share of the older {} ({}), not this one's",
                chosen[index].key,
                chosen[index].origin()
            );
            warning(other, code::SHARE_TAKEN, message)
        }));
    }
    remarks
}

fn warning(service: &Service, code: Code, message: String) -> Diagnostic {
    Diagnostic {
        origin: service.origin(),
        severity: Severity::Warning,
        code,
        message,
        object: Some(service.key.clone()),
    }
}
