//! What decides health besides the objects: persons' words, and checks of ours with their targets.
//!
//! Whoever is judged otherwise costs the hosts that it serves, and nobody else.

mod checked;
mod checks;
mod judged;
mod last_ones;
mod remarks;
mod targets;
#[cfg(test)]
mod tests;
mod untied;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    net::IpAddr,
    sync::Arc,
    time::SystemTime,
};

use foldhash::{HashMap, HashSet};
use smallvec::SmallVec;

pub use self::{
    checked::CheckedEndpoint,
    judged::{EndpointPlace, JudgedEndpoint},
};
use self::{checked::for_each_checked, last_ones::LastOnes, targets::Targets};
use super::{Pipeline, shown};
use crate::{
    diagnostic::{Cluster, Diagnostic, ObjectKey},
    dns::Name,
    health::{
        CheckPolicy, Overrides, Ruling, Subject, TargetChanges, TargetId, Verdicts, WhenAllFail,
    },
    manifest::OrderedState,
    mesh::{EndpointHolder, EndpointState, Endpoints, InlineEndpoint, Mesh, News, Slot, States},
    parallel,
    zone::Snapshot,
};

/// From this many reports with a limit on, all of them too old at once mean that nobody renews the objects.
const MANY_BEATS: usize = 5;

/// What is known of health besides the objects, and what is still to be looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub(super) verdicts: Verdicts,
    policy: Option<Arc<CheckPolicy>>,
    targets: Targets,
    /// Objects that are to be judged again.
    again: BTreeSet<Slot>,
    /// Whether all of them are.
    all_again: bool,
    /// When an order ends or a report becomes too old, in seconds since 1970.
    ends: BTreeSet<(i64, Slot)>,
    end_of: HashMap<Slot, i64>,
    /// When each report that has a limit becomes too old.
    beats: BTreeSet<(i64, Slot)>,
    beat_of: HashMap<Slot, i64>,
    /// The orders that are in force.
    orders: HashMap<Slot, SmallVec<[EndpointOrder; 1]>>,
    /// Those that came or went since that was last taken.
    order_changes: Vec<OrderChange>,
    /// Whom hosts keep for want of others.
    pub(super) last_ones: LastOnes,
    /// What is to be said of single objects.
    remarks: HashMap<Slot, Vec<Diagnostic>>,
    /// What is to be said that was not before, and what no longer.
    said: Vec<Diagnostic>,
    withdrawn: Vec<Diagnostic>,
}

/// A person's word on an endpoint that a ServiceEntry picks or has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointOrder {
    /// The workload, or the ServiceEntry that the endpoint stands in.
    pub key: ObjectKey,
    /// The cluster that the object was read from, where it was: another one may have an object of that name.
    pub cluster: Option<Cluster>,
    /// The endpoint's addresses.
    pub addresses: SmallVec<[IpAddr; 1]>,
    /// What is to be done.
    pub state: OrderedState,
    /// Who says so, why, and until when.
    pub by: String,
}

/// An order that came, changed or went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OrderChange {
    /// It is in force from now on.
    Came(EndpointOrder),
    /// It is so no longer.
    Went(EndpointOrder),
}

/// What an object was before it changed.
enum Before {
    /// These of its addresses were endpoints.
    Had(SmallVec<[IpAddr; 1]>),
    /// It did not change: what is said of it may.
    Same,
}

impl Pipeline {
    /// Takes in what follows from checks for targets; those that are no longer wanted are passed over. No answer changes before
    /// [`Pipeline::compile`].
    pub fn take_in_rulings(&mut self, told: impl IntoIterator<Item = (TargetId, Ruling)>) {
        for (id, ruling) in told {
            let Some(known) = self.health.verdicts.rulings.get_mut(&id) else {
                continue;
            };
            if *known == ruling {
                continue;
            }
            *known = ruling;
            for &slot in self.health.targets.users(id) {
                self.mesh.touch(slot);
                self.health.again.insert(slot);
            }
        }
    }

    /// Puts other lines in the place of those of the override file. No answer changes before [`Pipeline::compile`]. Tells whether
    /// they are others.
    pub fn set_overrides(&mut self, overrides: Arc<Overrides>) -> bool {
        let before = mem::replace(&mut self.health.verdicts.overrides, overrides);
        let after = self.health.verdicts.overrides.clone();
        if before == after {
            return false;
        }
        for slot in self.matched(&[&before, &after]) {
            self.mesh.touch(slot);
            self.health.again.insert(slot);
        }
        self.follow_health();
        true
    }

    /// When a word of a person ends, or a report becomes too old, in seconds since 1970: then is to be compiled again.
    pub fn next_end(&self) -> Option<i64> {
        let of_lines = self
            .health
            .verdicts
            .overrides
            .next_end(self.health.verdicts.now);
        let of_objects = self.health.ends.first().map(|(end, _)| *end);
        of_lines.into_iter().chain(of_objects).min()
    }

    /// The orders that are in force, in no order.
    pub fn orders(&self) -> impl Iterator<Item = &EndpointOrder> {
        self.health.orders.values().flatten()
    }

    /// Those of `hosts` that answered in `before` and have no address left because of one of these orders, and what that says.
    pub fn emptied_by<'a>(
        &'a self,
        orders: &[OrderChange],
        hosts: &'a [Name],
        before: &'a Snapshot,
    ) -> impl Iterator<Item = (Name, String)> + use<'a> {
        let came = orders.iter().filter_map(|change| match change {
            OrderChange::Came(order) => Some(&order.addresses),
            OrderChange::Went(_) => None,
        });
        let ordered: HashSet<IpAddr> = came.flatten().copied().collect();
        let has_addresses = |snapshot, host| {
            let records = shown::records(snapshot, host);
            records.is_some_and(|records| records.addresses().next().is_some())
        };
        let after = self.snapshot();
        let emptied = hosts
            .iter()
            .filter(move |host| has_addresses(before, host) && !has_addresses(after, host));
        emptied.filter_map(move |host| {
            let mut candidates = self.select(host)?.candidates.into_iter();
            let order = candidates.find_map(|candidate| {
                let is_new = candidate
                    .addresses
                    .iter()
                    .any(|address| ordered.contains(address));
                candidate
                    .excluded
                    .filter(|excluded| is_new && excluded.is_ordered())
            })?;
            Some((host.clone(), order.to_string()))
        })
    }

    /// How many lines of the override file are about nobody: their numbers.
    pub fn idle_overrides(&self) -> Vec<usize> {
        let overrides = &self.health.verdicts.overrides;
        let mut idle: BTreeSet<usize> = overrides.lines.iter().map(|line| line.number).collect();
        for slot in self.matched(&[overrides]) {
            for_each_subject(&self.mesh, slot, |subject| {
                let Subject {
                    key,
                    addresses,
                    is_inline,
                    ..
                } = *subject;
                let lines = overrides.lines.iter();
                for line in lines.filter(|line| line.matches(key, addresses, is_inline)) {
                    idle.remove(&line.number);
                }
            });
        }
        idle.into_iter().collect()
    }

    /// What checks there are to be, and the rules of the game.
    pub(super) fn set_checks(&mut self, checks: Option<Arc<CheckPolicy>>) {
        if self.health.policy == checks {
            return;
        }
        let verdicts = &mut self.health.verdicts;
        verdicts.counts_reports = checks.is_some();
        verdicts.keeps_last = checks
            .as_ref()
            .is_some_and(|checks| checks.when_all_fail == WhenAllFail::All);
        verdicts.report_max_age_seconds = checks.as_ref().and_then(|checks| checks.report_max_age);
        self.health.policy = checks;
        self.health.all_again = true;
        self.follow_health();
    }

    fn follow_health(&mut self) {
        let has_lines = !self.health.verdicts.overrides.lines.is_empty();
        self.mesh
            .follow_all(has_lines || self.health.policy.is_some());
    }

    /// Judges whoever may be judged otherwise than before, at `now`.
    pub(super) fn renew_health(&mut self, now: SystemTime) {
        let since_1970 = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
        let mut due = self.take_changed();
        due.extend(self.take_over(now).into_iter().map(|slot| {
            self.mesh.touch(slot);
            (slot, Before::Same)
        }));
        if due.is_empty() {
            return;
        }
        // What changed and is over too, changed.
        let mut judged = BTreeMap::new();
        for (slot, before) in due {
            judged.entry(slot).or_insert(before);
        }
        let is_start = !self.snapshot().is_ready();
        for (slot, before) in judged {
            self.judge_again(slot, &before, is_start);
        }
        if self.health.renew_hold() {
            let beats: Vec<Slot> = self.health.beat_of.keys().copied().collect();
            for slot in beats {
                self.mesh.touch(slot);
                self.judge_again(slot, &Before::Same, is_start);
            }
        }
    }

    /// Whether every report is too old, so that they hold as they are: it is the objects that nobody renews.
    pub fn holds_stale(&self) -> bool {
        self.health.verdicts.holds_stale
    }

    /// How many targets fail and answer all the same, because a host has nobody else.
    pub fn last_ones_count(&self) -> usize {
        self.health.last_ones.len()
    }

    /// The objects that changed, then those of which something else was said.
    fn take_changed(&mut self) -> Vec<(Slot, Before)> {
        let (changed, groups) = self.mesh.take_unjudged();
        let mut due: Vec<(Slot, Before)> = changed
            .into_iter()
            .map(|(slot, had)| (slot, Before::Had(had)))
            .collect();
        let same = |slot| (slot, Before::Same);
        due.extend(mem::take(&mut self.health.again).into_iter().map(same));
        for group in groups {
            due.extend(self.health.targets.members(&group).map(same));
        }
        if mem::take(&mut self.health.all_again) {
            due.extend(self.mesh.holders().into_iter().map(same));
        }
        due
    }

    /// Those for whom a time has come since the last call.
    fn take_over(&mut self, now: i64) -> Vec<Slot> {
        let health = &mut self.health;
        let before = mem::replace(&mut health.verdicts.now, now);
        let rest = health.ends.split_off(&(now + 1, 0));
        let mut over: Vec<Slot> = mem::replace(&mut health.ends, rest)
            .into_iter()
            .map(|(_, slot)| slot)
            .collect();
        if health.verdicts.overrides.ends_between(before, now) {
            let overrides = health.verdicts.overrides.clone();
            over.extend(self.matched(&[&overrides]));
        }
        over
    }

    /// The objects that a line is about.
    fn matched(&self, overrides: &[&Overrides]) -> Vec<Slot> {
        if overrides.iter().all(|overrides| overrides.lines.is_empty()) {
            return Vec::new();
        }
        let holders = self.mesh.holders();
        let is_matched = parallel::map(&holders, |slot| {
            let mut is_matched = false;
            for_each_subject(&self.mesh, *slot, |subject| {
                let lines = overrides.iter().flat_map(|overrides| &overrides.lines);
                is_matched |= lines
                    .into_iter()
                    .any(|line| line.matches(subject.key, subject.addresses, subject.is_inline));
            });
            is_matched
        });
        let slots = holders.into_iter().zip(is_matched);
        slots
            .filter(|(_, matched)| *matched)
            .map(|(slot, _)| slot)
            .collect()
    }

    /// Judges the endpoints of one object: their targets, what they count as, and when that is over.
    fn judge_again(&mut self, slot: Slot, before: &Before, is_start: bool) {
        self.renew_targets(slot, before, is_start);
        let Self { mesh, health, .. } = self;
        let verdicts = &health.verdicts;
        let (mut states, mut is_otherwise) = (States::new(), false);
        let mut orders = SmallVec::new();
        let (mut end, mut beat): (Option<i64>, Option<i64>) = (None, None);
        let holder = mesh.holder(slot);
        let is_named = holder.is_some_and(|holder| match holder {
            EndpointHolder::Workload { workload, .. } => workload.name().is_some(),
            EndpointHolder::Service(_) => false,
        });
        for_each_subject(mesh, slot, |subject| {
            let excluded = verdicts.judge(subject).exclusion();
            let is_name = is_named || subject.is_inline && subject.addresses.is_empty();
            let by_object = EndpointState::of(subject.excluded, is_name);
            let state = EndpointState::of(excluded.as_ref(), is_name);
            is_otherwise |= state != by_object;
            states.push(state);
            let until = subject.notes.and_then(|notes| notes.order.as_ref()?.until);
            let until = until.filter(|until| *until > verdicts.now);
            let stale_at = verdicts.stale_at(subject);
            beat = beat.or(stale_at);
            let stale_at = stale_at.filter(|at| *at > verdicts.now);
            end = end.into_iter().chain(until).chain(stale_at).min();
            if let Some(ordered) = verdicts.ordered(subject)
                && ordered.order().state != OrderedState::Auto
            {
                orders.push(EndpointOrder {
                    key: subject.key.clone(),
                    cluster: holder.and_then(|holder| holder.cluster().cloned()),
                    addresses: subject.addresses.into(),
                    state: ordered.order().state,
                    by: ordered.by(),
                });
            }
        });
        if let Some(before) = health.end_of.remove(&slot) {
            health.ends.remove(&(before, slot));
        }
        if let Some(end) = end {
            health.ends.insert((end, slot));
            health.end_of.insert(slot, end);
        }
        if let Some(before) = health.beat_of.remove(&slot) {
            health.beats.remove(&(before, slot));
        }
        if let Some(beat) = beat {
            health.beats.insert((beat, slot));
            health.beat_of.insert(slot, beat);
        }
        health.set_orders(slot, orders);
        health.set_remarks(slot, health.remarks(mesh, slot));
        mesh.count_as(slot, is_otherwise.then_some(states));
    }
}

impl Health {
    /// What else is to be probed, and which orders came or went, since the last call.
    pub(super) fn take_changes(&mut self) -> (TargetChanges, Vec<OrderChange>) {
        (
            self.targets.take_changes(),
            mem::take(&mut self.order_changes),
        )
    }

    /// Notes whether all reports are too old. Tells whether that is otherwise than before.
    fn renew_hold(&mut self) -> bool {
        let newest = self.beats.last().map(|(stale_at, _)| *stale_at);
        let all_stale = newest.is_some_and(|stale_at| stale_at <= self.verdicts.now);
        let holds = all_stale && self.beats.len() >= MANY_BEATS;
        mem::replace(&mut self.verdicts.holds_stale, holds) != holds
    }

    fn set_orders(&mut self, slot: Slot, orders: SmallVec<[EndpointOrder; 1]>) {
        let before = if orders.is_empty() {
            self.orders.remove(&slot)
        } else {
            self.orders.insert(slot, orders.clone())
        };
        let before = before.unwrap_or_default();
        let went = before.iter().filter(|order| !orders.contains(order));
        let went = went.cloned().map(OrderChange::Went);
        self.order_changes.extend(went);
        let came = orders.into_iter().filter(|order| !before.contains(order));
        self.order_changes.extend(came.map(OrderChange::Came));
    }

    fn set_remarks(&mut self, slot: Slot, remarks: Vec<Diagnostic>) {
        let before = if remarks.is_empty() {
            self.remarks.remove(&slot).unwrap_or_default()
        } else {
            let before = self.remarks.insert(slot, remarks.clone());
            before.unwrap_or_default()
        };
        if before != remarks {
            self.said.extend(remarks);
            self.withdrawn.extend(before);
        }
    }

    /// Brings what is said of checks otherwise than before to the rest of the news.
    pub(super) fn take_remarks(&mut self, news: &mut News) {
        news.said.append(&mut self.said);
        news.withdrawn.append(&mut self.withdrawn);
    }

    /// Whether an endpoint of the object was out by order and not probed.
    fn was_down(&self, slot: Slot, address: IpAddr) -> bool {
        let orders = self.orders.get(&slot).into_iter().flatten();
        let mut of_endpoint = orders.filter(|order| order.addresses.contains(&address));
        of_endpoint.any(|order| order.state == OrderedState::Down)
    }
}

/// Looks at each endpoint of an object: a workload that a selector picks, or what stands in a ServiceEntry, in its order.
fn for_each_subject(mesh: &Mesh, slot: Slot, mut look: impl FnMut(&Subject<'_>)) {
    match mesh.holder(slot) {
        Some(EndpointHolder::Workload {
            workload,
            is_picked: true,
        }) => look(&Subject::of_workload(slot, workload)),
        Some(EndpointHolder::Service(service)) => {
            let Endpoints::Inline(endpoints) = &service.endpoints else {
                return;
            };
            for (place, endpoint) in (0..).zip(endpoints) {
                let (addresses, excluded) = match endpoint {
                    InlineEndpoint::Ip(ip) => (std::slice::from_ref(ip), None),
                    InlineEndpoint::Name(_) => (&[][..], None),
                    InlineEndpoint::Other(exclusion) => (&[][..], Some(exclusion)),
                };
                look(&Subject::of_inline(
                    Some(slot),
                    place,
                    service,
                    addresses,
                    excluded,
                ));
            }
        }
        Some(EndpointHolder::Workload { .. }) | None => {}
    }
}
