//! What an endpoint says of itself besides where it is and how well.

use std::{num::NonZeroU32, sync::LazyLock};

use super::notes::NotedWeight;

/// What an endpoint says of itself besides where it is and how well.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Attributes {
    /// Its part among others; 1 where nothing else is said, or 0 (Istio's `GetLoadBalancingWeight`).
    pub weight: NonZeroU32,
    /// Its port for each port of the service that it names, by the port's name, in the order of the names.
    pub ports: Box<[(Box<str>, u16)]>,
}

static PLAIN: LazyLock<Attributes> = LazyLock::new(Attributes::default);

impl Attributes {
    /// What an endpoint has that says nothing.
    pub fn plain() -> &'static Self {
        &PLAIN
    }

    /// What a Pod has of which nothing but its weight is noted.
    pub(crate) fn of_weight(weight: NotedWeight) -> Self {
        let weight = match weight {
            NotedWeight::Weight(weight) => weight,
            NotedWeight::Unset | NotedWeight::Unreadable => NonZeroU32::MIN,
        };
        Self {
            weight,
            ..Self::default()
        }
    }

    /// Whether it is what an endpoint has that says nothing.
    pub(crate) fn is_plain(&self) -> bool {
        self.weight == NonZeroU32::MIN && self.ports.is_empty()
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            weight: NonZeroU32::MIN,
            ports: Box::default(),
        }
    }
}
