//! What a file says from now on, in terms of what it said before.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use smallvec::SmallVec;

use super::{Entry, Slot, index::Index, ledger::Ledger};
use crate::{
    diagnostic::Diagnostic,
    manifest::{Contents, Outcome},
};

/// Ascending by slot.
pub(super) type KeptObjects = Vec<(Slot, SystemTime)>;

/// One version of an object.
pub(super) struct Claim {
    pub(super) slot: Slot,
    /// `None` where no other claim was there before: then it has its place already.
    pub(super) entry: Option<Entry>,
}

/// A file's new state in the making.
pub(super) struct Revision<'f> {
    file: &'f Arc<str>,
    /// The objects that the file claimed before.
    slots: &'f [Slot],
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
    /// The start of a new state of `file`, which claimed the objects of `slots` and kept those of `kept_before`.
    pub(super) fn new(
        file: &'f Arc<str>,
        slots: &'f [Slot],
        kept_before: KeptObjects,
        now: SystemTime,
    ) -> Self {
        Self {
            file,
            slots,
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
        ledger: &Ledger,
        index: &mut Index,
    ) -> Vec<(Slot, Entry)> {
        let mut unchanged = Vec::with_capacity(self.slots.len());
        for &slot in self.slots {
            let mut entries: SmallVec<[&Entry; 1]> = ledger.claims_of(slot, self.file).collect();
            if self.kept_since(slot).is_some() {
                // The last good version, which stands before all that the file says of the object.
                entries.pop();
            }
            for entry in entries.into_iter().rev() {
                if documents.binary_search(&entry.origin().document).is_ok() {
                    index.acquire_again(entry);
                    unchanged.push((slot, entry.clone()));
                }
            }
        }
        unchanged.sort_by(|(_, a), (_, b)| a.origin().cmp(b.origin()));
        unchanged
    }

    /// Takes in what was read, and the `unchanged` claims with it, and returns what was said about it.
    pub(super) fn read(
        &mut self,
        contents: Contents,
        unchanged: Vec<(Slot, Entry)>,
        ledger: &mut Ledger,
        index: &mut Index,
    ) -> Vec<Diagnostic> {
        self.claims
            .reserve_exact(contents.documents.len() + unchanged.len());
        let mut unchanged = unchanged.into_iter().peekable();
        let mut has_unidentified = false;
        for document in contents.documents {
            let number = document.origin.document;
            while let Some((slot, entry)) =
                unchanged.next_if(|(_, entry)| entry.origin().document < number)
            {
                self.claim(slot, Some(entry));
            }
            match document.outcome {
                Outcome::Object(object) => {
                    let entry = Entry::new(object, document.origin, index);
                    match ledger.objects.find(entry.key()) {
                        Some(slot) => self.claim(slot, Some(entry)),
                        None => self.claim(ledger.objects.insert(entry), None),
                    }
                }
                Outcome::Rejected(Some(key)) => {
                    if let Some(slot) = ledger.objects.find(&key)
                        && self.close(slot)
                    {
                        self.keep(slot, ledger, index);
                    }
                }
                Outcome::Rejected(None) => has_unidentified = true,
                Outcome::Ignored(kind) => *self.ignored.entry(kind).or_default() += 1,
            }
        }
        for (slot, entry) in unchanged {
            self.claim(slot, Some(entry));
        }
        if has_unidentified {
            // Any object that the file no longer shows may be the one that can't be read.
            self.keep_all(ledger, index);
        }
        contents.diagnostics
    }

    fn claim(&mut self, slot: Slot, entry: Option<Entry>) {
        self.close(slot);
        self.claims.push(Claim { slot, entry });
    }

    /// Notes that the file shows an object, and tells whether it claimed it before and did not show it again so far.
    fn close(&mut self, slot: Slot) -> bool {
        let place = self.slots.binary_search(&slot);
        place.is_ok_and(|place| std::mem::take(&mut self.is_open[place]))
    }

    pub(super) fn keep_all(&mut self, ledger: &Ledger, index: &mut Index) {
        for &slot in self.slots {
            if self.close(slot) {
                self.keep(slot, ledger, index);
            }
        }
    }

    fn keep(&mut self, slot: Slot, ledger: &Ledger, index: &mut Index) {
        let since = self.kept_since(slot).unwrap_or(self.now);
        self.kept.push((slot, since));
        let mut claims = ledger.claims_of(slot, self.file);
        let entry = claims
            .next()
            .expect("a file's slots are those of its claims");
        index.acquire_again(entry);
        self.claims.push(Claim {
            slot,
            entry: Some(entry.clone()),
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
