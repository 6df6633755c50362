use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{Ended, Family, Lookups, look_up, table::Table};
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
    let mut failures = BTreeMap::new();
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
    failures.into_iter().collect()
}

async fn resolve_names(
    pipeline: &mut Pipeline,
    forwarder: &Arc<Forwarder>,
    wanted: Vec<Name>,
) -> BTreeMap<Name, ResolutionError> {
    let mut table = Table::new(wanted.len());
    for name in wanted {
        table.add(name, Instant::now());
    }
    let mut lookups = Lookups::default();
    let (mut told, mut failures) = (HashMap::new(), BTreeMap::new());
    loop {
        for family in Family::BOTH {
            while lookups.has_room(family)
                && let Some(name) = table.take_new(family)
            {
                let (forwarder, snapshot) = (forwarder.clone(), pipeline.snapshot().clone());
                let asked = name.clone();
                lookups.start(name, family, async move {
                    let is_ours = |name: &Name| snapshot.is_ours(name.as_wire());
                    look_up(Some(&forwarder), &asked, family, is_ours).await
                });
            }
        }
        let Some(Ended {
            name,
            family,
            found,
        }) = lookups.next().await
        else {
            break;
        };
        if let Err(failure) = &found {
            failures.entry(name.clone()).or_insert(failure.clone());
        }
        if let Some(said) = table.note(&name, family, found, Instant::now()) {
            told.insert(name, Some(said));
        }
    }
    pipeline.take_in_names(told);
    pipeline.compile(SystemTime::now());
    failures
}
