//! What the loop shares with those who started it: what to serve, what it is told, and what it publishes.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{health::Health, names::Names, questions::Questions, shown::Exhibit};
use crate::{
    history,
    pipeline::Policy,
    source::{FollowLinks, Waker, Wish},
    status::Status,
    zone::Snapshot,
};

/// What to serve, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The mesh folders, or single files.
    pub folders: Vec<PathBuf>,
    /// How far links in them are followed.
    pub follow_links: FollowLinks,
    /// How they are answered.
    pub policy: Policy,
    /// How changes are to be noticed.
    pub wish: Wish,
    /// How long what can't be read at the start is waited for.
    pub start_patience: Duration,
    /// Where the last good state is kept.
    pub state_dir: Option<PathBuf>,
    /// What persons say, and how long checks are waited for.
    pub health: HealthOptions,
    /// What is kept for those who look at what is served; `None` where nobody does.
    pub shown: Option<history::Limits>,
}

/// What concerns the loop of who is healthy; which endpoints are checked is a matter of the policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthOptions {
    /// The override file.
    pub overrides: Option<PathBuf>,
    /// How long the first load waits until every endpoint was checked once.
    pub start_within: Duration,
    /// How long after resolvers have forgotten a drained endpoint it may be stopped.
    pub drain_margin: Duration,
    /// Whether the status names the endpoints that are checked.
    pub names_endpoints: bool,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self {
            overrides: None,
            start_within: Duration::from_secs(5),
            drain_margin: Duration::from_secs(30),
            names_endpoints: false,
        }
    }
}

/// How far the first load is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How many files there are.
    pub files: usize,
    /// How many of them were read.
    pub files_read: u64,
    /// How many bytes these held.
    pub bytes_read: u64,
    /// How many objects these and clusters hold so far, each counted once.
    pub objects: usize,
    /// How many lists of clusters there are.
    pub lists: usize,
    /// How many of them were told to their end.
    pub lists_read: usize,
}

impl Progress {
    /// Whether all was read, so that the answers are what is left to do.
    pub fn is_read(&self) -> bool {
        self.files_read >= self.files as u64 && self.lists_read >= self.lists
    }
}

/// Is told during the first load how far it is, and dropped when that is done.
pub type ShowProgress = Box<dyn FnMut(Progress) + Send>;

/// The places where the loop and everybody else meet.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(super) status: Arc<ArcSwap<Status>>,
    pub(super) exhibit: Arc<ArcSwap<Exhibit>>,
    pub(super) questions: Arc<Questions>,
    pub(super) orders: Arc<Orders>,
    pub(super) names: Arc<Names>,
    pub(super) health: Arc<Health>,
    pub(super) waker: Arc<Waker>,
}

/// What the loop was told to do.
#[derive(Debug, Default)]
pub(super) struct Orders {
    stop: AtomicBool,
    reload: AtomicBool,
    policy: Mutex<Option<(Policy, HealthOptions)>>,
}

impl Shared {
    /// Nothing is ready, and nobody has told anything.
    pub(super) fn new(policy: &Policy) -> Self {
        let waker = Arc::<Waker>::default();
        let snapshot = Arc::new(Snapshot::not_ready(policy.settings.clone()));
        let exhibit = Exhibit::empty(snapshot.clone());
        Self {
            snapshots: Arc::new(ArcSwap::new(snapshot)),
            exhibit: Arc::new(ArcSwap::from_pointee(exhibit)),
            status: Arc::default(),
            questions: Arc::new(Questions::new(waker.clone())),
            orders: Arc::default(),
            names: Arc::new(Names::new(waker.clone())),
            health: Arc::new(Health::new(waker.clone())),
            waker,
        }
    }
}

impl Orders {
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn reload(&self) {
        self.reload.store(true, Ordering::Release);
    }

    pub(super) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_policy(&self, policy: Policy, health: HealthOptions) {
        *self.policy() = Some((policy, health));
    }

    pub(super) fn take_policy(&self) -> Option<(Policy, HealthOptions)> {
        self.policy().take()
    }

    fn policy(&self) -> MutexGuard<'_, Option<(Policy, HealthOptions)>> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
