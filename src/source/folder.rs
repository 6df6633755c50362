//! Tells what changed in the mesh folders since the last look.
//!
//! Owns the memory of every file: its stamp, a digest of its content, and what it is waiting for. Files whose stamp is as
//! before are not opened; files whose content is as before are not parsed. A file that somebody is writing, that was
//! emptied, or whose folder is away keeps what it said until it is clear what became of it.
//!
//! Never decides what a file means and never waits: [`Scan::again_at`] says when another look is worth it.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rayon::prelude::*;

use super::{
    LoadError,
    held::{Held, Root, gone_at, wait_until},
    look::{Look, Scan, Trust},
    reading::{self, Outcome},
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

/// With at least this many files to read, all cores read.
const MANY_FILES: usize = 16;

/// The mesh folders, and what was read from them.
#[derive(Debug)]
pub struct Folder {
    roots: Vec<Root>,
    paths: Vec<PathBuf>,
    files: BTreeMap<Arc<str>, Held>,
}

struct Candidate {
    name: Arc<str>,
    root: usize,
    real: PathBuf,
    stamp: Stamp,
}

impl Folder {
    /// Mesh folders, or single files, that nobody has looked at.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            roots: paths.iter().map(|_| Root::default()).collect(),
            paths,
            files: BTreeMap::new(),
        }
    }

    /// Looks once, at everything, as it is.
    ///
    /// # Errors
    ///
    /// Fails where one of the paths leads nowhere or can't be opened; what is wrong below it is in the scan.
    pub fn load(&mut self) -> Result<Scan, LoadError> {
        let mut look = Look {
            now: Instant::now(),
            every_file: false,
            trust: Trust::Everything,
            strict: true,
        };
        loop {
            let listing = self.list();
            self.check(&listing)?;
            if let Some(scan) = self.read(&listing, &look) {
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

    /// Reads the files of `listing` that changed. `None` where the look is strict and one of them vanished meanwhile, as
    /// all do on one side of a swapped link: then nothing was taken in.
    pub fn read(&mut self, listing: &Listing, look: &Look) -> Option<Scan> {
        if listing.is_torn && look.strict {
            return None;
        }
        let mut scan = Scan {
            files: listing.files.len(),
            missing: listing
                .missing
                .keys()
                .map(|&root| self.paths[root].clone())
                .collect(),
            ..Scan::default()
        };
        let newcomers = self.newcomers(listing);
        let mut candidates = Vec::new();
        let mut troubles = Vec::new();
        for (name, listed) in &listing.files {
            match self.judge(name, listed, look) {
                Verdict::Unchanged => {}
                Verdict::Read(candidate) => candidates.push(candidate),
                Verdict::Wait(stamp, until) => {
                    self.wait(name, listed.root, stamp, look.now, until, &mut scan);
                }
                Verdict::Trouble(diagnostic) => {
                    troubles.push((name.clone(), listed.root, diagnostic));
                }
            }
        }
        let outcomes = self.read_all(&candidates);
        let vanished = outcomes
            .iter()
            .any(|outcome| matches!(outcome, Outcome::Vanished));
        if vanished && look.strict {
            return None;
        }
        scan.files_read = outcomes.len() as u64;
        for (name, root, diagnostic) in troubles {
            self.report_trouble(name, root, diagnostic, &mut scan);
        }
        for (candidate, outcome) in candidates.into_iter().zip(outcomes) {
            self.take(candidate, outcome, look.now, &mut scan);
        }
        self.settle_missing(listing, look, &newcomers, &mut scan);
        scan.changes.sort_by(|a, b| a.file.cmp(&b.file));
        Some(scan)
    }

    /// The files that are listed under a name for the first time.
    fn newcomers(&self, listing: &Listing) -> HashSet<Identity> {
        let listed = listing.files.iter();
        listed
            .filter(|(name, _)| !self.files.contains_key(*name))
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
        Verdict::Read(Candidate {
            name: name.clone(),
            root: listed.root,
            real: listed.real.clone(),
            stamp,
        })
    }

    fn read_all(&self, candidates: &[Candidate]) -> Vec<Outcome> {
        let read = |candidate: &Candidate| {
            let Candidate {
                name, real, stamp, ..
            } = candidate;
            let held = self.files.get(name);
            let digest = held.and_then(|held| held.digest);
            let documents = held.and_then(|held| held.documents.as_ref());
            let is_restless = held.is_some_and(|held| held.restless >= MAX_RESTLESS);
            let stamp = (!is_restless).then_some(*stamp);
            reading::read(name, real, stamp, digest, documents)
        };
        if candidates.len() < MANY_FILES {
            candidates.iter().map(read).collect()
        } else {
            candidates.par_iter().map(read).collect()
        }
    }

    fn take(&mut self, candidate: Candidate, outcome: Outcome, now: Instant, scan: &mut Scan) {
        let Candidate {
            name, root, stamp, ..
        } = candidate;
        let is_racy = stamp.is_racy(SystemTime::now());
        let held = self.files.entry(name.clone()).or_default();
        match outcome {
            Outcome::Restless | Outcome::Vanished => {
                held.restless += 1;
                self.wait(&name, root, stamp, now, now + RESTLESS_PATIENCE, scan);
            }
            Outcome::Unreadable(diagnostic) => self.report_trouble(name, root, diagnostic, scan),
            Outcome::Same => held.settle(root, stamp, is_racy),
            Outcome::Changed { digest, parsed } => {
                held.settle(root, stamp, is_racy);
                held.digest = Some(digest);
                held.documents = parsed.documents;
                let is_new = !std::mem::replace(&mut held.is_reported, true);
                *(if is_new {
                    &mut scan.added
                } else {
                    &mut scan.changed
                }) += 1;
                scan.documents_parsed += parsed.fresh as u64;
                self.roots[root].last_stir = Some(now);
                scan.changes.push(FileChange {
                    file: name,
                    reading: Reading::Read(parsed.contents),
                });
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
        scan.look_again(until);
    }

    fn report_trouble(
        &mut self,
        name: Arc<str>,
        root: usize,
        diagnostic: Diagnostic,
        scan: &mut Scan,
    ) {
        let held = self.files.entry(name.clone()).or_default();
        if held.problem.as_deref() == Some(&*diagnostic.message) {
            held.missing_since = None;
            return;
        }
        *(if held.is_reported {
            &mut scan.changed
        } else {
            &mut scan.added
        }) += 1;
        *held = Held {
            root,
            problem: Some(diagnostic.message.clone()),
            is_reported: true,
            ..Held::default()
        };
        scan.changes.push(FileChange {
            file: name,
            reading: Reading::Unreadable(diagnostic),
        });
    }

    /// Decides about the files that are not listed.
    fn settle_missing(
        &mut self,
        listing: &Listing,
        look: &Look,
        newcomers: &HashSet<Identity>,
        scan: &mut Scan,
    ) {
        for &root in listing.missing.keys() {
            self.roots[root].is_returning = true;
        }
        let mut listed_of_root = vec![0_usize; self.roots.len()];
        for listed in listing.files.values() {
            listed_of_root[listed.root] += 1;
        }
        let mut outstanding = vec![false; self.roots.len()];
        let mut closed = Vec::new();
        let mut gone = Vec::new();
        for (name, held) in &mut self.files {
            if listing.files.contains_key(name) {
                held.missing_since = None;
                continue;
            }
            if listing.missing.contains_key(&held.root) {
                held.missing_since = None;
                outstanding[held.root] = true;
                continue;
            }
            let closing = listing
                .closed
                .iter()
                .find(|(prefix, _)| name.starts_with(prefix.as_str()));
            if let Some((_, error)) = closing {
                closed.push((name.clone(), held.root, manifest::unreadable(name, error)));
                continue;
            }
            let since = *held.missing_since.get_or_insert(look.now);
            let is_renamed = held
                .stamp
                .is_some_and(|stamp| newcomers.contains(&stamp.identity()));
            let until = gone_at(
                since,
                &self.roots[held.root],
                listed_of_root[held.root],
                &look.trust,
            );
            if until > look.now && !is_renamed {
                outstanding[held.root] = true;
                scan.look_again(until);
            } else {
                gone.push(name.clone());
            }
        }
        for (name, root, diagnostic) in closed {
            self.report_trouble(name, root, diagnostic, scan);
        }
        for name in gone {
            let held = self.files.remove(&name).expect("it was just looked at");
            if held.is_reported {
                scan.removed += 1;
                scan.changes.push(FileChange {
                    file: name,
                    reading: Reading::Gone,
                });
            }
        }
        for (root, outstanding) in self.roots.iter_mut().zip(outstanding) {
            root.is_returning &= outstanding;
        }
    }
}

enum Verdict {
    Unchanged,
    Read(Candidate),
    /// Not complete, as it seems: the next look is worth it at that time.
    Wait(Stamp, Instant),
    Trouble(Diagnostic),
}
