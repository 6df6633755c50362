//! Which version of which object counts.
//!
//! Files claim objects. Where two claim the same one, the last in path order wins, and when it goes the other serves
//! again. Where the newest version of an object can't be used, the last good one stays.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use smallvec::SmallVec;

use super::{Endpoints, Entry, Replacement, Service, Workload, labels::Symbols, workload};
use crate::{
    diagnostic::{Code, Diagnostic, Kind, ObjectKey, Origin, Position, Severity, code},
    manifest::{Address, Contents, EndpointSource, Object, Outcome},
};

/// What became of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileChange {
    /// The file as diagnostics name it; its order among all files decides between two versions of an object.
    pub file: Arc<str>,
    /// What was found.
    pub reading: Reading,
}

/// What was found where a file is or was.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// The file was read; single objects in it may be rejected.
    Read(Contents),
    /// There is something that can't be read, for the reason given: what the file said before stays in service.
    Unreadable(Diagnostic),
    /// The file is gone, and its objects with it.
    Gone,
}

/// An object whose newest version can't be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// The object.
    pub key: Arc<ObjectKey>,
    /// The file that holds the unusable version.
    pub file: Arc<str>,
    /// When the unusable version was first seen.
    pub since: SystemTime,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    files: BTreeMap<Arc<str>, FileRecord>,
    /// In order of file and place in the file: the last one counts.
    claims: HashMap<Arc<ObjectKey>, SmallVec<[Claim; 1]>>,
    contested: BTreeSet<Arc<ObjectKey>>,
    objects: BTreeMap<Kind, usize>,
}

#[derive(Clone, Debug, Default)]
struct FileRecord {
    keys: Vec<Arc<ObjectKey>>,
    kept: BTreeMap<Arc<ObjectKey>, SystemTime>,
    diagnostics: Vec<Diagnostic>,
    ignored: BTreeMap<Box<str>, usize>,
}

#[derive(Clone, Debug)]
struct Claim {
    file: Arc<str>,
    /// The claim's place among the file's objects.
    item: u32,
    origin: Origin,
    entry: Entry,
}

impl Ledger {
    /// Takes in one file and tells which objects are served otherwise than before.
    pub(super) fn apply(
        &mut self,
        change: FileChange,
        now: SystemTime,
        symbols: &mut Symbols,
    ) -> Vec<Replacement> {
        let FileChange { file, reading } = change;
        let old = self.files.remove(&file).unwrap_or_default();
        let old_keys: HashSet<Arc<ObjectKey>> = old.keys.iter().cloned().collect();
        let winners_before: HashMap<Arc<ObjectKey>, Entry> = old_keys
            .iter()
            .filter_map(|key| Some((key.clone(), self.winner(key)?)))
            .collect();
        let held = self.take_claims(&file, &old_keys);
        let record = match reading {
            Reading::Gone => None,
            Reading::Unreadable(diagnostic) => {
                Some(Revision::unreadable(diagnostic, held, &old, now))
            }
            Reading::Read(contents) => Some(Revision::read(contents, held, &old, now, symbols)),
        };
        let mut touched: BTreeSet<Arc<ObjectKey>> = old_keys.into_iter().collect();
        let mut replacements = Vec::new();
        if let Some(Revision { mut record, claims }) = record {
            let mut first_seen: HashMap<Arc<ObjectKey>, Option<Entry>> = HashMap::new();
            for (item, (key, origin, entry)) in (0..).zip(claims) {
                let key = self
                    .claims
                    .get_key_value(&key)
                    .map_or(key, |(held, _)| held.clone());
                if !touched.contains(&key) {
                    first_seen
                        .entry(key.clone())
                        .or_insert_with(|| self.winner(&key));
                }
                record.keys.push(key.clone());
                self.claim(
                    key,
                    Claim {
                        file: file.clone(),
                        item,
                        origin,
                        entry,
                    },
                );
            }
            for (key, before) in first_seen {
                touched.remove(&key);
                self.settle(key, before, &mut replacements);
            }
            self.files.insert(file, record);
        }
        for key in touched {
            let before = winners_before.get(&key).cloned();
            self.settle(key, before, &mut replacements);
        }
        // HashMap order must not reach the result: equal inputs give equal outputs.
        replacements.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        replacements
    }

    pub(super) fn object_counts(&self) -> BTreeMap<Kind, usize> {
        self.objects.clone()
    }

    pub(super) fn ignored_counts(&self) -> BTreeMap<Box<str>, usize> {
        let mut counts = BTreeMap::new();
        for (kind, count) in self.files.values().flat_map(|record| &record.ignored) {
            *counts.entry(kind.clone()).or_default() += count;
        }
        counts
    }

    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn kept(&self) -> Vec<Kept> {
        let of_file = |(file, record): (&Arc<str>, &FileRecord)| {
            let file = file.clone();
            record
                .kept
                .iter()
                .map(move |(key, since)| Kept {
                    key: key.clone(),
                    file: file.clone(),
                    since: *since,
                })
                .collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of_file).collect()
    }

    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let said = self
            .files
            .values()
            .flat_map(|record| record.diagnostics.iter().cloned());
        let duplicates = self.contested.iter().flat_map(|key| self.duplicates(key));
        let kept = self.kept().into_iter().map(|kept| last_good(&kept));
        let mut all: Vec<_> = said.chain(duplicates).chain(kept).collect();
        all.sort();
        all
    }

    fn duplicates(&self, key: &Arc<ObjectKey>) -> Vec<Diagnostic> {
        let Some((winner, losers)) = self.claims.get(key).and_then(|claims| claims.split_last())
        else {
            return Vec::new();
        };
        let diagnostic = |loser: &Claim| Diagnostic {
            origin: loser.origin.clone(),
            severity: Severity::Warning,
            code: code::DUPLICATE_OBJECT,
            message: format!(
                "this object stands again at {}, which is used; remove one of the two",
                winner.origin
            ),
            object: Some(ObjectKey::clone(key)),
        };
        losers.iter().map(diagnostic).collect()
    }

    fn winner(&self, key: &ObjectKey) -> Option<Entry> {
        Some(self.claims.get(key)?.last()?.entry.clone())
    }

    /// Removes the file's claims and hands them out; of several to one object, the last.
    fn take_claims(
        &mut self,
        file: &Arc<str>,
        keys: &HashSet<Arc<ObjectKey>>,
    ) -> HashMap<Arc<ObjectKey>, Claim> {
        let mut taken = HashMap::new();
        for key in keys {
            let Some(claims) = self.claims.get_mut(key) else {
                continue;
            };
            claims.retain(|claim| {
                let ours = claim.file == *file;
                if ours {
                    taken.insert(key.clone(), claim.clone());
                }
                !ours
            });
            if claims.is_empty() {
                self.claims.remove(key);
            }
        }
        taken
    }

    fn claim(&mut self, key: Arc<ObjectKey>, claim: Claim) {
        let claims = self.claims.entry(key).or_default();
        let place = |claim: &Claim| (claim.file.clone(), claim.item);
        let at = claims.partition_point(|held| place(held) < place(&claim));
        claims.insert(at, claim);
    }

    /// Notes what is served for `key` now, against what was served `before`.
    fn settle(
        &mut self,
        key: Arc<ObjectKey>,
        before: Option<Entry>,
        replacements: &mut Vec<Replacement>,
    ) {
        if self.claims.get(&key).is_some_and(|claims| claims.len() > 1) {
            self.contested.insert(key.clone());
        } else {
            self.contested.remove(&key);
        }
        let after = self.winner(&key);
        match (before.is_some(), after.is_some()) {
            (false, true) => *self.objects.entry(key.kind).or_default() += 1,
            (true, false) => {
                let count = self
                    .objects
                    .get_mut(&key.kind)
                    .expect("what was served was counted");
                *count -= 1;
                if *count == 0 {
                    self.objects.remove(&key.kind);
                }
            }
            _ => {}
        }
        if before != after {
            replacements.push((key, before, after));
        }
    }
}

/// A file's new state, and its claims in the file's order.
struct Revision {
    record: FileRecord,
    claims: Vec<(Arc<ObjectKey>, Origin, Entry)>,
}

impl Revision {
    fn unreadable(
        diagnostic: Diagnostic,
        held: HashMap<Arc<ObjectKey>, Claim>,
        old: &FileRecord,
        now: SystemTime,
    ) -> Self {
        let record = FileRecord {
            diagnostics: vec![diagnostic],
            ignored: old.ignored.clone(),
            ..FileRecord::default()
        };
        let mut revision = Self {
            record,
            claims: Vec::new(),
        };
        revision.keep_all(held, old, now);
        revision
    }

    fn read(
        contents: Contents,
        mut held: HashMap<Arc<ObjectKey>, Claim>,
        old: &FileRecord,
        now: SystemTime,
        symbols: &mut Symbols,
    ) -> Self {
        let record = FileRecord {
            diagnostics: contents.diagnostics,
            ..FileRecord::default()
        };
        let mut revision = Self {
            record,
            claims: Vec::with_capacity(contents.documents.len()),
        };
        let mut unidentified = false;
        for document in contents.documents {
            match document.outcome {
                Outcome::Object(object) => {
                    let key = Arc::new(object.key());
                    held.remove(&key);
                    let entry = entry(object, key.clone(), document.origin.clone(), symbols);
                    revision.claims.push((key, document.origin, entry));
                }
                Outcome::Rejected(Some(key)) => {
                    if let Some((key, claim)) = held.remove_entry(&key) {
                        revision.keep(key, claim, old, now);
                    }
                }
                Outcome::Rejected(None) => unidentified = true,
                Outcome::Ignored(kind) => *revision.record.ignored.entry(kind).or_default() += 1,
            }
        }
        if unidentified {
            // Any object that the file no longer shows may be the one that can't be read.
            revision.keep_all(held, old, now);
        }
        revision
    }

    fn keep_all(
        &mut self,
        held: HashMap<Arc<ObjectKey>, Claim>,
        old: &FileRecord,
        now: SystemTime,
    ) {
        let mut held: Vec<_> = held.into_iter().collect();
        held.sort_by_key(|(_, claim)| claim.item);
        for (key, claim) in held {
            self.keep(key, claim, old, now);
        }
    }

    fn keep(&mut self, key: Arc<ObjectKey>, claim: Claim, old: &FileRecord, now: SystemTime) {
        let since = old.kept.get(&key).copied().unwrap_or(now);
        self.record.kept.insert(key.clone(), since);
        self.claims.push((key, claim.origin, claim.entry));
    }
}

fn entry(object: Object, key: Arc<ObjectKey>, origin: Origin, symbols: &mut Symbols) -> Entry {
    match object {
        Object::ServiceEntry(entry) => {
            let mut hosts = entry.hosts;
            hosts.sort_unstable();
            hosts.dedup();
            let endpoints = match entry.endpoints {
                EndpointSource::Neither => Endpoints::Neither,
                EndpointSource::Inline(addresses) => Endpoints::Inline(addresses.into()),
                EndpointSource::Selector(labels) => Endpoints::Selector(symbols.intern(&labels)),
            };
            Entry::Service(Arc::new(Service {
                key,
                hosts: hosts.into(),
                addresses: entry.addresses.into(),
                resolution: entry.resolution,
                endpoints,
                hidden: entry.hidden,
                created: entry.metadata.created,
                origin,
            }))
        }
        Object::WorkloadEntry(entry) => Entry::Workload(Arc::new(Workload {
            key,
            labels: symbols.intern(&entry.labels),
            excluded: workload::workload_entry_exclusion(&entry),
            addresses: match entry.address {
                Address::Ip(ip) => std::iter::once(ip).collect(),
                _ => SmallVec::new(),
            },
            origin,
        })),
        Object::Pod(pod) => Entry::Workload(Arc::new(Workload {
            key,
            labels: symbols.intern(&pod.labels),
            excluded: workload::pod_exclusion(&pod),
            addresses: pod.addresses.into(),
            origin,
        })),
        Object::WorkloadGroup(_) => Entry::Group,
    }
}

fn last_good(kept: &Kept) -> Diagnostic {
    const CODE: Code = code::LAST_GOOD_SERVED;
    let since = humantime::format_rfc3339_seconds(kept.since);
    Diagnostic {
        origin: Origin {
            file: kept.file.clone(),
            document: 0,
            position: Position::START,
        },
        severity: Severity::Warning,
        code: CODE,
        message: format!(
            "its newest version can't be used since {since}; the last good one is served"
        ),
        object: Some(ObjectKey::clone(&kept.key)),
    }
}
