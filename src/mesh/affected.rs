//! What changes of objects touch.

use std::sync::Arc;

use super::labels::Labels;
use crate::dns::Name;

/// What changed between two calls of [`Mesh::take_affected`](super::Mesh::take_affected).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Affected {
    /// The hosts that may answer otherwise than before and must be recompiled: in canonical order, once each.
    pub hosts: Vec<Name>,
    /// The namespaces' selectors that pick others than before, or pick them with other addresses, or came or went.
    pub selectors: Vec<(Arc<str>, Labels)>,
    /// How many objects are served that were not before.
    pub added: usize,
    /// How many objects are served in another version than before; one that changed twice counts twice.
    pub changed: usize,
    /// How many objects are no longer served.
    pub removed: usize,
}

/// The counts of [`Affected`] in the making.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) added: usize,
    pub(super) changed: usize,
    pub(super) removed: usize,
}
