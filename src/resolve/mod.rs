//! Names that stand in the place of addresses, looked up through the upstreams.
//!
//! Takes from [`control`](crate::control::Names) which names the mesh has, asks for A and AAAA through the
//! [`Forwarder`] in force, and hands back what names come to as it changes. Owns when a name is asked for: when its TTL is
//! over, sooner or later within limits, and less and less often while that fails. What was good stays good until somebody
//! says something else: that a name does not exist is such a word, that nobody answers is none.
//!
//! Never decides what a name means for a host, and asks nobody about names of our own.

mod figures;
mod once;
mod table;

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use tokio::{select, task::JoinSet, time::sleep_until};
use tracing::{debug, info, warn};

pub use figures::{Figures, Page};
pub use once::resolve;
use table::Table;

use crate::{
    control::Names,
    dns::{Name, RecordType},
    forward::{Forwarder, Heard, InForce, Unheard},
    zone::Snapshot,
};

/// How many names are looked up at a time; each is two questions.
const MOST_LOOKUPS: usize = 32;

/// How many names are looked up at all; further ones wait until one of these is gone.
const MOST_NAMES: usize = 10_000;

/// What became of the questions for the two types of addresses of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Lookup {
    v4: Result<Heard, Unheard>,
    v6: Result<Heard, Unheard>,
}

/// Looks names up for ever.
pub async fn run(
    names: Arc<Names>,
    forwarding: Arc<InForce>,
    snapshots: Arc<ArcSwap<Snapshot>>,
    figures: Arc<Figures>,
) {
    let mut table = Table::new(MOST_NAMES);
    let mut lookups = JoinSet::new();
    loop {
        while lookups.len() < MOST_LOOKUPS
            && let Some(name) = table.take_due(Instant::now())
        {
            let (forwarding, snapshots) = (forwarding.clone(), snapshots.clone());
            lookups.spawn(async move {
                let forwarder = forwarding.load_full();
                let is_ours = |name: &Name| snapshots.load().is_ours(name.as_wire());
                let lookup = look_up(forwarder.as_ref(), &name, is_ours).await;
                (name, lookup)
            });
        }
        figures.show(&table);
        if table.is_settled() {
            names.mark_settled();
        }
        let is_full = lookups.len() >= MOST_LOOKUPS;
        let due = table.next_due();
        select! {
            changes = names.changes() => {
                let mut gone = Vec::new();
                if changes.retry {
                    table.retry(Instant::now());
                }
                for (name, is_wanted) in changes.names {
                    if is_wanted {
                        table.add(name, Instant::now());
                    } else {
                        table.remove(&name);
                        gone.push((name, None));
                    }
                }
                names.tell(gone);
                if table.waiting() > 0 {
                    warn!(
                        "endpoints have more than {MOST_NAMES} names: {} of them add nothing until others are gone",
                        table.waiting()
                    );
                }
            }
            Some(ended) = lookups.join_next() => {
                let Ok((name, lookup)) = ended else { continue };
                figures.count(&lookup);
                tell_of(&table, &name, &lookup);
                if let Some(told) = table.note(&name, lookup, Instant::now()) {
                    names.tell([(name, Some(told))]);
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if !is_full && due.is_some() => {}
        }
    }
}

/// Asks for both types of addresses.
async fn look_up(
    forwarder: Option<&Arc<Forwarder>>,
    name: &Name,
    is_ours: impl Fn(&Name) -> bool,
) -> Lookup {
    let Some(forwarder) = forwarder else {
        return Lookup {
            v4: Err(Unheard::NoUpstream),
            v6: Err(Unheard::NoUpstream),
        };
    };
    let (v4, v6) = tokio::join!(
        forwarder.addresses(name, RecordType::A, &is_ours),
        forwarder.addresses(name, RecordType::AAAA, &is_ours),
    );
    Lookup { v4, v6 }
}

/// Says in the log when a name begins to fail and when that ends, as long as few do.
fn tell_of(table: &Table, name: &Name, lookup: &Lookup) {
    const MOST_TOLD: usize = 20;
    let was_failing = table.is_failing(name);
    match lookup.failure() {
        Some(failure) if !was_failing && table.failing() < MOST_TOLD => {
            warn!(%name, "an endpoint's name can't be looked up, and what was last known of it stays: {failure}");
        }
        Some(failure) => debug!(%name, "an endpoint's name can't be looked up: {failure}"),
        None if was_failing && table.failing() <= MOST_TOLD => {
            info!(%name, "an endpoint's name can be looked up again");
        }
        None => {}
    }
}

impl Lookup {
    /// Why one of the questions failed.
    fn failure(&self) -> Option<&Unheard> {
        [&self.v4, &self.v6]
            .into_iter()
            .find_map(|heard| heard.as_ref().err())
    }
}
