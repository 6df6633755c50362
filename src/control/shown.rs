//! What is kept for those who look: where they do, each publish is followed by a look at what it changed.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;

use crate::{
    catalogue::{Catalogue, Published},
    dns::Name,
    pipeline::Pipeline,
    zone::Snapshot,
};

/// What is served, for people: of one generation.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// The hosts.
    pub catalogue: Catalogue,
    /// What they answer.
    pub snapshot: Arc<Snapshot>,
}

/// Keeps the newest [`Exhibit`].
pub(super) struct Exhibitor {
    catalogue: Catalogue,
    newest: Arc<ArcSwap<Exhibit>>,
}

impl Exhibitor {
    pub(super) fn new(newest: Arc<ArcSwap<Exhibit>>) -> Self {
        Self {
            catalogue: Catalogue::default(),
            newest,
        }
    }

    /// Shows what `pipeline` has published, in which `hosts` were compiled again; `before` is what was served before.
    pub(super) fn show(&mut self, pipeline: &Pipeline, hosts: &[Name], before: &Snapshot) {
        let snapshot = pipeline.snapshot();
        let published = Published {
            at: SystemTime::now(),
            generation: snapshot.generation(),
        };
        let updates = pipeline.host_updates(hosts, before);
        self.catalogue.update(updates, published);
        self.newest.store(Arc::new(Exhibit {
            catalogue: self.catalogue.clone(),
            snapshot: snapshot.clone(),
        }));
    }
}
