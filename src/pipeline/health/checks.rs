//! Which endpoint is checked how.

use std::{net::SocketAddr, sync::Arc};

use smallvec::SmallVec;

use super::{Before, for_each_subject};
use crate::{
    diagnostic::{Kind, ObjectKey},
    dns::Name,
    health::{Begin, CheckPolicy, GroupProbes, Ruling, Subject, Target},
    manifest::{LabelMap, OrderedState, Probe, ProbeNote},
    mesh::{EndpointHolder, Exclusion, Mesh, Slot},
    pipeline::Pipeline,
};

/// An endpoint that is to be checked.
struct Checked {
    place: u32,
    target: Target,
    created: i64,
}

impl Pipeline {
    /// Brings the targets of an object's endpoints up to date. Whoever has other ones than before is touched.
    pub(super) fn renew_targets(&mut self, slot: Slot, before: &Before, is_start: bool) {
        let policy = self.health.policy.clone();
        let (checked, group) = match &policy {
            Some(policy) => self.checked(slot, policy),
            None if self.health.targets.is_empty() => return,
            None => (Vec::new(), None),
        };
        self.health.targets.tie(slot, group);
        let old = self.health.verdicts.targets.remove(&slot);
        let old = old.unwrap_or_default();
        if old.is_empty() && checked.is_empty() {
            return;
        }
        let mut new = SmallVec::new();
        for Checked {
            place,
            target,
            created,
        } in checked
        {
            let address = target.address;
            let rulings = &self.health.verdicts.rulings;
            let was_out = old
                .iter()
                .any(|(of, id)| *of == place && matches!(rulings.get(id), Some(Ruling::Out(_))));
            let had_place = match before {
                Before::Had(addresses) => addresses.contains(&address),
                Before::Same => true,
            };
            let begin = if is_start {
                Begin::Start
            } else if had_place && !was_out && !self.health.was_down(slot, address) {
                Begin::Kept
            } else {
                Begin::New
            };
            let (id, begins) = self.health.targets.add(slot, target, begin, created);
            if let Some(begin) = begins {
                self.health.verdicts.rulings.insert(id, begin.ruling());
            }
            new.push((place, id));
        }
        let is_same = old == new;
        for (_, id) in old {
            if self.health.targets.remove(slot, id) {
                self.health.verdicts.rulings.remove(&id);
            }
        }
        if !new.is_empty() {
            self.health.verdicts.targets.insert(slot, new);
        }
        if !is_same {
            self.mesh.touch(slot);
        }
    }

    /// The endpoints of an object that are to be checked, and the group that its probe is, or would be, from.
    fn checked(&self, slot: Slot, policy: &CheckPolicy) -> (Vec<Checked>, Option<ObjectKey>) {
        let mut group = None;
        let mut checked = Vec::new();
        for_each_subject(&self.mesh, slot, |subject| {
            if subject.key.kind == Kind::Pod {
                return;
            }
            // Of an endpoint that is not probed its group decides what is said of it.
            let (probe, tie) = probe_of(&self.mesh, subject, policy);
            group = group.take().or(tie);
            let is_hard = subject
                .excluded
                .is_some_and(|excluded| !excluded.is_unready());
            let (Some(probe), &[address]) = (probe, subject.addresses) else {
                return;
            };
            if is_hard || self.is_down(subject) {
                return;
            }
            let port = probe.method.port();
            let to = port.map(|port| SocketAddr::new(address, port));
            // What is never probed would never come in.
            if to.is_none_or(|to| policy.reach.forbids(to).is_some()) {
                return;
            }
            checked.push(Checked {
                place: subject.place,
                target: Target { address, probe },
                created: match (self.mesh.holder(slot), subject.statement) {
                    (Some(EndpointHolder::Service(service)), _) => service.created,
                    (_, statement) => statement.map_or(0, |said| said.created),
                },
            });
        });
        (checked, group)
    }

    fn is_down(&self, subject: &Subject<'_>) -> bool {
        let ordered = self.health.verdicts.ordered(subject);
        ordered.is_some_and(|ordered| ordered.order().state == OrderedState::Down)
    }
}

/// How an endpoint is probed, the nearest word first: its object's, its group's, the configuration's. Beside it the group that the
/// probe is from, or would be.
pub(super) fn probe_of(
    mesh: &Mesh,
    subject: &Subject<'_>,
    policy: &CheckPolicy,
) -> (Option<Arc<Probe>>, Option<ObjectKey>) {
    match subject.notes.and_then(|notes| notes.probe.as_ref()) {
        Some(ProbeNote::Never) => return (None, None),
        Some(ProbeNote::Probe(probe)) => return (Some(probe.clone()), None),
        None => {}
    }
    let group = group_of(subject, policy);
    if let Some(group) = &group {
        let holder = subject.slot.and_then(|slot| mesh.holder(slot));
        let cluster = holder.as_ref().and_then(EndpointHolder::cluster);
        if let Some(probe) = mesh.group_probe(group, cluster) {
            return (Some(probe.clone()), Some(group.clone()));
        }
    }
    (probe_by_rule(mesh, subject, policy), group)
}

/// Whether an endpoint has no check, and neither its object nor Istio says why, where probes of groups are checks of such endpoints.
pub(super) fn may_be_untied(mesh: &Mesh, subject: &Subject<'_>, policy: &CheckPolicy) -> bool {
    let is_tied = subject.notes.is_some_and(|notes| {
        notes.probe.is_some()
            || notes.workload_group.is_some()
            || notes.registration_group.is_some()
    });
    !is_tied && counts_ties(subject, policy) && probe_by_rule(mesh, subject, policy).is_none()
}

/// Whether the probe of the group that an endpoint is tied to by Istio is a check of it.
fn counts_ties(subject: &Subject<'_>, policy: &CheckPolicy) -> bool {
    let is_reported = matches!(subject.excluded, Some(Exclusion::Unhealthy(_)))
        || subject.statement.is_some_and(|said| said.reports_well);
    match policy.workload_groups {
        GroupProbes::Off => false,
        GroupProbes::Unreported => !is_reported,
        GroupProbes::All => true,
    }
}

fn probe_by_rule(mesh: &Mesh, subject: &Subject<'_>, policy: &CheckPolicy) -> Option<Arc<Probe>> {
    let mut rules = policy.rules.iter();
    let rule = rules.find(|rule| {
        let mut namespaces = rule.namespaces.iter();
        rule.kinds.contains(&subject.key.kind)
            && (rule.namespaces.is_empty()
                || namespaces.any(|name| **name == *subject.key.namespace))
            && has_labels(mesh, subject, &rule.labels)
            && (rule.hosts.is_empty() || has_host(mesh, subject, &rule.hosts))
    })?;
    rule.probe.clone()
}

/// The WorkloadGroup whose probe is meant for an endpoint: by an annotation, or by Istio's own tie where that counts.
fn group_of(subject: &Subject<'_>, policy: &CheckPolicy) -> Option<ObjectKey> {
    let notes = subject.notes?;
    let tie = notes.registration_group.as_ref();
    let tie = tie.filter(|_| counts_ties(subject, policy));
    let name = notes.workload_group.as_ref().or(tie)?;
    Some(ObjectKey {
        kind: Kind::WorkloadGroup,
        namespace: subject.key.namespace.clone(),
        name: name.clone(),
    })
}

fn has_labels(mesh: &Mesh, subject: &Subject<'_>, wanted: &LabelMap) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let Some(EndpointHolder::Workload { workload, .. }) =
        subject.slot.and_then(|slot| mesh.holder(slot))
    else {
        return false;
    };
    let labels = mesh.label_texts(&subject.key.namespace, &workload.labels);
    wanted.iter().all(|label| labels.contains(&label))
}

fn has_host(mesh: &Mesh, subject: &Subject<'_>, hosts: &[Name]) -> bool {
    match subject.slot.and_then(|slot| mesh.holder(slot)) {
        Some(EndpointHolder::Service(service)) => {
            service.hosts.iter().any(|host| hosts.contains(host))
        }
        _ => hosts.is_empty(),
    }
}
