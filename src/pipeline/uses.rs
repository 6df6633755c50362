//! Which hosts were compiled with which names, so that a name that comes to mean something else costs its hosts alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use foldhash::{HashMap, HashSet};

use crate::{authority::Authority, dns::Name, select::NameUse};

/// The endpoints that are names, by name and by host.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    /// In canonical order: what is below a name follows it.
    by_name: BTreeMap<Name, Use>,
    by_host: HashMap<Name, Box<[NameUse]>>,
    /// Hosts with names that mean something else than when they were compiled.
    touched: HashSet<Name>,
}

/// A name and who uses it.
#[derive(Clone, Debug, Default)]
struct Use {
    hosts: HashSet<Name>,
    /// For how many of these hosts others are asked.
    asked_for: usize,
    is_wanted: bool,
}

/// The names that are to be looked up by others, as far as that changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NameChanges {
    /// To be looked up from now on.
    pub wanted: Vec<Name>,
    /// No longer.
    pub unwanted: Vec<Name>,
}

impl Uses {
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Every name that is to be looked up by others, in canonical order.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Name> {
        let wanted = self
            .by_name
            .iter()
            .filter(|(_, name_use)| name_use.is_wanted);
        wanted.map(|(name, _)| name)
    }

    /// The hosts that were compiled with names, in no order.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Name> {
        self.by_host.keys()
    }

    /// The names that `host` was compiled with.
    pub(super) fn of_host(&self, host: &Name) -> &[NameUse] {
        self.by_host.get(host).map_or(&[], |names| names)
    }

    /// Notes that `name` means something else.
    pub(super) fn touch(&mut self, name: &Name) {
        if let Some(name_use) = self.by_name.get(name) {
            self.touched.extend(name_use.hosts.iter().cloned());
        }
    }

    /// Notes that whatever is at or below `base` may mean something else.
    pub(super) fn touch_below(&mut self, base: &Name) {
        let from = (Bound::Included(base), Bound::Unbounded);
        let names = self.by_name.range::<Name, _>(from);
        for (_, name_use) in names.take_while(|(name, _)| name.is_at_or_below(base)) {
            self.touched.extend(name_use.hosts.iter().cloned());
        }
    }

    /// The hosts that were touched since the last time.
    pub(super) fn take_touched(&mut self) -> HashSet<Name> {
        std::mem::take(&mut self.touched)
    }

    /// Notes which names each of `hosts` was compiled with, none where it is gone, and tells what that changes for those who
    /// look names up. They are wanted where others answer for them.
    pub(super) fn replace<'h>(
        &mut self,
        hosts: impl Iterator<Item = (&'h Name, Vec<NameUse>)>,
        authority: &Authority,
    ) -> NameChanges {
        let mut seen = BTreeSet::new();
        for (host, names) in hosts {
            if names.is_empty() && self.by_host.is_empty() {
                continue;
            }
            for NameUse { name, is_others } in self.by_host.remove(host).into_iter().flatten() {
                if let Some(name_use) = self.by_name.get_mut(&name) {
                    name_use.hosts.remove(host);
                    name_use.asked_for -= usize::from(is_others);
                }
                seen.insert(name);
            }
            if names.is_empty() {
                continue;
            }
            for NameUse { name, is_others } in &names {
                let name_use = self.by_name.entry(name.clone()).or_default();
                name_use.hosts.insert(host.clone());
                name_use.asked_for += usize::from(*is_others);
                seen.insert(name.clone());
            }
            self.by_host.insert(host.clone(), names.into());
        }
        let mut changes = NameChanges::default();
        for name in seen {
            let Some(name_use) = self.by_name.get_mut(&name) else {
                continue;
            };
            let is_used = !name_use.hosts.is_empty();
            let is_wanted = name_use.asked_for > 0 && authority.forwards(&name);
            let was_wanted = std::mem::replace(&mut name_use.is_wanted, is_wanted);
            if !is_used {
                self.by_name.remove(&name);
            }
            match (was_wanted, is_wanted) {
                (false, true) => changes.wanted.push(name),
                (true, false) => changes.unwanted.push(name),
                _ => {}
            }
        }
        changes
    }
}
