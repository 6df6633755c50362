//! What persons say of endpoints, from the override file to the time at which a drained one may be stopped.
//!
//! DNS can only stop handing an address out. When the last record of it is gone from the answers, resolvers keep it for as long
//! as its TTL said, and programs for a little longer.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tracing::{info, warn};

use super::shared::HealthOptions;
use crate::{
    chain::Chain,
    diagnostic::{Cluster, Kind},
    dns::{Name, Ttl},
    health::Overrides,
    manifest::OrderedState,
    pipeline::{EndpointOrder, OrderChange, Pipeline},
    source::OverridesFile,
    status::{Drain, OrdersStatus},
};

/// How many endpoints one publish is logged of.
const MAX_TOLD: usize = 20;

/// The override file, and who is being drained.
#[derive(Debug, Default)]
pub(super) struct Persons {
    file: Option<OverridesFile>,
    margin: Duration,
    /// Whether the file can't be used at present.
    has_failed: bool,
    drains: BTreeMap<String, Drain>,
}

impl Persons {
    pub(super) fn new(options: &HealthOptions) -> Self {
        let mut persons = Self::default();
        persons.set_options(options);
        persons
    }

    /// Takes another file, and another margin for drains that begin from now on.
    pub(super) fn set_options(&mut self, options: &HealthOptions) {
        self.margin = options.drain_margin;
        let path = self.file.as_ref().map(OverridesFile::path);
        if path != options.overrides.as_deref() {
            self.file = options.overrides.clone().map(OverridesFile::new);
            self.has_failed = false;
        }
    }

    /// When to look at the file; `None` where there is none.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.file.as_ref().map(OverridesFile::next_look)
    }

    /// Takes in what the file says otherwise than before. Tells whether there is something to be published.
    pub(super) fn look(&mut self, pipeline: &mut Pipeline) -> bool {
        let Some(file) = &mut self.file else {
            return pipeline.set_overrides(Arc::default());
        };
        match file.look(Instant::now()) {
            None => false,
            Some(Ok(overrides)) => {
                if std::mem::take(&mut self.has_failed) {
                    info!(
                        "the override file {} can be used again",
                        file.path().display()
                    );
                }
                take(overrides, pipeline)
            }
            Some(Err(error)) => {
                self.has_failed = true;
                warn!("{}: what it said before goes on", Chain(&error));
                true
            }
        }
    }

    /// Notes what a publish did: who leaves by order from now on, and who does no longer.
    pub(super) fn published(&mut self, changes: Vec<OrderChange>, ttl: Ttl) {
        // Who is told otherwise in the same state goes on.
        let (mut came, mut went) = (BTreeMap::new(), BTreeMap::new());
        for change in changes {
            match change {
                OrderChange::Came(order) => came.insert(name(&order), order),
                OrderChange::Went(order) => went.insert(name(&order), order),
            };
        }
        let mut news = Vec::new();
        for (endpoint, order) in &went {
            let still = came.get(endpoint).map(|order| order.state);
            if still != Some(order.state) && self.drains.remove(endpoint).is_some() {
                news.push(format!("{endpoint} is drained no longer"));
            } else if still.is_none() {
                news.push(format!(
                    "{endpoint} is forced {} no longer",
                    order.state.as_str()
                ));
            }
        }
        let now = SystemTime::now();
        for (endpoint, order) in came {
            match order.state {
                OrderedState::Drain => news.extend(self.drain(endpoint, order, now, ttl)),
                state => news.push(format!(
                    "{endpoint} is forced {} {}",
                    state.as_str(),
                    order.by
                )),
            }
        }
        for line in news.iter().take(MAX_TOLD) {
            info!("{line}");
        }
        if let Some(more @ 1..) = news.len().checked_sub(MAX_TOLD) {
            info!("and {more} more endpoints: see `meshdns explain`");
        }
    }

    /// Notes that an endpoint is drained. Tells when it may be stopped, where that is news.
    fn drain(
        &mut self,
        endpoint: String,
        order: EndpointOrder,
        now: SystemTime,
        ttl: Ttl,
    ) -> Option<String> {
        if let Some(drain) = self.drains.get_mut(&endpoint) {
            drain.by = order.by;
            return None;
        }
        let forgotten = now + Duration::from_secs(ttl.as_secs().into());
        let safe = forgotten + self.margin;
        let news = format!(
            "{endpoint} is drained {}: resolvers forget it {}, safe to stop {}",
            order.by,
            humantime::format_rfc3339_seconds(forgotten),
            humantime::format_rfc3339_seconds(safe),
        );
        let drain = Drain {
            endpoint: named_by_lines(&order),
            cluster: one_of_several(&order).cloned(),
            address: inline_address(&order),
            namespace: order.key.namespace,
            name: order.key.name,
            by: order.by,
            since: now,
            forgotten,
            safe,
        };
        self.drains.insert(endpoint, drain);
        Some(news)
    }

    /// What `/metrics` shows of it; `None` where nobody says anything.
    pub(super) fn status(&self, pipeline: &Pipeline) -> Option<Arc<OrdersStatus>> {
        let mut counts = BTreeMap::new();
        for order in pipeline.orders() {
            *counts.entry(order.state.as_str()).or_default() += 1;
        }
        if self.file.is_none() && counts.is_empty() {
            return None;
        }
        Some(Arc::new(OrdersStatus {
            counts,
            has_failed: self.has_failed,
            drains: self.drains.clone(),
        }))
    }
}

/// Warns of hosts that have no address left because of an order.
pub(super) fn warn_of_emptied(mut emptied: impl Iterator<Item = (Name, String)>) {
    for (host, order) in emptied.by_ref().take(MAX_TOLD) {
        warn!("{host} answers with no address any more: its last endpoint is {order}");
    }
    if emptied.next().is_some() {
        warn!("and so it is with more hosts: see `meshdns list`");
    }
}

/// Takes in the lines of the file. Tells whether they are others than before.
fn take(overrides: Overrides, pipeline: &mut Pipeline) -> bool {
    let (file, lines) = (overrides.file.clone(), overrides.lines.len());
    let has_changed = pipeline.set_overrides(Arc::new(overrides));
    if has_changed {
        info!(lines, "override file read");
        for number in pipeline.idle_overrides() {
            warn!("{file}:{number} is about nobody: no endpoint matches it");
        }
    }
    has_changed
}

/// An endpoint as the log names it: two clusters may have an object of the same name.
fn name(order: &EndpointOrder) -> String {
    let name = named_by_lines(order);
    match one_of_several(order) {
        Some(cluster) => format!("{name} in {cluster}"),
        None => name,
    }
}

fn one_of_several(order: &EndpointOrder) -> Option<&Cluster> {
    order.cluster.as_ref().filter(|cluster| !cluster.is_only())
}

/// An endpoint as the override file names it.
fn named_by_lines(order: &EndpointOrder) -> String {
    match inline_address(order) {
        Some(address) => format!("{}/{address}", order.key),
        None => order.key.to_string(),
    }
}

/// The address of an endpoint that stands in a ServiceEntry.
fn inline_address(order: &EndpointOrder) -> Option<IpAddr> {
    let is_inline = order.key.kind == Kind::ServiceEntry;
    order.addresses.first().copied().filter(|_| is_inline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::ObjectKey;

    fn order(cluster: &str, address: &str) -> EndpointOrder {
        EndpointOrder {
            key: ObjectKey {
                kind: Kind::WorkloadEntry,
                namespace: "shop".into(),
                name: "vm".into(),
            },
            cluster: Some(Cluster::one_of_several(cluster)),
            addresses: [address.parse().expect("an address")].into_iter().collect(),
            state: OrderedState::Drain,
            by: "by annotation".to_owned(),
        }
    }

    #[test]
    fn objects_of_one_name_in_two_clusters_are_drained_each_for_itself() {
        let mut persons = Persons::default();
        let ttl = Ttl::try_from(Duration::from_secs(5)).expect("a TTL");
        let (east, west) = (order("east", "10.0.0.1"), order("west", "10.0.0.2"));
        let came = [&east, &west].map(|order| OrderChange::Came(order.clone()));
        persons.published(came.into(), ttl);
        let shown = |persons: &Persons| {
            let drains = persons.drains.iter();
            let shown = drains.map(|(name, drain)| (name.clone(), drain.endpoint.clone()));
            shown.collect::<Vec<_>>()
        };
        let endpoint = || "WorkloadEntry shop/vm".to_owned();
        let of_west = (format!("{} in cluster west", endpoint()), endpoint());
        let of_east = (format!("{} in cluster east", endpoint()), endpoint());
        assert_eq!(shown(&persons), [of_east, of_west.clone()]);
        persons.published(vec![OrderChange::Went(east)], ttl);
        assert_eq!(shown(&persons), [of_west]);
    }
}
