//! Tells what changed in the mesh folders since the last look.
//!
//! Owns the memory of every file: its stamp, a digest of its content, and what it is waiting for. Files whose stamp is as
//! before are not opened; files whose content is as before are not parsed. A file that somebody is writing, that was
//! emptied, or whose folder is away keeps what it said until it is clear what became of it.
//!
//! Never decides what a file means and never waits: [`Scan::again_at`] says when another look is worth it.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rayon::prelude::*;

use super::{
    LoadError,
    documents::Documents,
    reading::{self, Outcome},
    signals::{Evidence, WRITER_PATIENCE},
    stamp::Stamp,
    walk::{self, Found, Listed, Listing},
};
use crate::{
    diagnostic::Diagnostic,
    manifest,
    mesh::{FileChange, Reading},
};

/// How long a file that had content may be empty before that is taken for its content.
const EMPTY_PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing may be removed before what is missing counts as removed: `rm -r` takes its time, and in the end the
/// folder itself may be gone, which is another matter.
const REMOVAL_PATIENCE: Duration = Duration::from_millis(20);

/// The same where a folder has lost all of its files.
const CLEARANCE_PATIENCE: Duration = Duration::from_millis(60);

/// How long a folder that was away must be still before the files that did not come back with it count as removed.
const RETURN_PATIENCE: Duration = Duration::from_secs(1);

/// When to look again at a file that changed while it was read.
const RESTLESS_PATIENCE: Duration = Duration::from_millis(5);

/// With at least this many files to read, all cores read.
const MANY_FILES: usize = 16;

/// The mesh folders, and what was read from them.
#[derive(Debug)]
pub struct Folder {
    roots: Vec<Root>,
    paths: Vec<PathBuf>,
    files: BTreeMap<Arc<str>, Held>,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Scan {
    /// What became of the files that changed, in the order of their names.
    pub changes: Vec<FileChange>,
    /// The given paths that are not there; what they last held stays.
    pub missing: Vec<PathBuf>,
    /// How many files there are.
    pub files: usize,
    /// How many of them were read.
    pub files_read: u64,
    /// How many objects were parsed, unusable ones included.
    pub documents_parsed: u64,
    /// How many files are new.
    pub added: usize,
    /// How many files say something else than before.
    pub changed: usize,
    /// How many files are gone.
    pub removed: usize,
    /// When to look again even if nothing stirs.
    pub again_at: Option<Instant>,
}

/// How far to trust what is found.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Everything is complete.
    Everything,
    /// What events say about files being written is all there is to say.
    Events(Evidence),
    /// Without events: what was the same for this long is complete.
    Stillness(Duration),
}

/// How to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// When.
    pub now: Instant,
    /// Whether to read files that seem unchanged.
    pub every_file: bool,
    /// How far to trust what is found.
    pub trust: Trust,
    /// Whether to give up where something was swapped on the way, so that one can list again.
    pub strict: bool,
}

#[derive(Debug, Default)]
struct Root {
    /// Whether it is there again, and not all of its files are yet.
    is_returning: bool,
    /// When its files last changed.
    last_stir: Option<Instant>,
}

#[derive(Debug, Default)]
struct Held {
    root: usize,
    /// `None` where the file has to be read on the next look.
    stamp: Option<Stamp>,
    /// Whether the stamp may stand for something else by now.
    is_racy: bool,
    /// What was parsed last; `None` where nothing was, or where the file was unreadable since.
    digest: Option<u64>,
    /// The documents of a large file.
    documents: Option<Documents>,
    /// Why the file can't be read, as it was reported.
    problem: Option<String>,
    waiting: Option<Waiting>,
    missing_since: Option<Instant>,
    /// Whether the mesh has heard of it.
    is_reported: bool,
}

/// A change that is not taken for complete yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    stamp: Stamp,
    /// When the file was first seen so.
    since: Instant,
    /// When the file was first seen changing.
    first: Instant,
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
        self.settle_missing(listing, look, &mut scan);
        scan.changes.sort_by(|a, b| a.file.cmp(&b.file));
        Some(scan)
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
        if let Some(until) = wait_until(held, stamp, listed, look) {
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
            reading::read(name, real, *stamp, digest, documents)
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
        let held = self.files.entry(name.clone()).or_default();
        match outcome {
            Outcome::Restless | Outcome::Vanished => {
                self.wait(&name, root, stamp, now, now + RESTLESS_PATIENCE, scan);
            }
            Outcome::Unreadable(diagnostic) => self.report_trouble(name, root, diagnostic, scan),
            Outcome::Same => held.settle(root, stamp),
            Outcome::Changed { digest, parsed } => {
                held.settle(root, stamp);
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
        held.root = root;
        held.missing_since = None;
        let first = held.waiting.map_or(now, |waiting| waiting.first);
        let since = held
            .waiting
            .filter(|waiting| waiting.stamp == stamp)
            .map_or(now, |waiting| waiting.since);
        held.waiting = Some(Waiting {
            stamp,
            since,
            first,
        });
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
    fn settle_missing(&mut self, listing: &Listing, look: &Look, scan: &mut Scan) {
        for &root in listing.missing.keys() {
            self.roots[root].is_returning = true;
            self.roots[root].last_stir = Some(look.now);
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
            let until = gone_at(
                since,
                &self.roots[held.root],
                listed_of_root[held.root],
                &look.trust,
            );
            if until > look.now {
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

impl Held {
    /// Notes that the file was read with this stamp.
    fn settle(&mut self, root: usize, stamp: Stamp) {
        self.root = root;
        self.stamp = Some(stamp);
        self.is_racy = stamp.is_racy(SystemTime::now());
        self.problem = None;
        self.waiting = None;
        self.missing_since = None;
    }
}

impl Scan {
    fn look_again(&mut self, at: Instant) {
        self.again_at = Some(self.again_at.map_or(at, |again| again.min(at)));
    }
}

enum Verdict {
    Unchanged,
    Read(Candidate),
    /// Not complete, as it seems: the next look is worth it at that time.
    Wait(Stamp, Instant),
    Trouble(Diagnostic),
}

/// When a changed file may be complete; `None` where it is to be taken as it is.
fn wait_until(held: Option<&Held>, stamp: Stamp, listed: &Listed, look: &Look) -> Option<Instant> {
    let is_as_read = held.is_some_and(|held| held.stamp == Some(stamp));
    if is_as_read && matches!(look.trust, Trust::Stillness(_)) {
        return None;
    }
    let waiting = held.and_then(|held| held.waiting);
    let same_since = waiting
        .filter(|waiting| waiting.stamp == stamp)
        .map_or(look.now, |waiting| waiting.since);
    let complete_at = match &look.trust {
        Trust::Everything => return None,
        Trust::Events(evidence) => evidence
            .being_written
            .get(&listed.real)
            .map(|last_write| *last_write + WRITER_PATIENCE),
        Trust::Stillness(patience) => Some(same_since + *patience),
    };
    let had_content = held
        .and_then(|held| held.stamp)
        .is_some_and(|before| before.size > 0);
    let emptied = stamp.size == 0 && had_content;
    let until = complete_at.max(emptied.then(|| same_since + EMPTY_PATIENCE))?;
    // A file that changes at every look is never still: some day it is taken as it is.
    let at_the_latest = waiting.map_or(look.now, |waiting| waiting.first) + WRITER_PATIENCE;
    let until = match look.trust {
        Trust::Stillness(_) => until.min(at_the_latest),
        Trust::Everything | Trust::Events(_) => until,
    };
    (until > look.now).then_some(until)
}

/// When a file that is missing `since` counts as removed.
fn gone_at(since: Instant, root: &Root, left_in_root: usize, trust: &Trust) -> Instant {
    let settled = match trust {
        Trust::Everything => return since,
        Trust::Stillness(patience) => since + *patience,
        Trust::Events(evidence) => {
            let patience = if left_in_root == 0 {
                CLEARANCE_PATIENCE
            } else {
                REMOVAL_PATIENCE
            };
            evidence
                .last_removal
                .map_or(since, |last_removal| last_removal + patience)
        }
    };
    match root.last_stir {
        Some(last_stir) if root.is_returning => settled.max(last_stir + RETURN_PATIENCE),
        _ => settled,
    }
}
