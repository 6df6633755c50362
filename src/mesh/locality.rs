//! Where endpoints and clients are.

use std::{hash::BuildHasher, num::NonZeroU64};

use foldhash::quality::FixedState;

use crate::manifest::STATING_LABELS;

/// Kubernetes' labels of a region and of a zone in it.
const REGION_LABEL: &str = "topology.kubernetes.io/region";
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A region, and where it is known a zone of it.
///
/// Held as hashes: localities are compared and never shown, and equal texts give equal ones whatever was read before.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Locality {
    region: NonZeroU64,
    /// 0 where no zone is known.
    zone: u64,
}

impl Locality {
    /// Reads `region/zone/subzone`, of which the first counts where the others are missing; `None` without a region.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        Self::of(parts.next()?, parts.next().unwrap_or_default())
    }

    /// What [`Locality::of_pod`] or [`Locality::of_vm`] read, as it is written in a locality.
    pub fn text_of<'a>(is_pod: bool, value_of: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let stated = STATING_LABELS.iter().find_map(|label| value_of(label));
        match stated.filter(|_| is_pod) {
            Some(stated) => Some(stated.replace('.', "/")),
            None => match (value_of(REGION_LABEL)?, value_of(ZONE_LABEL)) {
                (region, Some(zone)) => Some(format!("{region}/{zone}")),
                (region, None) => Some(region.to_owned()),
            },
        }
    }

    fn of(region: &str, zone: &str) -> Option<Self> {
        let hasher = FixedState::with_seed(0);
        if region.is_empty() {
            return None;
        }
        let hash = |text: &str| hasher.hash_one(text).max(1);
        Some(Self {
            region: NonZeroU64::new(hash(region))?,
            zone: if zone.is_empty() { 0 } else { hash(zone) },
        })
    }

    /// What a Pod's labels say: what states it comes before Kubernetes' own (`getPodLocality` in
    /// `pilot/pkg/serviceregistry/kube/controller/controller.go`).
    pub fn of_pod<'a>(value_of: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let stated = STATING_LABELS.iter().find_map(|label| value_of(label));
        match stated {
            Some(stated) => Self::from_text(&stated.replace('.', "/")),
            None => Self::of_vm(value_of),
        }
    }

    /// What the labels of a WorkloadEntry or an inline endpoint say: those that its own locality became when it was read are
    /// among them.
    pub fn of_vm<'a>(value_of: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Self::of(
            value_of(REGION_LABEL)?,
            value_of(ZONE_LABEL).unwrap_or_default(),
        )
    }

    /// The region alone.
    #[must_use]
    pub fn of_region(self) -> Self {
        Self { zone: 0, ..self }
    }

    /// How far `other` is: 0 in the same zone, 1 in the same region, 2 anywhere else.
    pub fn distance(self, other: Option<Self>) -> usize {
        match other {
            Some(other) if other == self && self.zone != 0 => 0,
            Some(other) if other.region == self.region => 1,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Locality> {
        Locality::from_text(text)
    }

    #[test]
    fn the_same_zone_is_nearer_than_the_region_and_that_than_all_else() {
        let here = at("eu/eu-1/rack-7").expect("a locality");
        assert_eq!(here.distance(at("eu/eu-1")), 0);
        assert_eq!(here.distance(at("eu/eu-2")), 1);
        assert_eq!(here.distance(at("eu")), 1);
        assert_eq!(here.distance(at("us/eu-1")), 2);
        assert_eq!(here.distance(None), 2);
        let region = here.of_region();
        assert_eq!(region.distance(at("eu/eu-1")), 1);
        assert_eq!(region.distance(at("eu")), 1);
        assert_eq!(at(""), None);
        assert_eq!(at("/eu-1"), None);
    }

    #[test]
    fn what_a_label_states_comes_before_region_and_zone() {
        let of = |labels: &'static [(&str, &str)]| {
            Locality::of_pod(|key| {
                let found = labels.iter().find(|(known, _)| *known == key);
                found.map(|(_, value)| *value)
            })
        };
        let region_and_zone = &[(REGION_LABEL, "eu"), (ZONE_LABEL, "eu-1")];
        assert_eq!(of(region_and_zone), at("eu/eu-1"));
        assert_eq!(
            of(&[("istio-locality", "us.us-2"), (REGION_LABEL, "eu")]),
            at("us/us-2")
        );
        assert_eq!(of(&[(ZONE_LABEL, "eu-1")]), None);
    }
}
