use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{posting::Posting, slab::Slab};
use crate::manifest::LabelMap;

/// A label, key and value, as a number of the namespace that gave it out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label(u32);

/// A set of labels of one namespace, sorted, each once. A few, which is the rule, need no memory of their own.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Labels(SmallVec<[Label; 6]>);

impl Labels {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The labels in order.
    pub fn iter(&self) -> impl Iterator<Item = Label> + '_ {
        self.0.iter().copied()
    }

    /// Whether every label of this set is in `other`, a set of the same namespace (`SubsetOf` in Istio's
    /// `pkg/config/labels/instance.go`).
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.0
            .iter()
            .all(|label| other.0.binary_search(label).is_ok())
    }
}

/// The labels of one namespace, each held once for as long as an object uses it.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelTable {
    by_text: HashTable<u32>,
    labels: Slab<Held>,
    hasher: RandomState,
}

/// A label and what the index knows of it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The key and behind it the value.
    text: Box<str>,
    key_len: u32,
    uses: u32,
    pub(super) workloads: Posting,
    /// The selectors that are looked for here, and not at any other of their labels.
    pub(super) selectors: SmallVec<[u32; 4]>,
}

impl Held {
    fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.key_len as usize)
    }
}

impl LabelTable {
    /// Turns texts into numbers, which hold until they are released.
    pub(super) fn acquire(&mut self, labels: &LabelMap) -> Labels {
        let mut numbers: SmallVec<[Label; 6]> = labels
            .iter()
            .map(|(key, value)| self.number(key, value))
            .collect();
        numbers.sort_unstable();
        numbers.shrink_to_fit();
        Labels(numbers)
    }

    /// Notes one more use of labels that are in use.
    pub(super) fn acquire_again(&mut self, labels: &Labels) {
        for label in labels.iter() {
            self.held(label).uses += 1;
        }
    }

    /// Takes back one use; nothing else may name a label after its last one.
    pub(super) fn release(&mut self, labels: &Labels) {
        for label in labels.iter() {
            let held = self.held(label);
            held.uses -= 1;
            if held.uses == 0 {
                let held = self.labels.remove(label.0);
                let hash = hash(&self.hasher, held.parts());
                self.by_text
                    .find_entry(hash, |number| *number == label.0)
                    .expect("a label in use is found by its text")
                    .remove();
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub(super) fn get(&self, label: Label) -> &Held {
        &self.labels[label.0]
    }

    pub(super) fn held(&mut self, label: Label) -> &mut Held {
        &mut self.labels[label.0]
    }

    /// Turns numbers back into texts, in the order of the keys.
    pub(super) fn texts<'a>(&'a self, labels: &'a Labels) -> Vec<(&'a str, &'a str)> {
        let mut texts: Vec<_> = labels.iter().map(|label| self.get(label).parts()).collect();
        texts.sort_unstable();
        texts
    }

    fn number(&mut self, key: &str, value: &str) -> Label {
        let hash_of = |held: &Held| hash(&self.hasher, held.parts());
        let hash = hash(&self.hasher, (key, value));
        let is_it = |number: &u32| self.labels[*number].parts() == (key, value);
        if let Some(&number) = self.by_text.find(hash, is_it) {
            self.labels[number].uses += 1;
            return Label(number);
        }
        let number = self.labels.insert(Held {
            text: [key, value].concat().into(),
            key_len: u32::try_from(key.len()).expect("a file has fewer than 2^32 bytes"),
            uses: 1,
            workloads: Posting::default(),
            selectors: SmallVec::new(),
        });
        self.by_text
            .insert_unique(hash, number, |number| hash_of(&self.labels[*number]));
        Label(number)
    }
}

fn hash(hasher: &RandomState, label: (&str, &str)) -> u64 {
    hasher.hash_one(label)
}
