use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;

use super::{
    half_hash::{half, whole},
    posting::Posting,
};
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
    /// Half of the text's hash beside the number.
    by_text: HashTable<(u32, u32)>,
    labels: Slab<LabelRecord>,
    hasher: RandomState,
}

/// A label and what the index knows of it.
#[derive(Clone, Debug)]
pub(super) struct LabelRecord {
    /// The key and behind it the value.
    text: Box<str>,
    key_len: u32,
    uses: u32,
    pub(super) workloads: Posting,
    /// The selectors that are looked for here, and not at any other of their labels.
    pub(super) selectors: SmallVec<[u32; 4]>,
}

impl LabelRecord {
    fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.key_len as usize)
    }
}

impl LabelTable {
    /// Turns texts into numbers, which hold until they are released.
    pub(super) fn acquire(&mut self, labels: &LabelMap) -> Labels {
        let mut numbers: SmallVec<[Label; 6]> = labels
            .joined()
            .map(|(text, key_len)| self.number(text, key_len))
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
                let held = self.labels.remove(label.0 as usize);
                let hash = hash(&self.hasher, &held.text);
                self.by_text
                    .find_entry(whole(hash), |(_, number)| *number == label.0)
                    .expect("a label in use is found by its text")
                    .remove();
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub(super) fn get(&self, label: Label) -> &LabelRecord {
        &self.labels[label.0 as usize]
    }

    pub(super) fn held(&mut self, label: Label) -> &mut LabelRecord {
        &mut self.labels[label.0 as usize]
    }

    /// Turns numbers back into texts, in the order of the keys.
    pub(super) fn texts<'a>(&'a self, labels: &'a Labels) -> Vec<(&'a str, &'a str)> {
        let mut texts: Vec<_> = labels.iter().map(|label| self.get(label).parts()).collect();
        texts.sort_unstable();
        texts
    }

    fn number(&mut self, text: &str, key_len: usize) -> Label {
        let key_len = u32::try_from(key_len).expect("a file has fewer than 2^32 bytes");
        let hash = hash(&self.hasher, text);
        let is_it = |(half, number): &(u32, u32)| {
            let held = &self.labels[*number as usize];
            *half == hash && held.key_len == key_len && *held.text == *text
        };
        if let Some(&(_, number)) = self.by_text.find(whole(hash), is_it) {
            self.labels[number as usize].uses += 1;
            return Label(number);
        }
        let number = self.labels.insert(LabelRecord {
            text: text.into(),
            key_len,
            uses: 1,
            workloads: Posting::default(),
            selectors: SmallVec::new(),
        });
        let number = u32::try_from(number).expect("fewer than 2^32 values fit the memory");
        self.by_text
            .insert_unique(whole(hash), (hash, number), |(half, _)| whole(*half));
        Label(number)
    }
}

/// A key and its value hash alike wherever the one ends: few labels differ in nothing else.
fn hash(hasher: &RandomState, text: &str) -> u32 {
    half(hasher.hash_one(text))
}
