//! Tells what changed in the mesh folders since the last look.
//!
//! Owns the memory of every file: its stamp, a digest of its content, and what it is waiting for. Files whose stamp is as
//! before are not opened; files whose content is as before are not parsed. A file that somebody is writing, that was
//! emptied, or whose folder is away keeps what it said until it is clear what became of it.
//!
//! Never decides what a file means and never waits: [`Scan::again_at`] says when another look is worth it.

mod missing;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use self::missing::Missing;
use super::{
    error::LoadError,
    judge::{Verdict, judge},
    known::{Announced, Burst, KnownFile, MAX_RESTLESS, Root, is_unseen},
    links::FollowLinks,
    listing::{Listed, Listing, NotListed, Places},
    look::{Look, Scan, Trust},
    naming::{is_below, name_of, prefix_of},
    reading::{self, Candidate, ReadOutcome},
    remarks::{self, Refusal},
    stamp::Stamp,
    walk::{self, Limits},
};
use crate::mesh::{FileChange, Reading};

/// When to look again at a file that changed while it was read, at first and where that goes on.
const RESTLESS_PATIENCE: Duration = Duration::from_millis(5);
const MAX_RESTLESS_PATIENCE: Duration = Duration::from_secs(1);

/// How many looks in a row may find a file in motion before it is told that it can't be read.
const TOLD_RESTLESS: u32 = 2 * MAX_RESTLESS;

/// When to try again what the operating system refused at the start, at first; and how much of the time since the start to
/// let pass when it goes on refusing, for a look at a large folder is not cheap.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(250);
const REFUSAL_BACKOFF: u32 = 4;

/// The mesh folders, and what was read from them.
#[derive(Debug)]
pub(super) struct Folder {
    roots: Vec<Root>,
    paths: Vec<PathBuf>,
    follow_links: FollowLinks,
    /// Where folders were when all of them were last looked at.
    places: Places,
    files: BTreeMap<Arc<str>, KnownFile>,
    /// Files to look at next time, whether or not something is said about them.
    awaited: BTreeSet<Arc<str>>,
    /// Files, folders and given paths that could not be read at the start, and never since: nobody knows what they hold.
    unread: BTreeSet<Arc<str>>,
    /// Files of which the mesh knows what they said to an earlier process, and nothing else.
    earlier: BTreeSet<Arc<str>>,
    /// Whether what can't be read belongs to the start.
    is_start: bool,
    /// When the first look began.
    begun: Option<Instant>,
    burst: Option<Burst>,
    /// Whether a look was given up behind changes that it had handed on, and what it did not come to may still be away.
    gave_up_half: bool,
}

impl Folder {
    /// Mesh folders, or single files, that nobody has looked at.
    pub(super) fn new(paths: Vec<PathBuf>, follow_links: FollowLinks) -> Self {
        Self {
            roots: paths.iter().map(|_| Root::default()).collect(),
            paths,
            follow_links,
            places: Places::new(),
            files: BTreeMap::new(),
            awaited: BTreeSet::new(),
            unread: BTreeSet::new(),
            earlier: BTreeSet::new(),
            is_start: true,
            begun: None,
            burst: None,
            gave_up_half: false,
        }
    }

    /// Notes that the mesh knows what `file` said to an earlier process: that stays until it is clear what became of the file.
    /// Tells whether it is in, or is, one of the given paths.
    pub(super) fn note_earlier(&mut self, file: &Arc<str>) -> bool {
        let root = self.paths.iter().position(|path| is_below(file, path));
        if let Some(root) = root {
            self.files.insert(file.clone(), KnownFile::of_earlier(root));
            self.earlier.insert(file.clone());
            self.roots[root].meant += 1;
            self.roots[root].was_there = true;
        }
        root.is_some()
    }

    /// The files of which the mesh knows what they said to an earlier process, and nothing else, ascending.
    pub(super) fn earlier(&self) -> &BTreeSet<Arc<str>> {
        &self.earlier
    }

    /// Lists the files that are there.
    pub(super) fn list(&self) -> Listing {
        walk::walk(&self.paths, self.follow_links, Limits::default())
    }

    /// Fails where a given path can't be listed.
    pub(super) fn check(&self, listing: &Listing) -> Result<(), LoadError> {
        let again = |error: &io::Error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::from(error.kind()),
        };
        if let Some((&root, error)) = listing.missing.first_key_value() {
            return Err(LoadError::open(&self.paths[root], again(error)));
        }
        for path in &self.paths {
            let closed = listing.closed.get(&prefix_of(path));
            if let Some(NotListed::Error(error)) = closed.map(|closed| &closed.why) {
                return Err(LoadError::list(path, again(error)));
            }
        }
        Ok(())
    }

    /// Whether it is enough to look where something is said to have changed: not while a folder comes back.
    pub(super) fn knows_all(&self) -> bool {
        !self.roots.iter().any(|root| root.is_returning)
    }

    /// How many files are known, those included that were never read.
    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The files, folders and given paths that could not be read at the start, and never since, ascending.
    pub(super) fn unread(&self) -> &BTreeSet<Arc<str>> {
        &self.unread
    }

    /// Those of them that are in motion, rather than refused.
    fn in_motion(&self) -> impl Iterator<Item = &Arc<str>> {
        let is_new = |name: &&Arc<str>| self.files.get(*name).is_some_and(KnownFile::is_new);
        self.unread.iter().filter(is_new)
    }

    /// Whether more may be known of a file in a moment: of one of them, or of one that an earlier process knew.
    pub(super) fn is_in_motion(&self) -> bool {
        let is_open = |name| self.files.get(name).is_some_and(KnownFile::is_open);
        self.in_motion().next().is_some() || self.earlier.iter().any(is_open)
    }

    /// Ends the start: tells of each file in motion that it can't be read.
    pub(super) fn give_up(&mut self, scan: &mut Scan) -> Vec<FileChange> {
        let in_motion: Vec<_> = self.in_motion().cloned().collect();
        let mut changes = Vec::with_capacity(in_motion.len());
        for name in in_motion {
            let root = self.files[&name].root;
            let refusal = Refusal::ForGood(remarks::in_motion(&name));
            changes.extend(self.trouble(&name, root, refusal, scan));
            self.awaited.insert(name);
        }
        self.is_start = false;
        changes
    }

    /// Reads the files of `listing` that changed and hands on each change, with what was found so far.
    ///
    /// A strict look is given up where a file vanished meanwhile, as all do on one side of a swapped link. What it handed
    /// on counts, but only together with what the next look finds.
    pub(super) fn read(
        &mut self,
        listing: &Listing,
        look: &Look,
        mut take_in: impl FnMut(FileChange, &Scan),
    ) -> Scan {
        let mut scan = Scan {
            files: listing.files.len(),
            missing: listing
                .missing
                .keys()
                .map(|&root| self.paths[root].clone())
                .collect(),
            is_torn: listing.is_torn && look.strict,
            ..Scan::default()
        };
        if scan.is_torn {
            return scan;
        }
        self.begun.get_or_insert(look.now);
        self.note_roots(listing);
        let listed = self.listed(listing, look);
        let unlisted = self.unlisted(listing, look);
        self.awaited.clear();
        let newcomers = self.newcomers(&listed);
        let mut verdicts = Vec::new();
        for (name, listed) in listed {
            match judge(name, listed, self.files.get(name), look) {
                Verdict::Unchanged => {
                    let known = self.files.get_mut(name).expect("it was compared");
                    known.missing_since = None;
                }
                verdict => verdicts.push((name, listed.root, verdict)),
            }
        }
        let held_until = self.held_until(&verdicts, &unlisted, look);
        let mut candidates = Vec::new();
        for (name, root, verdict) in verdicts {
            match verdict {
                Verdict::Unchanged => {}
                Verdict::Read(candidate) => match held_until {
                    Some(until) if self.waits_for_others(name, candidate.stamp, look) => {
                        self.wait(name, root, candidate.stamp, look.now, until, &mut scan);
                    }
                    _ => candidates.push(Candidate {
                        folder: listing.folder_of(&candidate.real),
                        ..candidate
                    }),
                },
                Verdict::Wait(stamp, until) => {
                    let known = self.files.get(name);
                    scan.is_half |=
                        held_until.is_some() && known.is_some_and(KnownFile::is_restless);
                    let until = held_until.map_or(until, |held| held.max(until));
                    self.wait(name, root, stamp, look.now, until, &mut scan);
                }
                Verdict::Cut(stamp) => {
                    let refusal = Refusal::ForGood(remarks::cut(name));
                    if let Some(change) = self.trouble(name, root, refusal, &mut scan) {
                        take_in(change, &scan);
                    }
                    let known = self.files.get_mut(name).expect("it became shorter");
                    known.cut = Some(stamp);
                }
                Verdict::Refused(refusal) => {
                    self.retry(name, &refusal, look, &mut scan);
                    if let Some(change) = self.trouble(name, root, refusal, &mut scan) {
                        take_in(change, &scan);
                    }
                }
            }
        }
        for change in self.settle_closed(listing, look, &mut scan) {
            take_in(change, &scan);
        }
        let all_read = reading::read_each(candidates, |candidate, outcome| {
            if look.strict && matches!(outcome, ReadOutcome::Vanished) {
                return false;
            }
            let change = self.take(candidate, outcome, look, &mut scan);
            if let Some(change) = change {
                take_in(change, &scan);
            }
            true
        });
        scan.is_torn = !all_read;
        self.gave_up_half |= scan.is_torn && scan.work.changes() > 0;
        if all_read {
            let missing = Missing {
                unlisted,
                newcomers,
                held_until,
            };
            for change in self.settle_missing(listing, look, missing, &mut scan) {
                take_in(change, &scan);
            }
            if look.only.is_none() {
                self.places = listing.places();
            }
            if self.awaited.is_empty() {
                for change in remarks::renew_bare(&mut self.roots, &self.paths, listing) {
                    take_in(change, &scan);
                }
            }
        }
        scan
    }

    /// The files of `listing` to look at.
    fn listed<'l>(&self, listing: &'l Listing, look: &Look) -> Vec<(&'l Arc<str>, &'l Listed)> {
        match &look.only {
            None => listing.files.iter().collect(),
            Some(only) => {
                let names = only.union(&self.awaited);
                names
                    .filter_map(|name| listing.files.get_key_value(name))
                    .collect()
            }
        }
    }

    /// Until when changes are left alone because others came just now, where no event tells what belongs together: an
    /// object may be on its way from one file to another.
    fn held_until(
        &mut self,
        verdicts: &[(&Arc<str>, usize, Verdict)],
        unlisted: &[Arc<str>],
        look: &Look,
    ) -> Option<Instant> {
        let Trust::Stillness(patience) = look.trust else {
            self.burst = None;
            return None;
        };
        let changed = verdicts.iter().filter_map(|(name, _, verdict)| {
            let stamp = verdict.stamp()?;
            (!self.is_as_read(name, stamp)).then_some((*name, stamp))
        });
        let changed: Vec<_> = changed.collect();
        if changed.is_empty() && unlisted.is_empty() {
            self.burst = None;
            return None;
        }
        let mut is_fresh = changed.into_iter().any(|(name, stamp)| {
            let waiting = self.files.get(name).and_then(|known| known.waiting);
            waiting.is_none_or(|waiting| waiting.stamp != stamp)
        });
        is_fresh |= unlisted
            .iter()
            .any(|name| self.files[name].missing_since.is_none());
        let (burst, until) = Burst::after(self.burst, look.now, is_fresh, patience);
        self.burst = Some(burst);
        until
    }

    /// Whether what the file says belongs to what changed with it: the first thing that it says does not.
    fn waits_for_others(&self, name: &str, stamp: Stamp, look: &Look) -> bool {
        let is_first = look.first_age.is_some() && is_unseen(self.files.get(name));
        !is_first && !self.is_as_read(name, stamp)
    }

    /// Notes which of the given paths are there.
    fn note_roots(&mut self, listing: &Listing) {
        for (index, (root, path)) in self.roots.iter_mut().zip(&self.paths).enumerate() {
            if !listing.missing.contains_key(&index) {
                if !std::mem::replace(&mut root.was_there, true) {
                    self.unread.remove(&name_of(path));
                }
            } else if self.is_start && !root.was_there {
                self.unread.insert(name_of(path));
            }
        }
    }

    fn is_as_read(&self, name: &str, stamp: Stamp) -> bool {
        let known = self.files.get(name);
        known.is_some_and(|known| known.stamp == Some(stamp))
    }

    fn take(
        &mut self,
        candidate: Candidate,
        outcome: ReadOutcome,
        look: &Look,
        scan: &mut Scan,
    ) -> Option<FileChange> {
        let Candidate {
            name, root, stamp, ..
        } = candidate;
        scan.work.files_read += 1;
        scan.work.bytes_read += stamp.size;
        let is_racy = stamp.is_racy(SystemTime::now());
        match outcome {
            ReadOutcome::Restless | ReadOutcome::Vanished => {
                let restless = self.files.get(&name).map_or(0, |known| known.restless) + 1;
                let beyond = restless.saturating_sub(MAX_RESTLESS).min(16);
                let patience = (RESTLESS_PATIENCE * (1 << beyond)).min(MAX_RESTLESS_PATIENCE);
                self.wait(&name, root, stamp, look.now, look.now + patience, scan);
                let known = self.files.entry(name.clone()).or_default();
                known.restless = restless;
                scan.is_half |= known.is_restless();
                if restless < TOLD_RESTLESS {
                    return None;
                }
                let refusal = Refusal::ForGood(remarks::in_motion(&name));
                self.trouble(&name, root, refusal, scan)
            }
            ReadOutcome::Refused(diagnostic) => {
                let refusal = Refusal::ForNow(diagnostic);
                self.retry(&name, &refusal, look, scan);
                self.trouble(&name, root, refusal, scan)
            }
            ReadOutcome::NoText(diagnostic) => {
                self.trouble(&name, root, Refusal::ForGood(diagnostic), scan)
            }
            ReadOutcome::Same => {
                let known = self.files.entry(name.clone()).or_default();
                known.settle(stamp, known.length, is_racy);
                known.belongs_to(root, known.is_meant, &mut self.roots);
                None
            }
            ReadOutcome::Changed {
                digest,
                length,
                parsed,
            } => {
                let known = self.files.entry(name.clone()).or_default();
                let is_added = known.is_new();
                if !parsed.is_garbled {
                    self.earlier.remove(&name);
                    self.unread.remove(&name);
                } else if self.is_start && !known.was_read() {
                    self.unread.insert(name.clone());
                }
                known.settle(stamp, length, is_racy);
                known.belongs_to(root, parsed.is_meant, &mut self.roots);
                known.digest = Some(digest);
                known.documents = Some(Arc::new(parsed.documents));
                *(if is_added {
                    &mut scan.work.added
                } else {
                    &mut scan.work.changed
                }) += 1;
                scan.work.documents_parsed += parsed.fresh;
                self.roots[root].last_change = Some(look.now);
                Some(FileChange {
                    file: name,
                    reading: parsed.reading,
                })
            }
        }
    }

    /// Keeps what the file said and looks again at `until`.
    fn wait(
        &mut self,
        name: &Arc<str>,
        root: usize,
        stamp: Stamp,
        now: Instant,
        until: Instant,
        scan: &mut Scan,
    ) {
        let known = self.files.entry(name.clone()).or_default();
        known.wait(stamp, now);
        known.belongs_to(root, known.is_meant, &mut self.roots);
        if self.is_start && known.is_new() {
            self.unread.insert(name.clone());
        }
        self.roots[root].last_change = Some(now);
        self.awaited.insert(name.clone());
        scan.look_again(until);
    }

    /// At the start, tries again soon what was refused for now.
    fn retry(&mut self, name: &Arc<str>, refusal: &Refusal, look: &Look, scan: &mut Scan) {
        let was_read = self.files.get(name).is_some_and(KnownFile::was_read);
        if look.first_age.is_some() && !was_read && matches!(refusal, Refusal::ForNow(_)) {
            self.awaited.insert(name.clone());
            let since = look
                .now
                .saturating_duration_since(self.begun.unwrap_or(look.now));
            scan.look_again(look.now + REFUSAL_PATIENCE.max(since / REFUSAL_BACKOFF));
        }
    }

    /// Notes that the file can't be read; the change, where that is news.
    fn trouble(
        &mut self,
        name: &Arc<str>,
        root: usize,
        refusal: Refusal,
        scan: &mut Scan,
    ) -> Option<FileChange> {
        let (Refusal::ForNow(diagnostic) | Refusal::ForGood(diagnostic)) = refusal;
        let known = self.files.entry(name.clone()).or_default();
        if self.is_start && !known.was_read() {
            self.unread.insert(name.clone());
        }
        if known.problem.as_deref() == Some(&*diagnostic.message) {
            known.missing_since = None;
            return None;
        }
        *(if known.is_new() {
            &mut scan.work.added
        } else {
            &mut scan.work.changed
        }) += 1;
        known.belongs_to(root, true, &mut self.roots);
        *known = KnownFile {
            root,
            is_meant: true,
            problem: Some(diagnostic.message.clone()),
            announced: known.announced.max(Announced::Refused),
            length: known.length,
            cut: known.cut,
            restless: known.restless,
            ..KnownFile::default()
        };
        Some(FileChange {
            file: name.clone(),
            reading: Reading::Unreadable(diagnostic),
        })
    }
}
