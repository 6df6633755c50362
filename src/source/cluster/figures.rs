//! What is counted of each kind that is followed.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::trouble::Reason;
use crate::diagnostic::{Cluster, Kind};

/// One kind of one cluster, in one namespace or in all.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) cluster: Cluster,
    pub(super) kind: Kind,
    begun: Instant,
    objects: AtomicU64,
    events: AtomicU64,
    relists: AtomicU64,
    errors: [AtomicU64; Reason::ALL.len()],
    /// When something was heard, in milliseconds since the beginning.
    heard: AtomicU64,
    synced: AtomicBool,
}

impl Figures {
    pub(super) fn new(cluster: Cluster, kind: Kind) -> Self {
        Self {
            cluster,
            kind,
            begun: Instant::now(),
            objects: AtomicU64::new(0),
            events: AtomicU64::new(0),
            relists: AtomicU64::new(0),
            errors: Default::default(),
            heard: AtomicU64::new(0),
            synced: AtomicBool::new(false),
        }
    }

    pub(super) fn set_objects(&self, objects: usize) {
        self.objects.store(objects as u64, Relaxed);
    }

    /// Counts what was told of an object.
    pub(super) fn count_event(&self) {
        self.events.fetch_add(1, Relaxed);
    }

    pub(super) fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    pub(super) fn count_relist(&self) {
        self.relists.fetch_add(1, Relaxed);
    }

    pub(super) fn count_error(&self, reason: Reason) {
        self.errors[reason as usize].fetch_add(1, Relaxed);
    }

    /// Notes that the server said something.
    pub(super) fn note_heard(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(millis, Relaxed);
    }

    pub(super) fn set_synced(&self, synced: bool) {
        self.synced.store(synced, Relaxed);
    }

    /// What it is at this moment.
    pub(super) fn read(&self) -> Reading {
        let heard = Duration::from_millis(self.heard.load(Relaxed));
        Reading {
            objects: self.objects.load(Relaxed),
            events: self.events.load(Relaxed),
            relists: self.relists.load(Relaxed),
            errors: Reason::ALL.map(|reason| self.errors[reason as usize].load(Relaxed)),
            silent: self.begun.elapsed().saturating_sub(heard),
            synced: self.synced.load(Relaxed),
        }
    }
}

/// What is counted, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) objects: u64,
    pub(super) events: u64,
    pub(super) relists: u64,
    /// In the order of [`Reason::ALL`].
    pub(super) errors: [u64; Reason::ALL.len()],
    /// How long nothing was heard.
    pub(super) silent: Duration,
    pub(super) synced: bool,
}

impl Reading {
    /// Of both together: as good as the worse one.
    pub(super) fn and(self, other: Self) -> Self {
        let mut errors = self.errors;
        for (sum, more) in errors.iter_mut().zip(other.errors) {
            *sum += more;
        }
        Self {
            objects: self.objects + other.objects,
            events: self.events + other.events,
            relists: self.relists + other.relists,
            errors,
            silent: self.silent.max(other.silent),
            synced: self.synced && other.synced,
        }
    }
}
