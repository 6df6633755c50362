//! The mesh, its reloads and what is wrong with it; and reloads of the configuration file.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::{
    orders, shares,
    write::{counter, gauge, gauges, seconds_since_1970},
};
use crate::{
    diagnostic::{Kind, Severity, SeverityCounts},
    status::{StateStatus, Status, Watching},
    zone::Snapshot,
};

/// How many other kinds of objects are counted one by one.
const MAX_KINDS: usize = 50;

#[derive(Debug)]
pub(super) struct Reloads {
    pub(super) status: Arc<ArcSwap<Status>>,
    pub(super) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(super) configuration: Arc<ConfigReloads>,
}

/// How often the configuration file was read again.
#[derive(Debug, Default)]
pub struct ConfigReloads {
    good: AtomicU64,
    failed: AtomicU64,
}

impl ConfigReloads {
    /// The file was read again, and what it says is in force.
    pub fn count_success(&self) {
        self.good.fetch_add(1, Relaxed);
    }

    /// The file was read again and can't be used: the settings stay as they were.
    pub fn count_failure(&self) {
        self.failed.fetch_add(1, Relaxed);
    }
}

impl Collector for Reloads {
    fn encode(&self, mut page: DescriptorEncoder) -> fmt::Result {
        let page = &mut page;
        let status = self.status.load();
        let snapshot = self.snapshots.load();
        work(page, &status)?;
        gauge(
            page,
            "generation",
            "Snapshots published by this process; 0 before the first load.",
            snapshot.generation(),
        )?;
        gauge(
            page,
            "zone_serial",
            "The SOA serial of every zone.",
            snapshot.serial().0,
        )?;
        mesh(page, &status)?;
        trouble(page, &status)?;
        if let Some(state) = &status.state {
            last_good(page, state)?;
        }
        if let Some(orders) = &status.orders {
            orders::encode(page, orders)?;
        }
        if !status.shares.is_empty() {
            shares::encode(page, &status.shares)?;
        }
        let failed = self.configuration.failed.load(Relaxed);
        counter(
            page,
            "config_reload",
            "Times that the configuration file was read again.",
            self.configuration.good.load(Relaxed) + failed,
        )?;
        counter(
            page,
            "config_reload_failed",
            "Times of these that it could not be used, and the settings stayed as they were.",
            failed,
        )
    }
}

/// What reloads did since the process started.
fn work(page: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let totals = &status.totals;
    let counters = [
        (
            "reload",
            "Reloads that found something changed.",
            totals.reloads,
        ),
        (
            "reload_failed",
            "Reloads after which a file or an object could not be used.",
            totals.failed_reloads,
        ),
        ("files_read", "Mesh files read.", totals.files_read),
        (
            "documents_parsed",
            "YAML and JSON documents parsed; a list is one document.",
            totals.documents_parsed,
        ),
        (
            "hosts_recompiled",
            "Hosts whose answer was compiled again.",
            totals.hosts_recompiled,
        ),
        (
            "names_changed",
            "Names whose answer changed.",
            totals.names_changed,
        ),
        (
            "watch_overflows",
            "Times that the kernel dropped file events and everything was looked at again.",
            totals.event_overflows,
        ),
    ];
    for (name, help, value) in counters {
        counter(page, name, help, value)?;
    }
    gauge(
        page,
        "reload_last_timestamp_seconds",
        "When the last reload ended, whatever came of it; 0 before the first.",
        seconds_since_1970(status.last_reload),
    )?;
    gauge(
        page,
        "reload_last_success_timestamp_seconds",
        "When the last reload ended in which every file and object could be used; 0 before the first.",
        seconds_since_1970(status.last_success),
    )?;
    gauge(
        page,
        "reload_last_duration_seconds",
        "How long the last reload took.",
        status.last_duration.as_secs_f64(),
    )
}

/// What is served.
fn mesh(page: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let endpoints = &status.endpoints;
    gauge(page, "files", "Mesh files held.", status.files)?;
    gauge(page, "hosts", "Hosts answered.", status.hosts)?;
    gauges(
        page,
        "objects",
        "Objects served.",
        "kind",
        Kind::ALL.map(|kind| {
            let count = status.objects.get(&kind).copied();
            (kind.as_str(), count.unwrap_or_default())
        }),
    )?;
    gauges(
        page,
        "endpoints",
        "Workloads and inline endpoints by state, each once, whichever host they serve.",
        "state",
        [
            ("selected", endpoints.selected),
            ("named", endpoints.named),
            ("unready", endpoints.unready),
            ("excluded", endpoints.excluded),
            ("drained", endpoints.drained),
            ("unselected", endpoints.unselected),
        ],
    )
}

/// What is wrong, and how stale the data may be.
fn trouble(page: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let SeverityCounts {
        errors,
        warnings,
        infos,
    } = status.diagnostics;
    gauges(
        page,
        "diagnostics",
        "What `meshdns check` would say at present.",
        "severity",
        [
            (Severity::Error, errors),
            (Severity::Warning, warnings),
            (Severity::Info, infos),
        ]
        .map(|(severity, count)| (severity.as_str(), count)),
    )?;
    gauges(
        page,
        "objects_ignored",
        "Objects of kinds that meshdns does not read.",
        "kind",
        shown_kinds(status),
    )?;
    gauge(
        page,
        "objects_kept",
        "Objects whose newest version can't be used: the last good one is served.",
        status.kept,
    )?;
    gauge(
        page,
        "objects_kept_oldest_timestamp_seconds",
        "Since when the oldest of these is served; 0 where there is none.",
        seconds_since_1970(status.kept_since),
    )?;
    gauge(
        page,
        "folders_missing",
        "Mesh folders that are not there at present.",
        status.missing_folders.len(),
    )?;
    gauge(
        page,
        "unread",
        "Files, folders and lists of clusters that could not be read at the start, and not since.",
        status.unread.count,
    )?;
    gauge(
        page,
        "watch_polling",
        "1 where changes are noticed by looking again, 0 where the operating system tells.",
        u32::from(matches!(status.watching, Watching::Polling { .. })),
    )?;
    gauge(
        page,
        "watch_stopped",
        "1 where a bug has ended the following of changes and only a restart helps, else 0.",
        u32::from(status.watching == Watching::Stopped),
    )
}

/// What is kept on disk, where something is.
fn last_good(page: &mut DescriptorEncoder<'_>, state: &StateStatus) -> fmt::Result {
    gauge(
        page,
        "state_saved_timestamp_seconds",
        "When the last good state was last written to the disk; 0 before the first time.",
        seconds_since_1970(state.saved),
    )?;
    counter(
        page,
        "state_save_failed",
        "Times that the last good state could not be written.",
        state.failures,
    )?;
    gauge(
        page,
        "state_in_use",
        "Files, and lists of clusters, that can't be read since the start: the last good state stands in for them.",
        state.in_use.count,
    )?;
    gauge(
        page,
        "state_in_use_timestamp_seconds",
        "When the oldest of what the last good state stands in for could last be read; 0 where there is nothing.",
        seconds_since_1970(state.in_use_since),
    )
}

/// Objects of other kinds, by kind. A manifest may claim any kind: those that don't look like one, and those after the first
/// [`MAX_KINDS`], are counted together.
fn shown_kinds(status: &Status) -> BTreeMap<&str, usize> {
    let mut shown = BTreeMap::new();
    for (kind, count) in &*status.ignored {
        let is_kind = kind.len() < 64 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let label = if is_kind && shown.len() < MAX_KINDS {
            &**kind
        } else {
            "other"
        };
        *shown.entry(label).or_default() += count;
    }
    shown
}
