//! The log of reloads.
//!
//! One line a reload, and one for each piece of news: problems when they appear, not at every reload, and their end.
//! Never decides anything.

use std::{
    collections::{BTreeMap, HashSet},
    hash::BuildHasher,
    path::PathBuf,
    sync::Arc,
};

use foldhash::quality::FixedState;
use tracing::{error, info, warn};

use crate::{
    diagnostic::{Diagnostic, ObjectKey, Severity},
    manifest::DocumentOutcome,
    mesh::{FileChange, Kept, Reading},
    pipeline::Report,
    source::{AS_ASKED_FOR, Work},
    status::{Status, Watching},
};

/// How many diagnostics one reload logs one by one.
const MAX_DIAGNOSTICS: usize = 20;

/// How many files one line names that the first load waits for.
const MAX_PENDING: usize = 10;

/// Remembers what was said, so that each piece of news is logged once.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    /// What was told of `problems`.
    diagnostics: HashSet<Fingerprint>,
    problems: Arc<[Diagnostic]>,
    kept: BTreeMap<Arc<ObjectKey>, Kept>,
    /// Those of them that have a good version again.
    mended: HashSet<Arc<ObjectKey>>,
    missing: Vec<PathBuf>,
    watching: Watching,
    overflows: u64,
    has_told_pending: bool,
}

/// A digest of a diagnostic without its place in the file, which moves with every line above it.
type Fingerprint = u64;

/// The one line that says what the first load found.
pub(super) fn first_load(status: &Status, report: &Report) {
    info!(
        files = status.files,
        objects = status.objects.values().sum::<usize>(),
        hosts = status.hosts,
        duration_ms = millis(status),
        generation = report.snapshot.generation(),
        serial = report.snapshot.serial().0,
        "mesh loaded"
    );
}

/// The one line that says what a reload did.
pub(super) fn reload(work: Work, status: &Status, report: &Report) {
    info!(
        files_added = work.added,
        files_changed = work.changed,
        files_removed = work.removed,
        objects_added = report.affected.added,
        objects_changed = report.affected.changed,
        objects_removed = report.affected.removed,
        hosts_recompiled = report.affected.hosts.len(),
        names_changed = report.names_changed,
        duration_ms = millis(status),
        generation = report.snapshot.generation(),
        serial = report.snapshot.serial().0,
        "mesh reloaded"
    );
}

impl Chronicle {
    /// Says once what the first load waits for.
    pub(super) fn pending(&mut self, files: &[Arc<str>]) {
        if std::mem::replace(&mut self.has_told_pending, true) {
            return;
        }
        let shown = files.iter().take(MAX_PENDING);
        let shown: Vec<&str> = shown.map(|file| &**file).collect();
        let shown = shown.join(", ");
        let more = match files.len().saturating_sub(MAX_PENDING) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        warn!("waiting for files that can't be read at this moment: {shown}{more}");
    }

    /// What else is new: problems, objects that are well again, folders that went or came back, how changes are noticed.
    pub(super) fn news(&mut self, status: &Status) {
        self.watching(status);
        self.folders(status);
        if !Arc::ptr_eq(&self.problems, &status.diagnostics) {
            self.problems(status);
            self.recoveries(status);
            self.problems = status.diagnostics.clone();
        }
    }

    /// Remembers which objects are well again through `change`.
    pub(super) fn take_note(&mut self, change: &FileChange) {
        let (Reading::Read(contents) | Reading::Amended { contents, .. }) = &change.reading else {
            return;
        };
        if self.kept.is_empty() {
            return;
        }
        for document in &contents.documents {
            if let DocumentOutcome::Object(object) = &document.outcome
                && let Some((key, _)) = self.kept.get_key_value(&object.key())
            {
                self.mended.insert(key.clone());
            }
        }
    }

    fn watching(&mut self, status: &Status) {
        if status.totals.event_overflows > self.overflows {
            self.overflows = status.totals.event_overflows;
            warn!(
                "the kernel dropped file events, so that everything was looked at again: raise the sysctl \
                 fs.inotify.max_queued_events where this happens often"
            );
        }
        if self.watching == status.watching {
            return;
        }
        self.watching = status.watching.clone();
        match &self.watching {
            Watching::Starting | Watching::Stopped => {}
            Watching::Events => info!("watching the mesh folders for changes"),
            Watching::Polling { every, why } => {
                let every = humantime::format_duration(*every);
                let line = format!("looking at the mesh folders every {every}: {why}");
                if why == AS_ASKED_FOR {
                    info!("{line}");
                } else {
                    warn!("{line}");
                }
            }
        }
    }

    fn folders(&mut self, status: &Status) {
        for path in &status.missing_folders {
            if !self.missing.contains(path) {
                let path = path.display();
                warn!(
                    "mesh folder {path} is not there: what it last held is served until it is back"
                );
            }
        }
        for path in &self.missing {
            if !status.missing_folders.contains(path) {
                info!("mesh folder {} is back", path.display());
            }
        }
        self.missing.clone_from(&status.missing_folders);
    }

    fn problems(&mut self, status: &Status) {
        let is_loud = |diagnostic: &&Diagnostic| diagnostic.severity > Severity::Info;
        let mut said = HashSet::new();
        let mut news = 0;
        for diagnostic in status.diagnostics.iter().filter(is_loud) {
            let fingerprint = fingerprint_of(diagnostic);
            if !said.insert(fingerprint) || self.diagnostics.contains(&fingerprint) {
                continue;
            }
            if news >= MAX_DIAGNOSTICS {
                news += 1;
                continue;
            }
            news += 1;
            if diagnostic.severity == Severity::Error {
                error!("{diagnostic}");
            } else {
                warn!("{diagnostic}");
            }
        }
        if news > MAX_DIAGNOSTICS {
            let more = news - MAX_DIAGNOSTICS;
            warn!("{more} more problems: `meshdns check` lists all");
        }
        self.diagnostics = said;
    }

    fn recoveries(&mut self, status: &Status) {
        let mended = std::mem::take(&mut self.mended);
        let kept: BTreeMap<_, _> = status
            .kept
            .iter()
            .map(|kept| (kept.key.clone(), kept.clone()))
            .collect();
        for (key, was) in &self.kept {
            if !kept.contains_key(key) && mended.contains(key) {
                let since = humantime::format_rfc3339_seconds(was.since);
                info!(
                    "{}: {key} is good again; its last good version served since {since}",
                    was.file
                );
            }
        }
        self.kept = kept;
    }
}

fn fingerprint_of(diagnostic: &Diagnostic) -> Fingerprint {
    let Diagnostic {
        origin,
        code,
        message,
        object,
        ..
    } = diagnostic;
    FixedState::with_seed(0).hash_one((&origin.file, code, message, object))
}

fn millis(status: &Status) -> f64 {
    (status.last_duration.as_secs_f64() * 1e4).round() / 10.0
}
