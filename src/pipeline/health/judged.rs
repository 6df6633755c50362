use super::{CheckedEndpoint, for_each_checked};
use crate::{
    diagnostic::Cluster,
    dns::Name,
    health::{Judgement, Ruling, Subject},
    pipeline::Pipeline,
};

/// An endpoint that is checked, and what everybody together says of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JudgedEndpoint {
    /// The endpoint.
    pub endpoint: CheckedEndpoint,
    /// The cluster that its object was read from, where it was.
    pub cluster: Option<Cluster>,
    /// The first [`JudgedEndpoint::MOST_HOSTS`] hosts that have it, in canonical order.
    pub hosts: Vec<Name>,
    /// How many more hosts have it.
    pub more_hosts: usize,
    /// Whether it answers.
    pub place: EndpointPlace,
    /// Why.
    pub why: Option<String>,
}

/// Whether an endpoint answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndpointPlace {
    /// It does.
    In,
    /// It fails its check and does all the same, for one of its hosts at least.
    Kept,
    /// It doesn't, unless its host answers with all that lack health (`answers.whenAllUnhealthy`).
    Out,
}

impl JudgedEndpoint {
    /// How many hosts are named at most.
    pub const MOST_HOSTS: usize = 8;
}

impl Pipeline {
    /// What holds of the endpoints that are checked, as it was at the last [`Pipeline::compile`], in no order.
    pub fn judged_endpoints(&self) -> Vec<JudgedEndpoint> {
        let mut judged = Vec::new();
        for_each_checked(self, |subject, endpoint| {
            let slot = subject.slot.expect("who is checked has a number");
            let (place, why) = self.judged(subject, &endpoint);
            let mut hosts = self.mesh.hosts_of(slot);
            hosts.sort_unstable();
            hosts.dedup();
            let named = hosts.iter().take(JudgedEndpoint::MOST_HOSTS);
            let holder = self.mesh.holder(slot);
            judged.push(JudgedEndpoint {
                endpoint,
                cluster: holder.and_then(|holder| holder.cluster().cloned()),
                more_hosts: hosts.len().saturating_sub(JudgedEndpoint::MOST_HOSTS),
                hosts: named.copied().cloned().collect(),
                place,
                why,
            });
        });
        judged
    }

    fn judged(
        &self,
        subject: &Subject<'_>,
        endpoint: &CheckedEndpoint,
    ) -> (EndpointPlace, Option<String>) {
        let verdicts = &self.health.verdicts;
        let judgement = verdicts.judge(subject);
        let Some(excluded) = judgement.exclusion() else {
            let is_held = matches!(verdicts.ruling(subject), Some(Ruling::Held(..)))
                && verdicts.forced(subject).is_none();
            let place = if is_held {
                EndpointPlace::Kept
            } else {
                EndpointPlace::In
            };
            let note = verdicts.note(subject, &Judgement::In);
            return (place, note.map(Into::into));
        };
        if judgement.may_be_kept() && self.health.last_ones.hold(endpoint.id) {
            let why = format!("{excluded}, kept: all endpoints fail theirs");
            return (EndpointPlace::Kept, Some(why));
        }
        (EndpointPlace::Out, Some(excluded.to_string()))
    }
}
