use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use slab::Slab;

use crate::{
    health::{TargetId, verdict::Thresholds},
    manifest::Probe,
};

/// How many checks that nobody has any more are remembered as proven: an endpoint that is made anew is no new application.
const MAX_UNUSED: usize = 1024;

/// A check that is not believed for so long is told of.
const TELL_AFTER_MS: u64 = 600_000;

/// All checks that targets have; equal stanzas are one.
#[derive(Debug, Default)]
pub(super) struct Checks {
    by_probe: HashMap<Arc<Probe>, CheckId>,
    all: Slab<Check>,
    unused: BTreeSet<(u64, CheckId)>,
}

/// The number of a check while it is remembered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct CheckId(u32);

#[derive(Debug)]
pub(super) struct Check {
    pub(super) probe: Arc<Probe>,
    /// How many targets have it.
    pub(super) targets: u32,
    /// Whether it passed for any target at any time.
    pub(super) is_proven: bool,
    /// Since when it is wanted, in milliseconds.
    since: u64,
    is_told: bool,
    /// Who fails it while it is not proven.
    failing: BTreeSet<TargetId>,
}

impl Check {
    pub(super) fn thresholds(&self) -> Thresholds {
        Thresholds {
            success: self.probe.success_threshold,
            failure: self.probe.failure_threshold,
        }
    }
}

impl Checks {
    pub(super) fn get(&self, id: CheckId) -> &Check {
        &self.all[id.0 as usize]
    }

    /// One more target has `probe`.
    pub(super) fn add_target(&mut self, probe: &Arc<Probe>, now: u64) -> CheckId {
        let id = self.find_or_add(probe, now);
        let check = &mut self.all[id.0 as usize];
        if check.targets == 0 {
            self.unused.remove(&(check.since, id));
            check.since = now;
        }
        check.targets += 1;
        id
    }

    fn find_or_add(&mut self, probe: &Arc<Probe>, now: u64) -> CheckId {
        match self.by_probe.entry(probe.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let number = self.all.insert(Check {
                    probe: probe.clone(),
                    targets: 0,
                    is_proven: false,
                    since: now,
                    is_told: false,
                    failing: BTreeSet::new(),
                });
                let number = u32::try_from(number).expect("there are fewer checks than targets");
                *vacant.insert(CheckId(number))
            }
        }
    }

    /// The target `target` has the check no longer.
    pub(super) fn remove_target(&mut self, id: CheckId, target: TargetId, now: u64) {
        let check = &mut self.all[id.0 as usize];
        check.failing.remove(&target);
        check.targets -= 1;
        if check.targets > 0 {
            return;
        }
        check.since = now;
        if check.is_proven {
            self.unused.insert((now, id));
        } else {
            self.forget(id);
        }
        if self.unused.len() > MAX_UNUSED
            && let Some((_, oldest)) = self.unused.pop_first()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: CheckId) {
        let check = self.all.remove(id.0 as usize);
        self.by_probe.remove(&check.probe);
    }

    /// Notes that `probe` passed in an earlier process; nobody has it yet.
    pub(super) fn remember_proven(&mut self, probe: &Arc<Probe>) {
        let id = self.find_or_add(probe, 0);
        let check = &mut self.all[id.0 as usize];
        check.is_proven = true;
        if check.targets == 0 && self.unused.len() < MAX_UNUSED {
            self.unused.insert((check.since, id));
        } else if check.targets == 0 {
            self.forget(id);
        }
    }

    /// Notes that the check passed; returns who failed it until then, for they are believed from here on.
    pub(super) fn prove(&mut self, id: CheckId) -> BTreeSet<TargetId> {
        let check = &mut self.all[id.0 as usize];
        check.is_proven = true;
        std::mem::take(&mut check.failing)
    }

    /// Notes whether `target` fails the check.
    pub(super) fn set_failing(&mut self, id: CheckId, target: TargetId, is_failing: bool) {
        let check = &mut self.all[id.0 as usize];
        if is_failing && !check.is_proven {
            check.failing.insert(target);
        } else {
            check.failing.remove(&target);
        }
    }

    /// Checks that somebody fails and nobody ever passed.
    pub(super) fn unproven(&self) -> impl Iterator<Item = &Check> {
        let checks = self.all.iter().map(|(_, check)| check);
        checks.filter(|check| !check.is_proven && !check.failing.is_empty())
    }

    /// Those that have been so for ten minutes, each once.
    pub(super) fn take_never_passed(&mut self, now: u64) -> impl Iterator<Item = &Check> {
        let checks = self.all.iter_mut().map(|(_, check)| check);
        checks.filter_map(move |check| {
            let is_due = !check.is_told
                && !check.is_proven
                && !check.failing.is_empty()
                && now >= check.since + TELL_AFTER_MS;
            check.is_told |= is_due;
            is_due.then_some(&*check)
        })
    }

    /// Every check that somebody has, or that is proven.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CheckId, &Check)> {
        self.all.iter().map(|(number, check)| {
            let number = u32::try_from(number).expect("ids are made from 32 bits");
            (CheckId(number), check)
        })
    }
}
