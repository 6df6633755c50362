//! What was answered before, and which object's which field changed it: causes, not copies.
//!
//! An entry is one cause of one publish, with the addresses that came and went for it: none where the same ones are answered in
//! other parts. Hosts that select alike refer to one entry, however many they are. What an answer was at a time is what it is now
//! with later entries undone. Bounded by bytes and by age: what is older is not known, and never guessed.

use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use foldhash::{HashMap, HashMapExt as _};

use crate::{
    dns::Name,
    mesh::{ObjectChange, Touches},
};

/// How many hosts of an entry are named.
pub const MOST_NAMED: usize = 3;

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How many bytes the entries may take, about.
    pub bytes: usize,
    /// How old they may be.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            age: Duration::from_hours(24),
        }
    }
}

/// Whose answers changed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// Those of one host.
    Host(Name),
    /// Those of all hosts that select so, as [`mesh::scope`](crate::mesh::scope) writes it.
    Selector(Arc<str>),
}

/// Addresses that came and went for a scope.
#[derive(Clone, Debug)]
pub struct AddressChange {
    /// Whose.
    pub scope: Scope,
    /// Those that are answered no more, ascending.
    pub removed: Vec<IpAddr>,
    /// Those that are answered from now on, ascending.
    pub added: Vec<IpAddr>,
    /// Where none came or went, and they are answered in other parts than before: all of them, until the cause is found.
    pub reweighed: Vec<IpAddr>,
    /// How many hosts these are.
    pub hosts: usize,
    /// The first of them.
    pub names: Vec<Name>,
}

/// What changed answers, at one publish.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Counts the entries from the first one on, those that are forgotten included.
    pub number: u64,
    /// When it was published.
    pub at: SystemTime,
    /// As which generation.
    pub generation: u64,
    /// With which serial.
    pub serial: u32,
    /// What changed: the object, or a word for what is none.
    pub cause: Cause,
    /// Whose answers, and how.
    pub changes: Box<[AddressChange]>,
}

/// Why answers changed.
#[derive(Clone, Debug)]
pub enum Cause {
    /// An object did.
    Object(Box<ObjectChange>),
    /// No object: `config`, `name`, `check`, `override` or `cluster`.
    Other(&'static str),
}

/// When and as what a change was published.
#[derive(Clone, Copy, Debug)]
pub struct Publish {
    /// When.
    pub at: SystemTime,
    /// As which generation.
    pub generation: u64,
    /// With which serial.
    pub serial: u32,
}

/// The entries, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// How many there were, with those that are forgotten.
    noted: u64,
    limits: Limits,
    /// From when on all is known; `None` before the first load.
    known_since: Option<SystemTime>,
}

impl Entry {
    /// How many hosts it is about.
    pub fn hosts(&self) -> usize {
        self.changes.iter().map(|change| change.hosts).sum()
    }

    /// The first of them.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let names = self.changes.iter().flat_map(|change| &change.names);
        names.take(MOST_NAMED)
    }

    /// All addresses that came, and all that went.
    pub fn addresses(&self) -> (BTreeSet<IpAddr>, BTreeSet<IpAddr>) {
        let added = self.changes.iter().flat_map(|change| &change.added);
        let removed = self.changes.iter().flat_map(|change| &change.removed);
        (added.copied().collect(), removed.copied().collect())
    }

    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        let of_change = |change: &AddressChange| {
            let addresses = change.removed.capacity() + change.added.capacity();
            size_of::<AddressChange>()
                + addresses * size_of::<IpAddr>()
                + change.names.capacity() * size_of::<Name>()
                + match &change.scope {
                    Scope::Selector(text) => text.len(),
                    Scope::Host(_) => 0,
                }
        };
        let of_cause = match &self.cause {
            Cause::Object(object) => {
                size_of::<ObjectChange>()
                    + object.key.name.len()
                    + match &object.touches {
                        Touches::Addresses(_) => 0,
                        Touches::Hosts { hosts, .. } => hosts.len() * size_of::<Name>(),
                    }
            }
            Cause::Other(_) => 0,
        };
        size_of::<Self>() + of_cause + self.changes.iter().map(of_change).sum::<usize>()
    }
}

impl History {
    /// An empty one, which knows nothing so far.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// From when on all is known.
    pub fn known_since(&self) -> Option<SystemTime> {
        self.known_since
    }

    /// The entries, newest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.entries.iter().rev()
    }

    /// Notes that from `at` on all changes are told.
    pub fn begin(&mut self, at: SystemTime) {
        self.known_since.get_or_insert(at);
    }

    /// Notes what changed at a publish, the objects that did so, and what else it was where it is none of them.
    pub fn note(
        &mut self,
        changes: Vec<AddressChange>,
        objects: Vec<ObjectChange>,
        otherwise: &'static str,
        publish: Publish,
    ) {
        let Publish {
            at,
            generation,
            serial,
        } = publish;
        for (cause, changes) in by_cause(changes, objects, otherwise) {
            let entry = Entry {
                number: self.noted,
                at,
                generation,
                serial,
                cause,
                changes: changes.into(),
            };
            self.noted += 1;
            self.bytes += entry.bytes();
            self.entries.push_back(Arc::new(entry));
        }
        self.forget(at);
    }

    /// Forgets what is too much or too old at `now`.
    pub fn forget(&mut self, now: SystemTime) {
        while let Some(oldest) = self.entries.front() {
            let age = now.duration_since(oldest.at).unwrap_or_default();
            if self.bytes <= self.limits.bytes && age <= self.limits.age {
                return;
            }
            self.known_since = Some(oldest.at);
            self.bytes -= oldest.bytes();
            self.entries.pop_front();
        }
    }

    /// What changed answers of `host`, newest first; `selector` is what it selects by at present.
    pub fn of_host<'h>(
        &'h self,
        host: &'h Name,
        selector: Option<Arc<str>>,
    ) -> impl Iterator<Item = (&'h Arc<Entry>, &'h AddressChange)> {
        let mut selector = selector;
        self.entries().filter_map(move |entry| {
            let is_of_host = |change: &&AddressChange| match &change.scope {
                Scope::Host(other) => other == host,
                Scope::Selector(other) => selector.as_ref() == Some(other),
            };
            let change = entry.changes.iter().find(is_of_host)?;
            // What it selected by before is what older entries are about.
            if let Scope::Host(_) = &change.scope
                && let Cause::Object(object) = &entry.cause
                && let Touches::Hosts { selected, .. } = &object.touches
            {
                selector.clone_from(selected);
            }
            Some((entry, change))
        })
    }

    /// What `host`, which answers with `now`, answered at `at`; `None` where that is not known.
    pub fn at(
        &self,
        at: SystemTime,
        host: &Name,
        selector: Option<Arc<str>>,
        now: impl IntoIterator<Item = IpAddr>,
    ) -> Option<BTreeSet<IpAddr>> {
        self.known_since.filter(|since| *since <= at)?;
        let mut addresses = BTreeSet::from_iter(now);
        for (entry, change) in self.of_host(host, selector) {
            if entry.at <= at {
                break;
            }
            for address in &change.added {
                addresses.remove(address);
            }
            addresses.extend(&change.removed);
        }
        Some(addresses)
    }
}

/// What made it that `addresses` are answered in other parts: the workloads among them that changed, and the ServiceEntry that did;
/// none where there is no address. One cause that is unknown where there is no other.
fn reweighed_by(
    addresses: &[IpAddr],
    of_service: Option<usize>,
    by_address: &HashMap<IpAddr, usize>,
) -> Vec<Option<usize>> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let workloads = addresses
        .iter()
        .filter_map(|address| by_address.get(address));
    let causes: BTreeSet<usize> = workloads.copied().chain(of_service).collect();
    if causes.is_empty() {
        return vec![None];
    }
    causes.into_iter().map(Some).collect()
}

/// Sorts changes by what caused them: the object that has the address, else the ServiceEntry that has the host, else any object
/// that changed the same answers, else `otherwise`.
fn by_cause(
    changes: Vec<AddressChange>,
    objects: Vec<ObjectChange>,
    otherwise: &'static str,
) -> Vec<(Cause, Vec<AddressChange>)> {
    let mut by_address = HashMap::new();
    let mut by_host = HashMap::new();
    for (number, object) in objects.iter().enumerate() {
        match &object.touches {
            // Of several, what happened last holds.
            Touches::Addresses(addresses) => {
                by_address.extend(addresses.iter().map(|address| (*address, number)));
            }
            Touches::Hosts { hosts, .. } => {
                by_host.extend(hosts.iter().map(|host| (host.clone(), number)));
            }
        }
    }
    let mut caused: Vec<Vec<AddressChange>> = vec![Vec::new(); objects.len()];
    let mut others = Vec::new();
    for mut change in changes {
        let of_service = match &change.scope {
            Scope::Host(host) => by_host.get(host).copied(),
            Scope::Selector(_) => None,
        };
        let (removed, added) = (mem::take(&mut change.removed), mem::take(&mut change.added));
        // The cause of each address; `None` is whatever else is found.
        let mut shares: Vec<(Option<usize>, Vec<IpAddr>, Vec<IpAddr>)> = Vec::new();
        let all = removed.into_iter().map(|address| (address, true));
        let all = all.chain(added.into_iter().map(|address| (address, false)));
        for (address, is_removed) in all {
            let cause = by_address.get(&address).copied().or(of_service);
            let place = shares.iter().position(|(other, ..)| *other == cause);
            let place = place.unwrap_or_else(|| {
                shares.push((cause, Vec::new(), Vec::new()));
                shares.len() - 1
            });
            let (_, removed, added) = &mut shares[place];
            if is_removed { removed } else { added }.push(address);
        }
        for cause in reweighed_by(&mem::take(&mut change.reweighed), of_service, &by_address) {
            shares.push((cause, Vec::new(), Vec::new()));
        }
        let any = shares.iter().find_map(|(cause, ..)| *cause);
        for (cause, removed, added) in shares {
            let change = AddressChange {
                removed,
                added,
                ..change.clone()
            };
            match cause.or(any) {
                Some(number) => caused[number].push(change),
                None => others.push(change),
            }
        }
    }
    let objects = objects
        .into_iter()
        .map(|object| Cause::Object(Box::new(object)));
    let caused = objects
        .zip(caused)
        .filter(|(_, changes)| !changes.is_empty());
    let mut all: Vec<_> = caused.collect();
    if !others.is_empty() {
        all.push((Cause::Other(otherwise), others));
    }
    all
}
