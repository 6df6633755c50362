//! What an endpoint says of itself besides where it is and how well.

use std::{num::NonZeroU32, sync::LazyLock};

/// What an endpoint says of itself besides where it is and how well.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Attributes {
    /// Its part among others; 1 where nothing else is said, or 0 (Istio's `GetLoadBalancingWeight`).
    pub weight: NonZeroU32,
    /// Its port for each port of the service that it names, by the port's name.
    pub ports: Box<[(Box<str>, u16)]>,
}

static PLAIN: LazyLock<Attributes> = LazyLock::new(|| Attributes {
    weight: NonZeroU32::MIN,
    ports: Box::default(),
});

impl Attributes {
    /// What an endpoint has that says nothing.
    pub fn plain() -> &'static Self {
        &PLAIN
    }
}
