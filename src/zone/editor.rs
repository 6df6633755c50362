//! Decides which names exist and makes the next snapshot from the last one.
//!
//! Istio looks a name up by walking its suffixes: the exact host, else the most specific wildcard, at any depth
//! ([`lookupHost`]). DNS has closest enclosers and empty non-terminals instead ([RFC 4592 §2.2], [§3.3.1]). This module
//! writes the first down in terms of the second: where a wildcard of Istio's reaches past a name that exists for DNS, the
//! name gets a copy of the wildcard's records, for itself unless it is a host, and for what is below it.
//!
//! [`lookupHost`]: https://github.com/istio/istio/blob/master/pkg/dns/client/dns.go
//! [RFC 4592 §2.2]: https://www.rfc-editor.org/rfc/rfc4592#section-2.2
//! [§3.3.1]: https://www.rfc-editor.org/rfc/rfc4592#section-3.3.1

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use foldhash::{HashMap, HashSet};

use super::{Below, Compiled, Here, HostRecords, Node, Settings, Snapshot};
use crate::{
    dns::{Name, Serial},
    select::Standing,
};

/// Holds the set of host names and the newest snapshot.
#[derive(Clone, Debug)]
pub struct Editor {
    hosts: Hosts,
    declared: BTreeSet<Name>,
    latest: Arc<Snapshot>,
    /// Whether nothing was applied yet: then even an empty mesh makes a snapshot, with the declared zones.
    is_new: bool,
}

/// Every host that we answer or leave to others, wildcards as `*.<name>`.
#[derive(Clone, Debug, Default)]
struct Hosts {
    names: HashSet<Name>,
    /// The names that have a wildcard directly below them.
    wildcard_parents: HashSet<Name>,
    /// Those of `names` that are left to others.
    left: HashSet<Name>,
    /// In canonical order: what is below a name follows it.
    in_order: BTreeSet<Name>,
}

/// The names that may answer otherwise.
#[derive(Debug, Default)]
struct Dirty {
    /// In no order, and not each once.
    names: Vec<Name>,
    /// Those of them above which all names are there, too.
    climbed: HashSet<Name>,
}

/// What [`Editor::apply`] did.
#[derive(Clone, Debug)]
pub struct Change {
    /// The newest snapshot; the same as before where no answer changed.
    pub snapshot: Arc<Snapshot>,
    /// How many names answer otherwise than before.
    pub names_changed: usize,
}

impl Editor {
    /// An editor without hosts, whose snapshot is not ready.
    pub fn new(settings: Arc<Settings>) -> Self {
        let declared = settings.zones.iter().cloned().collect();
        Self {
            hosts: Hosts::default(),
            declared,
            latest: Arc::new(Snapshot::not_ready(settings)),
            is_new: true,
        }
    }

    /// An editor without hosts under other settings, whose snapshots follow `before` in generation and serial.
    pub fn succeeding(settings: Arc<Settings>, before: &Snapshot) -> Self {
        let mut editor = Self::new(settings);
        let mut latest = Snapshot::clone(&editor.latest);
        latest.stamp(before.generation(), before.serial());
        editor.latest = Arc::new(latest);
        editor
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.latest
    }

    /// Whether `name` is in a zone that the settings declare.
    pub fn in_declared_zone(&self, name: &Name) -> bool {
        self.declared.contains(name)
            || name
                .ancestors()
                .any(|ancestor| self.declared.contains(&ancestor))
    }

    /// What `host` is to those who ask the newest snapshot.
    pub fn standing(&self, host: &Name) -> Standing {
        if !self.hosts.names.contains(host) {
            Standing::Absent
        } else if self.hosts.left.contains(host) {
            Standing::Left
        } else {
            Standing::Answers
        }
    }

    /// How many hosts answer, wildcards included: those that are hidden or left to others do not.
    pub fn answering_count(&self) -> usize {
        self.hosts.names.len() - self.hosts.left.len()
    }

    /// Gives each host of `updates`, once each, what it answers from now on, `None` taking it away.
    ///
    /// The first call makes the snapshot ready, whatever it holds.
    #[must_use]
    pub fn apply(
        &mut self,
        updates: impl IntoIterator<Item = (Name, Option<Compiled>)>,
        serial: Serial,
    ) -> Change {
        let first = std::mem::take(&mut self.is_new);
        let updates = Vec::from_iter(updates);
        let mut dirty = Dirty::default();
        let mut fresh = HashMap::default();
        let mut moved: Vec<Name> = if first {
            self.declared.iter().cloned().collect()
        } else {
            Vec::new()
        };
        let (mut come, mut gone, mut left) = (Vec::new(), Vec::new(), Vec::new());
        dirty.names.extend(moved.iter().cloned());
        for (host, compiled) in &updates {
            let standing = match compiled {
                Some(Compiled::Records(_)) => Standing::Answers,
                Some(Compiled::Elsewhere) => {
                    self.latest.settings().domains().standing_elsewhere(host)
                }
                None => Standing::Absent,
            };
            let base = base_of(host);
            let before = self.standing(host);
            if standing != before {
                moved.push(base.clone());
                if before != Standing::Absent {
                    gone.push(host);
                }
                match standing {
                    Standing::Absent => {}
                    Standing::Left => left.push(host),
                    Standing::Answers => come.push(host),
                }
            }
            if standing == Standing::Answers {
                let records = match compiled {
                    Some(Compiled::Records(records)) => records.clone(),
                    _ => HostRecords::default(),
                };
                fresh.insert(host, records);
            }
            dirty.names.push(base);
        }
        self.hosts.remove(&gone);
        self.hosts.left.extend(left.iter().copied().cloned());
        come.extend(left);
        self.hosts.insert(&come);
        for base in moved {
            dirty.climb(&base);
            // The first time, all that is below came with this one and is marked itself.
            if !first {
                self.mark_below(&base, &mut dirty);
            }
        }
        self.recompile(dirty.names, &fresh, first, serial)
    }

    /// Marks what may change below `base` when a host comes or goes there or as the wildcard below it: the names get
    /// another zone or another wildcard.
    fn mark_below(&self, base: &Name, dirty: &mut Dirty) {
        for host in self.below(base) {
            let host = base_of(host);
            dirty.climb(&host);
            dirty.names.push(host);
        }
    }

    fn recompile(
        &mut self,
        dirty: Vec<Name>,
        fresh: &HashMap<&Name, HostRecords>,
        first: bool,
        serial: Serial,
    ) -> Change {
        let node = |name: &Name, held: Option<&Node>| self.node(name, held, fresh);
        let edit = self.latest.edit(dirty, node);
        let names_changed = edit.names_changed;
        if first || names_changed > 0 {
            let mut next = self.latest.with(edit);
            next.stamp(self.latest.generation() + 1, serial);
            self.latest = Arc::new(next);
        }
        Change {
            snapshot: self.latest.clone(),
            names_changed,
        }
    }

    /// What stands at `name`, from the set of hosts, the records that `fresh` brings and those that are `held`.
    fn node(
        &self,
        name: &Name,
        held: Option<&Node>,
        fresh: &HashMap<&Name, HostRecords>,
    ) -> Option<Node> {
        let is_host = self.hosts.names.contains(name);
        let exists = is_host || self.declared.contains(name) || self.below(name).next().is_some();
        let apex_at = self.apex_at(name).filter(|_| exists)?;
        let covered_by = name
            .ancestors()
            .find(|above| self.hosts.wildcard_parents.contains(above));
        let is_covered_by_left = covered_by
            .as_ref()
            .is_some_and(|above| self.leaves_all_below(above));
        let here = if self.hosts.left.contains(name) {
            Here::Left
        } else if is_host {
            let kept = || match held.map(|node| &node.here) {
                Some(Here::Records(records)) => records.clone(),
                _ => HostRecords::default(),
            };
            Here::Records(fresh.get(name).cloned().unwrap_or_else(kept))
        } else if is_covered_by_left {
            Here::Left
        } else {
            covered_by.clone().map_or(Here::Empty, Here::CopyOf)
        };
        let below = if self.leaves_all_below(name) {
            Some(Below::Left)
        } else if let Some(wildcard) = self.wildcard_below(name) {
            let kept = || match held.and_then(|node| node.below.as_ref()) {
                Some(Below::Records(records)) => records.clone(),
                _ => HostRecords::default(),
            };
            Some(Below::Records(
                fresh.get(&wildcard).cloned().unwrap_or_else(kept),
            ))
        } else if is_covered_by_left {
            Some(Below::Left)
        } else {
            covered_by.map(Below::CopyOf)
        };
        Some(Node {
            name: name.clone(),
            apex_at,
            here,
            below,
        })
    }

    /// How many bytes of `name` stand before the apex of its zone; `None` where it is in none of our zones.
    fn apex_at(&self, name: &Name) -> Option<u8> {
        let in_declared = self.in_declared_zone(name);
        let is_apex = |candidate: &Name| {
            if in_declared {
                return self.declared.contains(candidate);
            }
            let answers = self.standing(candidate) == Standing::Answers;
            let is_parent = self.hosts.wildcard_parents.contains(candidate);
            answers || is_parent && !self.leaves_all_below(candidate)
        };
        let apex = std::iter::once(name.clone())
            .chain(name.ancestors())
            .find(is_apex)?;
        let before = name.as_wire().len() - apex.as_wire().len();
        Some(u8::try_from(before).expect("a name has at most 255 bytes"))
    }

    /// Whether a wildcard directly below `name` is left to others.
    fn leaves_all_below(&self, name: &Name) -> bool {
        // Without a look for what there is none of.
        !self.hosts.left.is_empty()
            && name
                .wildcard_below()
                .is_some_and(|wildcard| self.hosts.left.contains(&wildcard))
    }

    /// The wildcard host directly below `name`.
    fn wildcard_below(&self, name: &Name) -> Option<Name> {
        let parents = &self.hosts.wildcard_parents;
        parents
            .contains(name)
            .then(|| name.wildcard_below())
            .flatten()
    }

    /// The hosts and declared apexes below `name`, without `name` itself.
    fn below<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Name> {
        let behind = (Bound::Excluded(name), Bound::Unbounded);
        let behind = [
            self.hosts.in_order.range::<Name, _>(behind),
            self.declared.range::<Name, _>(behind),
        ];
        behind
            .into_iter()
            .flat_map(move |names| names.take_while(move |below| below.is_at_or_below(name)))
    }
}

impl Hosts {
    fn insert(&mut self, hosts: &[&Name]) {
        let owned = || hosts.iter().copied().cloned();
        self.names.extend(owned());
        let parents = hosts.iter().copied().filter_map(parent_of_wildcard);
        self.wildcard_parents.extend(parents);
        if self.in_order.is_empty() {
            // Much quicker than one by one.
            self.in_order = owned().collect();
        } else {
            self.in_order.extend(owned());
        }
    }

    fn remove(&mut self, hosts: &[&Name]) {
        for &host in hosts {
            self.names.remove(host);
            self.left.remove(host);
            self.in_order.remove(host);
            if let Some(parent) = parent_of_wildcard(host) {
                self.wildcard_parents.remove(&parent);
            }
        }
    }
}

impl Dirty {
    /// Adds the names above `name`.
    fn climb(&mut self, name: &Name) {
        for ancestor in name.ancestors() {
            if !self.climbed.insert(ancestor.clone()) {
                return;
            }
            self.names.push(ancestor);
        }
    }
}

fn parent_of_wildcard(host: &Name) -> Option<Name> {
    host.is_wildcard().then(|| host.parent()).flatten()
}

/// The name whose node holds a host's records: itself, or for `*.shop.test` the node of `shop.test`.
fn base_of(host: &Name) -> Name {
    parent_of_wildcard(host).unwrap_or_else(|| host.clone())
}
