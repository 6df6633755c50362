//! Where a host's endpoints are reached, each by itself: what SRV records say of them.
//!
//! Only told where endpoints differ in more than their addresses. A share belongs to a group, and within it endpoints have
//! parts by their weights, as [`split`](super::split) has them.

use std::{net::IpAddr, sync::Arc};

use foldhash::HashMap;

use super::{
    Gathering, View,
    split::{OTHER, Plan, State, counted},
};
use crate::{
    dns::Name,
    mesh::{Locality, Service},
};

/// The weight of the endpoint that has the largest part. `HAProxy` takes a 256th of it, rounded down, and one more.
pub(crate) const MAX_WEIGHT: u16 = 65_280;

/// A host's endpoints where they differ in more than their addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// The ports that endpoints have of their own, each list once.
    pub port_maps: Vec<PortMap>,
    /// The endpoints that answer, in order, those that are alike once.
    pub each: Vec<Target>,
}

/// Ports by the names of the service's ports.
pub type PortMap = Box<[(Box<str>, u16)]>;

/// One endpoint that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// How it is reached.
    pub at: TargetAt,
    /// Where it is, where clients near to it are to try it before others.
    pub locality: Option<Locality>,
    /// Its own ports: an index into [`Targets::port_maps`].
    pub ports: usize,
    /// Its part of the host's questions, where the largest is 65,280; never 0.
    pub weight: u16,
}

/// How an endpoint is reached.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TargetAt {
    /// Its first IPv4 address, else its first IPv6 address; and its first IPv6 address beside an IPv4 one.
    Address(IpAddr, Option<IpAddr>),
    /// A name that others have the addresses of.
    Name(Name),
}

/// The endpoints of `host` that answer, as `gathering` has it.
pub(super) fn targets(
    view: &View<'_>,
    host: &Name,
    chosen: &[&Arc<Service>],
    gathering: &Gathering,
) -> Targets {
    let split = gathering.split.as_deref();
    let by = split.and_then(|_| Plan::of(view, host, chosen).by());
    let groups = split.map_or(&[][..], |split| &split.groups);
    let group_of = |name: &str| {
        let named = |name: &str| groups.iter().position(|group| *group.name == *name);
        named(name).or_else(|| named(OTHER))
    };
    let mut weights = vec![0; groups.len().max(1)];
    let mut found = Vec::new();
    let mut port_maps = PortMaps::default();
    let is_near = split.is_some_and(|split| split.nearness.is_some());
    for endpoint in counted(view, host, chosen, by, is_near) {
        let is_kept = |address: &IpAddr| match endpoint.state {
            State::In => true,
            State::Failing => gathering.all_unhealthy || gathering.kept.holds(address),
            State::Unready => gathering.all_unhealthy,
            State::Neither => false,
        };
        let addresses = endpoint.addresses.iter().copied().filter(is_kept);
        let addresses: Vec<IpAddr> = addresses.collect();
        let group = group_of(endpoint.group);
        let has_share = match group {
            Some(group) => groups[group].effective > 0.0,
            None => split.is_none(),
        };
        if addresses.is_empty() || !has_share {
            continue;
        }
        let group = group.unwrap_or(0);
        let ports = port_maps.number_of(endpoint.ports);
        let mut add = |at: TargetAt| {
            weights[group] += endpoint.weight;
            found.push((at, endpoint.locality, ports, group, endpoint.weight));
        };
        match endpoint.name {
            Some(name) if name != host => add(TargetAt::Name(name.clone())),
            None if endpoint.is_pod => add(TargetAt::of(&addresses)),
            // Nobody is told to ask for the host to find the host. And several addresses of a ServiceEntry are several endpoints.
            _ => addresses
                .into_iter()
                .for_each(|address| add(TargetAt::Address(address, None))),
        }
    }
    let part = |group: usize, weight: u64| {
        let share = groups.get(group).map_or(1.0, |group| group.effective);
        #[allow(clippy::cast_precision_loss, reason = "weights are rounded to 16 bits")]
        let within = weight as f64 / weights[group] as f64;
        share * within
    };
    let (port_maps, places) = port_maps.sorted();
    let mut parts: Vec<(TargetAt, Option<Locality>, usize, f64)> = found
        .into_iter()
        .map(|(at, locality, ports, group, weight)| {
            (at, locality, places[ports], part(group, weight))
        })
        .collect();
    // The order decides which of the parts of one are added first, and so the last digits of their sum.
    parts.sort_by(|(at, locality, ports, part), other| {
        let key = (at, locality, *ports).cmp(&(&other.0, &other.1, other.2));
        key.then(part.total_cmp(&other.3))
    });
    parts.dedup_by(|next, kept| {
        let is_same = (&next.0, next.1, next.2) == (&kept.0, kept.1, kept.2);
        kept.3 += if is_same { next.3 } else { 0.0 };
        is_same
    });
    let largest = parts.iter().map(|(.., part)| *part).fold(0.0, f64::max);
    let each = parts.into_iter().map(|(at, locality, ports, part)| Target {
        at,
        locality,
        ports,
        weight: scaled(part / largest),
    });
    Targets {
        each: each.collect(),
        port_maps,
    }
}

/// A part of the largest one, as a weight.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part is between 0 and 1"
)]
fn scaled(part: f64) -> u16 {
    ((part * f64::from(MAX_WEIGHT)).round() as u16).clamp(1, MAX_WEIGHT)
}

impl TargetAt {
    /// Where an endpoint with `addresses` is, at least one.
    fn of(addresses: &[IpAddr]) -> Self {
        let first = |is_v4: bool| {
            let mut addresses = addresses.iter().copied();
            addresses.find(|address| address.is_ipv4() == is_v4)
        };
        match (first(true), first(false)) {
            (Some(v4), v6) => Self::Address(v4, v6),
            (None, v6) => Self::Address(v6.unwrap_or(addresses[0]), None),
        }
    }
}

/// Lists of ports, numbered as they are met.
#[derive(Default)]
struct PortMaps<'m>(HashMap<&'m [(Box<str>, u16)], usize>);

impl<'m> PortMaps<'m> {
    fn number_of(&mut self, ports: &'m [(Box<str>, u16)]) -> usize {
        let next = self.0.len();
        *self.0.entry(ports).or_insert(next)
    }

    /// The lists in an order of their own, and where each number's stands there: endpoints come in none.
    fn sorted(self) -> (Vec<PortMap>, Vec<usize>) {
        let mut lists = Vec::from_iter(self.0);
        lists.sort_unstable();
        let mut places = vec![0; lists.len()];
        for (place, (_, number)) in lists.iter().enumerate() {
            places[*number] = place;
        }
        let lists = lists.into_iter().map(|(ports, _)| ports.into());
        (lists.collect(), places)
    }
}
