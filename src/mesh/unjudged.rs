use std::net::IpAddr;

use smallvec::SmallVec;

use super::{
    entry::Entry,
    service::{Endpoints, InlineEndpoint, Service},
    slot::Slot,
    workload::Workload,
};
use crate::diagnostic::ObjectKey;

/// The addresses of an object that were endpoints before it changed.
pub(crate) type HadPlace = SmallVec<[IpAddr; 1]>;

/// The objects whose endpoints may be judged otherwise than when that was last taken: by a person's word or a check of ours.
///
/// Where neither is anywhere, nothing is noted.
#[derive(Clone, Debug, Default)]
pub(super) struct Unjudged {
    /// Whether all objects are noted, not only those that are noted on.
    follows_all: bool,
    /// Workloads and ServiceEntries that came, changed, went, or are picked otherwise, with what they were before; of one that
    /// stands there twice the first time counts.
    objects: Vec<(Slot, HadPlace)>,
    /// WorkloadGroups that came, changed or went.
    groups: Vec<ObjectKey>,
}

impl Unjudged {
    pub(super) fn follow_all(&mut self, follows_all: bool) {
        self.follows_all = follows_all;
    }

    pub(super) fn follows_all(&self) -> bool {
        self.follows_all
    }

    /// Notes that `after` takes the place of `before`, which a selector picked where it is a workload and `was_picked`.
    pub(super) fn note(
        &mut self,
        slot: Slot,
        before: Option<&Entry>,
        after: Option<&Entry>,
        was_picked: bool,
    ) {
        let either = || [before, after].into_iter().flatten();
        if self.follows_all {
            self.groups.extend(either().filter_map(|entry| match entry {
                Entry::Group(group) => Some(group.key.clone()),
                Entry::Service(_) | Entry::Workload(_) | Entry::Node(_) => None,
            }));
        }
        let is_noted = either().any(|entry| match entry {
            Entry::Workload(workload) => self.follows_all || workload.notes().is_some(),
            Entry::Service(service) => self.follows_all || service.notes.is_some(),
            Entry::Group(_) | Entry::Node(_) => false,
        });
        if is_noted {
            let had_place = match before {
                Some(Entry::Workload(workload)) if was_picked => (*workload.addresses).into(),
                Some(Entry::Service(service)) => inline_addresses(service),
                _ => HadPlace::new(),
            };
            self.objects.push((slot, had_place));
        }
    }

    /// Notes that a workload is picked that was not, or the other way round.
    pub(super) fn note_pick(&mut self, slot: Slot, workload: &Workload, was_picked: bool) {
        if self.follows_all || workload.notes().is_some() {
            let addresses = &*workload.addresses;
            let had_place = if was_picked { addresses } else { &[] };
            self.objects.push((slot, had_place.into()));
        }
    }

    /// The objects by their numbers, and the WorkloadGroups by their keys, since the last call.
    pub(super) fn take(&mut self) -> (Vec<(Slot, HadPlace)>, Vec<ObjectKey>) {
        (
            std::mem::take(&mut self.objects),
            std::mem::take(&mut self.groups),
        )
    }
}

fn inline_addresses(service: &Service) -> HadPlace {
    let Endpoints::Inline(endpoints) = &service.endpoints else {
        return HadPlace::new();
    };
    let addresses = endpoints.iter().filter_map(|endpoint| match endpoint {
        InlineEndpoint::Ip(ip) => Some(*ip),
        InlineEndpoint::Name(_) | InlineEndpoint::Other(_) => None,
    });
    addresses.collect()
}
