//! What clients of single namespaces see otherwise than all.

use std::{hash::BuildHasher, num::NonZeroU64, sync::Arc};

use foldhash::quality::FixedState;

use super::Snapshot;

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

/// The snapshots of those who see something else than all, in the order of their views.
pub(super) type Views = Arc<[(ViewId, Arc<Snapshot>)]>;

/// What those in a view are answered from; `None` where that is what all are.
pub(super) fn view_in(views: &Views, view: ViewId) -> Option<&Snapshot> {
    let found = views.binary_search_by_key(&view, |(view, _)| *view);
    found.ok().map(|place| &*views[place].1)
}
