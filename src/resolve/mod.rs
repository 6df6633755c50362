//! Endpoints that are names, looked up through the upstreams.
//!
//! Takes from [`control`](crate::control::Names) which names the mesh has, asks for A and AAAA through the
//! [`Forwarder`] in force, and hands back what names come to as it changes. Owns when a name is asked for: when its TTL is
//! over, sooner or later within limits, and less and less often while that fails; each type of address for itself. What was good stays good until somebody
//! says something else: that a name does not exist is such a word, that nobody answers is none.
//!
//! Never decides what a name means for a host, and asks nobody about names of our own.

mod family;
mod figures;
mod lookups;
mod once;
mod table;

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use tokio::{select, time::sleep_until};
use tracing::{debug, info, warn};

use family::{Family, PerFamily};
pub use figures::{Figures, ResolveMetrics};
use lookups::{Ended, Lookups};
pub use once::resolve;
use table::Table;

use crate::{
    control::{Changes, Names},
    dns::Name,
    forward::{Forwarder, InForce, Resolution, ResolutionError},
    zone::Snapshot,
};

/// How many names are looked up at all; further ones wait until one of these is gone.
const MOST_NAMES: usize = 10_000;

/// Looks names up for ever.
pub async fn run(
    names: Arc<Names>,
    forwarding: Arc<InForce>,
    snapshots: Arc<ArcSwap<Snapshot>>,
    figures: Arc<Figures>,
) {
    let mut table = Table::new(MOST_NAMES);
    let mut lookups = Lookups::default();
    let mut is_full = false;
    loop {
        for family in Family::BOTH {
            while lookups.has_room(family)
                && let Some(name) = table.take_due(family, Instant::now())
            {
                let (forwarding, snapshots) = (forwarding.clone(), snapshots.clone());
                let asked = name.clone();
                lookups.start(name, family, async move {
                    let forwarder = forwarding.load_full();
                    let is_ours = |name: &Name| snapshots.load().is_ours(name.as_wire());
                    look_up(forwarder.as_ref(), &asked, family, is_ours).await
                });
            }
        }
        figures.show(&table);
        if table.is_settled() {
            names.mark_settled();
        }
        let due = Family::BOTH
            .into_iter()
            .filter(|family| lookups.has_room(*family))
            .filter_map(|family| table.next_due(family))
            .min();
        select! {
            changes = names.changes() => {
                names.tell(take_in(&mut table, changes));
                let was_full = std::mem::replace(&mut is_full, table.waiting() > 0);
                tell_of_room(&table, was_full);
            }
            Some(ended) = lookups.next() => {
                figures.count(&ended);
                let Ended { name, family, found } = ended;
                tell_of(&table, &name, family, &found);
                if let Some(told) = table.note(&name, family, found, Instant::now()) {
                    names.tell([(name, Some(told))]);
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {}
        }
    }
}

/// Takes in which names are looked up from now on. Returns those that nothing is known of any more.
fn take_in(table: &mut Table, changes: Changes) -> Vec<(Name, Option<crate::mesh::ResolvedName>)> {
    if changes.retry {
        table.retry(Instant::now());
    }
    let mut gone = Vec::new();
    for (name, is_wanted) in changes.names {
        if is_wanted {
            table.add(name, Instant::now());
        } else {
            table.remove(&name);
            gone.push((name, None));
        }
    }
    gone
}

/// Asks for one type of address.
async fn look_up(
    forwarder: Option<&Arc<Forwarder>>,
    name: &Name,
    family: Family,
    is_ours: impl Fn(&Name) -> bool,
) -> Result<Resolution, ResolutionError> {
    let forwarder = forwarder.ok_or(ResolutionError::NoUpstream)?;
    let record_type = family.record_type();
    forwarder.addresses(name, record_type, is_ours).await
}

/// Says in the log when there begin to be too many names, and when that ends.
fn tell_of_room(table: &Table, was_full: bool) {
    match table.waiting() {
        waiting @ 1.. if !was_full => warn!(
            waiting,
            "endpoints have more than {MOST_NAMES} names: those that wait add nothing until others are gone"
        ),
        0 if was_full => info!("all names of endpoints are looked up again"),
        _ => {}
    }
}

/// Says in the log when a name begins to fail and when that ends, as long as few do.
fn tell_of(
    table: &Table,
    name: &Name,
    family: Family,
    found: &Result<Resolution, ResolutionError>,
) {
    const MOST_TOLD: usize = 20;
    let was_failing = table.is_failing(name);
    let kind = family.record_type();
    match found {
        Err(failure) if !was_failing && table.failing() < MOST_TOLD => {
            warn!(%name, %kind, "an endpoint's name can't be looked up, and what was last known of it stays: {failure}");
        }
        Err(failure) => {
            debug!(%name, %kind, "an endpoint's name can't be looked up: {failure}");
        }
        Ok(_) if table.fails_only_for(name, family) && table.failing() <= MOST_TOLD => {
            info!(%name, "an endpoint's name can be looked up again");
        }
        Ok(_) => {}
    }
}
