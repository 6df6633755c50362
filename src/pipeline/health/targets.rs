//! The targets that are to be probed, and who uses them.

use std::{collections::BTreeMap, mem};

use foldhash::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::{
    diagnostic::ObjectKey,
    health::{Begin, Target, TargetChanges, TargetId, Wanted},
    mesh::Slot,
};

/// Equal targets are one, whoever uses them.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    by_target: HashMap<Target, TargetId>,
    known: HashMap<TargetId, Known>,
    /// The last number that was given out.
    last: u64,
    /// The members of WorkloadGroups whose probe is theirs, so that an edited group costs them alone.
    members: HashMap<ObjectKey, HashSet<Slot>>,
    group_of: HashMap<Slot, ObjectKey>,
    /// Since they were last taken.
    wanted: BTreeMap<TargetId, Wanted>,
    unwanted: Vec<TargetId>,
}

#[derive(Clone, Debug)]
struct Known {
    target: Target,
    /// Once for each endpoint.
    users: SmallVec<[Slot; 2]>,
}

impl Targets {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is probed as target `id`.
    pub(super) fn get(&self, id: TargetId) -> Option<&Target> {
        self.known.get(&id).map(|known| &known.target)
    }

    /// The objects with endpoints of a target, some twice.
    pub(super) fn users(&self, id: TargetId) -> &[Slot] {
        self.known.get(&id).map_or(&[], |known| &known.users)
    }

    /// Counts one more endpoint of an object to a target. Tells the target's number, and how it begins where nobody had it.
    pub(super) fn add(
        &mut self,
        slot: Slot,
        target: Target,
        begin: Begin,
        created: i64,
    ) -> (TargetId, Option<Begin>) {
        if let Some(id) = self.by_target.get(&target) {
            let known = self.known.get_mut(id).expect("a target has a number");
            known.users.push(slot);
            return (*id, None);
        }
        self.last += 1;
        let id = TargetId(self.last);
        self.by_target.insert(target.clone(), id);
        let wanted = Wanted {
            id,
            target: target.clone(),
            begin,
            created,
        };
        self.wanted.insert(id, wanted);
        let users = SmallVec::from_elem(slot, 1);
        self.known.insert(id, Known { target, users });
        (id, Some(begin))
    }

    /// Counts one endpoint less. Tells whether it was the last one of the target.
    pub(super) fn remove(&mut self, slot: Slot, id: TargetId) -> bool {
        let Some(known) = self.known.get_mut(&id) else {
            return false;
        };
        if let Some(place) = known.users.iter().position(|user| *user == slot) {
            known.users.swap_remove(place);
        }
        if !known.users.is_empty() {
            return false;
        }
        if let Some(known) = self.known.remove(&id) {
            self.by_target.remove(&known.target);
        }
        if self.wanted.remove(&id).is_none() {
            self.unwanted.push(id);
        }
        true
    }

    /// The objects that have their probe from a group.
    pub(super) fn members(&self, group: &ObjectKey) -> impl Iterator<Item = Slot> + use<> {
        let members = self.members.get(group);
        let members: Vec<Slot> = members.into_iter().flatten().copied().collect();
        members.into_iter()
    }

    /// Notes from which group an object has its probe, or would if the group had one.
    pub(super) fn tie(&mut self, slot: Slot, group: Option<ObjectKey>) {
        let before = match &group {
            Some(group) => self.group_of.insert(slot, group.clone()),
            None => self.group_of.remove(&slot),
        };
        if before == group {
            return;
        }
        if let Some(before) = before
            && let Some(members) = self.members.get_mut(&before)
        {
            members.remove(&slot);
            if members.is_empty() {
                self.members.remove(&before);
            }
        }
        if let Some(group) = group {
            self.members.entry(group).or_default().insert(slot);
        }
    }

    pub(super) fn take_changes(&mut self) -> TargetChanges {
        TargetChanges {
            wanted: mem::take(&mut self.wanted).into_values().collect(),
            unwanted: mem::take(&mut self.unwanted),
        }
    }
}
