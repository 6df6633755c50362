use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::slot::Slot;

/// Up to this many slots stand in a row, which is quick to read and takes little memory; from there on, moving the rest of
/// the row for one that comes or goes would cost more than the change itself.
const MANY: usize = 8_192;

/// The workloads that have a label, ascending.
#[derive(Clone, Debug)]
pub(super) enum Posting {
    Few(SmallVec<[Slot; 4]>),
    Many(BTreeSet<Slot>),
}

impl Default for Posting {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Posting {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(slots) => slots.len(),
            Self::Many(slots) => slots.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> {
        let (few, many) = match self {
            Self::Few(slots) => (Some(slots.iter()), None),
            Self::Many(slots) => (None, Some(slots.iter())),
        };
        let few = few.into_iter().flatten();
        few.chain(many.into_iter().flatten()).copied()
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) if slots.len() >= MANY => {
                let slots = slots.iter().copied().chain([slot]);
                *self = Self::Many(slots.collect());
            }
            Self::Few(slots) => match slots.last() {
                Some(last) if *last >= slot => {
                    if let Err(at) = slots.binary_search(&slot) {
                        slots.insert(at, slot);
                    }
                }
                _ => slots.push(slot),
            },
            Self::Many(slots) => {
                slots.insert(slot);
            }
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) => {
                if let Ok(at) = slots.binary_search(&slot) {
                    slots.remove(at);
                }
            }
            Self::Many(slots) => {
                slots.remove(&slot);
                // Well below the limit, so that one that comes and goes does not turn it over each time.
                if slots.len() <= MANY / 2 {
                    *self = Self::Few(slots.iter().copied().collect());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_few_and_many_in_order() {
        let all = Slot::try_from(2 * MANY).expect("a small number");
        let mut posting = Posting::default();
        for slot in (0..all).rev().chain(0..all) {
            posting.insert(slot);
        }
        assert_eq!(posting.len(), 2 * MANY);
        assert!(posting.iter().eq(0..all));
        for slot in 10..all {
            posting.remove(slot);
        }
        assert!(posting.iter().eq(0..10));
    }
}
