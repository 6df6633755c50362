//! Endpoints near to the client before others.

use std::num::NonZeroU16;

use super::Member;
use crate::mesh::Locality;

/// How endpoints near to the client come before others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearness {
    /// From how many endpoints on those of a zone or region count for themselves.
    pub min_endpoints: NonZeroU16,
    /// How far the healthy part of a zone or region carries all of its clients' questions: 1.4 means as long as 5 of 7 are healthy.
    /// `None` where one endpoint carries them.
    pub health_factor: Option<f64>,
}

/// Those of a side that answer clients of one place, and in which part of the answers.
pub(crate) struct Tier {
    pub(crate) part: f64,
    pub(crate) members: Vec<Member>,
}

/// Divides `members` by how near they are to `place`: each question goes to those of one tier, the nearest as far as its health
/// carries it.
///
/// As Envoy's priorities: a tier has all questions while 1.4 times its healthy part is one, and what it can't carry flows on.
pub(crate) fn tiers(
    members: &[Member],
    unready: impl Iterator<Item = Option<Locality>>,
    near: Option<(Locality, Nearness)>,
) -> Vec<Tier> {
    let Some((place, nearness)) = near else {
        let members = members.to_vec();
        return vec![Tier { part: 1.0, members }];
    };
    let mut by_distance: [(Vec<Member>, usize); 3] = Default::default();
    for member in members {
        by_distance[place.distance(member.locality)].0.push(*member);
    }
    for locality in unready {
        by_distance[place.distance(locality)].1 += 1;
    }
    let mut tiers = Vec::new();
    let mut rest = 1.0;
    let mut passed_on = (Vec::new(), 0);
    for (distance, (mut members, mut unready_count)) in by_distance.into_iter().enumerate() {
        // Too few to count for themselves are among those behind them.
        members.append(&mut passed_on.0);
        unready_count += std::mem::take(&mut passed_on.1);
        if distance < 2 && members.len() < usize::from(nearness.min_endpoints.get()) {
            passed_on = (members, unready_count);
            continue;
        }
        #[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 endpoints")]
        let (in_count, unready_count) = (members.len() as f64, unready_count as f64);
        let carried = match nearness.health_factor {
            _ if members.is_empty() => 0.0,
            None => 1.0,
            Some(factor) => (factor * in_count / (in_count + unready_count)).min(1.0),
        };
        let part = carried.min(rest);
        rest -= part;
        if part > 0.0 {
            members.sort_unstable_by_key(|member| member.address);
            tiers.push(Tier { part, members });
        }
    }
    let all: f64 = tiers.iter().map(|tier| tier.part).sum();
    for tier in &mut tiers {
        tier.part /= all;
    }
    tiers
}
