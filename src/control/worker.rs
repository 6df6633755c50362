//! The thread that looks, compiles and publishes.
//!
//! Owns when to look, how far to trust what is found, and the order of a reload: look, compile, publish, and only then the
//! status and the log, for which no query waits.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use tracing::info;

use super::{
    Control, Options, Orders,
    chronicle::{self, Chronicle},
    pace,
};
use crate::{
    diagnostic::{ObjectKey, Severity},
    manifest::Outcome,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy, Report},
    source::{Evidence, Folder, Look, Scan, Signals, Trust, Watch, Wish},
    status::{Status, Totals, Watching},
    zone::Snapshot,
};

/// How often everything is looked at although no event asked for it.
const RESCAN_INTERVAL: Duration = Duration::from_secs(30);

/// How long a file must be the same before it counts as complete, where no event tells.
const STILLNESS: Duration = Duration::from_millis(250);

/// The same after the kernel dropped events, and how long nothing that events say about writers is believed then.
const STILLNESS_AFTER_OVERFLOW: Duration = Duration::from_millis(100);
const DISTRUST: Duration = Duration::from_secs(1);

/// How often to list again where folders appear or vanish while they are listed, before others get the processor.
const MAX_LISTINGS: usize = 8;

/// When to try again after that.
const BREATH: Duration = Duration::from_millis(5);

/// How long links may be swapped faster than their folders can be read, before what is found is taken as it is.
const TORN_PATIENCE: Duration = Duration::from_secs(30);

/// Owns folders and pipeline, and publishes.
pub(super) struct Worker {
    folder: Folder,
    wish: Wish,
    pipeline: Pipeline,
    snapshots: Arc<ArcSwap<Snapshot>>,
    published: Arc<ArcSwap<Status>>,
    orders: Arc<Orders>,
    signals: Arc<Signals>,
    evidence: Evidence,
    status: Status,
    chronicle: Chronicle,
    last_publish: Option<Instant>,
    last_look: Instant,
    again_at: Option<Instant>,
    distrust_until: Option<Instant>,
    /// Since when no look could be finished, and since when the changes wait that it was for.
    torn_since: Option<Instant>,
    unfinished: Option<Instant>,
}

impl Worker {
    pub(super) fn new(options: Options, control: &Control) -> Self {
        Self {
            folder: Folder::new(options.folders),
            wish: options.wish,
            pipeline: Pipeline::new(options.policy),
            snapshots: control.snapshots.clone(),
            published: control.status.clone(),
            orders: control.orders.clone(),
            signals: control.signals.clone(),
            evidence: Evidence::default(),
            status: Status::default(),
            chronicle: Chronicle::default(),
            last_publish: None,
            last_look: Instant::now(),
            again_at: None,
            distrust_until: None,
            torn_since: None,
            unfinished: None,
        }
    }

    pub(super) fn run(mut self) {
        let mut watch = Watch::new(self.wish, self.signals.clone());
        self.look(&mut watch, false);
        loop {
            self.signals.wait(|stir| {
                let stirred = stir.map(|stir| pace::after_stir(stir, self.last_publish));
                [stirred, Some(self.next_look())]
                    .into_iter()
                    .flatten()
                    .min()
            });
            if self.orders.stop.load(Ordering::Acquire) {
                return;
            }
            let policy = self.orders.policy().take();
            if let Some(policy) = policy {
                self.pace();
                self.change_policy(policy);
            }
            let every_file = self.orders.reload.swap(false, Ordering::AcqRel);
            if every_file {
                watch.retry();
            }
            self.pace();
            self.look(&mut watch, every_file);
        }
    }

    /// Waits until another publish is allowed: an order may come at any time.
    fn pace(&self) {
        let now = Instant::now();
        let due = pace::not_too_soon(now, self.last_publish);
        thread::sleep(due - now);
    }

    /// When to look even if nothing stirs.
    fn next_look(&self) -> Instant {
        let interval = match &self.status.watching {
            Watching::Polling { every, .. } => *every,
            Watching::Events | Watching::Starting | Watching::Stopped => RESCAN_INTERVAL,
        };
        let again_at = self
            .again_at
            .map(|again_at| pace::not_too_soon(again_at, self.last_publish));
        let regular = self.last_look + interval;
        again_at.map_or(regular, |again_at| again_at.min(regular))
    }

    /// Looks at the folders and publishes what changed.
    fn look(&mut self, watch: &mut Watch, every_file: bool) {
        let stir = self.signals.take_stir();
        let began = self
            .unfinished
            .take()
            .or(stir.map(|stir| stir.first))
            .unwrap_or_else(Instant::now);
        let overflows = self.signals.take_overflows();
        if overflows > 0 {
            self.status.totals.event_overflows += overflows;
            self.distrust_until = Some(Instant::now() + DISTRUST);
        }
        let scan = self.scan(watch, every_file);
        self.last_look = Instant::now();
        let Some(scan) = scan else {
            self.again_at = Some(self.last_look + BREATH);
            self.unfinished = Some(began);
            if every_file {
                self.orders.reload.store(true, Ordering::Release);
            }
            return;
        };
        self.again_at = scan.again_at;
        self.status.totals.files_read += scan.files_read;
        self.status.totals.documents_parsed += scan.documents_parsed;
        let state = watch.state();
        let is_news = !self.pipeline.snapshot().is_ready()
            || !scan.changes.is_empty()
            || scan.missing != self.status.missing_folders
            || state != self.status.watching
            || overflows > 0
            || every_file;
        self.status.watching = state;
        if is_news {
            self.take_in(scan, began, every_file);
        }
    }

    /// Looks until nothing was swapped on the way; `None` where that takes too long.
    fn scan(&mut self, watch: &mut Watch, every_file: bool) -> Option<Scan> {
        let torn_since = *self.torn_since.get_or_insert_with(Instant::now);
        let strict = torn_since.elapsed() < TORN_PATIENCE;
        for _ in 0..MAX_LISTINGS {
            let listing = self.folder.list();
            if watch.arm(&listing) {
                continue;
            }
            watch.catch_up();
            self.signals.add_to(&mut self.evidence);
            let look = Look {
                now: Instant::now(),
                every_file,
                trust: self.trust(watch, every_file),
                strict,
            };
            if let Some(scan) = self.folder.read(&listing, &look) {
                self.evidence.use_up();
                self.torn_since = None;
                return Some(scan);
            }
        }
        None
    }

    fn trust(&self, watch: &Watch, was_asked: bool) -> Trust {
        let distrusts = self
            .distrust_until
            .is_some_and(|until| until > Instant::now());
        if !self.pipeline.snapshot().is_ready() {
            Trust::Everything
        } else if !watch.is_told() && was_asked {
            // Who asks for a reload says that the files are complete.
            Trust::Everything
        } else if !watch.is_told() {
            Trust::Stillness(STILLNESS)
        } else if distrusts {
            Trust::Stillness(STILLNESS_AFTER_OVERFLOW)
        } else {
            Trust::Events(self.evidence.clone())
        }
    }

    fn take_in(&mut self, scan: Scan, began: Instant, was_asked: bool) {
        let is_first = !self.pipeline.snapshot().is_ready();
        let mended = self.mended(&scan.changes);
        let (added, changed, removed) = (scan.added, scan.changed, scan.removed);
        let is_reload = was_asked || is_first || !scan.changes.is_empty();
        let report = self.pipeline.apply(scan.changes, SystemTime::now());
        self.publish(&report);
        let status = &mut self.status;
        status.missing_folders = scan.missing;
        if is_reload {
            status.totals.reloads += 1;
        }
        self.renew_status(&report, began, is_reload);
        if is_first {
            chronicle::first_load(&self.status, &report);
        } else if is_reload {
            chronicle::reload([added, changed, removed], &self.status, &report);
        }
        self.chronicle.news(&self.status, &mended);
    }

    fn change_policy(&mut self, policy: Policy) {
        let began = Instant::now();
        let report = self.pipeline.set_policy(policy, SystemTime::now());
        self.publish(&report);
        self.renew_status(&report, began, false);
        info!(
            hosts = report.affected.hosts.len(),
            names_changed = report.names_changed,
            generation = report.snapshot.generation(),
            serial = report.snapshot.serial().0,
            "configuration reloaded"
        );
        self.chronicle.news(&self.status, &HashSet::new());
    }

    fn publish(&mut self, report: &Report) {
        if !Arc::ptr_eq(&self.snapshots.load(), &report.snapshot) {
            self.snapshots.store(report.snapshot.clone());
            self.last_publish = Some(Instant::now());
        }
    }

    /// Brings the status up to date, after the publish: queries don't wait for it.
    fn renew_status(&mut self, report: &Report, began: Instant, is_reload: bool) {
        let mesh = self.pipeline.mesh();
        let status = &mut self.status;
        status.generation = report.snapshot.generation();
        status.last_duration = began.elapsed();
        status.last_reload = Some(SystemTime::now());
        status.files = mesh.file_count();
        status.objects = mesh.object_counts();
        status.ignored = mesh.ignored_counts();
        status.hosts = mesh.host_count();
        status.endpoints = mesh.endpoint_counts();
        status.kept = mesh.kept();
        status.diagnostics = self.pipeline.diagnostics();
        let Totals {
            hosts_recompiled,
            names_changed,
            failed_reloads,
            ..
        } = &mut status.totals;
        *hosts_recompiled += report.affected.hosts.len() as u64;
        *names_changed += report.names_changed as u64;
        let is_flawed = status
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        if !is_flawed {
            status.last_success = status.last_reload;
        } else if is_reload {
            *failed_reloads += 1;
        }
        self.published.store(Arc::new(status.clone()));
    }

    /// The kept objects of which `changes` bring a good version.
    fn mended(&self, changes: &[FileChange]) -> HashSet<ObjectKey> {
        if self.status.kept.is_empty() {
            return HashSet::new();
        }
        let kept: HashSet<&ObjectKey> = self.status.kept.iter().map(|kept| &*kept.key).collect();
        let documents = changes.iter().flat_map(|change| match &change.reading {
            Reading::Read(contents) | Reading::Amended { contents, .. } => {
                contents.documents.as_slice()
            }
            Reading::Unreadable(_) | Reading::Gone => &[],
        });
        documents
            .filter_map(|document| match &document.outcome {
                Outcome::Object(object) => Some(object.key()),
                Outcome::Rejected(_) | Outcome::Ignored(_) => None,
            })
            .filter(|key| kept.contains(key))
            .collect()
    }
}
