//! The log of reloads.
//!
//! One line a reload, and one for each piece of news: problems when they appear, not at every reload, and their end.
//! Never decides anything.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher,
    path::PathBuf,
    sync::Arc,
};

use foldhash::quality::FixedState;
use tracing::{debug, error, info, warn};

use crate::{
    diagnostic::{Diagnostic, DiagnosticChanges, Severity},
    mesh::Kept,
    pipeline::Report,
    source::{AS_ASKED_FOR, Work},
    status::{Status, Unread, Watching},
};

/// How many diagnostics one reload logs one by one.
const MAX_DIAGNOSTICS: usize = 20;

/// Remembers what was said, so that each piece of news is logged once.
#[derive(Debug, Default)]
pub(super) struct ReloadLog {
    /// How many problems there are that read alike.
    problems: HashMap<Fingerprint, u32>,
    missing: Vec<PathBuf>,
    watching: Watching,
    overflows: u64,
    has_told_waits: bool,
    /// What could not be read at the start, as the last line about it had it.
    unread: Unread,
    /// What the last good state stood in for then.
    last_good: Unread,
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

/// The line of a publish that no file is the reason of: many a second may follow each other.
pub(super) fn cluster_change(status: &Status, report: &Report) {
    debug!(
        objects_added = report.affected.added,
        objects_changed = report.affected.changed,
        objects_removed = report.affected.removed,
        hosts_recompiled = report.affected.hosts.len(),
        names_changed = report.names_changed,
        duration_ms = millis(status),
        generation = report.snapshot.generation(),
        serial = report.snapshot.serial().0,
        "mesh changed"
    );
}

/// Says that every report of a WorkloadEntry is too old, or no longer.
pub(super) fn stale_reports(all_are: bool) {
    if all_are {
        warn!(
            "every `Healthy` condition is older than its heartbeat allows: nobody renews the objects, and all conditions hold as they are"
        );
    } else {
        info!("`Healthy` conditions are renewed again");
    }
}

impl ReloadLog {
    /// Says once what the start waits for.
    pub(super) fn waits(&mut self, unread: &Unread) {
        if !std::mem::replace(&mut self.has_told_waits, true) {
            warn!("waiting for what can't be read at this moment: {unread}");
        }
    }

    /// What else is new: problems, objects that are well again, folders that went or came back, how changes are noticed.
    pub(super) fn news(&mut self, status: &Status, report: &Report) {
        self.watching(status);
        self.folders(status);
        self.unread(status);
        self.last_good(status);
        self.problems(&report.diagnostics);
        recoveries(&report.mended);
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

    /// Says when what an earlier process kept comes into use, and when no longer.
    fn last_good(&mut self, status: &Status) {
        let Some(state) = &status.state else {
            return;
        };
        if state.in_use == self.last_good {
            return;
        }
        self.last_good.clone_from(&state.in_use);
        if let Some(since) = state.in_use_since.filter(|_| state.in_use.count > 0) {
            warn!(
                "the last good state, of {}, stands in for what can't be read: {}",
                humantime::format_rfc3339_seconds(since),
                state.in_use
            );
        } else {
            info!("everything can be read again that the last good state stood in for");
        }
    }

    fn unread(&mut self, status: &Status) {
        if status.waits || status.unread == self.unread {
            return;
        }
        self.unread.clone_from(&status.unread);
        if self.unread.count > 0 {
            warn!(
                "ready without what could not be read since the start: {}; names that only this holds do not exist for clients",
                self.unread
            );
        } else {
            info!("everything is read that could not be read at the start");
        }
    }

    /// Logs the problems that read unlike those that were there before.
    fn problems(&mut self, changes: &DiagnosticChanges) {
        let is_loud = |diagnostic: &&Arc<Diagnostic>| diagnostic.severity > Severity::Info;
        let mut appeared: Vec<_> = changes.appeared.iter().filter(is_loud).collect();
        appeared.sort_unstable();
        let mut news = Vec::new();
        for diagnostic in appeared {
            let count = self.problems.entry(fingerprint_of(diagnostic)).or_default();
            if *count == 0 {
                news.push(diagnostic);
            }
            *count += 1;
        }
        for diagnostic in changes.withdrawn.iter().filter(is_loud) {
            if let Entry::Occupied(mut count) = self.problems.entry(fingerprint_of(diagnostic)) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        for diagnostic in news.iter().take(MAX_DIAGNOSTICS) {
            if diagnostic.severity == Severity::Error {
                error!("{diagnostic}");
            } else {
                warn!("{diagnostic}");
            }
        }
        if let Some(more @ 1..) = news.len().checked_sub(MAX_DIAGNOSTICS) {
            warn!("{more} more problems: `meshdns check` lists all");
        }
    }
}

fn recoveries(mended: &[Kept]) {
    for Kept { key, holder, since } in mended.iter().take(MAX_DIAGNOSTICS) {
        let since = humantime::format_rfc3339_seconds(*since);
        info!("{holder}: {key} is good again; its last good version served since {since}");
    }
    if let Some(more @ 1..) = mended.len().checked_sub(MAX_DIAGNOSTICS) {
        info!("{more} more objects are good again");
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
    let holder = origin.holder();
    FixedState::with_seed(0).hash_one((holder, code, message, object))
}

fn millis(status: &Status) -> f64 {
    (status.last_duration.as_secs_f64() * 1e4).round() / 10.0
}
