//! Which hosts of the mesh lead to each other through endpoints that are names.

use foldhash::{HashMap, HashSet};

use super::{
    super::{View, choose},
    endpoints,
};
use crate::{authority::Holder, dns::Name};

/// The hosts that are reached from one host through names, in groups that lead to each other.
///
/// Nothing is looked at before somebody asks: hosts without names, and names that no host has, cost nothing. Every endpoint
/// counts, be it unhealthy, so that a circle stays one whatever its endpoints' health is.
#[derive(Debug)]
pub(super) struct Circles {
    start: Name,
    groups: Option<Groups>,
}

#[derive(Debug, Default)]
struct Groups {
    /// The number of each host's group.
    by_host: HashMap<Name, usize>,
    /// The names on the way: what they mean decides who is in which group.
    names: HashSet<Name>,
}

impl Circles {
    pub(super) fn around(start: &Name) -> Self {
        Self {
            start: start.clone(),
            groups: None,
        }
    }

    /// Whether an endpoint of `host` that is a name of `reached` leads back to `host`. Both are reached from the start.
    pub(super) fn hold(&mut self, view: &View<'_>, host: &Name, reached: &Name) -> bool {
        if host == reached {
            return true;
        }
        let groups = self
            .groups
            .get_or_insert_with(|| Search::from(view, &self.start));
        let by_host = &groups.by_host;
        by_host.contains_key(host) && by_host.get(host) == by_host.get(reached)
    }

    /// The names that were looked at, in no order.
    pub(super) fn into_names(self) -> impl Iterator<Item = Name> {
        self.groups.unwrap_or_default().names.into_iter()
    }
}

/// Tarjan's search for strongly connected components ([Tarjan 1972]), with a stack of its own: a chain of names may be long.
///
/// [Tarjan 1972]: https://doi.org/10.1137/0201010
#[derive(Default)]
struct Search {
    /// In which order hosts were found.
    numbers: HashMap<Name, usize>,
    /// The lowest number that each host on `open` leads to.
    lowest: HashMap<Name, usize>,
    /// Hosts whose group is not complete.
    open: Vec<Name>,
    groups: Groups,
}

/// A host on the way, and the hosts that its names lead to which were not visited.
struct Visit {
    host: Name,
    ahead: Vec<Name>,
}

impl Search {
    fn from(view: &View<'_>, start: &Name) -> Groups {
        let mut search = Self::default();
        let mut way = vec![search.enter(view, start.clone())];
        while let Some(visit) = way.last_mut() {
            let Some(next) = visit.ahead.pop() else {
                let host = way.pop().expect("it was the last").host;
                let lowest = search.leave(&host);
                if let Some(before) = way.last() {
                    search.lower(&before.host, lowest);
                }
                continue;
            };
            if let Some(&number) = search.numbers.get(&next) {
                let is_open = !search.groups.by_host.contains_key(&next);
                let number = if is_open { number } else { usize::MAX };
                let host = visit.host.clone();
                search.lower(&host, number);
            } else {
                way.push(search.enter(view, next));
            }
        }
        search.groups
    }

    fn enter(&mut self, view: &View<'_>, host: Name) -> Visit {
        let number = self.numbers.len();
        self.numbers.insert(host.clone(), number);
        self.lowest.insert(host.clone(), number);
        self.open.push(host.clone());
        let ahead = hosts_ahead(view, &host, &mut self.groups.names);
        Visit { host, ahead }
    }

    fn lower(&mut self, host: &Name, number: usize) {
        if let Some(lowest) = self.lowest.get_mut(host) {
            *lowest = number.min(*lowest);
        }
    }

    /// Closes the group that `host` is the first of, and returns the lowest number that it leads to.
    fn leave(&mut self, host: &Name) -> usize {
        let lowest = self.lowest[host];
        if lowest == self.numbers[host] {
            let group = self.numbers[host];
            while let Some(member) = self.open.pop() {
                let is_last = member == *host;
                self.groups.by_host.insert(member, group);
                if is_last {
                    break;
                }
            }
        }
        lowest
    }
}

/// The hosts of the mesh that names among the endpoints of `host` lead to. Notes the names.
fn hosts_ahead(view: &View<'_>, host: &Name, noted: &mut HashSet<Name>) -> Vec<Name> {
    let Some(choice) = choose(view.mesh, host, view.viewer) else {
        return Vec::new();
    };
    let services = choice.chosen.into_iter();
    let names = services
        .filter(|service| service.takes_names())
        .flat_map(|service| endpoints(view, service, host))
        .filter_map(|endpoint| endpoint.name);
    let mut names: Vec<Name> = names.cloned().collect();
    let mut seen: HashSet<Name> = names.iter().cloned().collect();
    let mut ahead = Vec::new();
    noted.extend(names.iter().cloned());
    while let Some(name) = names.pop() {
        match view.authority.holder(&name) {
            Holder::Host(reached) => ahead.push(reached),
            Holder::Zone(_) => {}
            Holder::Others => {
                let told = view.resolved.get(&name);
                let alias = told.and_then(|told| told.alias.clone());
                let alias = alias.filter(|alias| seen.insert(alias.clone()));
                noted.extend(alias.clone());
                names.extend(alias);
            }
        }
    }
    ahead
}
