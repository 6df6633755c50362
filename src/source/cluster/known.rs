//! Which version of each object of one kind was told, so that a list that is read again tells only what differs.
//!
//! Holds 16 bytes an object: hashes of who it is and of its version. Where two objects have the same, which never happens, one
//! of them is told although nothing is new.

use std::{collections::HashMap, hash::BuildHasher as _};

use foldhash::fast::RandomState;

use super::said::Identity;

/// Every object that was told.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The fingerprint of the version that was told, but for the marks, by the hash of who the object is.
    objects: HashMap<u64, u64, RandomState>,
    hashes: RandomState,
    in_list: bool,
}

/// The list that is read has the object.
const LISTED: u64 = 1;
/// This version was told by the list that is read, and counts when that ends.
const FRESH: u64 = 2;
const MARKS: u64 = LISTED | FRESH;

impl Known {
    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Begins to read a list; one that did not end counts for nothing.
    pub(super) fn begin_list(&mut self) {
        self.fail_list();
        self.in_list = true;
    }

    /// Forgets what a list told that does not end.
    pub(super) fn fail_list(&mut self) {
        self.leave_list(|told| told & FRESH == 0);
    }

    /// Forgets what the list did not have that was read to its end.
    pub(super) fn end_list(&mut self) {
        self.leave_list(|told| told & LISTED != 0);
    }

    /// Whether this version of the object was told; the list has it.
    pub(super) fn has(&mut self, identity: &Identity<'_>) -> bool {
        let (object, version) = self.hash(identity);
        let told = self.objects.get_mut(&object);
        let Some(told) = told.filter(|told| **told & !MARKS == version) else {
            return false;
        };
        *told |= if self.in_list { LISTED } else { 0 };
        true
    }

    /// Notes that this version of the object is told.
    pub(super) fn note(&mut self, identity: &Identity<'_>) {
        let (object, version) = self.hash(identity);
        let marks = if self.in_list { MARKS } else { 0 };
        self.objects.insert(object, version | marks);
    }

    /// Forgets an object; `false` where it was not told.
    pub(super) fn forget(&mut self, identity: &Identity<'_>) -> bool {
        let (object, _) = self.hash(identity);
        self.objects.remove(&object).is_some()
    }

    fn leave_list(&mut self, stays: impl Fn(u64) -> bool) {
        self.in_list = false;
        self.objects.retain(|_, told| {
            let stays = stays(*told);
            *told &= !MARKS;
            stays
        });
    }

    /// Of who the object is, and of its version.
    fn hash(&self, identity: &Identity<'_>) -> (u64, u64) {
        let Identity {
            namespace,
            name,
            uid,
            version,
        } = identity;
        let version = self.hashes.hash_one((uid, version));
        (self.hashes.hash_one((namespace, name)), version & !MARKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod<'b>(name: &'b str, uid: &'b str, version: &'b str) -> Identity<'b> {
        Identity {
            namespace: "shop",
            name,
            uid,
            version,
        }
    }

    #[test]
    fn only_the_version_that_was_told_is_known() {
        let mut known = Known::default();
        known.note(&pod("a", "1", "7"));
        assert!(known.has(&pod("a", "1", "7")));
        assert!(!known.has(&pod("a", "1", "8")));
        // Another object of the same name.
        assert!(!known.has(&pod("a", "2", "7")));
        assert!(!known.has(&pod("b", "1", "7")));
        assert!(known.forget(&pod("a", "1", "9")));
        assert!(!known.forget(&pod("a", "1", "9")));
    }

    #[test]
    fn what_a_list_does_not_have_is_forgotten_when_it_ends() {
        let mut known = Known::default();
        for name in ["a", "b", "c"] {
            known.note(&pod(name, name, "7"));
        }
        known.begin_list();
        assert!(known.has(&pod("a", "a", "7")));
        known.note(&pod("b", "b", "8"));
        known.end_list();
        assert_eq!(known.len(), 2);
        assert!(known.has(&pod("b", "b", "8")));
        assert!(!known.has(&pod("c", "c", "7")));
    }

    #[test]
    fn what_a_list_told_counts_for_nothing_before_its_end() {
        let mut known = Known::default();
        for name in ["a", "b"] {
            known.note(&pod(name, name, "7"));
        }
        known.begin_list();
        known.note(&pod("b", "b", "8"));
        known.note(&pod("c", "c", "8"));
        known.begin_list();
        assert!(known.has(&pod("a", "a", "7")));
        assert!(!known.has(&pod("b", "b", "8")));
        assert!(!known.has(&pod("c", "c", "8")));
        known.end_list();
        assert_eq!(known.len(), 1);
    }
}
