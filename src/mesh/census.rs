//! Counts workloads and inline endpoints by state, each once, whichever host they serve.

use super::{
    service::{Endpoints, InlineEndpoint, Service},
    slot::Slot,
    workload::{Exclusion, Workload},
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
    /// Picked by no ServiceEntry.
    pub unselected: usize,
}

/// The counts, and how many selectors pick each workload.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    counts: EndpointCounts,
    /// By slot.
    picks: Vec<u32>,
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
        self.count(workload, picks > 0, 1);
    }

    pub(super) fn remove(&mut self, slot: Slot, workload: &Workload) {
        let picks = std::mem::take(&mut self.picks[slot as usize]);
        self.count(workload, picks > 0, -1);
    }

    /// Counts `after` in the place of `before`, which the same selectors pick.
    pub(super) fn replace(&mut self, slot: Slot, before: &Workload, after: &Workload) {
        let is_picked = self.is_picked(slot);
        self.count(before, is_picked, -1);
        self.count(after, is_picked, 1);
    }

    /// Counts a selector that picks the workload when it comes (`by` 1) or goes (`by` -1). Returns whether it is the only
    /// one that does or did.
    pub(super) fn pick(&mut self, slot: Slot, workload: &Workload, by: i32) -> bool {
        let picks = &mut self.picks[slot as usize];
        let before = *picks > 0;
        *picks = picks.checked_add_signed(by).expect("as many go as came");
        let after = *picks > 0;
        if before != after {
            self.count(workload, before, -1);
            self.count(workload, after, 1);
        }
        before != after
    }

    /// Counts a service's inline endpoints when it comes (`by` 1) or goes (`by` -1).
    pub(super) fn count_inline(&mut self, service: &Service, by: isize) {
        let Endpoints::Inline(endpoints) = &service.endpoints else {
            return;
        };
        for endpoint in endpoints {
            let state = match endpoint {
                InlineEndpoint::Ip(_) => State::Selected,
                InlineEndpoint::Name(_) => State::Named,
                InlineEndpoint::Other(_) => State::Excluded,
            };
            self.counts.add(state, by);
        }
    }

    fn count(&mut self, workload: &Workload, is_picked: bool, by: isize) {
        self.counts.add(State::of(workload, is_picked), by);
    }
}

/// What an endpoint is counted as.
#[derive(Clone, Copy)]
enum State {
    Selected,
    Named,
    Unready,
    Excluded,
    Unselected,
}

impl State {
    fn of(workload: &Workload, is_picked: bool) -> Self {
        match workload.excluded.as_deref() {
            _ if !is_picked => Self::Unselected,
            None if workload.name().is_some() => Self::Named,
            None => Self::Selected,
            Some(exclusion) if Exclusion::is_unready(exclusion) => Self::Unready,
            Some(_) => Self::Excluded,
        }
    }
}

impl EndpointCounts {
    fn add(&mut self, state: State, by: isize) {
        let count = match state {
            State::Selected => &mut self.selected,
            State::Named => &mut self.named,
            State::Unready => &mut self.unready,
            State::Excluded => &mut self.excluded,
            State::Unselected => &mut self.unselected,
        };
        *count = count.checked_add_signed(by).expect("as many go as came");
    }
}
