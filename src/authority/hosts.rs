//! The hosts of the mesh as a set of names.

use std::{collections::BTreeSet, ops::Bound};

use foldhash::{HashMap, HashSet};

use super::Standing;
use crate::dns::Name;

/// Every host that the mesh answers for or leaves to DNS, wildcards as `*.<name>`.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// None of them is absent.
    standings: HashMap<Name, Standing>,
    /// The names that have a wildcard directly below them.
    wildcard_parents: HashSet<Name>,
    /// Those that the mesh answers for, in canonical order: what is below a name follows it.
    answering: BTreeSet<Name>,
    /// Those that the mesh leaves to DNS, likewise.
    left: BTreeSet<Name>,
}

impl Hosts {
    pub(super) fn standing(&self, host: &Name) -> Standing {
        self.standings.get(host).copied().unwrap_or_default()
    }

    /// Sets hosts that were something else, each once.
    pub(super) fn set_each(&mut self, changes: &[(&Name, Standing)]) {
        for &(host, standing) in changes {
            let parent = host.is_wildcard().then(|| host.parent()).flatten();
            let before = if standing == Standing::Absent {
                if let Some(parent) = parent {
                    self.wildcard_parents.remove(&parent);
                }
                self.standings.remove(host)
            } else {
                self.wildcard_parents.extend(parent);
                self.standings.insert(host.clone(), standing)
            };
            match before {
                Some(Standing::Answers) => self.answering.remove(host),
                Some(Standing::Left) => self.left.remove(host),
                Some(Standing::Absent) | None => false,
            };
        }
        let of = |wanted| {
            let set = changes
                .iter()
                .filter(move |(_, standing)| *standing == wanted);
            set.map(|(host, _)| (*host).clone())
        };
        extend(&mut self.answering, of(Standing::Answers));
        extend(&mut self.left, of(Standing::Left));
    }

    /// The wildcard host directly below `name`, and what it is.
    pub(super) fn wildcard_below(&self, name: &Name) -> Option<(Name, Standing)> {
        // Without a name to look for where there is nothing to find.
        if !self.wildcard_parents.contains(name) {
            return None;
        }
        let wildcard = name.wildcard_below()?;
        let standing = self.standing(&wildcard);
        Some((wildcard, standing))
    }

    /// Whether a zone of its own begins at `name`.
    pub(super) fn is_apex(&self, name: &Name) -> bool {
        self.standing(name) == Standing::Answers
            || self
                .wildcard_below(name)
                .is_some_and(|(_, standing)| standing == Standing::Answers)
    }

    /// The hosts below `name`, without `name` itself, in no order.
    pub(super) fn below<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Name> {
        [&self.answering, &self.left].into_iter().flat_map(|hosts| {
            hosts
                .range::<Name, _>(behind(name))
                .take_while(|host| host.is_at_or_below(name))
        })
    }

    pub(super) fn answered_count(&self) -> usize {
        self.answering.len()
    }

    /// Whether the mesh answers for a host below `name`.
    pub(super) fn answers_below(&self, name: &Name) -> bool {
        let next = self.answering.range::<Name, _>(behind(name)).next();
        next.is_some_and(|host| host.is_at_or_below(name))
    }
}

/// Of the names in canonical order, those that stand behind `name`.
pub(super) fn behind(name: &Name) -> (Bound<&Name>, Bound<&Name>) {
    (Bound::Excluded(name), Bound::Unbounded)
}

fn extend(held: &mut BTreeSet<Name>, more: impl Iterator<Item = Name>) {
    if held.is_empty() {
        // Much quicker than one by one.
        *held = more.collect();
    } else {
        held.extend(more);
    }
}
