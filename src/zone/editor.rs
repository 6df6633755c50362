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

use std::{net::IpAddr, sync::Arc};

use foldhash::{HashMap, HashSet};

use super::{
    Below, Compiled, Here, HostRecords, Node, Seniority, Settings, Snapshot, ViewId,
    pointers::Claims,
};
use crate::{
    authority::{Authority, Standing},
    dns::{Name, Serial},
    mesh::Residents,
};

/// Holds who answers for which host, and the newest snapshot.
#[derive(Clone, Debug)]
pub struct Editor {
    authority: Authority,
    /// The names at which a host came, went or became another's since the last snapshot.
    moved: Vec<Name>,
    latest: Arc<Snapshot>,
    /// Whether a name that no host has does not exist.
    knows_all: bool,
    /// The Pods that ask for others, ascending.
    forwarders: Arc<[IpAddr]>,
    /// Who has which address, where that matters to an answer.
    residents: Option<Residents>,
    /// Whether these are others than the newest snapshot's.
    have_residents_changed: bool,
    /// Whose names addresses have.
    claims: Claims,
    /// Whether nothing was applied yet: then even an empty mesh makes a snapshot, with the declared zones.
    is_new: bool,
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
    /// The newest snapshot; the same as before where no answer changed, nor what is known of other names.
    pub snapshot: Arc<Snapshot>,
    /// How many names answer otherwise than before.
    pub names_changed: usize,
}

impl Editor {
    /// An editor without hosts, whose snapshot is not ready.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            authority: settings.authority(),
            moved: Vec::new(),
            knows_all: true,
            forwarders: Arc::default(),
            claims: Claims::new(&settings),
            residents: None,
            have_residents_changed: false,
            is_new: true,
            latest: Arc::new(Snapshot::not_ready(settings)),
        }
    }

    /// An editor without hosts under other settings, whose snapshots follow `before` in generation and serial.
    pub fn succeeding(settings: Arc<Settings>, before: &Snapshot) -> Self {
        let mut editor = Self::new(settings);
        let mut latest = Snapshot::clone(&editor.latest);
        latest.stamp(before.generation(), before.serial());
        editor.latest = Arc::new(latest);
        editor.knows_all = before.knows_all();
        editor.forwarders = before.forwarders.clone();
        editor
    }

    /// An editor for those who see something else than all from the next snapshot on. Who asks is told by the snapshot that has the
    /// views, not by theirs.
    #[must_use]
    pub fn of_view(&self) -> Self {
        let mut latest = Snapshot::clone(&self.latest);
        latest.views = None;
        latest.residents = None;
        latest.forwarders = Arc::default();
        Self {
            latest: Arc::new(latest),
            residents: None,
            forwarders: Arc::default(),
            ..self.clone()
        }
    }

    /// Notes whether everything there is was read: where not, the next snapshot answers for what it has and denies nothing.
    pub fn set_knows_all(&mut self, knows_all: bool) {
        self.knows_all = knows_all;
    }

    /// Notes which Pods ask for others, ascending: the next snapshot knows them.
    pub fn set_forwarders(&mut self, forwarders: Arc<[IpAddr]>) {
        self.forwarders = forwarders;
    }

    /// Notes who has which address, where that matters to an answer: the next snapshot knows it.
    pub fn set_residents(&mut self, residents: Option<Residents>) {
        self.residents = residents;
        self.have_residents_changed = true;
    }

    /// Whether the names of addresses are in a declared zone, so that [`Editor::set_claim`] is of use.
    pub fn takes_claims(&self) -> bool {
        self.claims.are_taken()
    }

    /// Notes that the addresses which `host` answers with are its, where nobody has them who is its senior.
    pub fn set_claim(
        &mut self,
        host: &Name,
        seniority: Option<Seniority>,
        compiled: Option<&Compiled>,
    ) {
        let records = match compiled {
            Some(Compiled::Records(records)) => Some(records),
            Some(Compiled::Left) | None => None,
        };
        self.claims.set(host, seniority.zip(records));
    }

    /// Gives the newest snapshot what those are answered from who see something else than all, ascending, each once. It is a new one
    /// where that is not what it has; `is_new` says that it was made a moment ago.
    pub fn set_views(
        &mut self,
        views: Vec<(ViewId, Arc<Snapshot>)>,
        serial: Serial,
        is_new: bool,
    ) -> &Arc<Snapshot> {
        let known = self.latest.views.as_deref().unwrap_or_default();
        let mut pairs = known.iter().zip(&views);
        let are_same =
            pairs.all(|((one, before), (other, after))| one == other && Arc::ptr_eq(before, after));
        if known.len() != views.len() || !are_same {
            let mut next = Snapshot::clone(&self.latest);
            next.views = (!views.is_empty()).then(|| views.into());
            if !is_new {
                next.stamp(self.latest.generation() + 1, serial);
            }
            self.latest = Arc::new(next);
        }
        &self.latest
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.latest
    }

    /// Who answers for names, as far as [`Editor::set_standings`] was told.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Notes what each host, a wildcard as `*.<name>`, is from now on, and returns those that were something else. Endpoints
    /// that are names ask [`Editor::authority`] before the records are there; answers follow with [`Editor::apply`].
    pub fn set_standings<'h>(
        &mut self,
        hosts: impl Iterator<Item = (&'h Name, Standing)>,
    ) -> Vec<&'h Name> {
        let moved = self.authority.set_standings(hosts);
        self.moved.extend(moved.iter().map(|host| base_of(host)));
        moved
    }

    /// How many hosts answer, wildcards included: those that are hidden or left to others do not.
    pub fn answering_count(&self) -> usize {
        self.authority.answered_count()
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
        let updates = Vec::from_iter(updates);
        let standings = updates.iter().map(|(host, compiled)| {
            let standing = compiled.as_ref().map(Compiled::standing);
            (host, standing.unwrap_or_default())
        });
        self.set_standings(standings);
        let first = std::mem::take(&mut self.is_new);
        let mut moved = std::mem::take(&mut self.moved);
        if first {
            moved.extend(self.authority.declared().cloned());
        }
        let mut dirty = Dirty::default();
        let mut fresh = HashMap::default();
        dirty.names.extend(moved.iter().cloned());
        for (host, compiled) in &updates {
            if let Some(compiled) = compiled {
                fresh.insert(host, compiled.records());
            }
            dirty.names.push(base_of(host));
        }
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
        for host in self.authority.below(base) {
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
        let mut names_changed = edit.names_changed;
        let known = self.latest.pointers.as_ref();
        let pointers = self.claims.renew(known);
        if let Some((_, changed)) = &pointers {
            names_changed += changed;
        }
        let is_else = self.knows_all != self.latest.knows_all()
            || self.forwarders != self.latest.forwarders
            || self.have_residents_changed;
        if first || names_changed > 0 || is_else {
            let mut next = self.latest.with(edit);
            next.knows_all = self.knows_all;
            next.forwarders = self.forwarders.clone();
            next.residents.clone_from(&self.residents);
            if let Some((pointers, _)) = pointers {
                next.pointers = pointers;
            }
            self.have_residents_changed = false;
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
        let standing = self.authority.standing(name);
        let exists = standing != Standing::Absent
            || self.authority.is_declared(name)
            || self.authority.below(name).next().is_some();
        if !exists {
            return None;
        }
        let Some((apex, _)) = self.authority.zone(name) else {
            return self.node_above_zones(name);
        };
        let covering = name
            .ancestors()
            .find_map(|above| Some((self.authority.wildcard_below(&above)?.1, above)));
        let here = match (standing, &covering) {
            (Standing::Answers, _) => {
                let kept = || match held.map(|node| &node.here) {
                    Some(Here::Records(records)) => records.clone(),
                    _ => HostRecords::default(),
                };
                Here::Records(fresh.get(name).cloned().unwrap_or_else(kept))
            }
            (Standing::Left, _) | (Standing::Absent, Some((Standing::Left, _))) => Here::Others {
                has_hosts_below: self.authority.answers_below(name),
            },
            (Standing::Absent, Some((_, source))) => Here::CopyOf(source.clone()),
            (Standing::Absent, None) => Here::Empty,
        };
        let below = match (self.authority.wildcard_below(name), covering) {
            (Some((wildcard, Standing::Answers)), _) => {
                let kept = || match held.and_then(|node| node.below.as_ref()) {
                    Some(Below::Records(records)) => records.clone(),
                    _ => HostRecords::default(),
                };
                let records = fresh.get(&wildcard).cloned();
                Some(Below::Records(records.unwrap_or_else(kept)))
            }
            (Some(_), _) | (None, Some((Standing::Left, _))) => Some(Below::Others),
            (None, Some((_, source))) => Some(Below::CopyOf(source)),
            (None, None) => None,
        };
        let before_apex = name.as_wire().len() - apex.as_wire().len();
        Some(Node {
            name: name.clone(),
            apex_at: u8::try_from(before_apex).expect("a name has at most 255 bytes"),
            here,
            below,
        })
    }

    /// What stands at a name that is in none of our zones: where upstreams are asked, that the mesh has hosts below it.
    fn node_above_zones(&self, name: &Name) -> Option<Node> {
        let is_told = self.authority.forwards_some() && self.authority.answers_below(name);
        is_told.then(|| Node {
            name: name.clone(),
            apex_at: 0,
            here: Here::Others {
                has_hosts_below: true,
            },
            below: Some(Below::Others),
        })
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

/// The name whose node holds a host's records: itself, or for `*.shop.test` the node of `shop.test`.
fn base_of(host: &Name) -> Name {
    let parent = host.is_wildcard().then(|| host.parent()).flatten();
    parent.unwrap_or_else(|| host.clone())
}
