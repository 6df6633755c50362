//! With which addresses ServiceEntries answer, those of names included.
//!
//! An endpoint that is a name means what a client of this server gets for that name: what the mesh answers where a host
//! of the mesh has it, else what was told from outside. So a host may stand on another one, and that on a third; what
//! counts is all that is reached so. Where a name leads back to the host that it is an endpoint of, it is looked up
//! outside, as Envoy does (`circle`).

mod circle;

use std::{net::IpAddr, slice, sync::Arc};

use circle::Circles;
use foldhash::HashSet;
use smallvec::SmallVec;

use super::{Choice, View, WhenAllUnhealthy, choose};
use crate::{
    authority::{Holder, Standing, Zone},
    dns::Name,
    health::{Judgement, Subject},
    mesh::{Endpoints, InlineEndpoint, Labels, Service, Workload},
};

/// The addresses that the ServiceEntries that answer come to; see [`super::Gathering`].
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) all_unhealthy: bool,
    pub(super) kept: Kept,
    pub(super) standing: Standing,
    pub(super) idle: Vec<Labels>,
    pub(super) names: Vec<NameUse>,
    pub(super) dead_ends: Vec<Name>,
    /// Whether an endpoint has another weight than 1.
    pub(super) is_weighted: bool,
    /// Whether endpoints may differ in more than one address of each.
    pub(super) is_varied: bool,
}

/// For which families of addresses candidates answer that only fail a check of ours.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Kept {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Kept {
    /// Whether addresses of the family of `address` are kept.
    pub fn holds(self, address: &IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// An endpoint that is a name, as a host uses it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NameUse {
    /// The name.
    pub name: Name,
    /// Whether others are asked what it means.
    pub is_others: bool,
}

/// An endpoint where it stands in the mesh.
pub(super) struct Endpoint<'m> {
    /// `None` where it stands in the ServiceEntry itself.
    pub(super) workload: Option<&'m Arc<Workload>>,
    pub(super) addresses: &'m [IpAddr],
    pub(super) name: Option<&'m Name>,
    pub(super) judgement: Judgement<'m>,
    /// What the judgement was made from.
    pub(super) subject: Subject<'m>,
}

/// What an endpoint that is a name means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// What this host of the mesh answers.
    Host(Name),
    /// Nothing: it is in a declared zone, and no host has it.
    NoHost,
    /// What others say.
    Others,
    /// Nothing: it leads back to where it stands, and nobody outside is asked for it.
    DeadEnd,
}

/// Decides with which addresses the ServiceEntries of `choice` answer for `host`, whatever their parts.
pub(super) fn gather(view: &View<'_>, host: &Name, choice: &Choice<'_>) -> Gathered {
    let standing = choice.standing(host);
    if standing == Standing::Left {
        return Gathered {
            standing,
            ..Gathered::default()
        };
    }
    let mut walk = Walk::new(view, host);
    let mut idle = Vec::new();
    for &service in &choice.chosen {
        if walk.take(service, host) == Some(0) {
            idle.extend(service.selector().cloned());
        }
    }
    walk.follow_names();
    Gathered {
        standing,
        idle,
        is_weighted: walk.is_weighted,
        is_varied: walk.is_varied,
        ..walk.finish()
    }
}

/// What `name` adds to the endpoints of `host`, and what it means there.
pub(super) fn added_by(view: &View<'_>, host: &Name, name: &Name) -> (Vec<IpAddr>, Meaning) {
    let mut walk = Walk::new(view, host);
    let meaning = walk.meaning(name, host);
    walk.note_name(name, host);
    walk.follow_names();
    (walk.finish().addresses, meaning)
}

/// On the way from endpoint to endpoint.
struct Walk<'v, 'm> {
    view: &'v View<'m>,
    circles: Circles,
    healthy: Vec<IpAddr>,
    unready: Vec<IpAddr>,
    /// Those that only fail a check of ours.
    failing: Vec<IpAddr>,
    kept: Kept,
    /// Whether what is reached is only good where nothing healthy is.
    is_unready: bool,
    /// Whether an endpoint has another weight than 1.
    is_weighted: bool,
    /// Whether endpoints may differ in more than one address of each.
    is_varied: bool,
    /// Services of one namespace that select alike bring the same endpoints.
    seen: SmallVec<[(&'m str, &'m Labels, bool); 1]>,
    known_names: HashSet<(Name, Name)>,
    /// Names with the host that each is an endpoint of.
    names: Vec<(Name, Name)>,
    /// How many of `names` were followed.
    followed: usize,
    /// Those of endpoints that only lack health.
    unready_names: Vec<(Name, Name)>,
    hosts: HashSet<Name>,
    uses: Vec<NameUse>,
    dead_ends: Vec<Name>,
}

impl<'v, 'm> Walk<'v, 'm> {
    fn new(view: &'v View<'m>, host: &Name) -> Self {
        Self {
            view,
            circles: Circles::around(host),
            healthy: Vec::new(),
            unready: Vec::new(),
            failing: Vec::new(),
            kept: Kept::default(),
            is_unready: false,
            is_weighted: false,
            is_varied: false,
            seen: SmallVec::new(),
            known_names: HashSet::default(),
            names: Vec::new(),
            followed: 0,
            unready_names: Vec::new(),
            hosts: HashSet::from_iter([host.clone()]),
            uses: Vec::new(),
            dead_ends: Vec::new(),
        }
    }

    /// Takes in the endpoints of a ServiceEntry of `host` and returns how many there are; `None` where the same ones were
    /// taken in.
    fn take(&mut self, service: &'m Arc<Service>, host: &Name) -> Option<usize> {
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
        for endpoint in endpoints(self.view, service, host) {
            let attributes = match endpoint.workload {
                Some(workload) => workload.attributes(),
                None => service.attributes_of(count),
            };
            self.is_weighted |= attributes.weight.get() != 1;
            let is_plain = attributes.ports.is_empty() && endpoint.name.is_none();
            let has_several = endpoint.workload.is_some() && endpoint.addresses.len() > 1;
            self.is_varied |= !is_plain || has_several;
            count += 1;
            let name = endpoint.name.filter(|_| takes_names);
            let judgement = &endpoint.judgement;
            if let Judgement::In = judgement {
                self.add(endpoint.addresses);
                if let Some(name) = name {
                    self.note_name(name, host);
                }
                continue;
            }
            if judgement.may_be_kept() && self.view.verdicts.keeps_last {
                self.failing.extend_from_slice(endpoint.addresses);
            }
            if judgement.is_unready() && may_be_unready {
                self.unready.extend_from_slice(endpoint.addresses);
                self.unready_names
                    .extend(name.map(|name| (name.clone(), host.clone())));
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

    fn note_name(&mut self, name: &Name, host: &Name) {
        let noted = (name.clone(), host.clone());
        if self.known_names.insert(noted.clone()) {
            self.names.push(noted);
        }
    }

    /// Goes wherever names lead; to those of unhealthy endpoints only where there is nothing healthy.
    fn follow_names(&mut self) {
        self.follow_noted();
        self.keep_failing();
        if self.healthy.is_empty() && !self.unready_names.is_empty() {
            self.is_unready = true;
            for (name, host) in std::mem::take(&mut self.unready_names) {
                self.note_name(&name, &host);
            }
            self.follow_noted();
        }
    }

    /// A check is a guess: it takes away no family's last address.
    fn keep_failing(&mut self) {
        for is_v4 in [true, false] {
            let is_of_family = |address: &&IpAddr| address.is_ipv4() == is_v4;
            if self.healthy.iter().any(|address| is_of_family(&address)) {
                continue;
            }
            let failing = self.failing.iter().filter(is_of_family);
            let before = self.healthy.len();
            self.healthy.extend(failing.copied());
            let is_kept = self.healthy.len() > before;
            let kept = &mut self.kept;
            *(if is_v4 { &mut kept.v4 } else { &mut kept.v6 }) = is_kept;
        }
    }

    fn follow_noted(&mut self) {
        while let Some((name, host)) = self.names.get(self.followed).cloned() {
            let meaning = self.meaning(&name, &host);
            self.uses.push(NameUse {
                name: name.clone(),
                is_others: meaning == Meaning::Others,
            });
            match meaning {
                Meaning::Host(reached) => self.reach(&reached),
                Meaning::NoHost => {}
                Meaning::DeadEnd => self.dead_ends.push(name),
                Meaning::Others => {
                    if let Some(told) = self.view.resolved.get(&name) {
                        self.add(&told.addresses);
                        if let Some(alias) = &told.alias {
                            self.note_name(alias, &host);
                        }
                    }
                }
            }
            self.followed += 1;
        }
    }

    /// What `name` means as an endpoint of `host`.
    fn meaning(&mut self, name: &Name, host: &Name) -> Meaning {
        let authority = self.view.authority;
        match authority.holder(name) {
            Holder::Zone(Zone::Declared) => Meaning::NoHost,
            // Below a host only because nobody else is asked.
            Holder::Zone(_) | Holder::Others => Meaning::Others,
            Holder::Host(reached) if !self.circles.hold(self.view, host, &reached) => {
                Meaning::Host(reached)
            }
            Holder::Host(_) if authority.can_ask_others(name) => Meaning::Others,
            Holder::Host(_) => Meaning::DeadEnd,
        }
    }

    fn reach(&mut self, host: &Name) {
        let Some(choice) = choose(self.view.mesh, host, self.view.viewer) else {
            return;
        };
        if self.hosts.insert(host.clone()) {
            for service in choice.chosen {
                self.take(service, host);
            }
        }
    }

    fn finish(self) -> Gathered {
        let all_unhealthy = self.healthy.is_empty() && !self.unready.is_empty();
        let mut addresses = if all_unhealthy {
            self.unready
        } else {
            self.healthy
        };
        addresses.sort_unstable();
        addresses.dedup();
        let (mut names, mut dead_ends) = (self.uses, self.dead_ends);
        let looked_at = self.circles.into_names().map(|name| NameUse {
            name,
            is_others: false,
        });
        names.extend(looked_at);
        names.sort_unstable();
        names.dedup_by(|next, kept| {
            let is_same = next.name == kept.name;
            kept.is_others |= is_same && next.is_others;
            is_same
        });
        dead_ends.sort_unstable();
        dead_ends.dedup();
        Gathered {
            addresses,
            all_unhealthy,
            kept: self.kept,
            names,
            dead_ends,
            ..Gathered::default()
        }
    }
}

/// The endpoints that `service` has for `host`, for which the mesh answers.
///
/// Where it has none, those of resolution `DNS` have the host's own name, as in Istio's registry
/// (`convertServiceEntryToInstances`), and its addresses are virtual ones for proxies.
pub(super) fn endpoints<'m>(
    view: &View<'m>,
    service: &'m Service,
    host: &'m Name,
) -> Box<dyn Iterator<Item = Endpoint<'m>> + 'm> {
    let View { mesh, verdicts, .. } = *view;
    match &service.endpoints {
        Endpoints::Neither => {
            let is_looked_up = service.takes_names() && !host.is_wildcard();
            let addresses = if service.has_real_addresses() {
                &*service.addresses
            } else {
                &[]
            };
            let own = Endpoint {
                workload: None,
                addresses,
                name: is_looked_up.then_some(host),
                judgement: Judgement::In,
                subject: Subject::of_inline(None, 0, service, addresses, None),
            };
            let is_any = is_looked_up || !addresses.is_empty();
            Box::new(is_any.then_some(own).into_iter())
        }
        Endpoints::Inline(endpoints) => {
            // Checks are found by the number, and where there are none nobody needs it.
            let slot = (!verdicts.targets.is_empty()).then(|| mesh.slot_of(service));
            let slot = slot.flatten();
            Box::new((0..).zip(endpoints).map(move |(place, endpoint)| {
                let (addresses, name, excluded) = match endpoint {
                    InlineEndpoint::Ip(ip) => (slice::from_ref(ip), None, None),
                    InlineEndpoint::Name(name) => (&[][..], Some(&**name), None),
                    InlineEndpoint::Other(exclusion) => (&[][..], None, Some(exclusion)),
                };
                let subject = Subject::of_inline(slot, place, service, addresses, excluded);
                Endpoint {
                    workload: None,
                    addresses,
                    name,
                    judgement: verdicts.judge(&subject),
                    subject,
                }
            }))
        }
        Endpoints::Selector(selector) => {
            let workloads = mesh.selected(&service.key.namespace, selector);
            Box::new(workloads.map(|(slot, workload)| {
                let subject = Subject::of_workload(slot, workload);
                Endpoint {
                    workload: Some(workload),
                    addresses: &workload.addresses,
                    name: workload.name(),
                    judgement: verdicts.judge(&subject),
                    subject,
                }
            }))
        }
    }
}
