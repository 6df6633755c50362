//! What is kept for those who look: where they do, each publish is followed by a look at what it changed.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use foldhash::HashSet;

use crate::{
    catalogue::{Catalogue, Published},
    dns::Name,
    history::{Entry, History, Limits, Publish},
    mesh::Touches,
    pipeline::Pipeline,
    zone::Snapshot,
};

/// How many of the newest changes everybody sees without asking.
const RECENT: usize = 20;

/// What is served, for people: of one generation.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// The hosts.
    pub catalogue: Catalogue,
    /// What they answer.
    pub snapshot: Arc<Snapshot>,
    /// The newest changes, newest first.
    pub recent: Arc<[Arc<Entry>]>,
    /// How many changes are known.
    pub changes: usize,
    /// From when on they are.
    pub known_since: Option<SystemTime>,
}

impl Exhibit {
    /// Nothing, before the first load.
    pub(super) fn empty(snapshot: Arc<Snapshot>) -> Self {
        Self {
            catalogue: Catalogue::default(),
            snapshot,
            recent: Arc::default(),
            changes: 0,
            known_since: None,
        }
    }
}

/// Keeps the newest [`Exhibit`], and what was answered before.
pub(super) struct Exhibitor {
    catalogue: Catalogue,
    pub(super) history: History,
    newest: Arc<ArcSwap<Exhibit>>,
}

impl Exhibitor {
    pub(super) fn new(limits: Limits, newest: Arc<ArcSwap<Exhibit>>) -> Self {
        Self {
            catalogue: Catalogue::default(),
            history: History::new(limits),
            newest,
        }
    }

    /// Shows what `pipeline` has published, in which `hosts` were compiled again; `before` is what was served before. What
    /// changed for no object changed for what `otherwise` says.
    pub(super) fn show(
        &mut self,
        pipeline: &mut Pipeline,
        hosts: &[Name],
        before: &Snapshot,
        otherwise: &'static str,
    ) {
        let now = SystemTime::now();
        let snapshot = pipeline.snapshot().clone();
        if before.is_ready() {
            let objects = pipeline.take_differences();
            let of_services = objects.iter().filter_map(|object| match &object.touches {
                Touches::Hosts { hosts, .. } => Some(hosts),
                Touches::Addresses(_) => None,
            });
            let alone: HashSet<&Name> = of_services.flatten().collect();
            let changes = pipeline.address_changes(hosts, before, &alone);
            let publish = Publish {
                at: now,
                generation: snapshot.generation(),
                serial: snapshot.serial().0,
            };
            self.history.note(changes, objects, otherwise, publish);
        } else {
            // What comes first is no change.
            pipeline.follow_differences();
            self.history.begin(now);
        }
        let updates = pipeline.host_updates(hosts, before);
        let published = Published {
            at: now,
            generation: snapshot.generation(),
        };
        self.catalogue.update(updates, published);
        self.newest.store(Arc::new(Exhibit {
            catalogue: self.catalogue.clone(),
            snapshot,
            recent: self.history.entries().take(RECENT).cloned().collect(),
            changes: self.history.entries().len(),
            known_since: self.history.known_since(),
        }));
    }
}
