use std::sync::Arc;

use foldhash::HashMap;
use slab::Slab;

/// What is held of each namespace, by its name.
#[derive(Clone, Debug)]
pub(super) struct Namespaces<T> {
    numbers: HashMap<Arc<str>, usize>,
    held: Slab<(Arc<str>, T)>,
    /// The number of the one that was asked for last: objects that come one after the other mostly share theirs.
    last: usize,
}

impl<T: Default> Namespaces<T> {
    /// The one copy of a namespace's name that all its objects share.
    pub(super) fn share(&mut self, name: &str) -> Arc<str> {
        if let Some((held, _)) = self.held.get(self.last)
            && **held == *name
        {
            return held.clone();
        }
        if let Some((held, number)) = self.numbers.get_key_value(name) {
            self.last = *number;
            return held.clone();
        }
        // Not the reader's: what is kept must not keep a page of the reader's memory in use.
        let name: Arc<str> = Arc::from(name);
        self.insert(name.clone());
        name
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        let (_, namespace) = &self.held[*self.numbers.get(name)?];
        Some(namespace)
    }

    pub(super) fn get_mut(&mut self, name: &Arc<str>) -> Option<&mut T> {
        self.find(name)?;
        Some(self.last())
    }

    pub(super) fn get_or_insert(&mut self, name: &Arc<str>) -> &mut T {
        if self.find(name).is_none() {
            self.insert(name.clone());
        }
        self.last()
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(number) = self.numbers.remove(name) {
            self.held.remove(number);
        }
    }

    /// Makes the namespace the last one.
    fn find(&mut self, name: &Arc<str>) -> Option<()> {
        let is_it = |(held, _): &(Arc<str>, _)| Arc::ptr_eq(held, name);
        if !self.held.get(self.last).is_some_and(is_it) {
            self.last = *self.numbers.get(name)?;
        }
        Some(())
    }

    fn insert(&mut self, name: Arc<str>) {
        self.last = self.held.insert((name.clone(), T::default()));
        self.numbers.insert(name, self.last);
    }

    fn last(&mut self) -> &mut T {
        &mut self.held[self.last].1
    }
}

impl<T> Default for Namespaces<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::default(),
            held: Slab::default(),
            last: 0,
        }
    }
}
