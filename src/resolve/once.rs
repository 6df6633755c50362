use std::{
    collections::HashSet,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tokio::task::JoinSet;

use super::{MOST_LOOKUPS, look_up, table::Table};
use crate::{
    dns::Name,
    forward::{Forwarder, ResolutionError},
    pipeline::Pipeline,
};

/// An alias may lead to other names; not further than so.
const MOST_ROUNDS: usize = 8;

/// Looks up, once each, the names that `hosts` have as endpoints, or all hosts, and compiles what they come to. Returns the
/// names that could not be looked up, in canonical order, and why.
pub async fn resolve(
    pipeline: &mut Pipeline,
    forwarder: &Arc<Forwarder>,
    hosts: Option<&[Name]>,
) -> Vec<(Name, ResolutionError)> {
    let mut asked = HashSet::new();
    let mut failures = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let mut wanted: Vec<Name> = match hosts {
            None => pipeline.names_wanted().cloned().collect(),
            Some(hosts) => {
                let names = hosts.iter().flat_map(|host| pipeline.names_of(host));
                let names = names.filter(|name_use| name_use.is_others);
                names.map(|name_use| name_use.name.clone()).collect()
            }
        };
        wanted.retain(|name| asked.insert(name.clone()));
        if wanted.is_empty() {
            break;
        }
        failures.extend(resolve_names(pipeline, forwarder, wanted).await);
    }
    failures.sort_by(|(a, _), (b, _)| a.cmp(b));
    failures
}

async fn resolve_names(
    pipeline: &mut Pipeline,
    forwarder: &Arc<Forwarder>,
    wanted: Vec<Name>,
) -> Vec<(Name, ResolutionError)> {
    let mut table = Table::new(wanted.len());
    for name in &wanted {
        table.add(name.clone(), Instant::now());
    }
    let mut wanted = wanted.into_iter();
    let mut lookups = JoinSet::new();
    let (mut told, mut failures) = (Vec::new(), Vec::new());
    loop {
        while lookups.len() < MOST_LOOKUPS
            && let Some(name) = wanted.next()
        {
            let (forwarder, snapshot) = (forwarder.clone(), pipeline.snapshot().clone());
            lookups.spawn(async move {
                let is_ours = |name: &Name| snapshot.is_ours(name.as_wire());
                let lookup = look_up(Some(&forwarder), &name, is_ours).await;
                (name, lookup)
            });
        }
        let Some(ended) = lookups.join_next().await else {
            break;
        };
        let Ok((name, lookup)) = ended else { continue };
        let failure = lookup.failure().cloned();
        failures.extend(failure.map(|failure| (name.clone(), failure)));
        if let Some(said) = table.note(&name, lookup, Instant::now()) {
            told.push((name, Some(said)));
        }
    }
    pipeline.take_in_names(told);
    pipeline.compile(SystemTime::now());
    failures
}
