//! The thread that looks, compiles and publishes.
//!
//! Owns when to look, how far to trust what is found, and the order of a reload: look, compile, publish, and only then the
//! status and the log, for which no query waits.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use tracing::{debug, info};

use super::{
    Control, Names, Options, Orders, Progress, ShowProgress,
    chronicle::{self, Chronicle},
    pace,
};
use crate::{
    diagnostic::{Diagnostic, Severity},
    pipeline::{Pipeline, Policy, Report},
    precedence::give_way,
    source::{Evidence, Extent, Folder, Listing, Look, Scan, Signals, Trust, Watch, Wish, Work},
    status::{Status, Totals, Watching},
    zone::Snapshot,
};

/// How many replaced snapshots wait at most until nobody reads them.
const MAX_RETIRED: usize = 64;

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

/// How long the first load waits for what is told of names, so that a restart does not take their addresses out of service.
const FIRST_NAMES: Duration = Duration::from_secs(1);

/// Owns folders and pipeline, and publishes.
pub(super) struct Worker {
    folder: Folder,
    wish: Wish,
    pipeline: Pipeline,
    snapshots: Arc<ArcSwap<Snapshot>>,
    published: Arc<ArcSwap<Status>>,
    orders: Arc<Orders>,
    signals: Arc<Signals>,
    names: Arc<Names>,
    evidence: Evidence,
    status: Status,
    /// Whether something in the mesh folders can't be used.
    is_flawed: bool,
    chronicle: Chronicle,
    /// During the first load.
    progress: Option<ShowProgress>,
    /// Snapshots that were replaced and may still be read: freeing one takes time that a query should not have to wait.
    retired: VecDeque<Arc<Snapshot>>,
    last_publish: Option<Instant>,
    /// When everything was looked at.
    last_rescan: Instant,
    /// What is there, as long as events tell all that becomes of it.
    listing: Option<Listing>,
    /// What looks did since the last that could be finished.
    work: Work,
    again_at: Option<Instant>,
    distrust_until: Option<Instant>,
    /// Since when no look could be finished, and since when the changes wait that it was for.
    torn_since: Option<Instant>,
    unfinished: Option<Instant>,
}

impl Worker {
    pub(super) fn new(options: Options, progress: ShowProgress, control: &Control) -> Self {
        Self {
            folder: Folder::new(options.folders),
            wish: options.wish,
            pipeline: Pipeline::new(options.policy),
            snapshots: control.snapshots.clone(),
            published: control.status.clone(),
            orders: control.orders.clone(),
            signals: control.signals.clone(),
            names: control.names.clone(),
            evidence: Evidence::default(),
            status: Status::default(),
            is_flawed: false,
            chronicle: Chronicle::default(),
            progress: Some(progress),
            retired: VecDeque::new(),
            last_publish: None,
            last_rescan: Instant::now(),
            listing: None,
            work: Work::default(),
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
            self.free_retired();
            // A policy would publish what an unfinished look has taken in.
            if self.unfinished.is_none()
                && let Some(policy) = self.orders.take_policy()
            {
                self.pace();
                self.change_policy(policy);
            }
            if self.unfinished.is_none() {
                self.take_in_names();
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
        let regular = self.last_rescan + interval;
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
        let Some(scan) = scan else {
            self.again_at = Some(Instant::now() + BREATH);
            self.unfinished = Some(began);
            if every_file {
                self.orders.reload.store(true, Ordering::Release);
            }
            return;
        };
        self.again_at = scan.again_at;
        let work = mem::take(&mut self.work);
        self.status.totals.files_read += work.files_read;
        self.status.totals.documents_parsed += work.documents_parsed;
        let state = watch.state();
        let is_news = !self.pipeline.snapshot().is_ready()
            || work.changes() > 0
            || scan.missing != self.status.missing_folders
            || state != self.status.watching
            || overflows > 0
            || every_file;
        self.status.watching = state;
        if is_news {
            self.compile(scan, work, began, every_file);
        }
    }

    /// Looks until nothing was swapped on the way; `None` where that takes too long.
    fn scan(&mut self, watch: &mut Watch, every_file: bool) -> Option<Scan> {
        let listing = self.listing.take();
        let is_due = self.last_rescan.elapsed() >= RESCAN_INTERVAL;
        if !every_file
            && !is_due
            && let Some(listing) = listing
            && let Some(scan) = self.glance(watch, listing)
        {
            return Some(scan);
        }
        self.last_rescan = Instant::now();
        let torn_since = *self.torn_since.get_or_insert_with(Instant::now);
        let strict = torn_since.elapsed() < TORN_PATIENCE;
        for _ in 0..MAX_LISTINGS {
            self.signals.take_extent();
            let listing = self.folder.list();
            if watch.arm(&listing) {
                continue;
            }
            watch.catch_up();
            self.signals.add_to(&mut self.evidence);
            let look = Look {
                now: Instant::now(),
                only: None,
                every_file,
                trust: self.trust(watch, every_file),
                strict,
            };
            let scan = self.read(&listing, &look);
            if !scan.is_torn {
                self.evidence.use_up(&Extent::Everywhere);
                self.torn_since = None;
                self.listing = Some(listing);
                return Some(scan);
            }
        }
        None
    }

    /// Looks only where events say that something changed since the last look, which found `listing`; `None` where they
    /// don't tell enough.
    fn glance(&mut self, watch: &mut Watch, mut listing: Listing) -> Option<Scan> {
        if !self.folder.is_settled() {
            return None;
        }
        let extent = self.signals.take_extent();
        let only = listing.refresh(&extent)?;
        watch.catch_up();
        self.signals.add_to(&mut self.evidence);
        let trust = self.trust(watch, false);
        if !matches!(trust, Trust::Events(_)) {
            return None;
        }
        let look = Look {
            now: Instant::now(),
            only: Some(only),
            every_file: false,
            trust,
            strict: true,
        };
        let scan = self.read(&listing, &look);
        if scan.is_torn {
            return None;
        }
        self.evidence.use_up(&extent);
        self.listing = Some(listing);
        Some(scan)
    }

    /// Reads what changed and takes it in, without a publish.
    fn read(&mut self, listing: &Listing, look: &Look) -> Scan {
        let Self {
            folder,
            pipeline,
            chronicle,
            progress,
            ..
        } = self;
        let now = SystemTime::now();
        let scan = folder.read(listing, look, |change, scan| {
            chronicle.take_note(&change);
            pipeline.take_in(vec![change], now);
            if let Some(progress) = progress {
                progress(Progress::of(scan, pipeline.mesh()));
            }
        });
        self.work += scan.work;
        scan
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

    /// Compiles and publishes what was taken in.
    fn compile(&mut self, scan: Scan, work: Work, began: Instant, was_asked: bool) {
        let is_first = !self.pipeline.snapshot().is_ready();
        let is_reload = was_asked || is_first || work.changes() > 0;
        let mut report = self.pipeline.compile(SystemTime::now());
        // What showed the progress ends before the log line.
        self.progress = None;
        self.publish(&report);
        self.names.want(&report.names);
        if is_first && !report.names.wanted.is_empty() {
            report.snapshot = self.wait_for_names();
        }
        let status = &mut self.status;
        status.missing_folders = scan.missing;
        if is_reload {
            status.totals.reloads += 1;
        }
        self.renew_status(&report, began, is_reload);
        if is_first {
            chronicle::first_load(&self.status, &report);
            give_way();
            rayon::broadcast(|_| give_way());
        } else if is_reload {
            chronicle::reload(work, &self.status, &report);
        }
        self.chronicle.news(&self.status);
    }

    /// Publishes what is told of names within a moment of the first load, before the status says that this is done.
    fn wait_for_names(&mut self) -> Arc<Snapshot> {
        self.names.wait_until_settled(FIRST_NAMES);
        self.pipeline.take_in_names(self.names.take_told());
        self.pace();
        let report = self.pipeline.compile(SystemTime::now());
        self.publish(&report);
        self.names.want(&report.names);
        report.snapshot
    }

    /// Compiles and publishes what was told of names, and nothing else: no look is unfinished.
    fn take_in_names(&mut self) {
        let told = self.names.take_told();
        if told.is_empty() {
            return;
        }
        let (began, names) = (Instant::now(), told.len());
        self.pipeline.take_in_names(told);
        self.pace();
        let report = self.pipeline.compile(SystemTime::now());
        self.names.want(&report.names);
        self.publish(&report);
        self.renew_status(&report, began, false);
        debug!(
            names,
            hosts_recompiled = report.affected.hosts.len(),
            names_changed = report.names_changed,
            generation = report.snapshot.generation(),
            serial = report.snapshot.serial().0,
            "endpoint names have other addresses"
        );
        self.chronicle.news(&self.status);
    }

    fn change_policy(&mut self, policy: Policy) {
        let began = Instant::now();
        let report = self.pipeline.set_policy(policy, SystemTime::now());
        self.names.want(&report.names);
        self.publish(&report);
        self.renew_status(&report, began, false);
        info!(
            hosts = report.affected.hosts.len(),
            names_changed = report.names_changed,
            generation = report.snapshot.generation(),
            serial = report.snapshot.serial().0,
            "configuration reloaded"
        );
        self.chronicle.news(&self.status);
    }

    fn publish(&mut self, report: &Report) {
        if !Arc::ptr_eq(&self.snapshots.load(), &report.snapshot) {
            let retired = self.snapshots.swap(report.snapshot.clone());
            self.last_publish = Some(Instant::now());
            self.retired.push_back(retired);
            if self.retired.len() > MAX_RETIRED {
                self.retired.pop_front();
            }
        }
    }

    /// Frees the snapshots that nobody reads any more.
    fn free_retired(&mut self) {
        self.retired
            .retain(|retired| Arc::strong_count(retired) > 1);
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
        status.hosts = self.pipeline.answered_host_count();
        status.endpoints = mesh.endpoint_counts();
        let diagnostics = self.pipeline.diagnostics();
        if !Arc::ptr_eq(&diagnostics, &status.diagnostics) {
            let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
            self.is_flawed = diagnostics.iter().any(is_error);
            status.kept = mesh.kept().into();
            status.diagnostics = diagnostics;
        }
        let Totals {
            hosts_recompiled,
            names_changed,
            failed_reloads,
            ..
        } = &mut status.totals;
        *hosts_recompiled += report.affected.hosts.len() as u64;
        *names_changed += report.names_changed as u64;
        if !self.is_flawed {
            status.last_success = status.last_reload;
        } else if is_reload {
            *failed_reloads += 1;
        }
        self.published.store(Arc::new(status.clone()));
    }
}
