//! What a file says from now on, in terms of what it said before.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use smallvec::SmallVec;

use super::{claims::Claims, entry::Entry, index::Index, objects::Slot};
use crate::{
    diagnostic::Diagnostic,
    manifest::{Contents, Outcome},
};

/// Ascending by slot.
pub(super) type KeptObjects = Vec<(Slot, SystemTime)>;

/// One version of an object.
pub(super) struct Claim {
    pub(super) slot: Slot,
    /// The number of the document that it stands in.
    pub(super) document: u32,
    pub(super) version: Version,
}

/// What a claim says of an object.
pub(super) enum Version {
    /// What nothing said before: it has its place already.
    First,
    /// What is served already, and said by this file alone.
    Served,
    Other(Entry),
}

/// A file's new state in the making.
pub(super) struct Revision<'f> {
    file: &'f Arc<str>,
    /// The objects that the file claimed before, and the documents that each stood in last.
    slots: &'f [Slot],
    documents: &'f [u32],
    /// Which of them the file did not show again so far.
    is_open: Vec<bool>,
    pub(super) kept_before: KeptObjects,
    now: SystemTime,
    /// In the file's order.
    pub(super) claims: Vec<Claim>,
    pub(super) kept: KeptObjects,
    pub(super) ignored: BTreeMap<Box<str>, usize>,
}

impl<'f> Revision<'f> {
    /// The start of a new state of `file`, which claimed the objects of `slots`, in these `documents`, and kept those of
    /// `kept_before`.
    pub(super) fn new(
        file: &'f Arc<str>,
        slots: &'f [Slot],
        documents: &'f [u32],
        kept_before: KeptObjects,
        now: SystemTime,
    ) -> Self {
        Self {
            file,
            slots,
            documents,
            is_open: vec![true; slots.len()],
            kept_before,
            now,
            claims: Vec::new(),
            kept: Vec::new(),
            ignored: BTreeMap::new(),
        }
    }

    /// The claims of documents that say what they said, in the file's order.
    pub(super) fn unchanged(
        &self,
        documents: &[u32],
        stored: &Claims,
        index: &mut Index,
    ) -> Vec<Claim> {
        let is_unchanged = |document: u32| documents.binary_search(&document).is_ok();
        let mut unchanged = Vec::with_capacity(self.slots.len());
        for (&slot, &document) in self.slots.iter().zip(self.documents) {
            let kept_since = self.kept_since(slot);
            if kept_since.is_none() && !stored.has_overruled(slot) {
                // Without a look at the object.
                unchanged.extend(is_unchanged(document).then_some(Claim {
                    slot,
                    document,
                    version: Version::Served,
                }));
                continue;
            }
            let mut entries: SmallVec<[&Entry; 1]> = stored.of_file(slot, self.file).collect();
            if kept_since.is_some() {
                // The last good version, which stands before all that the file says of the object.
                entries.pop();
            }
            for entry in entries.into_iter().rev() {
                let document = entry.origin().document;
                if is_unchanged(document) {
                    index.acquire_again(entry);
                    unchanged.push(Claim {
                        slot,
                        document,
                        version: Version::Other(entry.clone()),
                    });
                }
            }
        }
        unchanged.sort_by_key(|claim| claim.document);
        unchanged
    }

    /// Takes in what was read, and the `unchanged` claims with it, and returns what was said about it.
    pub(super) fn read(
        &mut self,
        contents: Contents,
        unchanged: Vec<Claim>,
        stored: &mut Claims,
        index: &mut Index,
    ) -> Vec<Diagnostic> {
        self.claims
            .reserve_exact(contents.documents.len() + unchanged.len());
        let mut unchanged = unchanged.into_iter().peekable();
        let mut has_unidentified = false;
        for document in contents.documents {
            let number = document.origin.document;
            while let Some(claim) = unchanged.next_if(|claim| claim.document < number) {
                self.claim(claim);
            }
            match document.outcome {
                Outcome::Object(object) => {
                    let entry = Entry::new(object, document.origin, index);
                    let (slot, version) = match stored.objects.find(entry.key()) {
                        Some(slot) => (slot, Version::Other(entry)),
                        None => (stored.objects.insert(entry), Version::First),
                    };
                    self.claim(Claim {
                        slot,
                        document: number,
                        version,
                    });
                }
                Outcome::Rejected(Some(key)) => {
                    if let Some(slot) = stored.objects.find(&key)
                        && self.close(slot)
                    {
                        self.keep(slot, stored, index);
                    }
                }
                Outcome::Rejected(None) => has_unidentified = true,
                Outcome::Ignored(kind) => *self.ignored.entry(kind).or_default() += 1,
            }
        }
        for claim in unchanged {
            self.claim(claim);
        }
        if has_unidentified {
            // Any object that the file no longer shows may be the one that can't be read.
            self.keep_all(stored, index);
        }
        contents.diagnostics
    }

    fn claim(&mut self, claim: Claim) {
        self.close(claim.slot);
        self.claims.push(claim);
    }

    /// Notes that the file shows an object, and tells whether it claimed it before and did not show it again so far.
    fn close(&mut self, slot: Slot) -> bool {
        let place = self.slots.binary_search(&slot);
        place.is_ok_and(|place| std::mem::take(&mut self.is_open[place]))
    }

    pub(super) fn keep_all(&mut self, stored: &Claims, index: &mut Index) {
        for &slot in self.slots {
            if self.close(slot) {
                self.keep(slot, stored, index);
            }
        }
    }

    fn keep(&mut self, slot: Slot, stored: &Claims, index: &mut Index) {
        let since = self.kept_since(slot).unwrap_or(self.now);
        self.kept.push((slot, since));
        let mut claims = stored.of_file(slot, self.file);
        let entry = claims
            .next()
            .expect("a file's slots are those of its claims");
        index.acquire_again(entry);
        self.claims.push(Claim {
            slot,
            document: entry.origin().document,
            version: Version::Other(entry.clone()),
        });
    }

    /// Since when the last good version of an object was served before this revision.
    fn kept_since(&self, slot: Slot) -> Option<SystemTime> {
        let place = self
            .kept_before
            .binary_search_by_key(&slot, |(slot, _)| *slot)
            .ok()?;
        Some(self.kept_before[place].1)
    }
}
