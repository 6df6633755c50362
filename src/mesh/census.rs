//! Counts workloads and inline endpoints by state, each once, whichever host they serve.

use foldhash::HashMap;
use smallvec::SmallVec;

use super::{
    exclusion::Exclusion,
    service::{Endpoints, InlineEndpoint, Service},
    slot::Slot,
    workload::Workload,
};

/// How many workloads and inline endpoints are in which state, whichever host they serve.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EndpointCounts {
    /// Picked by a ServiceEntry, with an address, ready and healthy.
    pub selected: usize,
    /// Picked by a ServiceEntry, not unhealthy, and a name: how many addresses it has is known elsewhere.
    pub named: usize,
    /// Picked by a ServiceEntry, with an address, and not ready or not healthy.
    pub unready: usize,
    /// Picked by a ServiceEntry and never an answer as it is: terminating, finished, without an IP.
    pub excluded: usize,
    /// Picked by a ServiceEntry, and out because a person says so.
    pub drained: usize,
    /// Picked by no ServiceEntry.
    pub unselected: usize,
}

/// The counts, and how many selectors pick each workload.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    counts: EndpointCounts,
    /// By slot.
    picks: Vec<u32>,
    /// What workloads, and the inline endpoints of services, are counted as where that is not what their objects say.
    judged: HashMap<Slot, States>,
}

/// One for a workload, one for each inline endpoint of a service.
pub(crate) type States = SmallVec<[EndpointState; 1]>;

/// What an endpoint that a ServiceEntry picks is counted as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EndpointState {
    Selected,
    Named,
    Unready,
    Excluded,
    Drained,
}

impl EndpointState {
    /// What an endpoint is counted as that is left out for this reason; `is_name` where it is a name.
    pub(crate) fn of(excluded: Option<&Exclusion>, is_name: bool) -> Self {
        match excluded {
            None if is_name => Self::Named,
            None => Self::Selected,
            Some(exclusion) if exclusion.is_ordered() => Self::Drained,
            Some(exclusion) if exclusion.is_unready() => Self::Unready,
            Some(_) => Self::Excluded,
        }
    }
}

impl Census {
    pub(super) fn counts(&self) -> EndpointCounts {
        self.counts
    }

    /// Whether a selector picks the workload with this number.
    pub(super) fn is_picked(&self, slot: Slot) -> bool {
        self.picks
            .get(slot as usize)
            .is_some_and(|picks| *picks > 0)
    }

    /// Counts a workload that so many selectors pick.
    pub(super) fn insert(&mut self, slot: Slot, workload: &Workload, picks: u32) {
        let place = slot as usize;
        if self.picks.len() <= place {
            self.picks.resize(place + 1, 0);
        }
        self.picks[place] = picks;
        self.count(slot, workload, picks > 0, 1);
    }

    pub(super) fn remove(&mut self, slot: Slot, workload: &Workload) {
        let picks = std::mem::take(&mut self.picks[slot as usize]);
        self.count(slot, workload, picks > 0, -1);
        self.judged.remove(&slot);
    }

    /// Counts `after` in the place of `before`, which the same selectors pick. What is judged holds until it is judged again.
    pub(super) fn replace(&mut self, slot: Slot, before: &Workload, after: &Workload) {
        let is_picked = self.is_picked(slot);
        self.count(slot, before, is_picked, -1);
        self.count(slot, after, is_picked, 1);
    }

    /// Counts a selector that picks the workload when it comes (`by` 1) or goes (`by` -1). Returns whether it is the only
    /// one that does or did.
    pub(super) fn pick(&mut self, slot: Slot, workload: &Workload, by: i32) -> bool {
        let picks = &mut self.picks[slot as usize];
        let before = *picks > 0;
        *picks = picks.checked_add_signed(by).expect("as many go as came");
        let after = *picks > 0;
        if before != after {
            self.count(slot, workload, before, -1);
            self.count(slot, workload, after, 1);
        }
        before != after
    }

    /// Counts a service's inline endpoints when it comes (`by` 1) or goes (`by` -1).
    pub(super) fn count_inline(&mut self, slot: Slot, service: &Service, by: isize) {
        for state in self.inline_states(slot, service) {
            self.counts.add(state, by);
        }
        if by < 0 {
            self.judged.remove(&slot);
        }
    }

    /// Counts a workload as what it is judged to be, or as what its object says.
    pub(super) fn judge_workload(
        &mut self,
        slot: Slot,
        workload: &Workload,
        states: Option<States>,
    ) {
        let is_picked = self.is_picked(slot);
        self.count(slot, workload, is_picked, -1);
        self.set_judged(slot, states);
        self.count(slot, workload, is_picked, 1);
    }

    /// The same for a service's inline endpoints.
    pub(super) fn judge_inline(&mut self, slot: Slot, service: &Service, states: Option<States>) {
        for state in self.inline_states(slot, service) {
            self.counts.add(state, -1);
        }
        self.set_judged(slot, states);
        for state in self.inline_states(slot, service) {
            self.counts.add(state, 1);
        }
    }

    fn set_judged(&mut self, slot: Slot, states: Option<States>) {
        match states {
            Some(states) => self.judged.insert(slot, states),
            None => self.judged.remove(&slot),
        };
    }

    fn count(&mut self, slot: Slot, workload: &Workload, is_picked: bool, by: isize) {
        if !is_picked {
            self.counts.unselected = moved(self.counts.unselected, by);
            return;
        }
        let judged = self.judged.get(&slot).and_then(|states| states.first());
        let is_name = workload.name().is_some();
        let state = judged.copied();
        let state = state.unwrap_or_else(|| EndpointState::of(workload.excluded(), is_name));
        self.counts.add(state, by);
    }

    fn inline_states(&self, slot: Slot, service: &Service) -> States {
        let Endpoints::Inline(endpoints) = &service.endpoints else {
            return States::new();
        };
        if let Some(states) = self.judged.get(&slot) {
            return states.clone();
        }
        let states = endpoints.iter().map(|endpoint| match endpoint {
            InlineEndpoint::Ip(_) => EndpointState::Selected,
            InlineEndpoint::Name(_) => EndpointState::Named,
            InlineEndpoint::Other(_) => EndpointState::Excluded,
        });
        states.collect()
    }
}

impl EndpointCounts {
    fn add(&mut self, state: EndpointState, by: isize) {
        let count = match state {
            EndpointState::Selected => &mut self.selected,
            EndpointState::Named => &mut self.named,
            EndpointState::Unready => &mut self.unready,
            EndpointState::Excluded => &mut self.excluded,
            EndpointState::Drained => &mut self.drained,
        };
        *count = moved(*count, by);
    }
}

fn moved(count: usize, by: isize) -> usize {
    count.checked_add_signed(by).expect("as many go as came")
}
