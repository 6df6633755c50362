//! With which addresses ServiceEntries answer, those of names included.
//!
//! An endpoint that is a name means what a client of this server gets for that name: what the mesh answers where a host
//! of the mesh has it, else what was told from outside. So a host may stand on another one, and that on a third; what
//! counts is all that is reached so. A name that leads back to where it came from adds nothing.

use std::{net::IpAddr, slice, sync::Arc};

use foldhash::HashSet;
use smallvec::SmallVec;

use super::{
    Choice, View, WhenAllUnhealthy, choose,
    holder::{Holder, holder, leaves_the_lookup_to_others},
};
use crate::{
    dns::Name,
    mesh::{Endpoints, Exclusion, InlineEndpoint, Labels, Mesh, Service, Workload},
};

/// What the ServiceEntries that answer come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Gathering {
    /// The addresses to answer with, ascending, once each.
    pub addresses: Vec<IpAddr>,
    /// Whether unhealthy candidates answer because there is no healthy one.
    pub all_unhealthy: bool,
    /// Whether the mesh leaves the lookup to someone else's DNS (see [`Compiled::Elsewhere`](crate::zone::Compiled)).
    pub elsewhere: bool,
    /// The selectors that pick nobody.
    pub idle: Vec<Labels>,
    /// The names that were looked at, in canonical order: what they mean decides the addresses.
    pub names: Vec<NameUse>,
    /// The hosts of the mesh that were reached through names, in canonical order.
    pub through: Vec<Name>,
}

/// A name that stands in the place of an address.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NameUse {
    /// The name.
    pub name: Name,
    /// Whether others answer for it.
    pub is_others: bool,
}

/// An endpoint where it stands in the mesh.
pub(super) struct Endpoint<'m> {
    /// `None` where it stands in the ServiceEntry itself.
    pub(super) workload: Option<&'m Arc<Workload>>,
    pub(super) addresses: &'m [IpAddr],
    pub(super) name: Option<&'m Name>,
    pub(super) excluded: Option<&'m Exclusion>,
}

/// Decides with which addresses the ServiceEntries of `choice` answer.
pub fn gather(view: &View<'_>, choice: &Choice<'_>) -> Gathering {
    let mut walk = Walk::new(view, None);
    let mut idle = Vec::new();
    for &service in &choice.chosen {
        if walk.take(service) == Some(0) {
            idle.extend(service.selector().cloned());
        }
    }
    walk.follow_names();
    let chosen = &choice.chosen;
    let leaves = |service: &&Arc<Service>| leaves_the_lookup_to_others(service);
    Gathering {
        elsewhere: !chosen.is_empty() && chosen.iter().all(leaves),
        idle,
        ..walk.finish()
    }
}

/// What `name` adds to the endpoints of `host`: its addresses, and whether it leads back to the host.
pub(super) fn added_by(view: &View<'_>, host: &Name, name: &Name) -> (Vec<IpAddr>, bool) {
    let mut walk = Walk::new(view, Some(host.clone()));
    walk.note_name(name);
    walk.follow_names();
    let leads_back = walk.leads_back;
    (walk.finish().addresses, leads_back)
}

/// On the way from endpoint to endpoint.
struct Walk<'v, 'm> {
    view: &'v View<'m>,
    /// Where the walk began, if that is a host.
    origin: Option<Name>,
    leads_back: bool,
    healthy: Vec<IpAddr>,
    unready: Vec<IpAddr>,
    /// Whether what is reached is only good where nothing healthy is.
    is_unready: bool,
    /// Services of one namespace that select alike bring the same endpoints.
    seen: SmallVec<[(&'m str, &'m Labels, bool); 1]>,
    known_names: HashSet<Name>,
    names: Vec<NameUse>,
    /// How many of `names` were followed.
    followed: usize,
    unready_names: Vec<&'m Name>,
    hosts: HashSet<Name>,
}

impl<'v, 'm> Walk<'v, 'm> {
    fn new(view: &'v View<'m>, origin: Option<Name>) -> Self {
        Self {
            view,
            origin,
            leads_back: false,
            healthy: Vec::new(),
            unready: Vec::new(),
            is_unready: false,
            seen: SmallVec::new(),
            known_names: HashSet::default(),
            names: Vec::new(),
            followed: 0,
            unready_names: Vec::new(),
            hosts: HashSet::default(),
        }
    }

    /// Takes in the endpoints of a ServiceEntry and returns how many there are; `None` where the same ones were taken in.
    fn take(&mut self, service: &'m Service) -> Option<usize> {
        let takes_names = service.takes_names();
        if let Some(selector) = service.selector() {
            let key = (&*service.key.namespace, selector, takes_names);
            if self.seen.contains(&key) {
                return None;
            }
            self.seen.push(key);
        }
        let mut count = 0;
        let may_be_unready = self.view.when_all_unhealthy == WhenAllUnhealthy::All;
        for endpoint in endpoints(self.view.mesh, service) {
            count += 1;
            let name = endpoint.name.filter(|_| takes_names);
            match endpoint.excluded {
                None => {
                    self.add(endpoint.addresses);
                    if let Some(name) = name {
                        self.note_name(name);
                    }
                }
                Some(exclusion) if exclusion.is_unready() && may_be_unready => {
                    self.unready.extend_from_slice(endpoint.addresses);
                    self.unready_names.extend(name);
                }
                Some(_) => {}
            }
        }
        Some(count)
    }

    fn add(&mut self, addresses: &[IpAddr]) {
        if self.is_unready {
            self.unready.extend_from_slice(addresses);
        } else {
            self.healthy.extend_from_slice(addresses);
        }
    }

    fn note_name(&mut self, name: &Name) {
        if self.known_names.insert(name.clone()) {
            self.names.push(NameUse {
                name: name.clone(),
                is_others: false,
            });
        }
    }

    /// Goes wherever names lead; to those of unhealthy endpoints only where there is nothing healthy.
    fn follow_names(&mut self) {
        self.follow_noted();
        if self.healthy.is_empty() && !self.unready_names.is_empty() {
            self.is_unready = true;
            for name in std::mem::take(&mut self.unready_names) {
                self.note_name(name);
            }
            self.follow_noted();
        }
    }

    fn follow_noted(&mut self) {
        while let Some(noted) = self.names.get(self.followed) {
            let name = noted.name.clone();
            match holder(self.view.mesh, &self.view.domains, &name) {
                Holder::Host(host) => self.reach(host),
                Holder::Zone => {}
                Holder::Others => {
                    self.names[self.followed].is_others = true;
                    if let Some(told) = self.view.resolved.get(&name) {
                        self.add(&told.addresses);
                        if let Some(alias) = &told.alias {
                            self.note_name(alias);
                        }
                    }
                }
            }
            self.followed += 1;
        }
    }

    fn reach(&mut self, host: Name) {
        if self.origin.as_ref() == Some(&host) {
            self.leads_back = true;
            return;
        }
        let Some(choice) = choose(self.view.mesh, &host) else {
            return;
        };
        if self.hosts.insert(host) {
            for service in choice.chosen {
                self.take(service);
            }
        }
    }

    fn finish(self) -> Gathering {
        let all_unhealthy = self.healthy.is_empty() && !self.unready.is_empty();
        let mut addresses = if all_unhealthy {
            self.unready
        } else {
            self.healthy
        };
        addresses.sort_unstable();
        addresses.dedup();
        let (mut names, mut through) = (self.names, Vec::from_iter(self.hosts));
        names.sort_unstable();
        through.sort_unstable();
        Gathering {
            addresses,
            all_unhealthy,
            names,
            through,
            ..Gathering::default()
        }
    }
}

pub(super) fn endpoints<'m>(
    mesh: &'m Mesh,
    service: &'m Service,
) -> Box<dyn Iterator<Item = Endpoint<'m>> + 'm> {
    match &service.endpoints {
        Endpoints::Neither => {
            let own = (!service.addresses.is_empty()).then_some(Endpoint {
                workload: None,
                addresses: &service.addresses,
                name: None,
                excluded: None,
            });
            Box::new(own.into_iter())
        }
        Endpoints::Inline(endpoints) => Box::new(endpoints.iter().map(|endpoint| {
            let (addresses, name, excluded) = match endpoint {
                InlineEndpoint::Ip(ip) => (slice::from_ref(ip), None, None),
                InlineEndpoint::Name(name) => (&[][..], Some(&**name), None),
                InlineEndpoint::Other(exclusion) => (&[][..], None, Some(exclusion)),
            };
            Endpoint {
                workload: None,
                addresses,
                name,
                excluded,
            }
        })),
        Endpoints::Selector(selector) => {
            let workloads = mesh.selected(&service.key.namespace, selector);
            Box::new(workloads.map(|workload| Endpoint {
                workload: Some(workload),
                addresses: &workload.addresses,
                name: workload.name(),
                excluded: workload.excluded.as_deref(),
            }))
        }
    }
}
