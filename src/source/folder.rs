//! Tells what changed in the mesh folders since the last look.
//!
//! Owns the memory of every file: its stamp, a digest of its content, and what it is waiting for. Files whose stamp is as
//! before are not opened; files whose content is as before are not parsed. A file that somebody is writing, that was
//! emptied, or whose folder is away keeps what it said until it is clear what became of it.
//!
//! Never decides what a file means and never waits: [`Scan::again_at`] says when another look is worth it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    LoadError,
    held::{Held, Root, gone_at, wait_until},
    look::{Look, Scan, Trust},
    reading::{self, Candidate, Outcome},
    stamp::{Identity, Stamp},
    walk::{self, Found, Listed, Listing},
};
use crate::{
    diagnostic::Diagnostic,
    manifest,
    mesh::{FileChange, Reading},
};

/// When to look again at a file that changed while it was read.
const RESTLESS_PATIENCE: Duration = Duration::from_millis(5);

/// How many looks in a row may find a file in motion before it is taken as it is at the moment.
const MAX_RESTLESS: u32 = 10;

/// The mesh folders, and what was read from them.
#[derive(Debug)]
pub struct Folder {
    roots: Vec<Root>,
    paths: Vec<PathBuf>,
    files: BTreeMap<Arc<str>, Held>,
    /// Files to look at next time, whether or not something is said about them.
    awaited: BTreeSet<Arc<str>>,
}

impl Folder {
    /// Mesh folders, or single files, that nobody has looked at.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            roots: paths.iter().map(|_| Root::default()).collect(),
            paths,
            files: BTreeMap::new(),
            awaited: BTreeSet::new(),
        }
    }

    /// Looks once, at everything, as it is, and hands on what changed.
    ///
    /// # Errors
    ///
    /// Fails where one of the paths leads nowhere or can't be opened; what is wrong below it is among the changes.
    pub fn load(&mut self, mut take_in: impl FnMut(FileChange)) -> Result<Scan, LoadError> {
        let mut look = Look {
            now: Instant::now(),
            only: None,
            every_file: false,
            trust: Trust::Everything,
            strict: true,
        };
        loop {
            let listing = self.list();
            self.check(&listing)?;
            let scan = self.read(&listing, &look, |change, _| take_in(change));
            if !scan.is_torn {
                return Ok(scan);
            }
            look.strict = false;
        }
    }

    /// The paths that were given.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Lists the files that are there.
    pub fn list(&self) -> Listing {
        walk::walk(&self.paths)
    }

    /// Fails where a given path can't be listed.
    pub(crate) fn check(&self, listing: &Listing) -> Result<(), LoadError> {
        let again = |error: &io::Error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::from(error.kind()),
        };
        if let Some((&root, error)) = listing.missing.first_key_value() {
            return Err(LoadError::Open {
                path: self.paths[root].clone(),
                source: again(error),
            });
        }
        for path in &self.paths {
            if let Some(error) = listing.closed.get(&walk::prefix_of(path)) {
                return Err(LoadError::List {
                    path: path.clone(),
                    source: again(error),
                });
            }
        }
        Ok(())
    }

    /// Whether it is enough to look where something is said to have changed: not while a folder comes back.
    pub fn is_settled(&self) -> bool {
        !self.roots.iter().any(|root| root.is_returning)
    }

    /// Reads the files of `listing` that changed and hands on each change, with what was found so far.
    ///
    /// A strict look is given up where a file vanished meanwhile, as all do on one side of a swapped link. What it handed
    /// on counts, but only together with what the next look finds.
    pub fn read(
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
        let listed = self.listed(listing, look);
        let unlisted = self.unlisted(listing, look);
        self.awaited.clear();
        let newcomers = self.newcomers(&listed);
        let mut candidates = Vec::new();
        for (name, listed) in listed {
            match self.judge(name, listed, look) {
                Verdict::Unchanged => {
                    let held = self.files.get_mut(name).expect("it was compared");
                    held.missing_since = None;
                }
                Verdict::Read(candidate) => candidates.push(candidate),
                Verdict::Wait(stamp, until) => {
                    self.wait(name, listed.root, stamp, look.now, until, &mut scan);
                }
                Verdict::Trouble(diagnostic) => {
                    let change = self.trouble(name, listed.root, diagnostic, &mut scan);
                    if let Some(change) = change {
                        take_in(change, &scan);
                    }
                }
            }
        }
        let all_read = reading::read_each(candidates, |candidate, outcome| {
            if look.strict && matches!(outcome, Outcome::Vanished) {
                return false;
            }
            let change = self.take(candidate, outcome, look.now, &mut scan);
            if let Some(change) = change {
                take_in(change, &scan);
            }
            true
        });
        scan.is_torn = !all_read;
        if all_read {
            for change in self.settle_missing(listing, look, unlisted, &newcomers, &mut scan) {
                take_in(change, &scan);
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

    /// The files to look at that were listed and are not any more.
    fn unlisted(&self, listing: &Listing, look: &Look) -> Vec<Arc<str>> {
        let is_unlisted = |name: &&Arc<str>| !listing.files.contains_key(*name);
        match &look.only {
            None => self.files.keys().filter(is_unlisted).cloned().collect(),
            Some(only) => {
                let names = only.union(&self.awaited).filter(is_unlisted);
                let is_held = |name: &&Arc<str>| self.files.contains_key(*name);
                names.filter(is_held).cloned().collect()
            }
        }
    }

    /// The files that are listed under a name for the first time.
    fn newcomers(&self, listed: &[(&Arc<str>, &Listed)]) -> HashSet<Identity> {
        let is_new = |(name, _): &&(&Arc<str>, &Listed)| !self.files.contains_key(*name);
        listed
            .iter()
            .filter(is_new)
            .filter_map(|(_, listed)| match &listed.found {
                Found::File(stamp) => Some(stamp.identity()),
                Found::NoFile(_) | Found::Unreadable(_) => None,
            })
            .collect()
    }

    /// Decides about one listed file without opening it.
    fn judge(&self, name: &Arc<str>, listed: &Listed, look: &Look) -> Verdict {
        let stamp = match &listed.found {
            Found::File(stamp) => *stamp,
            Found::NoFile(what) => {
                let error = io::Error::other(format!("it is {what}, not a file"));
                return Verdict::Trouble(manifest::unreadable(name, &error));
            }
            Found::Unreadable(error) => return Verdict::Trouble(manifest::unreadable(name, error)),
        };
        if stamp.size > manifest::MAX_FILE_BYTES {
            return Verdict::Trouble(manifest::too_large(name, stamp.size));
        }
        let held = self.files.get(name);
        let is_touched = match &look.trust {
            Trust::Events(evidence) => evidence.touched.contains(&listed.real),
            Trust::Everything | Trust::Stillness(_) => false,
        };
        let unchanged = held.is_some_and(|held| held.stamp == Some(stamp) && !held.is_racy);
        if unchanged && !is_touched && !look.every_file {
            return Verdict::Unchanged;
        }
        if let Some(until) = wait_until(held, stamp, &listed.real, look) {
            return Verdict::Wait(stamp, until);
        }
        let is_restless = held.is_some_and(|held| held.restless >= MAX_RESTLESS);
        Verdict::Read(Candidate {
            name: name.clone(),
            root: listed.root,
            real: listed.real.clone(),
            stamp,
            must_be_still: !is_restless,
            digest: held.and_then(|held| held.digest),
            documents: held.and_then(|held| held.documents.clone()),
        })
    }

    fn take(
        &mut self,
        candidate: Candidate,
        outcome: Outcome,
        now: Instant,
        scan: &mut Scan,
    ) -> Option<FileChange> {
        let Candidate {
            name, root, stamp, ..
        } = candidate;
        scan.work.files_read += 1;
        scan.work.bytes_read += stamp.size;
        let is_racy = stamp.is_racy(SystemTime::now());
        let held = self.files.entry(name.clone()).or_default();
        match outcome {
            Outcome::Restless | Outcome::Vanished => {
                held.restless += 1;
                self.wait(&name, root, stamp, now, now + RESTLESS_PATIENCE, scan);
                None
            }
            Outcome::Unreadable(diagnostic) => self.trouble(&name, root, diagnostic, scan),
            Outcome::Same => {
                held.settle(root, stamp, is_racy);
                None
            }
            Outcome::Changed { digest, parsed } => {
                held.settle(root, stamp, is_racy);
                held.digest = Some(digest);
                held.documents = Some(Arc::new(parsed.documents));
                let is_new = !std::mem::replace(&mut held.is_reported, true);
                *(if is_new {
                    &mut scan.work.added
                } else {
                    &mut scan.work.changed
                }) += 1;
                scan.work.documents_parsed += parsed.fresh;
                self.roots[root].last_stir = Some(now);
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
        let held = self.files.entry(name.clone()).or_default();
        held.wait(root, stamp, now);
        self.roots[root].last_stir = Some(now);
        self.awaited.insert(name.clone());
        scan.look_again(until);
    }

    /// Notes that the file can't be read; the change, where that is news.
    fn trouble(
        &mut self,
        name: &Arc<str>,
        root: usize,
        diagnostic: Diagnostic,
        scan: &mut Scan,
    ) -> Option<FileChange> {
        let held = self.files.entry(name.clone()).or_default();
        if held.problem.as_deref() == Some(&*diagnostic.message) {
            held.missing_since = None;
            return None;
        }
        *(if held.is_reported {
            &mut scan.work.changed
        } else {
            &mut scan.work.added
        }) += 1;
        *held = Held {
            root,
            problem: Some(diagnostic.message.clone()),
            is_reported: true,
            ..Held::default()
        };
        Some(FileChange {
            file: name.clone(),
            reading: Reading::Unreadable(diagnostic),
        })
    }

    /// Decides about the files that are not listed.
    fn settle_missing(
        &mut self,
        listing: &Listing,
        look: &Look,
        unlisted: Vec<Arc<str>>,
        newcomers: &HashSet<Identity>,
        scan: &mut Scan,
    ) -> Vec<FileChange> {
        for &root in listing.missing.keys() {
            self.roots[root].is_returning = true;
        }
        let mut outstanding = vec![false; self.roots.len()];
        let mut changes = Vec::new();
        let listed_of_root = if unlisted.is_empty() {
            Vec::new()
        } else {
            listing.files_of_root(self.roots.len())
        };
        for name in unlisted {
            let held = self.files.get_mut(&name).expect("it is held");
            let root = held.root;
            if listing.missing.contains_key(&root) {
                held.missing_since = None;
                outstanding[root] = true;
                continue;
            }
            if let Some(error) = listing.closing(&name) {
                let diagnostic = manifest::unreadable(&name, error);
                changes.extend(self.trouble(&name, root, diagnostic, scan));
                continue;
            }
            let since = *held.missing_since.get_or_insert(look.now);
            let is_renamed = held
                .stamp
                .is_some_and(|stamp| newcomers.contains(&stamp.identity()));
            let until = gone_at(since, &self.roots[root], listed_of_root[root], &look.trust);
            if until > look.now && !is_renamed {
                outstanding[root] = true;
                self.awaited.insert(name);
                scan.look_again(until);
            } else if self
                .files
                .remove(&name)
                .is_some_and(|held| held.is_reported)
            {
                scan.work.removed += 1;
                changes.push(FileChange {
                    file: name,
                    reading: Reading::Gone,
                });
            }
        }
        for (root, outstanding) in self.roots.iter_mut().zip(outstanding) {
            root.is_returning &= outstanding;
        }
        changes
    }
}

enum Verdict {
    Unchanged,
    Read(Candidate),
    /// Not complete, as it seems: the next look is worth it at that time.
    Wait(Stamp, Instant),
    Trouble(Diagnostic),
}
