//! Lists of a cluster's objects that are under way.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashSet};

use super::{change::ListScope, entry::Entry, slot::Slot};
use crate::diagnostic::{Cluster, Diagnostic, ObjectKey};

/// A list that began and did not end.
#[derive(Clone, Debug)]
pub(super) struct OpenList {
    pub(super) cluster: Cluster,
    pub(super) scope: ListScope,
    /// The objects of the scope that it did not tell so far.
    pub(super) unseen: HashSet<Slot>,
    /// The same for those that something is said of: one that never was good has no number.
    pub(super) unseen_said: BTreeSet<ObjectKey>,
    /// What it told that differs from what is known, until it ends; `None` where nothing was known before, and nobody is
    /// answered from the mesh: then it counts at once, which takes less memory.
    pub(super) staged: Option<HashMap<ObjectKey, Version>>,
}

/// The newest version of an object of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// `None` where it can't be used. Its labels are acquired.
    pub(super) entry: Option<Entry>,
    /// What is wrong with it, sorted.
    pub(super) said: Vec<Diagnostic>,
}

/// The lists of all clusters that are under way: a few at most.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenLists(Vec<OpenList>);

impl OpenLists {
    /// The list that an object belongs to.
    pub(super) fn holding(&mut self, cluster: &Cluster, key: &ObjectKey) -> Option<&mut OpenList> {
        let is_it = |list: &&mut OpenList| list.cluster == *cluster && list.scope.holds(key);
        self.0.iter_mut().find(is_it)
    }

    /// Whether one is taken in as it comes.
    pub(super) fn has_unstaged(&self) -> bool {
        self.0.iter().any(|list| list.staged.is_none())
    }

    /// Whether there is such a list, and it is taken in as it comes.
    pub(super) fn is_unstaged(&self, cluster: &Cluster, scope: &ListScope) -> bool {
        let is_it = |list: &OpenList| list.cluster == *cluster && list.scope == *scope;
        self.0
            .iter()
            .any(|list| is_it(list) && list.staged.is_none())
    }

    pub(super) fn begin(&mut self, list: OpenList) {
        self.0.push(list);
    }

    pub(super) fn remove(&mut self, cluster: &Cluster, scope: &ListScope) -> Option<OpenList> {
        let is_it = |list: &OpenList| list.cluster == *cluster && list.scope == *scope;
        let place = self.0.iter().position(is_it)?;
        Some(self.0.swap_remove(place))
    }
}
