use super::for_each_subject;
use crate::{
    diagnostic::ObjectKey,
    health::{Subject, Target, TargetId},
    pipeline::Pipeline,
};

/// An endpoint that is checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckedEndpoint {
    /// The workload, or the ServiceEntry that the endpoint stands in.
    pub key: ObjectKey,
    /// Whether it stands in a ServiceEntry.
    pub is_inline: bool,
    /// The target that it shares with all that are checked alike.
    pub id: TargetId,
    /// What is probed.
    pub target: Target,
}

impl CheckedEndpoint {
    /// As people write it: `WorkloadEntry shop/vm-1`, or `ServiceEntry shop/partners/10.0.0.1`.
    pub fn name(&self) -> String {
        if self.is_inline {
            format!("{}/{}", self.key, self.target.address)
        } else {
            self.key.to_string()
        }
    }
}

impl Pipeline {
    /// The endpoints that are checked, as they were at the last [`Pipeline::compile`], in the order of their names and addresses.
    pub fn checked_endpoints(&self) -> Vec<CheckedEndpoint> {
        let mut checked = Vec::new();
        for_each_checked(self, |_, endpoint| checked.push(endpoint));
        let order = |endpoint: &CheckedEndpoint| (endpoint.key.clone(), endpoint.target.address);
        checked.sort_by_cached_key(order);
        checked
    }
}

/// Looks at each endpoint that is checked, in no order.
pub(super) fn for_each_checked(
    pipeline: &Pipeline,
    mut look: impl FnMut(&Subject<'_>, CheckedEndpoint),
) {
    let health = &pipeline.health;
    for slot in health.verdicts.targets.keys() {
        for_each_subject(&pipeline.mesh, *slot, |subject| {
            let Some(id) = health.verdicts.target(subject) else {
                return;
            };
            if let Some(target) = health.targets.get(id) {
                let endpoint = CheckedEndpoint {
                    key: subject.key.clone(),
                    is_inline: subject.is_inline,
                    id,
                    target: target.clone(),
                };
                look(subject, endpoint);
            }
        });
    }
}
