//! What a file says from now on, in terms of what it said before.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use smallvec::SmallVec;

use super::{
    claims::Claims, entry::Entry, index::Index, read_from::ReadFrom, slot::Slot,
    translate::translate,
};
use crate::{
    diagnostic::Diagnostic,
    manifest::{Contents, DocumentOutcome},
};

/// How many other kinds of one file are counted one by one, and how long their names may be, in bytes; the objects of all
/// others are counted together.
const MAX_KINDS: usize = 64;
const MAX_KIND_BYTES: usize = 128;

/// What those are counted as; no kind of Kubernetes' begins with a small letter.
const OTHER_KINDS: &str = "other";

/// An object whose newest version can't be used.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct KeptObject {
    pub(super) slot: Slot,
    pub(super) since: SystemTime,
    /// Whether nothing in the file names it: one of the [suspects](Strays::suspects) may be its newest version.
    pub(super) is_suspected: bool,
}

/// Ascending by slot.
pub(super) type KeptObjects = Vec<KeptObject>;

/// The documents of a file that can't be used and name no object, by what they say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Strays {
    /// All of them, ascending.
    digests: Vec<u64>,
    /// Those that came when objects went, ascending: each of these objects may be what they were meant to be. All others
    /// were bad before, or came beside the objects, and keep nothing.
    suspects: Vec<u64>,
}

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
    pub(super) strays: Strays,
    pub(super) ignored: BTreeMap<Box<str>, usize>,
}

impl<'f> Revision<'f> {
    /// The start of a new state of `file`, which claimed the objects of `slots`, in these `documents`, kept those of
    /// `kept_before`, and held these `strays`.
    pub(super) fn new(
        file: &'f Arc<str>,
        slots: &'f [Slot],
        documents: &'f [u32],
        kept_before: KeptObjects,
        strays: Strays,
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
            strays,
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
                let document = entry.document();
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
        let mut strays = Vec::new();
        for document in contents.documents {
            let number = document.place.document;
            while let Some(claim) = unchanged.next_if(|claim| claim.document < number) {
                self.claim(claim);
            }
            match document.outcome {
                DocumentOutcome::Object(object) => {
                    let has_unreadable = object.has_unreadable();
                    let mut entry = translate(object, ReadFrom::File(document.place), index);
                    let known = stored.objects.find(entry.key(), None);
                    if let Some(slot) = known.filter(|_| has_unreadable) {
                        let of_file = stored.of_file(slot, self.file).next();
                        let before = of_file.unwrap_or(stored.objects.get(slot));
                        entry.keep_unreadable(before, index.alike());
                    }
                    let (slot, version) = match known {
                        Some(slot) => (slot, Version::Other(entry)),
                        None => (stored.objects.insert(entry), Version::First),
                    };
                    self.claim(Claim {
                        slot,
                        document: number,
                        version,
                    });
                }
                DocumentOutcome::Rejected(Some(key)) => {
                    if let Some(slot) = stored.objects.find(&key, None)
                        && self.close(slot)
                    {
                        self.keep(slot, false, stored, index);
                    }
                }
                DocumentOutcome::Rejected(None) => strays.push(document.digest),
                DocumentOutcome::Ignored(kind) => self.ignore(kind, 1),
            }
        }
        if contents.more_ignored > 0 {
            self.ignore(OTHER_KINDS.into(), contents.more_ignored);
        }
        for claim in unchanged {
            self.claim(claim);
        }
        self.compare(strays, stored, index);
        contents.diagnostics
    }

    /// Keeps the objects that one of `strays`, all that the file holds, may be the newest version of.
    ///
    /// A document that came, or changed, may be any object that the file no longer shows. One that was there before is not
    /// what becomes of an object that goes now.
    fn compare(&mut self, mut strays: Vec<u64>, stored: &Claims, index: &mut Index) {
        strays.sort_unstable();
        let mut before = std::mem::take(&mut self.strays.digests)
            .into_iter()
            .peekable();
        let is_new = |digest: &u64| {
            while before.next_if(|other| other < digest).is_some() {}
            before.next_if_eq(digest).is_none()
        };
        let newcomers: Vec<u64> = strays.iter().copied().filter(is_new).collect();
        let suspects = &mut self.strays.suspects;
        suspects.retain(|suspect| strays.binary_search(suspect).is_ok());
        for &slot in self.slots {
            let may_be_old = !self.strays.suspects.is_empty() && self.is_suspected(slot);
            if (may_be_old || !newcomers.is_empty()) && self.close(slot) {
                self.keep(slot, true, stored, index);
            }
        }
        if self.kept.iter().any(|kept| kept.is_suspected) {
            self.strays.suspects.extend(newcomers);
            self.strays.suspects.sort_unstable();
        } else {
            self.strays.suspects = Vec::new();
        }
        self.strays.digests = strays;
    }

    fn ignore(&mut self, kind: Box<str>, count: usize) {
        let is_counted = self.ignored.contains_key(&kind)
            || self.ignored.len() < MAX_KINDS && kind.len() <= MAX_KIND_BYTES;
        let kind = if is_counted { kind } else { OTHER_KINDS.into() };
        *self.ignored.entry(kind).or_default() += count;
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

    /// Keeps all that the file claimed: it can't be read.
    pub(super) fn keep_all(&mut self, stored: &Claims, index: &mut Index) {
        for &slot in self.slots {
            if self.close(slot) {
                self.keep(slot, self.is_suspected(slot), stored, index);
            }
        }
    }

    fn keep(&mut self, slot: Slot, is_suspected: bool, stored: &Claims, index: &mut Index) {
        let since = self.kept_since(slot).unwrap_or(self.now);
        self.kept.push(KeptObject {
            slot,
            since,
            is_suspected,
        });
        let mut claims = stored.of_file(slot, self.file);
        let entry = claims
            .next()
            .expect("a file's slots are those of its claims");
        index.acquire_again(entry);
        self.claims.push(Claim {
            slot,
            document: entry.document(),
            version: Version::Other(entry.clone()),
        });
    }

    /// Since when the last good version of an object was served before this revision.
    fn kept_since(&self, slot: Slot) -> Option<SystemTime> {
        Some(self.kept_before(slot)?.since)
    }

    /// Whether an object was kept before although nothing named it.
    fn is_suspected(&self, slot: Slot) -> bool {
        self.kept_before(slot).is_some_and(|kept| kept.is_suspected)
    }

    fn kept_before(&self, slot: Slot) -> Option<&KeptObject> {
        let place = self
            .kept_before
            .binary_search_by_key(&slot, |kept| kept.slot)
            .ok()?;
        Some(&self.kept_before[place])
    }
}
