//! WorkloadEntries that look like members of a WorkloadGroup, and that nothing ties to it.

use foldhash::HashMap;

use super::{checks, for_each_subject};
use crate::{
    diagnostic::{Diagnostic, Kind, ObjectKey, Severity, code},
    manifest::LabelMap,
    mesh::EndpointHolder,
    pipeline::Pipeline,
};

impl Pipeline {
    /// An info for each WorkloadEntry without a check that has all labels of exactly one WorkloadGroup with a probe, sorted by
    /// place; where probes of groups are checks. A guess is no tie: Istio copies labels, and never looks at them. Looks at every
    /// workload, and so it is no part of [`Pipeline::diagnostics`].
    pub fn untied(&self) -> Vec<Diagnostic> {
        let mut remarks = Vec::new();
        let Some(policy) = &self.health.policy else {
            return remarks;
        };
        let mut groups = HashMap::<&str, Vec<(&ObjectKey, &LabelMap)>>::default();
        for (key, labels) in self.mesh.groups_with_probes() {
            if !labels.is_empty() {
                groups
                    .entry(&key.namespace)
                    .or_default()
                    .push((key, labels));
            }
        }
        for slot in self.mesh.holders() {
            let Some(EndpointHolder::Workload { workload, .. }) = self.mesh.holder(slot) else {
                continue;
            };
            let key = &workload.key;
            let of_namespace = groups.get(&*key.namespace);
            let Some(of_namespace) = of_namespace.filter(|_| key.kind == Kind::WorkloadEntry)
            else {
                continue;
            };
            for_each_subject(&self.mesh, slot, |subject| {
                if !checks::may_be_untied(&self.mesh, subject, policy) {
                    return;
                }
                let has = self.mesh.label_texts(&key.namespace, &workload.labels);
                let mut fitting = of_namespace
                    .iter()
                    .filter(|(_, labels)| labels.iter().all(|label| has.contains(&label)));
                let (Some((group, _)), None) = (fitting.next(), fitting.next()) else {
                    return;
                };
                remarks.push(Diagnostic {
                    origin: workload.origin(),
                    severity: Severity::Info,
                    code: code::UNTIED,
                    message: format!(
                        "it has all labels of {group}, whose probe is no check of it, for nothing ties it to that: if it is a member, say so by the annotation `meshdns.io/workload-group: {}`",
                        group.name
                    ),
                    object: Some(key.clone()),
                });
            });
        }
        remarks.sort_unstable();
        remarks
    }
}
