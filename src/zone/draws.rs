//! How answers are drawn where a host's addresses have parts of their own.
//!
//! Who asks for himself gets some addresses of one group, which is drawn by its share; who asks for others gets some of all
//! groups, in their proportion. Either is drawn from one number by systematic sampling: points at equal distances on a ring on
//! which each address has a length by its part. So each is in an answer with just the probability that it is to have, each comes
//! first with it, and none is there twice.

use std::net::IpAddr;

use super::{octets::octets_of, views::ViewId};
use crate::{
    manifest::{AnswerMode, MaxAddresses},
    mesh::Locality,
    select::{Group, Member, Nearness, Split, has_weights, tiers},
};

/// What parts come to where they are not weights already: 32 bits, as a turn has.
const SCALE: f64 = 4_294_967_296.0;

/// One more than the largest turn.
const TURNS: u64 = 1 << 32;

/// Who asks a question, as far as that decides an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Asker {
    /// For whom it asks.
    pub role: Role,
    /// Where it is, where that is known.
    pub locality: Option<Locality>,
    /// Whose view of the mesh it has; `None` for that of all.
    pub view: Option<ViewId>,
}

/// For whom somebody asks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// A client, for itself.
    Direct,
    /// A server, for its own clients.
    Forwarder,
}

impl Asker {
    /// A client of which nothing else is known.
    pub const DIRECT: Self = Self {
        role: Role::Direct,
        locality: None,
        view: None,
    };
}

/// What is known of everybody who asks at one address of the server, whatever their own addresses tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AskerPreset {
    /// Whether they ask for others.
    pub is_forwarder: bool,
    /// Where they are.
    pub locality: Option<Locality>,
    /// Whose view of the mesh they have.
    pub view: Option<ViewId>,
}

impl AskerPreset {
    /// Who `asker`, as its address tells, is here.
    #[must_use]
    pub fn over(&self, asker: Asker) -> Asker {
        let asker = if self.is_forwarder {
            Asker {
                role: Role::Forwarder,
                ..Asker::DIRECT
            }
        } else {
            asker
        };
        Asker {
            role: asker.role,
            locality: self.locality.or(asker.locality),
            view: self.view.or(asker.view),
        }
    }
}

/// How answers for one host are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draws {
    /// Wherever the client is.
    anywhere: Families,
    /// For clients in these zones and regions, in their order: those of the host's own endpoints for whose clients it matters.
    near: Box<[(Locality, Families)]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Families {
    v4: Family,
    v6: Family,
}

/// The same for addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Family {
    direct: Draw,
    /// `None` where it is the same.
    forwarder: Option<Draw>,
}

/// Pools, of which each question draws one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Draw {
    pools: Box<[Pool]>,
    max_addresses: Option<MaxAddresses>,
}

/// Addresses that answers are drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pool {
    /// The first turn that is another pool's.
    turns_end: u64,
    /// As RDATA has them.
    octets: Box<[u8]>,
    /// Where each address ends on the ring; none where all are answered with.
    ends: Box<[u64]>,
    /// How many of them an answer holds.
    count: usize,
}

/// What one question gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn<'s> {
    pub(super) addresses: Drawing<'s>,
    /// How many addresses an answer holds at most, where the host has a word of its own.
    pub(super) max_addresses: Option<MaxAddresses>,
    /// Whether another asker gets others.
    pub(super) depends_on_asker: bool,
}

/// The pool that is drawn for one answer, and what draws from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawing<'s> {
    pool: &'s Pool,
    pub(super) turn: u32,
}

impl Draws {
    /// How answers are drawn by `split`.
    pub fn of(split: &Split) -> Self {
        let anywhere = Families::of(split, None);
        let mut near = Vec::new();
        if split.nearness.is_some() {
            let sharing = split.groups.iter().filter(|group| group.effective > 0.0);
            let members = sharing.flat_map(|group| &group.members);
            let zones = members.filter_map(|member| member.locality);
            let mut places: Vec<Locality> =
                zones.flat_map(|zone| [zone, zone.of_region()]).collect();
            places.sort_unstable();
            places.dedup();
            let of_place = |place: Locality| (place, Families::of(split, Some(place)));
            near.extend(places.into_iter().map(of_place));
            near.retain(|(_, families)| *families != anywhere);
        }
        Self {
            anywhere,
            near: near.into(),
        }
    }

    /// Who is in a zone without endpoints is still in its region.
    fn families(&self, locality: Option<Locality>) -> &Families {
        let of = |place: Locality| {
            let found = self.near.binary_search_by_key(&place, |(place, _)| *place);
            found.ok().map(|at| &self.near[at].1)
        };
        locality
            .and_then(|locality| of(locality).or_else(|| of(locality.of_region())))
            .unwrap_or(&self.anywhere)
    }

    /// What a question for addresses of this family gets; `None` where there are none.
    pub(super) fn draw(&self, is_v4: bool, asker: Asker, turn: u32) -> Option<Drawn<'_>> {
        let families = self.families(asker.locality);
        let family = if is_v4 { &families.v4 } else { &families.v6 };
        let draw = match (&family.forwarder, asker.role) {
            (Some(forwarder), Role::Forwarder) => forwarder,
            _ => &family.direct,
        };
        let mut turns_start = 0;
        let turn = u64::from(turn);
        let pool = draw.pools.iter().find(|pool| {
            let is_it = turn < pool.turns_end;
            turns_start = if is_it { turns_start } else { pool.turns_end };
            is_it
        })?;
        // What is left of the turn is spread evenly too.
        let rest = ((turn - turns_start) << 32) / (pool.turns_end - turns_start);
        Some(Drawn {
            addresses: Drawing {
                pool,
                turn: u32::try_from(rest).expect("the turn is in the pool"),
            },
            max_addresses: draw.max_addresses,
            depends_on_asker: family.forwarder.is_some() || !self.near.is_empty(),
        })
    }
}

impl Families {
    /// For clients at `place`.
    fn of(split: &Split, place: Option<Locality>) -> Self {
        let of_family = |is_v4: bool| {
            let sides = sharing(split, is_v4);
            let draw = |mode| Draw::of(split, mode, &sides, place.zip(split.nearness));
            let direct = draw(split.direct);
            let forwarder = (split.forwarder != split.direct)
                .then(|| draw(split.forwarder))
                .filter(|forwarder| *forwarder != direct);
            Family { direct, forwarder }
        };
        Self {
            v4: of_family(true),
            v6: of_family(false),
        }
    }
}

/// The addresses of one family of a group that has a share.
struct Side<'s> {
    group: &'s Group,
    members: Vec<Member>,
    unready: Vec<Option<Locality>>,
}

/// The groups that have a share of one family, each with its members of that family.
///
/// While several have a share, a family is answered only where each of them has it: else all who prefer that family would go to
/// those who have. Where they have none in common, each family is answered by who has it.
fn sharing(split: &Split, is_v4: bool) -> Vec<Side<'_>> {
    let is_answered = split.has_in_common(is_v4) || !split.has_in_common(!is_v4);
    if !is_answered {
        return Vec::new();
    }
    let sharing = split.groups.iter().filter(|group| group.effective > 0.0);
    let sides = sharing.map(|group| {
        let members = group.members.iter();
        let members = members.filter(|member| member.address.is_ipv4() == is_v4);
        let unready = group.unready.iter();
        let unready = unready.filter(|(address, _)| address.is_ipv4() == is_v4);
        Side {
            group,
            members: members.copied().collect(),
            unready: unready.map(|(_, locality)| *locality).collect(),
        }
    });
    sides.filter(|side| !side.members.is_empty()).collect()
}

impl Draw {
    fn of(
        split: &Split,
        mode: AnswerMode,
        sides: &[Side<'_>],
        near: Option<(Locality, Nearness)>,
    ) -> Self {
        let is_plain = match sides {
            [side] => !has_weights(side.group),
            _ => false,
        };
        let pools = if mode == AnswerMode::All || is_plain {
            Pool::whole(sides, near)
        } else if mode == AnswerMode::Mix {
            Pool::mixed(split, sides, near)
        } else {
            Pool::sides(split, sides, near)
        };
        Self {
            pools: pools.into(),
            max_addresses: split.max_addresses,
        }
    }
}

impl Pool {
    /// One pool for each tier, each answered as a whole.
    fn whole(sides: &[Side<'_>], near: Option<(Locality, Nearness)>) -> Vec<Self> {
        let members = sides.iter().flat_map(|side| &side.members);
        let mut members: Vec<Member> = members.copied().collect();
        members.sort_unstable_by_key(|member| member.address);
        members.dedup_by_key(|member| member.address);
        if members.is_empty() {
            return Vec::new();
        }
        let unready = sides.iter().flat_map(|side| side.unready.iter().copied());
        let mut reached = 0.0;
        let tiers = tiers(&members, unready, near).into_iter().map(|tier| {
            reached += tier.part;
            let addresses: Vec<IpAddr> = tier.members.iter().map(|member| member.address).collect();
            Self {
                turns_end: turns(reached),
                octets: octets_of(&addresses),
                ends: Box::default(),
                count: addresses.len(),
            }
        });
        up_to_the_last_turn(tiers.collect())
    }

    /// One pool for each tier of each group.
    fn sides(split: &Split, sides: &[Side<'_>], near: Option<(Locality, Nearness)>) -> Vec<Self> {
        let all: f64 = sides.iter().map(|side| side.group.effective).sum();
        let mut reached = 0.0;
        let mut pools = Vec::new();
        let most = usize::from(split.side_addresses.get());
        for side in sides {
            for tier in tiers(&side.members, side.unready.iter().copied(), near) {
                reached += side.group.effective * tier.part;
                let weights = tier.members.iter().map(|member| member.weight).collect();
                let turns_end = turns(reached / all);
                pools.push(Self::sampled(turns_end, &tier.members, weights, most));
            }
        }
        up_to_the_last_turn(pools)
    }

    /// One pool of all groups, in which each member has its part of its group's.
    fn mixed(split: &Split, sides: &[Side<'_>], near: Option<(Locality, Nearness)>) -> Vec<Self> {
        let mut parts: Vec<(Member, f64)> = Vec::new();
        for side in sides {
            for tier in tiers(&side.members, side.unready.iter().copied(), near) {
                let weight: u64 = tier.members.iter().map(|member| member.weight).sum();
                let of_tier = side.group.effective * tier.part;
                for member in tier.members {
                    #[allow(clippy::cast_precision_loss, reason = "parts are rounded to 32 bits")]
                    let part = of_tier * member.weight as f64 / weight as f64;
                    // One that is in two groups has both parts, and is in an answer once.
                    match parts
                        .iter_mut()
                        .find(|(known, _)| sides.len() > 1 && known.address == member.address)
                    {
                        Some((_, known)) => *known += part,
                        None => parts.push((member, part)),
                    }
                }
            }
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "parts are between 0 and 1"
        )]
        let weights = parts
            .iter()
            .map(|(_, part)| ((part * SCALE) as u64).max(1))
            .collect();
        let members: Vec<Member> = parts.iter().map(|(member, _)| *member).collect();
        if members.is_empty() {
            return Vec::new();
        }
        let most = split.mixed_addresses.get().into();
        vec![Self::sampled(TURNS, &members, weights, most)]
    }

    /// A pool of which `most` are answered with, or fewer where one of them weighs so much that it would be there twice.
    fn sampled(turns_end: u64, members: &[Member], mut weights: Vec<u64>, most: usize) -> Self {
        let sum: u64 = weights.iter().sum();
        let heaviest = weights.iter().copied().max().unwrap_or(1);
        // What was rounded down may miss a whole number by little.
        let slack = sum / SCALE_SLACK;
        let count = usize::try_from((sum + slack) / heaviest).unwrap_or(usize::MAX);
        let count = count.min(most).min(members.len()).max(1);
        let longest = sum / count as u64;
        let mut reached = 0;
        let ends = weights.iter_mut().map(|weight| {
            reached += (*weight).min(longest.max(1));
            reached
        });
        let ends: Box<[u64]> = ends.collect();
        let addresses: Vec<IpAddr> = members.iter().map(|member| member.address).collect();
        Self {
            turns_end,
            octets: octets_of(&addresses),
            ends,
            count,
        }
    }
}

/// What was rounded down is the last pool's.
fn up_to_the_last_turn(mut pools: Vec<Pool>) -> Vec<Pool> {
    if let Some(last) = pools.last_mut() {
        last.turns_end = TURNS;
    }
    pools
}

/// By how little, as a part of one, a sum may miss a whole number of its heaviest weights.
const SCALE_SLACK: u64 = 1 << 24;

/// The first turn behind this part of all.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part is between 0 and 1"
)]
fn turns(part: f64) -> u64 {
    ((part * SCALE).round() as u64).clamp(1, TURNS)
}

impl<'s> Drawing<'s> {
    /// All addresses, as RDATA has them, where an answer holds all of them alike.
    pub(super) fn whole(self) -> Option<&'s [u8]> {
        self.pool.ends.is_empty().then_some(&*self.pool.octets)
    }

    /// How many addresses an answer holds.
    pub(super) fn count(self) -> usize {
        self.pool.count
    }

    /// Each of `count` addresses in turn, as RDATA has it.
    pub(super) fn each<const ADDRESS_LEN: usize>(
        self,
        count: usize,
        mut take: impl FnMut(&'s [u8; ADDRESS_LEN]),
    ) {
        let Pool { octets, ends, .. } = self.pool;
        let addresses = octets.as_chunks::<ADDRESS_LEN>().0;
        let length = ends.last().copied().unwrap_or(0);
        // The ring is as long as all weights, in steps of which as many fit as there are addresses to draw.
        let steps = count as u64;
        let ring = u128::from(length) * u128::from(steps);
        let start = (u128::from(self.turn) * ring) >> 32;
        let is_passed = |at: u128| move |end: &u64| u128::from(*end) * u128::from(steps) <= at;
        let mut at = start;
        let mut place = ends.partition_point(is_passed(at));
        for _ in 0..count {
            while ends.get(place).is_some_and(is_passed(at)) {
                place += 1;
            }
            if let Some(address) = addresses.get(place) {
                take(address);
            }
            at += u128::from(length);
            if at >= ring {
                at -= ring;
                place = ends.partition_point(is_passed(at));
            }
        }
    }
}
