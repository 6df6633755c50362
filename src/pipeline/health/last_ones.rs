//! Who fails a check and answers all the same, because a host has nobody else.

use std::{collections::hash_map::Entry, sync::Arc};

use foldhash::HashMap;

use super::{Health, for_each_subject};
use crate::{
    dns::Name,
    health::TargetId,
    mesh::{Endpoints, Mesh},
    select::{Choice, Kept},
};

/// The targets that hosts keep. Hosts that select alike share a list, which is counted once.
#[derive(Clone, Debug, Default)]
pub(in crate::pipeline) struct LastOnes {
    of_host: HashMap<Name, Arc<[TargetId]>>,
    /// How many hosts have a list, by where it is: none of them moves while a host has it.
    users: HashMap<usize, u32>,
    /// In how many lists a target is.
    lists: HashMap<TargetId, u32>,
}

impl LastOnes {
    /// How many targets are kept by any host.
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether a host keeps the target.
    pub(super) fn hold(&self, id: TargetId) -> bool {
        self.lists.contains_key(&id)
    }

    /// Notes whom a host keeps from now on; `None` for nobody.
    pub(in crate::pipeline) fn set(&mut self, host: &Name, kept: Option<Arc<[TargetId]>>) {
        if kept.is_none() && self.of_host.is_empty() {
            return;
        }
        if let Some(kept) = &kept {
            self.add(kept);
        }
        let before = match kept {
            Some(kept) => self.of_host.insert(host.clone(), kept),
            None => self.of_host.remove(host),
        };
        if let Some(before) = before {
            self.remove(&before);
        }
    }

    fn add(&mut self, list: &Arc<[TargetId]>) {
        let users = self.users.entry(place(list)).or_default();
        *users += 1;
        if *users == 1 {
            for id in &**list {
                *self.lists.entry(*id).or_default() += 1;
            }
        }
    }

    fn remove(&mut self, list: &Arc<[TargetId]>) {
        if count_one_less(self.users.entry(place(list))) {
            for id in &**list {
                count_one_less(self.lists.entry(*id));
            }
        }
    }
}

impl Health {
    /// Whom the ServiceEntries of `choice` keep for the families of `kept`; `None` for nobody. An endpoint that they reach by a
    /// name is kept by the host that has the name.
    pub(in crate::pipeline) fn last_ones(
        &self,
        mesh: &Mesh,
        choice: &Choice<'_>,
        kept: Kept,
    ) -> Option<Arc<[TargetId]>> {
        if kept == Kept::default() {
            return None;
        }
        let mut ids = Vec::new();
        let mut look = |slot| {
            for_each_subject(mesh, slot, |subject| {
                let is_kept = subject.addresses.iter().any(|address| kept.holds(address))
                    && self.verdicts.judge(subject).may_be_kept();
                ids.extend(self.verdicts.target(subject).filter(|_| is_kept));
            });
        };
        for service in &choice.chosen {
            match &service.endpoints {
                Endpoints::Selector(selector) => {
                    let picked = mesh.selected(&service.key.namespace, selector);
                    picked.for_each(|(slot, _)| look(slot));
                }
                Endpoints::Inline(_) => mesh.slot_of(service).into_iter().for_each(&mut look),
                Endpoints::Neither => {}
            }
        }
        ids.sort_unstable();
        ids.dedup();
        (!ids.is_empty()).then(|| ids.into())
    }
}

/// Where a list is.
fn place(list: &Arc<[TargetId]>) -> usize {
    list.as_ptr().addr()
}

/// Whether that was the last one.
fn count_one_less<K>(entry: Entry<'_, K, u32>) -> bool {
    let Entry::Occupied(mut counted) = entry else {
        return false;
    };
    *counted.get_mut() -= 1;
    let is_last = *counted.get() == 0;
    if is_last {
        counted.remove();
    }
    is_last
}
