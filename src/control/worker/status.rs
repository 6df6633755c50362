//! What the loop says of itself: the status, brought up to date after each publish.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::Worker;
use crate::{control::last_good, pipeline::Report, source::Work, status::Totals};

/// How many endpoints that are checked the status names.
const MAX_NAMED: usize = 10_000;

impl Worker {
    /// Brings the status up to date, after the publish: queries don't wait for it.
    pub(super) fn renew_status(&mut self, report: &Report, began: Instant, is_reload: bool) {
        let mesh = self.intake.pipeline.mesh();
        let status = &mut self.status;
        status.generation = report.snapshot.generation();
        status.last_duration = began.elapsed();
        status.last_reload = Some(SystemTime::now());
        status.files = mesh.file_count();
        status.objects = mesh.object_counts();
        status.ignored = mesh.ignored_counts();
        status.hosts = self.intake.pipeline.answered_host_count();
        status.endpoints = mesh.endpoint_counts();
        status.diagnostics = self.intake.pipeline.diagnostic_counts();
        status.orders = self.persons.status(&self.intake.pipeline);
        status.last_ones = self.intake.pipeline.last_ones_count();
        status.checked = self.options.health.names_endpoints.then(|| {
            let mut checked = self.intake.pipeline.checked_endpoints();
            checked.truncate(MAX_NAMED);
            checked.into()
        });
        status.kept = mesh.kept_counts().objects();
        status.kept_since = mesh.kept_counts().oldest();
        let is_flawed = status.diagnostics.errors > 0;
        let Totals {
            hosts_recompiled,
            names_changed,
            failed_reloads,
            ..
        } = &mut status.totals;
        *hosts_recompiled += report.affected.hosts.len() as u64;
        *names_changed += report.names_changed as u64;
        if !is_flawed {
            status.last_success = status.last_reload;
        } else if is_reload {
            *failed_reloads += 1;
        }
        self.shared.status.store(Arc::new(status.clone()));
    }

    /// Brings into the status how the feed is, and what is missing. Tells whether that is news.
    pub(super) fn note_feed(&mut self) -> bool {
        let Self {
            feed,
            intake,
            status,
            ..
        } = self;
        let not_followed = self.clusters.troubles();
        let mut has_news = (&status.unread, status.waits) != intake.unread()
            || status.not_followed != not_followed;
        status.not_followed = not_followed;
        let (unread, waits) = intake.unread();
        status.unread.clone_from(unread);
        status.waits = waits;
        if let Some(feed) = feed {
            let overflows = feed.overflows();
            has_news |= status.missing_folders != feed.missing()
                || status.watching != feed.watching()
                || status.totals.event_overflows != overflows;
            status.missing_folders = feed.missing().to_vec();
            status.watching = feed.watching();
            status.totals.event_overflows = overflows;
        }
        has_news
    }

    /// Brings into the status what is kept of the last good state. Tells whether that is news.
    pub(super) fn note_state(&mut self) -> bool {
        let Some(saver) = &self.saver else {
            return false;
        };
        let state = last_good::status(saver, self.feed.as_ref(), &self.clusters);
        let state = Some(state);
        let has_news = state != self.status.state;
        self.status.state = state;
        has_news
    }

    /// Counts the work of looks.
    pub(super) fn count(&mut self, work: Work) {
        self.status.totals.files_read += work.files_read;
        self.status.totals.documents_parsed += work.documents_parsed;
    }
}
