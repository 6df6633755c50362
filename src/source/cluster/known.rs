//! Which version of each object of one kind was told, so that a list that is read again tells only what differs.

use std::hash::BuildHasher as _;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashTable;

use super::said::Identity;
use crate::diagnostic::ObjectKey;

/// Hashes versions.
const FINGERPRINTS: FixedState = FixedState::with_seed(0);

/// Every object that was told.
#[derive(Debug, Default)]
pub(super) struct Known {
    objects: HashTable<Told>,
    hashes: RandomState,
    in_list: bool,
}

/// An object, and what is known of it.
#[derive(Debug)]
struct Told {
    key: ObjectKey,
    /// Of the version, but for the marks.
    fingerprint: u64,
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
        self.in_list = false;
        self.objects.retain(|told| told.fingerprint & FRESH == 0);
        for told in &mut self.objects {
            told.fingerprint &= !MARKS;
        }
    }

    /// Forgets what the list did not have that was read to its end.
    pub(super) fn end_list(&mut self) {
        self.in_list = false;
        self.objects.retain(|told| told.fingerprint & LISTED != 0);
        for told in &mut self.objects {
            told.fingerprint &= !MARKS;
        }
    }

    /// The object, where this version of it was told; the list has it.
    pub(super) fn find_same(&mut self, identity: &Identity<'_>) -> Option<&ObjectKey> {
        let told = self
            .objects
            .find_mut(hash(&self.hashes, identity), is(identity))?;
        if told.fingerprint & !MARKS != fingerprint(identity) {
            return None;
        }
        told.fingerprint |= if self.in_list { LISTED } else { 0 };
        Some(&told.key)
    }

    /// Notes that this version of the object with `key` is told.
    pub(super) fn note(&mut self, identity: &Identity<'_>, key: &ObjectKey) {
        let marks = if self.in_list { MARKS } else { 0 };
        let fingerprint = fingerprint(identity) | marks;
        let hashes = &self.hashes;
        let entry = self
            .objects
            .entry(hash(hashes, identity), is(identity), |told| {
                hash_of(hashes, &told.key.namespace, &told.key.name)
            });
        entry
            .and_modify(|told| told.fingerprint = fingerprint)
            .or_insert_with(|| Told {
                key: key.clone(),
                fingerprint,
            });
    }

    /// Forgets an object; its key where it was told.
    pub(super) fn forget(&mut self, identity: &Identity<'_>) -> Option<ObjectKey> {
        let found = self
            .objects
            .find_entry(hash(&self.hashes, identity), is(identity));
        Some(found.ok()?.remove().0.key)
    }
}

fn is<'i>(identity: &'i Identity<'_>) -> impl Fn(&Told) -> bool + use<'i> {
    let Identity {
        namespace, name, ..
    } = *identity;
    move |told| *told.key.name == *name && *told.key.namespace == *namespace
}

fn hash(hashes: &RandomState, identity: &Identity<'_>) -> u64 {
    hash_of(hashes, identity.namespace, identity.name)
}

fn hash_of(hashes: &RandomState, namespace: &str, name: &str) -> u64 {
    hashes.hash_one((namespace, name))
}

fn fingerprint(identity: &Identity<'_>) -> u64 {
    FINGERPRINTS.hash_one((identity.uid, identity.version)) & !MARKS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Kind;

    fn pod<'b>(name: &'b str, uid: &'b str, version: &'b str) -> Identity<'b> {
        Identity {
            namespace: "shop",
            name,
            uid,
            version,
        }
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey {
            kind: Kind::Pod,
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    #[test]
    fn only_the_version_that_was_told_is_the_same() {
        let mut known = Known::default();
        known.note(&pod("a", "1", "7"), &key("a"));
        assert_eq!(known.find_same(&pod("a", "1", "7")), Some(&key("a")));
        assert_eq!(known.find_same(&pod("a", "1", "8")), None);
        // Another object of the same name.
        assert_eq!(known.find_same(&pod("a", "2", "7")), None);
        assert_eq!(known.find_same(&pod("b", "1", "7")), None);
        assert_eq!(known.forget(&pod("a", "1", "9")), Some(key("a")));
        assert_eq!(known.forget(&pod("a", "1", "9")), None);
    }

    #[test]
    fn what_a_list_does_not_have_is_forgotten_when_it_ends() {
        let mut known = Known::default();
        for name in ["a", "b", "c"] {
            known.note(&pod(name, name, "7"), &key(name));
        }
        known.begin_list();
        assert!(known.find_same(&pod("a", "a", "7")).is_some());
        known.note(&pod("b", "b", "8"), &key("b"));
        known.end_list();
        assert_eq!(known.len(), 2);
        assert!(known.find_same(&pod("b", "b", "8")).is_some());
        assert!(known.find_same(&pod("c", "c", "7")).is_none());
    }

    #[test]
    fn what_a_list_told_counts_for_nothing_before_its_end() {
        let mut known = Known::default();
        for name in ["a", "b"] {
            known.note(&pod(name, name, "7"), &key(name));
        }
        known.begin_list();
        known.note(&pod("b", "b", "8"), &key("b"));
        known.note(&pod("c", "c", "8"), &key("c"));
        known.begin_list();
        assert!(known.find_same(&pod("a", "a", "7")).is_some());
        assert!(known.find_same(&pod("b", "b", "8")).is_none());
        assert!(known.find_same(&pod("c", "c", "8")).is_none());
        known.end_list();
        assert_eq!(known.len(), 1);
    }
}
