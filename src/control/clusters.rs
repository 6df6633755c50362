//! The clusters that are followed: what they said, what is missing, and how long that is waited for.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    diagnostic::Cluster,
    mesh::{ClusterChange, ClusterEvent, ListScope},
    source::{Inbox, Waker},
    status::Unread,
};

/// How long the start waits for a cluster before what else there is is served, and how long lists of one that come one after
/// the other are waited for as one.
const HOLD: Duration = Duration::from_secs(2);

/// The clusters that are followed.
pub(super) struct Clusters {
    sources: Vec<Source>,
    begun: Instant,
    /// When that was last asked which may become otherwise with time.
    looked_at: Instant,
    /// How long what is missing at the start is waited for.
    patience: Duration,
}

struct Source {
    inbox: Inbox,
    /// The lists that were not told to their end since the start.
    missing: BTreeSet<ListScope>,
    /// When the last good state was the cluster's, where it stands in for what is missing.
    stands_in: Option<SystemTime>,
    /// Since when some lists are told, and others not.
    partly_since: Option<Instant>,
}

impl Clusters {
    /// Takes in what comes from `inboxes`, each of which wakes `waker`.
    pub(super) fn new(inboxes: Vec<Inbox>, patience: Duration, waker: &Arc<Waker>) -> Self {
        let source = |inbox: Inbox| {
            inbox.wake(waker);
            Source {
                missing: inbox.scopes().iter().cloned().collect(),
                inbox,
                stands_in: None,
                partly_since: None,
            }
        };
        Self {
            sources: inboxes.into_iter().map(source).collect(),
            begun: Instant::now(),
            looked_at: Instant::now(),
            patience,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The clusters.
    pub(super) fn followed(&self) -> impl Iterator<Item = &Cluster> {
        self.sources.iter().map(|source| source.inbox.cluster())
    }

    /// The cluster of this name, where it is followed.
    pub(super) fn named(&self, name: &str) -> Option<&Cluster> {
        self.followed().find(|cluster| cluster.name() == name)
    }

    /// Notes that the mesh knows what `cluster` said to an earlier process, which `read` it then.
    pub(super) fn note_earlier(&mut self, cluster: &Cluster, read: SystemTime) {
        let is_it = |source: &&mut Source| source.inbox.cluster() == cluster;
        if let Some(source) = self.sources.iter_mut().find(is_it) {
            source.stands_in = Some(read);
        }
    }

    /// Notes that queries are answered from the mesh.
    pub(super) fn note_served(&self) {
        for source in &self.sources {
            source.inbox.note_served();
        }
    }

    /// A parcel of what each cluster says next; `None` where all was taken.
    pub(super) fn take(&mut self) -> Option<Vec<ClusterChange>> {
        let mut taken = Vec::new();
        let mut has_taken = false;
        for source in &mut self.sources {
            has_taken |= source.take(&mut taken);
        }
        has_taken.then_some(taken)
    }

    /// How many lists were told to their end since the start, of how many.
    pub(super) fn lists(&self) -> (usize, usize) {
        let all = |source: &Source| source.inbox.scopes().len();
        let all: usize = self.sources.iter().map(all).sum();
        let missing: usize = self.sources.iter().map(|source| source.missing.len()).sum();
        (all - missing, all)
    }

    /// What is missing and nothing stands in for.
    pub(super) fn unread(&self) -> Unread {
        let sources = self.sources.iter();
        Unread::of(&names(sources.filter(|source| source.stands_in.is_none())))
    }

    /// What is not followed at present, and why.
    pub(super) fn troubles(&self) -> Unread {
        let mut lines = BTreeSet::new();
        for source in &self.sources {
            let cluster = source.inbox.cluster();
            let troubles = source.inbox.troubles();
            let line = |trouble: &Arc<str>| format!("{cluster}: {trouble}").into();
            lines.extend(troubles.values().map(line));
        }
        Unread::of(&lines)
    }

    /// What is missing and the last good state stands in for, and since when it is so old.
    pub(super) fn in_use(&self) -> (BTreeSet<Arc<str>>, Option<SystemTime>) {
        let missing = self.sources.iter().filter(|source| source.stands_in());
        let since = missing.clone().filter_map(|source| source.stands_in);
        (names(missing), since.min())
    }

    /// The clusters for which the last good state stands in, and when each could last be read.
    pub(super) fn earlier(&self) -> impl Iterator<Item = (Cluster, SystemTime)> {
        let sources = self.sources.iter().filter(|source| source.stands_in());
        sources.filter_map(|source| Some((source.inbox.cluster().clone(), source.stands_in?)))
    }

    /// Whether what is missing is waited for, so that to deny it would be a lie.
    pub(super) fn waits(&self, now: Instant) -> bool {
        let is_missing = |source: &Source| !source.missing.is_empty() && source.stands_in.is_none();
        now < self.begun + self.patience && self.sources.iter().any(is_missing)
    }

    /// Whether nothing is to be published: what is missing may be there in a moment.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        let deadlines = self
            .sources
            .iter()
            .filter_map(|source| self.held_until(source));
        deadlines.max().is_some_and(|until| now < until)
    }

    /// Notes that what may become otherwise with time is asked at `now`.
    pub(super) fn look(&mut self, now: Instant) {
        self.looked_at = now;
    }

    /// When to ask again although no cluster says anything.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let mut deadlines = Vec::new();
        for source in &self.sources {
            deadlines.extend(self.held_until(source));
            if !source.missing.is_empty() && source.stands_in.is_none() {
                deadlines.push(self.begun + self.patience);
            }
        }
        let later = deadlines.into_iter();
        later.filter(|deadline| *deadline > self.looked_at).min()
    }

    fn held_until(&self, source: &Source) -> Option<Instant> {
        if source.missing.is_empty() {
            return None;
        }
        let since = source.partly_since.unwrap_or(self.begun);
        Some(since + HOLD.min(self.patience))
    }
}

impl Source {
    /// Whether the last good state stands in for something.
    fn stands_in(&self) -> bool {
        self.stands_in.is_some() && !self.missing.is_empty()
    }

    /// Takes one parcel, where there is one.
    fn take(&mut self, taken: &mut Vec<ClusterChange>) -> bool {
        let Some(events) = self.inbox.take() else {
            return false;
        };
        for event in events {
            if let ClusterEvent::ListEnds(scope) = &event
                && self.missing.remove(scope)
            {
                self.partly_since.get_or_insert_with(Instant::now);
            }
            taken.push(ClusterChange {
                cluster: self.inbox.cluster().clone(),
                event,
            });
        }
        true
    }
}

/// `cluster prod: Pod`, for each list that is missing.
fn names<'s>(sources: impl Iterator<Item = &'s Source>) -> BTreeSet<Arc<str>> {
    let of_source = |source: &'s Source| {
        let cluster = source.inbox.cluster();
        let missing = source.missing.iter();
        missing.map(move |scope| format!("{cluster}: {scope}").into())
    };
    sources.flat_map(of_source).collect()
}
