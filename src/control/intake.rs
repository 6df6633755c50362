//! Takes in what sources tell, and knows how far that goes.

use std::time::{Duration, Instant, SystemTime};

use super::{
    reload_log::ReloadLog,
    shared::{Progress, ShowProgress},
};
use crate::{
    mesh::{ClusterChange, Mesh},
    pipeline::Pipeline,
    source::{Batch, Work},
    status::Unread,
};

/// How long the first load waits for files before it says so.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// What could not be read at the start, and whether that is waited for.
#[derive(Default)]
struct Missing {
    unread: Unread,
    waits: bool,
}

/// The pipeline, and what was taken in since the last publish.
pub(super) struct Intake {
    pub(super) pipeline: Pipeline,
    pub(super) log: ReloadLog,
    /// During the first load.
    progress: Option<ShowProgress>,
    so_far: Progress,
    work: Work,
    has_changes: bool,
    /// Whether what was taken in is half of what belongs together.
    is_half: bool,
    /// Whether the files' source told everything that it holds, but for what can't be read.
    has_all: bool,
    /// What could not be read at the start, and not since: of files, of clusters, and of both.
    of_files: Missing,
    of_clusters: Missing,
    unread: Unread,
    /// Since when that is waited for, as long as it is.
    waits_since: Option<Instant>,
}

impl Intake {
    /// Of a mesh with files or without.
    pub(super) fn new(pipeline: Pipeline, has_files: bool, progress: ShowProgress) -> Self {
        Self {
            pipeline,
            log: ReloadLog::default(),
            progress: Some(progress),
            so_far: Progress::default(),
            work: Work::default(),
            has_changes: false,
            is_half: false,
            has_all: !has_files,
            of_files: Missing::default(),
            of_clusters: Missing::default(),
            unread: Unread::default(),
            waits_since: None,
        }
    }

    /// Takes in one batch, without a publish.
    pub(super) fn take_in(&mut self, batch: Batch) {
        self.is_half = batch.together;
        self.has_all |= batch.can_be_served();
        if batch.complete {
            self.of_files = Missing {
                unread: batch.unread,
                waits: batch.waits,
            };
            self.renew_missing();
        }
        self.work += batch.work;
        self.has_changes |= !batch.changes.is_empty();
        self.pipeline.take_in(batch.changes, SystemTime::now());
        self.so_far = Progress {
            files: batch.files,
            files_read: self.work.files_read,
            bytes_read: self.work.bytes_read,
            ..self.so_far
        };
        self.show_progress();
    }

    /// Takes in what clusters say, without a publish; `lists` of them were told to their end, of so many.
    pub(super) fn take_in_clusters(
        &mut self,
        changes: Vec<ClusterChange>,
        (lists_read, lists): (usize, usize),
    ) {
        self.pipeline.take_in(changes, SystemTime::now());
        self.has_changes |= self.mesh().has_changed();
        self.so_far = Progress {
            lists,
            lists_read,
            ..self.so_far
        };
        self.show_progress();
    }

    fn show_progress(&mut self) {
        if let Some(progress) = &mut self.progress {
            self.so_far.objects = self.pipeline.mesh().object_counts().values().sum();
            progress(self.so_far);
        }
    }

    /// Notes which lists of clusters are missing, and whether they are waited for.
    pub(super) fn note_clusters(&mut self, unread: Unread, waits: bool) {
        self.of_clusters = Missing { unread, waits };
        self.renew_missing();
    }

    pub(super) fn mesh(&self) -> &Mesh {
        self.pipeline.mesh()
    }

    fn renew_missing(&mut self) {
        let unread = self.of_clusters.unread.and(&self.of_files.unread);
        let waits = self.of_clusters.waits || self.of_files.waits;
        let since = waits.then(|| self.waits_since.unwrap_or_else(Instant::now));
        if since.is_some_and(|since| since.elapsed() >= TOLD_AFTER) {
            self.log.waits(&unread);
        }
        (self.unread, self.waits_since) = (unread, since);
        self.pipeline.set_knows_all(!waits);
    }

    /// What could not be read at the start, and whether that is waited for.
    pub(super) fn unread(&self) -> (&Unread, bool) {
        (&self.unread, self.waits_since.is_some())
    }

    /// Whether what was taken in may be published, as far as that is up to files: they were told once, and nothing that belongs
    /// to it is still to come; and no cluster's first list is half told.
    pub(super) fn may_publish(&self) -> bool {
        self.has_all && !self.is_half && !self.mesh().has_half_a_list()
    }

    /// Whether something changed since the last time, be it what is known of names that no host has.
    pub(super) fn has_changes(&self) -> bool {
        self.has_changes || self.pipeline.snapshot().knows_all() == self.waits_since.is_some()
    }

    /// The work of what is about to be published; the first load is over with it.
    pub(super) fn take_work(&mut self) -> Work {
        self.progress = None;
        self.has_changes = false;
        std::mem::take(&mut self.work)
    }
}
