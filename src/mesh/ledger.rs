//! Decides which version of an object counts.
//!
//! Files claim objects. Where two claim the same one, the last in path order wins, and when it goes the other serves
//! again. Clusters have objects, each its own, before which that of files yields. Where the newest version of an object can't be
//! used, the last good one stays.

mod clusters;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use foldhash::HashMap;
use smallvec::SmallVec;

use super::{
    affected::Tally,
    change::{FileChange, Kept, KeptCounts, Reading},
    claims::Claims,
    entry::Entry,
    index::Index,
    lists::OpenLists,
    news::News,
    objects::Objects,
    revision::{Claim, KeptObject, KeptObjects, Revision, Strays, Version},
    slot::Slot,
};
use crate::diagnostic::{
    ClusterPlace, Diagnostic, FilePlace, Holder, Kind, ObjectKey, Origin, Severity, code,
};
pub(super) use clusters::Context;
use clusters::Unit;

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    claims: Claims,
    files: HashMap<Arc<str>, FileRecord>,
    /// What the manifests' reader said of a file, where it said something.
    said: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    /// The file's objects whose newest version can't be used, and since when, where there are any.
    kept: BTreeMap<Arc<str>, KeptObjects>,
    /// The file's documents that can't be used and name no object, where there are any.
    strays: BTreeMap<Arc<str>, Strays>,
    /// Whether a cluster ever said something.
    has_clusters: bool,
    /// What the manifests' reader said of an object of a cluster, where it said something.
    said_of: BTreeMap<Unit, Vec<Diagnostic>>,
    /// The objects of clusters whose newest version can't be used, and since when.
    kept_of: BTreeMap<Unit, SystemTime>,
    lists: OpenLists,
    /// The objects of clusters that are otherwise than when that was last asked; `None` where nobody asks.
    touched: Option<Vec<Unit>>,
    /// Whether answers are made from what is served.
    is_serving: bool,
    objects_served: BTreeMap<Kind, usize>,
    ignored: Arc<BTreeMap<Box<str>, usize>>,
    kept_counts: KeptCounts,
    news: News,
}

#[derive(Clone, Debug, Default)]
struct FileRecord {
    /// The objects that the file claims, ascending, each once, and the document that each stands in last.
    slots: Box<[Slot]>,
    documents: Box<[u32]>,
    ignored: BTreeMap<Box<str>, usize>,
}

impl Ledger {
    /// Takes in one file and tells the index and the tally what is served otherwise than before.
    pub(super) fn apply(
        &mut self,
        change: FileChange,
        now: SystemTime,
        index: &mut Index,
        tally: &mut Tally,
    ) {
        let FileChange { file, reading } = change;
        let old = self.files.remove(&file).unwrap_or_default();
        let mut said_before = self.said.remove(&file).unwrap_or_default();
        let kept_before = self.kept.remove(&file).unwrap_or_default();
        let strays = self.strays.remove(&file).unwrap_or_default();
        let mut revision =
            Revision::new(&file, &old.slots, &old.documents, kept_before, strays, now);
        let is_there = !matches!(reading, Reading::Gone | Reading::Remark(_));
        let mut still_said = Vec::new();
        let mut said = match reading {
            Reading::Gone => Vec::new(),
            Reading::Remark(diagnostic) => vec![diagnostic],
            Reading::Unreadable(diagnostic) => {
                revision.ignored.clone_from(&old.ignored);
                revision.keep_all(&self.claims, index);
                vec![diagnostic]
            }
            Reading::Read(contents) => revision.read(contents, Vec::new(), &mut self.claims, index),
            Reading::Amended {
                contents,
                unchanged,
            } => {
                // No more than the others is compared below.
                let is_still = |said: &Diagnostic| {
                    let place = said.origin.in_file();
                    place.is_some_and(|place| unchanged.binary_search(&place.document).is_ok())
                };
                (still_said, said_before) = said_before.into_iter().partition(is_still);
                let current = revision.unchanged(&unchanged, &self.claims, index);
                revision.read(contents, current, &mut self.claims, index)
            }
        };
        let Revision {
            kept_before,
            mut claims,
            mut kept,
            strays,
            ignored,
            ..
        } = revision;
        claims.sort_by_key(|claim| claim.slot);
        kept.sort_unstable();
        self.note_kept(&file, &kept_before, &kept, &claims);
        self.note_ignored(&old.ignored, &ignored);
        said.sort_unstable();
        self.news.compare(said_before, &said);
        if !still_said.is_empty() {
            // Two sorted runs, which a stable sort merges.
            said.extend(still_said);
            said.sort();
        }
        if !said.is_empty() {
            self.said.insert(file.clone(), said);
        }
        if !kept.is_empty() {
            self.kept.insert(file.clone(), kept);
        }
        if is_there && strays != Strays::default() {
            self.strays.insert(file.clone(), strays);
        }
        if is_there {
            let of_slots = || claims.chunk_by(|one, other| one.slot == other.slot);
            let record = FileRecord {
                slots: of_slots().map(|claims| claims[0].slot).collect(),
                documents: of_slots()
                    .filter_map(|claims| Some(claims.last()?.document))
                    .collect(),
                ignored,
            };
            self.files.insert(file.clone(), record);
        }
        self.settle(&file, &old.slots, claims, index, tally);
    }

    /// What is served, and what [yields](Ledger::is_served).
    pub(super) fn objects(&self) -> &Objects {
        &self.claims.objects
    }

    /// Whether the object with this number is served: one of files is not where a cluster has it too.
    pub(super) fn is_served(&self, slot: Slot) -> bool {
        self.claims.objects.has(slot) && !self.claims.yielded.contains(&slot)
    }

    pub(super) fn object_counts(&self) -> BTreeMap<Kind, usize> {
        self.objects_served.clone()
    }

    pub(super) fn ignored_counts(&self) -> Arc<BTreeMap<Box<str>, usize>> {
        self.ignored.clone()
    }

    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn files_with_objects(&self) -> impl Iterator<Item = &Arc<str>> {
        let has_objects = |(_, record): &(&Arc<str>, &FileRecord)| !record.slots.is_empty();
        self.files.iter().filter(has_objects).map(|(file, _)| file)
    }

    /// The objects that the file claims, each in the version that it last had, whether or not that is served.
    pub(super) fn entries_of<'a>(&'a self, file: &'a Arc<str>) -> impl Iterator<Item = &'a Entry> {
        let slots = self.files.get(file).map_or(&[][..], |record| &record.slots);
        slots
            .iter()
            .filter_map(|slot| self.claims.of_file(*slot, file).next())
    }

    pub(super) fn kept(&self) -> Vec<Kept> {
        let of_file = |(file, kept): (&Arc<str>, &KeptObjects)| {
            let kept = kept.iter().map(|kept| self.kept_object(file, kept));
            let mut kept: Vec<_> = kept.collect();
            kept.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            kept
        };
        let of_files = self.kept.iter().flat_map(of_file);
        of_files.chain(self.kept_of_clusters()).collect()
    }

    /// What is wrong with files and objects, in no order.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = Diagnostic> {
        let said = self.said.values().flatten().cloned();
        let said = said.chain(self.said_of.values().flatten().cloned());
        let overruled = self.claims.overruled.keys();
        let yielded = self.claims.yielded.iter();
        let yielded = yielded.filter(|slot| !self.claims.has_overruled(**slot));
        let duplicates = overruled.chain(yielded);
        let duplicates = duplicates.flat_map(|slot| self.duplicates(*slot));
        let kept = self.kept().into_iter().map(|kept| last_good(&kept));
        said.chain(duplicates).chain(kept)
    }

    /// Whether [`Ledger::take_news`] would tell something.
    pub(super) fn has_news(&self) -> bool {
        let News {
            said,
            withdrawn,
            mended,
        } = &self.news;
        !(said.is_empty() && withdrawn.is_empty() && mended.is_empty())
    }

    /// What changed of [`Ledger::diagnostics`] since the last call.
    pub(super) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// How many objects are kept, and since when.
    pub(super) fn kept_counts(&self) -> &KeptCounts {
        &self.kept_counts
    }

    /// Notes which objects of `file` are kept that were not before, and the other way round. `claims` is sorted by slot.
    fn note_kept(
        &mut self,
        file: &Arc<str>,
        before: &[KeptObject],
        after: &[KeptObject],
        claims: &[Claim],
    ) {
        let is_in = |all: &[KeptObject], one: &KeptObject| {
            let place = all.binary_search_by_key(&one.slot, |kept| kept.slot);
            place.is_ok_and(|place| all[place].since == one.since)
        };
        for one in before.iter().filter(|one| !is_in(after, one)) {
            let kept = self.kept_object(file, one);
            self.kept_counts.remove(one.since);
            self.news.withdrawn.push(last_good(&kept));
            if claims
                .binary_search_by_key(&one.slot, |claim| claim.slot)
                .is_ok()
            {
                self.news.mended.push(kept);
            }
        }
        for one in after.iter().filter(|one| !is_in(before, one)) {
            let kept = self.kept_object(file, one);
            self.kept_counts.insert(one.since);
            self.news.said.push(last_good(&kept));
        }
    }

    fn kept_object(&self, file: &Arc<str>, kept: &KeptObject) -> Kept {
        Kept {
            key: Arc::new(self.claims.objects.get(kept.slot).key().clone()),
            holder: Holder::File(file.clone()),
            since: kept.since,
        }
    }

    /// Goes through the objects that the file claimed or claims and notes what is served from now on.
    fn settle(
        &mut self,
        file: &Arc<str>,
        old: &[Slot],
        claims: Vec<Claim>,
        index: &mut Index,
        tally: &mut Tally,
    ) {
        let mut old = old.iter().copied().peekable();
        let mut claims = claims.into_iter().peekable();
        loop {
            let claimed = claims.peek().map(|claim| claim.slot);
            let Some(slot) = claimed.into_iter().chain(old.peek().copied()).min() else {
                return;
            };
            let was_claimed = old.next_if_eq(&slot).is_some();
            let mut of_slot = SmallVec::<[Version; 1]>::new();
            while let Some(claim) = claims.next_if(|claim| claim.slot == slot) {
                of_slot.push(claim.version);
            }
            let is_first = matches!(of_slot.first(), Some(Version::First));
            let is_contested =
                self.claims.has_overruled(slot) || self.claims.yielded.contains(&slot);
            let is_alone = (is_first || was_claimed) && !is_contested && of_slot.len() <= 1;
            if !is_alone {
                let entries = of_slot.into_iter().map(|version| match version {
                    Version::First => self.claims.objects.get(slot).clone(),
                    Version::Served => {
                        let entry = self.claims.objects.get(slot).clone();
                        index.acquire_again(&entry);
                        entry
                    }
                    Version::Other(entry) => entry,
                });
                let entries = entries.collect();
                self.settle_contested(slot, file, entries, is_first, index, tally);
                continue;
            }
            let after = match of_slot.pop() {
                Some(Version::First) => {
                    self.serve_first(slot, index, tally);
                    continue;
                }
                Some(Version::Served) => continue,
                Some(Version::Other(entry)) => Some(entry),
                None => None,
            };
            let before = self.claims.objects.get(slot).clone();
            self.serve(slot, Some(&before), after, index, tally);
            index.release(&before);
        }
    }

    /// The same for an object that several documents claim, or did before.
    fn settle_contested(
        &mut self,
        slot: Slot,
        file: &Arc<str>,
        of_file: SmallVec<[Entry; 1]>,
        is_first: bool,
        index: &mut Index,
        tally: &mut Tally,
    ) {
        let said_before = self.duplicates(slot);
        let before = (!is_first).then(|| self.claims.objects.get(slot).clone());
        let mut all = self.claims.overruled.remove(&slot).unwrap_or_default();
        all.extend(before.clone());
        let withdrawn: Vec<Entry> = all
            .extract_if(.., |entry| entry.read_from().is_file(file))
            .collect();
        let is_before = |entry: &Entry| {
            let place = entry.read_from().file();
            place.is_some_and(|place| place.file < *file)
        };
        let at = all.partition_point(is_before);
        all.splice(at..at, of_file);
        let after = all.pop();
        self.serve(slot, before.as_ref(), after, index, tally);
        if !all.is_empty() {
            self.claims.overruled.insert(slot, all);
        }
        let said = self.duplicates(slot);
        self.news.compare(said_before, &said);
        for entry in &withdrawn {
            index.release(entry);
        }
    }

    /// What is said of the versions of an object that are not served, sorted.
    fn duplicates(&self, slot: Slot) -> Vec<Diagnostic> {
        let overruled = self.claims.overruled(slot).iter();
        let said = overruled.map(|entry| duplicate(entry, self.claims.objects.get(slot)));
        let mut said: Vec<_> = said.chain(self.yield_remark(slot)).collect();
        said.sort_unstable();
        said
    }

    /// Serves an object that nothing claimed before and that has its place.
    fn serve_first(&mut self, slot: Slot, index: &mut Index, tally: &mut Tally) {
        if self.note_yielding(slot) {
            self.news.said.extend(self.yield_remark(slot));
            return;
        }
        let entry = self.claims.objects.get(slot);
        index.replace(slot, None, Some(entry), &self.claims.objects);
        *self.objects_served.entry(entry.key().kind).or_default() += 1;
        tally.added += 1;
    }

    /// Puts `after` in the place of what was served `before`, if that makes a difference.
    fn serve(
        &mut self,
        slot: Slot,
        before: Option<&Entry>,
        after: Option<Entry>,
        index: &mut Index,
        tally: &mut Tally,
    ) {
        if before == after.as_ref() {
            // The index holds the very value that is served: it stays.
            return;
        }
        if self.claims.yielded.contains(&slot) || before.is_none() && self.note_yielding(slot) {
            if let Some(after) = after {
                self.claims.objects.replace(slot, after);
            } else {
                self.claims.objects.remove(slot);
                self.claims.yielded.remove(&slot);
            }
            return;
        }
        let kind = self.claims.objects.get(slot).key().kind;
        index.replace(slot, before, after.as_ref(), &self.claims.objects);
        match (before, after) {
            (None, Some(after)) => {
                *self.objects_served.entry(kind).or_default() += 1;
                tally.added += 1;
                self.claims.objects.replace(slot, after);
            }
            (Some(_), Some(after)) => {
                tally.changed += 1;
                self.claims.objects.replace(slot, after);
            }
            (_, None) => {
                decrease(&mut self.objects_served, &kind, 1);
                tally.removed += 1;
                self.claims.objects.remove(slot);
            }
        }
    }

    fn note_ignored(&mut self, old: &BTreeMap<Box<str>, usize>, new: &BTreeMap<Box<str>, usize>) {
        if old == new {
            return;
        }
        let ignored = Arc::make_mut(&mut self.ignored);
        for (kind, count) in new {
            *ignored.entry(kind.clone()).or_default() += count;
        }
        for (kind, count) in old {
            decrease(ignored, kind, *count);
        }
    }
}

fn decrease<K: Ord>(counts: &mut BTreeMap<K, usize>, kind: &K, by: usize) {
    let count = counts.get_mut(kind).expect("what goes was counted");
    *count -= by;
    if *count == 0 {
        counts.remove(kind);
    }
}

fn duplicate(overruled: &Entry, winner: &Entry) -> Diagnostic {
    Diagnostic {
        origin: overruled.origin(),
        severity: Severity::Warning,
        code: code::DUPLICATE_OBJECT,
        message: format!(
            "this object stands again at {}, which is used; remove one of the two",
            winner.origin()
        ),
        object: Some(overruled.key().clone()),
    }
}

fn last_good(kept: &Kept) -> Diagnostic {
    let since = humantime::format_rfc3339_seconds(kept.since);
    Diagnostic {
        origin: match &kept.holder {
            Holder::File(file) => FilePlace::whole(file.clone()).into(),
            Holder::Cluster(cluster) => Origin::from(ClusterPlace {
                cluster: cluster.clone(),
                object: ObjectKey::clone(&kept.key),
                field: Box::default(),
            }),
        },
        severity: Severity::Warning,
        code: code::LAST_GOOD_SERVED,
        message: format!(
            "its newest version can't be used since {since}; the last good one is served"
        ),
        object: Some(ObjectKey::clone(&kept.key)),
    }
}
