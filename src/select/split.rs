//! How the questions for a host are shared out among groups of its endpoints.
//!
//! A share belongs to a group, `pod` and `vm` or the values of a label, so that it holds however many endpoints each has; within
//! a group endpoints have parts by their weights. Shares follow health without memory or clock: equal meshes give equal shares.

mod nearness;
mod remarks;

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU16, sync::Arc};

use foldhash::HashMap;
pub use nearness::Nearness;
pub(crate) use nearness::tiers;
pub(super) use remarks::remarks;
use smallvec::SmallVec;

use super::{ClientNetworks, View, WhenAllUnhealthy, gather};
use crate::{
    diagnostic::Kind,
    dns::Name,
    health::Judgement,
    manifest::{AnswerMode, MaxAddresses, Percent, ShareBy, Shares, TrafficNotes},
    mesh::{Attributes, Locality, Service},
};

/// The group of Pods, that of all others, and that of labels' values that are not named.
const PODS: &str = "pod";
const VMS: &str = "vm";
pub(super) const OTHER: &str = "other";

/// The group of a host that has weights and no shares.
const ALL: &str = "all";

/// How many addresses of all groups an answer holds where nobody says how many: as many as fit 512 bytes at a short name.
const MIXED_ADDRESSES: NonZeroU16 = NonZeroU16::new(28).expect("not 0");

/// How questions are shared out where an object or the configuration asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficPolicy {
    /// The shares of single hosts, before what their objects ask for.
    pub shares: HashMap<Name, Shares>,
    /// How many addresses of one group an answer holds.
    pub side_addresses: NonZeroU16,
    /// What forwarders get: [`AnswerMode::Side`] or [`AnswerMode::Mix`].
    pub forwarders_get: AnswerMode,
    /// How many addresses of one family an answer of [`AnswerMode::Mix`] holds where the host has no number of its own.
    pub mixed_addresses: NonZeroU16,
    /// How far the healthy part of a group carries its share, in percent: with 140 a group has all of its share while 5 of 7 are
    /// healthy. With 0 shares don't follow health.
    pub health_factor_percent: u16,
    /// Whether hosts whose ServiceEntry does not say answer with the endpoints near to the client.
    pub prefers_near: bool,
    /// From how many endpoints on those of a zone or region count for themselves.
    pub min_endpoints: NonZeroU16,
    /// What the configuration says of networks, before what objects say of addresses.
    pub clients: Arc<ClientNetworks>,
}

impl Default for TrafficPolicy {
    fn default() -> Self {
        Self {
            shares: HashMap::default(),
            side_addresses: NonZeroU16::MIN.saturating_add(1),
            forwarders_get: AnswerMode::Mix,
            mixed_addresses: MIXED_ADDRESSES,
            health_factor_percent: 140,
            prefers_near: false,
            min_endpoints: NonZeroU16::MIN,
            clients: Arc::default(),
        }
    }
}

impl TrafficPolicy {
    /// How far health carries a share, as a factor; `None` where it does not matter.
    fn health_factor(&self) -> Option<f64> {
        let percent = self.health_factor_percent;
        (percent != 0).then(|| f64::from(percent) / 100.0)
    }
}

/// A host's endpoints in groups, and which part of the questions each has.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The groups, those that are named first.
    pub groups: Vec<Group>,
    /// Who asks for the shares; `None` where nobody does.
    pub asked_by: Option<AskedBy>,
    /// What those get who ask for themselves.
    pub direct: AnswerMode,
    /// What forwarders get.
    pub forwarder: AnswerMode,
    /// How many addresses of one group an answer holds.
    pub side_addresses: NonZeroU16,
    /// How many addresses of one family an answer of [`AnswerMode::Mix`] holds.
    pub mixed_addresses: NonZeroU16,
    /// How many addresses an answer holds at most, where the host has a word of its own.
    pub max_addresses: Option<MaxAddresses>,
    /// Whether unhealthy endpoints have the shares because there is no healthy one.
    pub all_unhealthy: bool,
    /// For which families endpoints answer that only fail a check of ours.
    pub kept: super::Kept,
    /// Whether VMs have other weights than 1 beside Pods.
    pub has_weights_beside_pods: bool,
    /// How those near to the client come before others; `None` where they don't.
    pub nearness: Option<Nearness>,
}

/// Who asks for shares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AskedBy {
    /// The configuration.
    Configuration,
    /// The ServiceEntry with this index in [`super::Selection::chosen`].
    Service(usize),
}

/// Endpoints that have a share together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name: `pod`, `vm`, a label's value, `other`, or `all`.
    pub name: Box<str>,
    /// The share that is asked for it, or left to it, as a part of one.
    pub wanted: f64,
    /// The share that it has, as a part of one: all groups' are 1 together, or 0 where nobody answers.
    pub effective: f64,
    /// How many endpoints it has, those that nobody waits for included.
    pub count: usize,
    /// How many of its endpoints are in.
    pub in_count: usize,
    /// How many only lack health.
    pub unready_count: usize,
    /// The addresses that share its part by their weights, ascending, once each.
    pub members: Vec<Member>,
    /// Where those addresses are that only lack health, in no order; none where that does not matter.
    pub unready: Vec<(IpAddr, Option<Locality>)>,
}

/// What a group is to have and has.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupShare {
    /// The group's name.
    pub name: Box<str>,
    /// The share that is asked for it, or left to it, as a part of one.
    pub wanted: f64,
    /// The share that it has.
    pub effective: f64,
    /// How many of its endpoints are in.
    pub in_count: usize,
    /// How many only lack health.
    pub unready_count: usize,
}

/// An address with its weight within a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// The address.
    pub address: IpAddr,
    /// Its part among the group's.
    pub weight: u64,
    /// Where it is, where that matters and is known.
    pub locality: Option<Locality>,
}

/// What is asked of a host's answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan<'p> {
    shares: Option<(&'p Shares, AskedBy)>,
    answer: Option<AnswerMode>,
    max_addresses: Option<MaxAddresses>,
    prefers_near: bool,
}

/// One endpoint on its way into a group.
pub(super) struct Counted<'m> {
    pub(super) group: &'m str,
    pub(super) is_pod: bool,
    pub(super) state: State,
    pub(super) weight: u64,
    pub(super) addresses: SmallVec<[IpAddr; 2]>,
    /// The name that has the addresses, where the endpoint is a name.
    pub(super) name: Option<&'m Name>,
    pub(super) ports: &'m [(Box<str>, u16)],
    pub(super) locality: Option<Locality>,
}

/// What an endpoint counts as in its group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    In,
    /// It only fails a check of ours, and may stay where it is among the last ones.
    Failing,
    Unready,
    /// Nobody waits for it: it is new, or about to go.
    Neither,
}

impl Group {
    fn weight(&self) -> u64 {
        self.members.iter().map(|member| member.weight).sum()
    }

    /// The part of all answers that `address` has for clients that are `near`; those of all addresses of all groups are 1 together.
    pub fn part_of(&self, address: &IpAddr, near: Option<(Locality, Nearness)>) -> f64 {
        let unready = self.unready.iter().map(|(_, locality)| *locality);
        let parts = tiers(&self.members, unready, near).into_iter().map(|tier| {
            let of_address = tier
                .members
                .iter()
                .filter(|member| member.address == *address);
            let weight: u64 = of_address.map(|member| member.weight).sum();
            let all: u64 = tier.members.iter().map(|member| member.weight).sum();
            #[allow(
                clippy::cast_precision_loss,
                reason = "a part is shown with one decimal"
            )]
            let part = weight as f64 / all.max(1) as f64;
            tier.part * part
        });
        self.effective * parts.sum::<f64>()
    }
}

impl Split {
    /// Whether all groups that have a share have addresses of this family.
    pub fn has_in_common(&self, is_v4: bool) -> bool {
        let mut sharing = self.groups.iter().filter(|group| group.effective > 0.0);
        sharing.all(|group| {
            let mut members = group.members.iter();
            members.any(|member| member.address.is_ipv4() == is_v4)
        })
    }

    /// What each group is to have and has; nothing where nobody asks for shares.
    pub fn shares(&self) -> Vec<GroupShare> {
        let groups = self.groups.iter().filter(|_| self.asked_by.is_some());
        let share = |group: &Group| GroupShare {
            name: group.name.clone(),
            wanted: group.wanted,
            effective: group.effective,
            in_count: group.in_count,
            unready_count: group.unready_count,
        };
        groups.map(share).collect()
    }

    /// All addresses of the groups that have a share, ascending, once each.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let sharing = self.groups.iter().filter(|group| group.effective > 0.0);
        let members = sharing.flat_map(|group| &group.members);
        let mut addresses: Vec<IpAddr> = members.map(|member| member.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

/// Whether anything is asked of the answers of a host for which `service` answers: hosts that select alike may answer
/// otherwise then.
pub(super) fn is_asked_by(service: &Service) -> bool {
    let asks = |notes: &TrafficNotes| {
        notes.shares.is_some()
            || notes.answer.is_some()
            || notes.max_addresses.is_some()
            || notes.prefers_near()
    };
    service.traffic.as_deref().is_some_and(asks)
}

/// Shares out the questions for `host`; `None` where all of its endpoints have the same part.
pub(super) fn split<'m>(
    view: &'m View<'m>,
    host: &'m Name,
    chosen: &'m [&'m Arc<Service>],
    is_weighted: bool,
) -> Option<Split> {
    let plan = Plan::of(view, host, chosen);
    let is_asked = plan.shares.is_some()
        || plan.answer.is_some()
        || plan.max_addresses.is_some()
        || plan.prefers_near;
    if !is_asked && !is_weighted {
        return None;
    }
    let by = plan.by();
    let counted: Vec<Counted<'_>> = counted(view, host, chosen, by, plan.prefers_near).collect();
    let weighs = |is_pod: bool| {
        move |endpoint: &Counted<'_>| endpoint.is_pod == is_pod && (is_pod || endpoint.weight != 1)
    };
    let has_weights_beside_pods =
        counted.iter().any(weighs(true)) && counted.iter().any(weighs(false));
    let mut groups = grouped(&plan, counted);
    let kept = groups.keep_failing(view.verdicts.keeps_last);
    if plan.prefers_near {
        groups.note_unready(kept);
    }
    let all_unhealthy = groups.share_out(view);
    let Plan {
        shares,
        answer,
        max_addresses,
        prefers_near,
    } = plan;
    let policy = view.traffic;
    let is_divided = shares.is_some() || answer.is_some() || is_weighted;
    let direct = match answer {
        Some(mode) => mode,
        None if is_divided => AnswerMode::Side,
        None => AnswerMode::All,
    };
    let split = Split {
        groups: groups
            .0
            .into_iter()
            .map(|gathered| gathered.group)
            .collect(),
        asked_by: shares.map(|(_, asked_by)| asked_by),
        direct,
        forwarder: match direct {
            AnswerMode::Side => policy.forwarders_get,
            other => other,
        },
        side_addresses: policy.side_addresses,
        mixed_addresses: match max_addresses {
            Some(MaxAddresses::Number(most)) => most,
            Some(MaxAddresses::Fitting | MaxAddresses::All) => MIXED_ADDRESSES,
            None => policy.mixed_addresses,
        },
        max_addresses,
        all_unhealthy,
        kept,
        has_weights_beside_pods,
        nearness: prefers_near.then(|| Nearness {
            min_endpoints: policy.min_endpoints,
            health_factor: policy.health_factor(),
        }),
    };
    let is_ordinary = !is_asked && !split.groups.iter().any(has_weights);
    (!is_ordinary).then_some(split)
}

/// Whether the members of a group have different parts.
pub(crate) fn has_weights(group: &Group) -> bool {
    let mut weights = group.members.iter().map(|member| member.weight);
    let first = weights.next();
    weights.any(|weight| Some(weight) != first)
}

impl<'p> Plan<'p> {
    /// What the configuration asks for counts before what objects do, and the oldest ServiceEntry before others.
    pub(super) fn of(view: &View<'p>, host: &Name, chosen: &'p [&'p Arc<Service>]) -> Self {
        let configured = view.traffic.shares.get(host);
        let mut plan = Self {
            shares: configured.map(|shares| (shares, AskedBy::Configuration)),
            ..Self::default()
        };
        let mut distribution = None;
        for (index, service) in chosen.iter().enumerate() {
            let Some(notes) = service.traffic.as_deref() else {
                continue;
            };
            let shares = notes.shares.as_ref();
            let shares = shares.map(|shares| (shares, AskedBy::Service(index)));
            plan.shares = plan.shares.or(shares);
            plan.answer = plan.answer.or(notes.answer);
            plan.max_addresses = plan.max_addresses.or(notes.max_addresses);
            distribution = distribution.or(notes.distribution.map(|_| notes.prefers_near()));
        }
        plan.prefers_near = distribution.unwrap_or(view.traffic.prefers_near);
        plan
    }

    /// What tells groups apart; `None` where there is one.
    pub(super) fn by(&self) -> Option<&'p ShareBy> {
        match (self.shares, self.answer) {
            (Some((shares, _)), _) => Some(&shares.by),
            (None, Some(AnswerMode::Side | AnswerMode::Mix)) => Some(&ShareBy::Kind),
            (None, _) => None,
        }
    }

    /// The names of the groups that there are whatever the endpoints, with what is asked for them.
    fn named(&self) -> BTreeMap<&'p str, Option<Percent>> {
        let mut named = BTreeMap::new();
        match self.by() {
            None => named.extend([(ALL, None)]),
            Some(ShareBy::Kind) => named.extend([(PODS, None), (VMS, None)]),
            Some(ShareBy::Label(_)) => named.extend([(OTHER, None)]),
        }
        if let Some((shares, _)) = self.shares {
            let wanted = shares.wanted.iter();
            named.extend(wanted.map(|(name, share)| (&**name, Some(*share))));
        }
        named
    }
}

/// Every endpoint of the host that has addresses, with its group.
pub(super) fn counted<'m>(
    view: &'m View<'m>,
    host: &'m Name,
    chosen: &'m [&'m Arc<Service>],
    by: Option<&'m ShareBy>,
    is_place_needed: bool,
) -> impl Iterator<Item = Counted<'m>> {
    let mut seen: SmallVec<[_; 1]> = SmallVec::new();
    let services = chosen.iter().filter(move |service| {
        // Those of one namespace that select alike bring the same endpoints.
        let key = service
            .selector()
            .map(|labels| (labels, service.takes_names()));
        let is_new = key.is_none_or(|key| !seen.contains(&key));
        seen.extend(key);
        is_new
    });
    services.flat_map(move |&service| {
        let endpoints = gather::endpoints(view, service, host).enumerate();
        endpoints.filter_map(move |(place, endpoint)| {
            let mut addresses = SmallVec::from_slice(endpoint.addresses);
            let name = endpoint.name.filter(|_| service.takes_names());
            if let Some(name) = name {
                addresses.extend(gather::added_by(view, host, name).0);
            }
            let attributes: &Attributes = match endpoint.workload {
                Some(workload) => workload.attributes(),
                None => service.attributes_of(place),
            };
            let is_pod = endpoint
                .workload
                .is_some_and(|workload| workload.key.kind == Kind::Pod);
            let group = match by {
                None => ALL,
                Some(ShareBy::Kind) if is_pod => PODS,
                Some(ShareBy::Kind) => VMS,
                Some(ShareBy::Label(key)) => match endpoint.workload {
                    Some(workload) => {
                        let texts = view
                            .mesh
                            .label_texts(&workload.key.namespace, &workload.labels);
                        let value = texts.into_iter().find(|(known, _)| *known == &**key);
                        value.map_or(OTHER, |(_, value)| value)
                    }
                    None => service.label_of(place, key).unwrap_or(OTHER),
                },
            };
            let locality = || match endpoint.workload {
                Some(workload) => view.mesh.locality_of(workload),
                None => Locality::of_vm(|key| service.label_of(place, key)),
            };
            let of_network = || {
                let network = view.traffic.clients.of(*addresses.first()?)?;
                network.locality
            };
            let locality = is_place_needed.then(|| locality().or_else(of_network));
            (!addresses.is_empty()).then(|| Counted {
                locality: locality.flatten(),
                group,
                is_pod,
                state: State::of(&endpoint.judgement),
                weight: attributes.weight.get().into(),
                addresses,
                name,
                ports: &attributes.ports,
            })
        })
    })
}

impl State {
    fn of(judgement: &Judgement<'_>) -> Self {
        match judgement {
            Judgement::In => Self::In,
            Judgement::Check(out) if out.is_pending => Self::Neither,
            judgement if judgement.may_be_kept() => Self::Failing,
            judgement if judgement.is_unready() => Self::Unready,
            _ => Self::Neither,
        }
    }
}

/// A group in the making.
struct Gathered {
    group: Group,
    /// What is asked for it.
    asked: Option<Percent>,
    /// The endpoints that only fail a check, and those that lack health otherwise.
    failing: Vec<Member>,
    unready: Vec<Member>,
}

struct Groups(Vec<Gathered>);

/// Puts endpoints into their groups: those whose group is not named are among the others.
fn grouped(plan: &Plan<'_>, counted: Vec<Counted<'_>>) -> Groups {
    let named = plan.named();
    let gathered = named.iter().map(|(name, asked)| Gathered {
        group: Group {
            name: (*name).into(),
            wanted: 0.0,
            effective: 0.0,
            count: 0,
            in_count: 0,
            unready_count: 0,
            members: Vec::new(),
            unready: Vec::new(),
        },
        asked: *asked,
        failing: Vec::new(),
        unready: Vec::new(),
    });
    let mut groups = Groups(gathered.collect());
    let places: BTreeMap<&str, usize> = named.keys().copied().zip(0..).collect();
    for endpoint in counted {
        let place = places.get(endpoint.group).or_else(|| places.get(OTHER));
        let Some(gathered) = place.map(|place| &mut groups.0[*place]) else {
            continue;
        };
        gathered.group.count += 1;
        let members = match endpoint.state {
            State::In => &mut gathered.group.members,
            State::Failing => &mut gathered.failing,
            State::Unready => &mut gathered.unready,
            State::Neither => continue,
        };
        members.extend(endpoint.addresses.iter().map(|address| Member {
            address: *address,
            weight: endpoint.weight,
            locality: endpoint.locality,
        }));
        if endpoint.state == State::In {
            gathered.group.in_count += 1;
        } else {
            gathered.group.unready_count += 1;
        }
    }
    for gathered in &mut groups.0 {
        merge(&mut gathered.group.members);
    }
    groups
}

/// Makes one member of those that have one address.
fn merge(members: &mut Vec<Member>) {
    members.sort_unstable_by_key(|member| member.address);
    members.dedup_by(|next, kept| {
        let is_same = next.address == kept.address;
        kept.weight += if is_same { next.weight } else { 0 };
        is_same
    });
}

impl Groups {
    /// Says what each group is to have: what is asked for it, or its part of the rest. The rest is one group's, as a rule; where
    /// nothing is asked, groups have it by the weights of those who are in.
    fn want(&mut self) {
        let asked = self.0.iter().filter_map(|gathered| gathered.asked);
        let rest = 1.0 - asked.map(Percent::as_ratio).sum::<f64>();
        let rest = if rest < 1e-9 { 0.0 } else { rest };
        let unasked = || self.0.iter().filter(|gathered| gathered.asked.is_none());
        let count = unasked().count();
        let weight: u64 = unasked().map(|gathered| gathered.group.weight()).sum();
        for gathered in &mut self.0 {
            #[allow(clippy::cast_precision_loss, reason = "shares have four digits")]
            let part = match (count, weight) {
                (1, _) => 1.0,
                (_, 0) => 1.0 / count as f64,
                (_, weight) => gathered.group.weight() as f64 / weight as f64,
            };
            gathered.group.wanted = gathered.asked.map_or(rest * part, Percent::as_ratio);
        }
    }

    /// A check is a guess: it takes away no family's last address among the groups that are to have something.
    fn keep_failing(&mut self, keeps_last: bool) -> super::Kept {
        self.want();
        let mut kept = super::Kept::default();
        if !keeps_last {
            return kept;
        }
        let wanted = || self.0.iter().filter(|gathered| gathered.group.wanted > 0.0);
        let has = |is_v4: bool, members: fn(&Gathered) -> &Vec<Member>| {
            let mut members = wanted().flat_map(members);
            members.any(|member| member.address.is_ipv4() == is_v4)
        };
        let is_last = |is_v4| {
            !has(is_v4, |gathered| &gathered.group.members)
                && has(is_v4, |gathered| &gathered.failing)
        };
        (kept.v4, kept.v6) = (is_last(true), is_last(false));
        if kept == super::Kept::default() {
            return kept;
        }
        for gathered in &mut self.0 {
            if gathered.group.wanted == 0.0 {
                continue;
            }
            let failing = gathered.failing.iter();
            let stays: Vec<Member> = failing
                .filter(|member| kept.holds(&member.address))
                .copied()
                .collect();
            // An endpoint of two addresses counts as one; that is told apart by nobody where all of them fail.
            let count = stays.len().min(gathered.group.unready_count);
            gathered.group.in_count += count;
            gathered.group.unready_count -= count;
            gathered.group.members.extend(stays);
            merge(&mut gathered.group.members);
        }
        self.want();
        kept
    }

    /// Notes where those are that only lack health, but for those that are kept.
    fn note_unready(&mut self, kept: super::Kept) {
        for gathered in &mut self.0 {
            let failing = gathered.failing.iter();
            let is_left = |member: &&Member| !kept.holds(&member.address);
            let unready = failing.filter(is_left).chain(&gathered.unready);
            let place = |member: &Member| (member.address, member.locality);
            gathered.group.unready = unready.map(place).collect();
        }
    }

    /// Says what each group has. Tells whether those have it who lack health, because nobody else is there.
    fn share_out(&mut self, view: &View<'_>) -> bool {
        let factor = view.traffic.health_factor();
        self.set_effective(|group| {
            #[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 endpoints")]
            let (in_count, unready_count) = (group.in_count as f64, group.unready_count as f64);
            match () {
                () if group.members.is_empty() => 0.0,
                () => factor.map_or(1.0, |factor| {
                    (factor * in_count / (in_count + unready_count)).min(1.0)
                }),
            }
        });
        let is_empty = self
            .0
            .iter()
            .all(|gathered| gathered.group.effective == 0.0);
        if !is_empty || view.when_all_unhealthy != WhenAllUnhealthy::All {
            return false;
        }
        for gathered in &mut self.0 {
            gathered.group.unready.clear();
            let members = &mut gathered.group.members;
            members.append(&mut gathered.failing);
            members.append(&mut gathered.unready);
            merge(members);
        }
        self.want();
        self.set_effective(|group| if group.members.is_empty() { 0.0 } else { 1.0 });
        self.0.iter().any(|gathered| gathered.group.effective > 0.0)
    }

    /// Gives each group what it wants times its `health`, so that all have one together.
    fn set_effective(&mut self, health: impl Fn(&Group) -> f64) {
        let mut sum = 0.0;
        for gathered in &mut self.0 {
            let group = &mut gathered.group;
            group.effective = group.wanted * health(group);
            sum += group.effective;
        }
        if sum > 0.0 {
            for gathered in &mut self.0 {
                gathered.group.effective /= sum;
            }
        }
    }
}
