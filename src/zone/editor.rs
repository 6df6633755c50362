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

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use super::{Below, Compiled, Here, HostRecords, Node, Settings, Snapshot};
use crate::dns::{Name, Serial};

/// Holds the set of host names and the newest snapshot.
#[derive(Clone, Debug)]
pub struct Editor {
    /// Every host that we answer, wildcards as `*.<name>`, in canonical order: what is below a name follows it.
    hosts: BTreeSet<Name>,
    declared: BTreeSet<Name>,
    latest: Arc<Snapshot>,
    /// Whether nothing was applied yet: then even an empty mesh makes a snapshot, with the declared zones.
    is_new: bool,
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
            hosts: BTreeSet::new(),
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

    /// Gives each host of `updates` what it answers from now on, `None` taking it away.
    ///
    /// The first call makes the snapshot ready, whatever it holds.
    #[must_use]
    pub fn apply(&mut self, updates: BTreeMap<Name, Option<Compiled>>, serial: Serial) -> Change {
        let first = std::mem::take(&mut self.is_new);
        let mut dirty = BTreeSet::new();
        let mut fresh = BTreeMap::new();
        let mut moved: Vec<Name> = if first {
            self.declared.iter().cloned().collect()
        } else {
            Vec::new()
        };
        dirty.extend(moved.iter().cloned());
        for (host, compiled) in updates {
            let records = match compiled {
                Some(Compiled::Records(records)) => Some(records),
                Some(Compiled::Elsewhere) if self.in_declared_zone(&host) => {
                    Some(HostRecords::default())
                }
                Some(Compiled::Elsewhere) | None => None,
            };
            let base = base_of(&host);
            let existence_changed = match &records {
                Some(_) => self.hosts.insert(host.clone()),
                None => self.hosts.remove(&host),
            };
            if let Some(records) = records {
                fresh.insert(host, records);
            }
            if existence_changed {
                moved.push(base.clone());
            }
            dirty.insert(base);
        }
        for base in moved {
            self.mark_neighbours(&base, &mut dirty);
        }
        self.recompile(&dirty, &mut fresh, first, serial)
    }

    /// Marks what may change when a host comes or goes at `base` or as the wildcard below it: the names above exist or
    /// don't because of it, the names below get another zone or another wildcard.
    fn mark_neighbours(&self, base: &Name, dirty: &mut BTreeSet<Name>) {
        dirty.extend(base.ancestors());
        for host in self.below(base) {
            let host = base_of(host);
            let between = host.ancestors().take_while(|ancestor| ancestor != base);
            dirty.extend(between.collect::<Vec<_>>());
            dirty.insert(host);
        }
    }

    fn recompile(
        &mut self,
        dirty: &BTreeSet<Name>,
        fresh: &mut BTreeMap<Name, HostRecords>,
        first: bool,
        serial: Serial,
    ) -> Change {
        let mut next = Snapshot::clone(&self.latest);
        let mut names_changed = 0;
        for name in dirty {
            let held = self.latest.node(name.as_wire());
            let node = self.node(name, held, fresh);
            if node.as_ref() != held {
                names_changed += 1;
                next.replace(name, node);
            }
        }
        if first || names_changed > 0 {
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
        fresh: &mut BTreeMap<Name, HostRecords>,
    ) -> Option<Node> {
        let is_host = self.hosts.contains(name);
        let exists = is_host || self.declared.contains(name) || self.below(name).next().is_some();
        let apex_at = self.apex_at(name).filter(|_| exists)?;
        let covered_by = name
            .ancestors()
            .find(|above| self.wildcard_below(above).is_some());
        let here = if is_host {
            let kept = || match held.map(|node| &node.here) {
                Some(Here::Records(records)) => records.clone(),
                _ => HostRecords::default(),
            };
            Here::Records(fresh.remove(name).unwrap_or_else(kept))
        } else {
            covered_by.clone().map_or(Here::Empty, Here::CopyOf)
        };
        let below = if let Some(wildcard) = self.wildcard_below(name) {
            let kept = || match held.and_then(|node| node.below.as_ref()) {
                Some(Below::Records(records)) => records.clone(),
                _ => HostRecords::default(),
            };
            Some(Below::Records(fresh.remove(&wildcard).unwrap_or_else(kept)))
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
            self.hosts.contains(candidate) || self.wildcard_below(candidate).is_some()
        };
        let apex = std::iter::once(name.clone())
            .chain(name.ancestors())
            .find(is_apex)?;
        let before = name.as_wire().len() - apex.as_wire().len();
        Some(u8::try_from(before).expect("a name has at most 255 bytes"))
    }

    /// The wildcard host directly below `name`.
    fn wildcard_below(&self, name: &Name) -> Option<Name> {
        name.wildcard_below()
            .filter(|wildcard| self.hosts.contains(wildcard))
    }

    /// The hosts and declared apexes below `name`, without `name` itself.
    fn below<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Name> {
        let behind = (Bound::Excluded(name), Bound::Unbounded);
        let behind = [
            self.hosts.range::<Name, _>(behind),
            self.declared.range::<Name, _>(behind),
        ];
        behind
            .into_iter()
            .flat_map(move |names| names.take_while(move |below| below.is_at_or_below(name)))
    }
}

/// The name whose node holds a host's records: itself, or for `*.shop.test` the node of `shop.test`.
fn base_of(host: &Name) -> Name {
    if host.is_wildcard() {
        host.parent().expect("a wildcard has a parent")
    } else {
        host.clone()
    }
}
