//! The thread that takes in, compiles and publishes.
//!
//! Owns the pace and the order of a reload: take in, compile, publish, and only then the status and the log, for which no
//! query waits. When and where to look is the feed's.

mod status;

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use tracing::{debug, info};

use super::{
    clusters::Clusters,
    intake::Intake,
    last_good, pace,
    persons::{self, Persons},
    questions::Seen,
    reload_log,
    shared::{HealthOptions, Options, Shared, ShowProgress},
    shown::Exhibitor,
};
use crate::{
    pipeline::{Pipeline, Policy, Report},
    precedence::give_way,
    source::{Feed, Inbox, Wakeup},
    state::{Saver, Stored},
    status::{StateStatus, Status},
    zone::Snapshot,
};

/// How many replaced snapshots wait at most until nobody reads them.
const MAX_RETIRED: usize = 64;

/// How long nothing is looked at where no folder is followed and nobody wakes the loop.
const REST: Duration = Duration::from_secs(30);

/// How long the first load waits for what is told of names, so that a restart does not take their addresses out of service.
const FIRST_NAMES: Duration = Duration::from_secs(1);

/// How many parcels of clusters are taken in at most between two publishes.
const MOST_PARCELS: usize = 256;

/// Owns the feed, the inboxes and the pipeline, and publishes.
pub(super) struct Worker {
    /// The mesh folders; `None` where clusters are the only source.
    feed: Option<Feed>,
    clusters: Clusters,
    intake: Intake,
    persons: Persons,
    options: Options,
    /// What an earlier process kept, until it is taken in.
    stored: Stored,
    saver: Option<Saver>,
    shared: Shared,
    status: Status,
    /// What is kept for those who look, where anybody does.
    exhibitor: Option<Exhibitor>,
    /// Snapshots that were replaced and may still be read: freeing one takes time that a query should not have to wait.
    retired: VecDeque<Arc<Snapshot>>,
    last_publish: Option<Instant>,
    /// Whether all reports are too old.
    holds_stale: bool,
    /// Since when changes wait to be published, and whether somebody asked for every file meanwhile.
    began: Option<Instant>,
    was_asked: bool,
}

impl Worker {
    pub(super) fn new(
        options: Options,
        inboxes: Vec<Inbox>,
        stored: Stored,
        progress: ShowProgress,
        shared: Shared,
    ) -> Self {
        let clusters = Clusters::new(inboxes, options.start_patience, &shared.waker);
        let has_files = !options.folders.is_empty() || clusters.is_empty();
        let feed = has_files.then(|| {
            Feed::new(
                options.folders.clone(),
                options.follow_links,
                options.wish,
                options.start_patience,
                shared.waker.clone(),
            )
        });
        let pipeline = Pipeline::new(options.policy.clone());
        let shown = options.shown;
        Self {
            feed,
            clusters,
            intake: Intake::new(pipeline, has_files, progress),
            persons: Persons::new(&options.health),
            options,
            stored,
            saver: None,
            exhibitor: shown.map(|limits| Exhibitor::new(limits, shared.exhibit.clone())),
            shared,
            status: Status::default(),
            retired: VecDeque::new(),
            last_publish: None,
            holds_stale: false,
            began: None,
            was_asked: false,
        }
    }

    pub(super) fn run(mut self) {
        self.begin();
        self.look(false);
        loop {
            // What is half of a change is kept by nobody.
            let saver = self.saver.as_ref().filter(|_| self.may_publish());
            let next_save = saver.map(Saver::next);
            let is_nudged = self.shared.waker.wait(|wakeup| {
                let due = self.due(wakeup);
                Some(next_save.map_or(due, |save| save.min(due)))
            });
            if self.shared.orders.is_stopped() {
                return self.end();
            }
            self.save();
            self.take_in_clusters();
            if !is_nudged && Instant::now() < self.due(self.shared.waker.wakeup()) {
                continue;
            }
            self.free_retired();
            // A policy would publish what belongs to what is still to come.
            if self.may_publish() {
                if let Some((policy, health)) = self.shared.orders.take_policy() {
                    self.pace();
                    self.change_policy(policy, health);
                }
                self.take_in_told();
                let pipeline = &self.intake.pipeline;
                self.shared.health.answer(|| pipeline.judged_endpoints());
            }
            let every_file = self.shared.orders.take_reload();
            self.pace();
            self.look(every_file);
            // What is half of a change is shown to nobody.
            if self.may_publish() {
                let history = self
                    .exhibitor
                    .as_mut()
                    .map(|exhibitor| &mut exhibitor.history);
                if let Some(history) = history {
                    history.forget(SystemTime::now());
                    self.shared.questions.answer(&Seen {
                        pipeline: &self.intake.pipeline,
                        history,
                    });
                }
            }
        }
    }

    /// Takes in what an earlier process kept.
    fn begin(&mut self) {
        let stored = std::mem::take(&mut self.stored);
        let pipeline = &mut self.intake.pipeline;
        let feed = self.feed.as_mut();
        self.saver = last_good::begin(&self.options, stored, feed, &mut self.clusters, pipeline);
        self.status.state = self.saver.as_ref().map(|_| StateStatus::default());
    }

    /// When to look, with what may have changed so far.
    fn due(&self, wakeup: Option<Wakeup>) -> Instant {
        let woken = wakeup.map(|wakeup| pace::after_wakeup(wakeup, self.last_publish));
        let next_look = self.next_look();
        woken.map_or(next_look, |woken| woken.min(next_look))
    }

    /// Keeps a little of the last good state, where that is due.
    fn save(&mut self) {
        if let Some(saver) = &mut self.saver
            && Instant::now() >= saver.next()
            && self.intake.may_publish()
        {
            let earlier = last_good::earlier(self.feed.as_ref(), &self.clusters);
            saver.go_on(self.intake.mesh(), &earlier, Instant::now());
            if self.note_state() {
                self.shared.status.store(Arc::new(self.status.clone()));
            }
        }
    }

    /// Keeps what is not kept yet, at the end.
    fn end(self) {
        if let Some(saver) = self.saver
            && self.intake.may_publish()
        {
            let earlier = last_good::earlier(self.feed.as_ref(), &self.clusters);
            saver.finish(self.intake.mesh(), &earlier);
        }
    }

    /// Waits until another publish is allowed: an order may come at any time.
    fn pace(&self) {
        let now = Instant::now();
        let due = pace::not_too_soon(now, self.last_publish);
        thread::sleep(due - now);
    }

    /// When to look even if nothing wakes the loop.
    fn next_look(&self) -> Instant {
        let of_clusters = self.clusters.next_look();
        let (regular, again_at) = match &self.feed {
            Some(feed) => feed.next_look(),
            None => (Instant::now() + REST, None),
        };
        let of_health = self.persons.next_look().into_iter().chain(self.next_end());
        let again_at = again_at
            .into_iter()
            .chain(of_clusters)
            .chain(of_health)
            .min();
        let again_at = again_at.map(|again_at| pace::not_too_soon(again_at, self.last_publish));
        again_at.map_or(regular, |again_at| again_at.min(regular))
    }

    /// When a person's word ends, or a report becomes too old.
    fn next_end(&self) -> Option<Instant> {
        let end = u64::try_from(self.intake.pipeline.next_end()?).ok()?;
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(end);
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now().checked_add(left)
    }

    /// Whether what was taken in may be published.
    fn may_publish(&self) -> bool {
        self.intake.may_publish() && !self.clusters.is_held(Instant::now())
    }

    /// Takes in what clusters say.
    fn take_in_clusters(&mut self) {
        for _ in 0..MOST_PARCELS {
            let Some(changes) = self.clusters.take() else {
                return;
            };
            self.intake.take_in_clusters(changes, self.clusters.lists());
            if let Some(saver) = &mut self.saver {
                saver.note_objects(self.intake.pipeline.take_touched());
            }
        }
        // There may be more.
        self.shared.waker.wake(Instant::now());
    }

    /// Takes in what the feed tells and publishes what changed.
    fn look(&mut self, every_file: bool) {
        let wakeup = self.shared.waker.take();
        let began = self
            .began
            .take()
            .or(wakeup.map(|wakeup| wakeup.first))
            .unwrap_or_else(Instant::now);
        self.was_asked |= every_file;
        let Self {
            feed,
            intake,
            saver,
            ..
        } = self;
        if let Some(feed) = feed {
            feed.look(every_file, |batch| {
                if let Some(saver) = saver {
                    batch.changes.iter().for_each(|change| saver.note(change));
                }
                intake.take_in(batch);
            });
        }
        self.take_in_clusters();
        self.note_clusters();
        if !self.may_publish() {
            self.began = Some(began);
            return;
        }
        let was_asked = std::mem::take(&mut self.was_asked);
        let has_news = self.note_feed() | self.note_state();
        let is_first = !self.intake.pipeline.snapshot().is_ready();
        if is_first || was_asked || has_news || self.intake.has_changes() {
            self.compile(began, was_asked);
        } else {
            let work = self.intake.take_work();
            self.count(work);
        }
    }

    /// Notes which lists of clusters are missing.
    fn note_clusters(&mut self) {
        if self.clusters.is_empty() {
            return;
        }
        let now = Instant::now();
        self.clusters.look(now);
        let waits = self.clusters.waits(now);
        self.intake.note_clusters(self.clusters.unread(), waits);
        if !self.clusters.is_held(now) {
            self.intake.pipeline.begin_serving();
        }
    }

    /// Compiles and publishes what was taken in.
    fn compile(&mut self, began: Instant, was_asked: bool) {
        // What showed the progress ends before the log line.
        let work = self.intake.take_work();
        let is_first = !self.intake.pipeline.snapshot().is_ready();
        let is_reload = was_asked || is_first || work.changes() > 0;
        self.count(work);
        if is_first {
            // An order holds from the first answer on.
            self.persons.look(&mut self.intake.pipeline);
        }
        let mut report = self.intake.pipeline.compile(SystemTime::now());
        let waits_for_checks = !report.targets.wanted.is_empty();
        self.publish(&mut report, "cluster");
        if is_first && (waits_for_checks || !report.names.wanted.is_empty()) {
            let mut named = self.wait_for_others(waits_for_checks);
            report.snapshot = named.snapshot;
            let Report { diagnostics, .. } = &mut report;
            diagnostics.appeared.append(&mut named.diagnostics.appeared);
            diagnostics
                .withdrawn
                .append(&mut named.diagnostics.withdrawn);
        }
        if is_reload {
            self.status.totals.reloads += 1;
        }
        self.renew_status(&report, began, is_reload);
        if is_first {
            reload_log::first_load(&self.status, &report);
            give_way();
            rayon::broadcast(|_| give_way());
            self.clusters.note_served();
        } else if is_reload {
            reload_log::reload(work, &self.status, &report);
        } else {
            reload_log::cluster_change(&self.status, &report);
        }
        self.intake.log.news(&self.status, &report);
    }

    /// Publishes what is told of names, and what checks say, within a moment of the first load, before the status says that this
    /// is done.
    fn wait_for_others(&mut self, waits_for_checks: bool) -> Report {
        let began = Instant::now();
        self.shared.names.wait_until_settled(FIRST_NAMES);
        if waits_for_checks {
            let left = self
                .options
                .health
                .start_within
                .saturating_sub(began.elapsed());
            self.shared.health.wait_until_settled(left);
        }
        let pipeline = &mut self.intake.pipeline;
        pipeline.take_in_names(self.shared.names.take_resolved());
        pipeline.take_in_rulings(self.shared.health.take_rulings());
        self.pace();
        let mut report = self.intake.pipeline.compile(SystemTime::now());
        self.publish(&mut report, "name");
        report
    }

    /// Compiles and publishes what was told of names, by checks and by persons, and nothing else: no look is unfinished.
    fn take_in_told(&mut self) {
        let began = Instant::now();
        let told = self.shared.names.take_resolved();
        let rulings = self.shared.health.take_rulings();
        let (names, checks) = (told.len(), rulings.len());
        let pipeline = &mut self.intake.pipeline;
        let has_orders = self.persons.look(pipeline);
        let is_over = pipeline.next_end().is_some_and(is_past);
        if told.is_empty() && rulings.is_empty() && !has_orders && !is_over {
            return;
        }
        let otherwise = match (names, checks) {
            (1.., _) => "name",
            (0, 1..) => "check",
            (0, 0) => "override",
        };
        pipeline.take_in_names(told);
        pipeline.take_in_rulings(rulings);
        self.pace();
        let mut report = self.intake.pipeline.compile(SystemTime::now());
        self.publish(&mut report, otherwise);
        self.renew_status(&report, began, false);
        debug!(
            names,
            checks,
            hosts_recompiled = report.affected.hosts.len(),
            names_changed = report.names_changed,
            generation = report.snapshot.generation(),
            serial = report.snapshot.serial().0,
            "endpoints have other addresses, or are judged otherwise"
        );
        self.intake.log.news(&self.status, &report);
    }

    fn change_policy(&mut self, policy: Policy, health: HealthOptions) {
        let began = Instant::now();
        self.persons.set_options(&health);
        self.options.health = health;
        self.persons.look(&mut self.intake.pipeline);
        let mut report = self.intake.pipeline.set_policy(policy, SystemTime::now());
        self.publish(&mut report, "config");
        self.renew_status(&report, began, false);
        info!(
            hosts = report.affected.hosts.len(),
            names_changed = report.names_changed,
            generation = report.snapshot.generation(),
            serial = report.snapshot.serial().0,
            "configuration reloaded"
        );
        self.intake.log.news(&self.status, &report);
    }

    /// Publishes, and tells those who look names up or probe what else there is for them.
    ///
    /// What changes answers though no object did is `otherwise`.
    fn publish(&mut self, report: &mut Report, otherwise: &'static str) {
        // What resolvers have now, they have with the TTL of the answers before.
        let before = self.shared.snapshots.load_full();
        let ttl = before.settings().ttl.max(report.snapshot.settings().ttl);
        if !Arc::ptr_eq(&before, &report.snapshot) {
            let retired = self.shared.snapshots.swap(report.snapshot.clone());
            self.last_publish = Some(Instant::now());
            self.retired.push_back(retired);
            if self.retired.len() > MAX_RETIRED {
                self.retired.pop_front();
            }
        }
        self.shared.names.want(&report.names);
        self.shared.health.want(mem::take(&mut report.targets));
        let orders = mem::take(&mut report.orders);
        if !orders.is_empty() {
            let pipeline = &self.intake.pipeline;
            let emptied = pipeline.emptied_by(&orders, &report.affected.hosts, &before);
            self.persons.published(orders, ttl);
            persons::warn_of_emptied(emptied);
        }
        if let Some(exhibitor) = &mut self.exhibitor {
            let pipeline = &mut self.intake.pipeline;
            exhibitor.show(pipeline, &report.affected.hosts, &before, otherwise);
        }
        let holds_stale = self.intake.pipeline.holds_stale();
        if mem::replace(&mut self.holds_stale, holds_stale) != holds_stale {
            reload_log::stale_reports(holds_stale);
        }
    }

    /// Frees the snapshots that nobody reads any more.
    fn free_retired(&mut self) {
        self.retired
            .retain(|retired| Arc::strong_count(retired) > 1);
    }
}

/// Whether a time, in seconds since 1970, has come.
fn is_past(seconds: i64) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.is_ok_and(|now| i64::try_from(now.as_secs()).is_ok_and(|now| now >= seconds))
}
