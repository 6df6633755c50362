//! Every version of every object that is claimed: the one that counts in its cluster or in all files, and those that a later
//! file overrules.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::{entry::Entry, objects::Objects, slot::Slot};

#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// What is served, but for what has yielded.
    pub(super) objects: Objects,
    /// The objects of files that are not served because a cluster has them too.
    pub(super) yielded: HashSet<Slot>,
    /// The versions that are not served because a later file claims the object too: in order of file and place in the
    /// file.
    pub(super) overruled: HashMap<Slot, Vec<Entry>>,
}

impl Claims {
    /// Whether there are versions of an object that are not served because another one is.
    pub(super) fn has_overruled(&self, slot: Slot) -> bool {
        self.overruled.contains_key(&slot)
    }

    /// The versions of an object that are not served.
    pub(super) fn overruled(&self, slot: Slot) -> &[Entry] {
        self.overruled.get(&slot).map_or(&[], |entries| entries)
    }

    /// The file's versions of an object, the last first.
    pub(super) fn of_file<'a>(
        &'a self,
        slot: Slot,
        file: &'a Arc<str>,
    ) -> impl Iterator<Item = &'a Entry> {
        let overruled = self.overruled(slot).iter().rev();
        std::iter::once(self.objects.get(slot))
            .chain(overruled)
            .filter(|entry| entry.read_from().is_file(file))
    }
}
