//! What clients of single namespaces see otherwise than all.

use std::{hash::BuildHasher, num::NonZeroU64};

use foldhash::quality::FixedState;

/// A namespace whose clients have a view of their own, as a hash: it is compared and never shown.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ViewId(NonZeroU64);

impl ViewId {
    /// That of clients of `namespace`.
    pub fn of(namespace: &str) -> Self {
        let hash = FixedState::with_seed(0).hash_one(namespace).max(1);
        Self(NonZeroU64::new(hash).expect("it is at least one"))
    }
}
