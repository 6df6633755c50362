use std::{hash::BuildHasher, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    Entry, Slot, Workload,
    half_hash::{half, whole},
    slab::Slab,
};
use crate::diagnostic::ObjectKey;

/// The version of each object that is served, by its key and by a number that index and ledger name it with.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    /// Half of the key's hash beside the slot.
    by_key: HashTable<(u32, Slot)>,
    served: Slab<Entry>,
    hasher: RandomState,
}

impl Objects {
    pub(super) fn find(&self, key: &ObjectKey) -> Option<Slot> {
        let hash = self.hash(key);
        let is_it = |(half, slot): &(u32, Slot)| *half == hash && self.served[*slot].key() == key;
        let (_, slot) = self.by_key.find(whole(hash), is_it)?;
        Some(*slot)
    }

    /// Puts in an object that is not held yet.
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        let hash = self.hash(entry.key());
        let slot = self.served.insert(entry);
        self.by_key
            .insert_unique(whole(hash), (hash, slot), |(half, _)| whole(*half));
        slot
    }

    /// Puts another version of the object in the place of the one that is held.
    pub(super) fn replace(&mut self, slot: Slot, entry: Entry) {
        self.served[slot] = entry;
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Entry {
        let entry = self.served.remove(slot);
        let hash = self.hash(entry.key());
        self.by_key
            .find_entry(whole(hash), |(_, other)| *other == slot)
            .expect("an object that is held is found by its key")
            .remove();
        entry
    }

    pub(super) fn get(&self, slot: Slot) -> &Entry {
        &self.served[slot]
    }

    /// The workload with this number; nothing else may have it.
    pub(super) fn workload(&self, slot: Slot) -> &Arc<Workload> {
        match self.get(slot) {
            Entry::Workload(workload) => workload,
            Entry::Service(_) | Entry::Group(_) => {
                unreachable!("the index has workloads alone by their labels")
            }
        }
    }

    pub(super) fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.served.iter().filter_map(|entry| match entry {
            Entry::Workload(workload) => Some(workload),
            Entry::Service(_) | Entry::Group(_) => None,
        })
    }

    fn hash(&self, key: &ObjectKey) -> u32 {
        half(self.hasher.hash_one(key))
    }
}
