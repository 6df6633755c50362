use std::{hash::BuildHasher, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::{
    entry::Entry,
    half_hash::{half, whole},
    namespaces::Namespaces,
    slot::Slot,
    workload::Workload,
};
use crate::diagnostic::{Cluster, ObjectKey};

/// The version of each object that counts in its cluster, or in all files, by its key and by a number that index and ledger name it with.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    /// Each namespace has a table of its own: objects that come one after the other mostly share theirs, and a small table
    /// stays in the processor's cache.
    by_key: Namespaces<Keys>,
    served: Slab<Entry>,
    hasher: RandomState,
}

/// Half of each key's hash beside the slot.
type Keys = HashTable<(u32, Slot)>;

impl Objects {
    /// The object `key` of a cluster, or that of files.
    pub(super) fn find(&mut self, key: &ObjectKey, cluster: Option<&Cluster>) -> Option<Slot> {
        let hash = self.hash(key);
        let is_it = |(half, slot): &(u32, Slot)| {
            *half == hash && {
                let entry = &self.served[*slot as usize];
                entry.key() == key && entry.read_from().cluster() == cluster
            }
        };
        let keys = self.by_key.get_mut(&key.namespace)?;
        let (_, slot) = keys.find(whole(hash), is_it)?;
        Some(*slot)
    }

    /// The same, without a memory of the namespace that was met last.
    pub(super) fn number_of(&self, key: &ObjectKey, cluster: Option<&Cluster>) -> Option<Slot> {
        let keys = self.by_key.get(&key.namespace)?;
        let mut slots = keys.iter_hash(whole(self.hash(key))).map(|(_, slot)| *slot);
        slots.find(|slot| {
            let entry = &self.served[*slot as usize];
            entry.key() == key && entry.read_from().cluster() == cluster
        })
    }

    /// The version of the object `key` that a cluster has.
    pub(super) fn of_cluster(&self, key: &ObjectKey, cluster: &Cluster) -> Option<&Entry> {
        let slot = self.number_of(key, Some(cluster))?;
        Some(self.get(slot))
    }

    /// The objects of a cluster from a number on, each with its number, ascending.
    pub(super) fn of_cluster_from<'a>(
        &'a self,
        cluster: &'a Cluster,
        from: Slot,
    ) -> impl Iterator<Item = (Slot, &'a Entry)> + 'a {
        let numbers = from as usize..self.served.capacity();
        let entries = numbers.filter_map(|slot| Some((slot, self.served.get(slot)?)));
        let of_cluster =
            entries.filter(move |(_, entry)| entry.read_from().cluster() == Some(cluster));
        of_cluster.map(|(slot, entry)| {
            let slot = Slot::try_from(slot).expect("numbers are given out as slots");
            (slot, entry)
        })
    }

    /// The clusters that have the object `key`, in no order.
    pub(super) fn clusters_of<'a>(
        &'a self,
        key: &'a ObjectKey,
    ) -> impl Iterator<Item = &'a Cluster> + 'a {
        let hash = self.hash(key);
        let keys = self.by_key.get(&key.namespace).into_iter();
        let found = keys.flat_map(move |keys| keys.iter_hash(whole(hash)));
        let entries = found.map(|(_, slot)| &self.served[*slot as usize]);
        let of_key = entries.filter(move |entry| entry.key() == key);
        of_key.filter_map(|entry| entry.read_from().cluster())
    }

    /// Everything that is held, each with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        self.served.iter().map(|(slot, entry)| {
            let slot = Slot::try_from(slot).expect("numbers are given out as slots");
            (slot, entry)
        })
    }

    /// Puts in an object that is not held yet.
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        let hash = self.hash(entry.key());
        let keys = self.by_key.get_or_insert(&entry.key().namespace);
        let slot = Slot::try_from(self.served.insert(entry))
            .expect("fewer than 2^32 values fit the memory");
        keys.insert_unique(whole(hash), (hash, slot), |(half, _)| whole(*half));
        slot
    }

    /// Puts another version of the object in the place of the one that is held.
    pub(super) fn replace(&mut self, slot: Slot, entry: Entry) {
        self.served[slot as usize] = entry;
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Entry {
        let entry = self.served.remove(slot as usize);
        let hash = self.hash(entry.key());
        let namespace = &entry.key().namespace;
        let keys = self.by_key.get_or_insert(namespace);
        keys.find_entry(whole(hash), |(_, other)| *other == slot)
            .expect("an object that is held is found by its key")
            .remove();
        if keys.is_empty() {
            self.by_key.remove(namespace);
        }
        entry
    }

    /// Whether an object has this number.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.served.contains(slot as usize)
    }

    pub(super) fn get(&self, slot: Slot) -> &Entry {
        &self.served[slot as usize]
    }

    /// The workload with this number; nothing else may have it.
    pub(super) fn workload(&self, slot: Slot) -> &Arc<Workload> {
        match self.get(slot) {
            Entry::Workload(workload) => workload,
            Entry::Service(_) | Entry::Group(_) | Entry::Node(_) => {
                unreachable!("the index has workloads alone by their labels")
            }
        }
    }

    /// The workloads, each with its number.
    pub(super) fn workloads(&self) -> impl Iterator<Item = (Slot, &Arc<Workload>)> {
        self.iter().filter_map(|(slot, entry)| match entry {
            Entry::Workload(workload) => Some((slot, workload)),
            Entry::Service(_) | Entry::Group(_) | Entry::Node(_) => None,
        })
    }

    fn hash(&self, key: &ObjectKey) -> u32 {
        half(self.hasher.hash_one((key.kind, &key.name)))
    }
}
