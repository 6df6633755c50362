//! One API server: the connection to it, and which kinds it has.
//!
//! Its followers share it.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    super::{cluster_settings::ClusterSettings, inbox::LoopEnded},
    backoff::Backoff,
    connect::Connection,
    discovery::{self, Served},
    trouble::{Reason, Trouble, Why},
};
use crate::diagnostic::{Cluster, Kind};

/// After how long a kind that is no longer listed is looked for again, before that is believed: a server that starts lists its
/// groups one by one.
const DOUBT: Duration = Duration::from_secs(3);

/// The API server of a cluster.
pub(super) struct Server {
    pub(super) cluster: Cluster,
    pub(super) connection: Connection,
    served: watch::Sender<Found>,
    look: Notify,
}

/// Whether a server has a kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Availability {
    /// Nobody knows so far.
    Unknown,
    /// It does not.
    Absent,
    /// It does, at this version.
    At(&'static str),
}

/// What was found of what the server has; `None` before anything was.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Found(Option<Served>);

impl Found {
    /// Whether the server has the kind. Pods are in every cluster.
    pub(super) fn of(&self, kind: Kind) -> Availability {
        if kind == Kind::Pod {
            return Availability::At("v1");
        }
        match &self.0 {
            None => Availability::Unknown,
            Some(served) => match served.get(&kind) {
                Some(version) => Availability::At(version),
                None => Availability::Absent,
            },
        }
    }

    /// Whether `next` lacks something.
    fn has_more_than(&self, next: &Served) -> bool {
        let served = self.0.iter().flat_map(Served::keys);
        served.into_iter().any(|kind| !next.contains_key(kind))
    }
}

impl Server {
    /// How often one looks for what the server has.
    pub(super) const LOOK_SECONDS: u64 = 10;

    /// The server of `cluster`, which `settings` lead to.
    pub(super) fn new(cluster: Cluster, settings: ClusterSettings) -> Self {
        Self {
            cluster,
            connection: Connection::new(settings),
            served: watch::Sender::default(),
            look: Notify::new(),
        }
    }

    /// Which kinds the server has, and when that changes.
    pub(super) fn served(&self) -> watch::Receiver<Found> {
        self.served.subscribe()
    }

    /// Looks soon for what the server has.
    pub(super) fn look_again(&self) {
        self.look.notify_one();
    }

    /// Looks for what the server has, again and again.
    pub(super) async fn discover(&self) -> Result<(), LoopEnded> {
        let mut backoff = Backoff::default();
        let mut outage = None::<Reason>;
        let mut is_doubted = false;
        loop {
            let pause = match discovery::discover(&self.connection).await {
                Ok(found) => {
                    backoff.reset();
                    if outage.take().is_some() {
                        info!(cluster = %self.cluster.name(), "the server says again what it has");
                    }
                    is_doubted = !is_doubted && self.served.borrow().has_more_than(&found);
                    if is_doubted {
                        DOUBT
                    } else {
                        let found = Found(Some(found));
                        self.served.send_if_modified(|served| {
                            let is_news = *served != found;
                            *served = found;
                            is_news
                        });
                        Duration::from_secs(Self::LOOK_SECONDS)
                    }
                }
                Err(why) => {
                    let reason = why.reason();
                    let trouble = self.trouble(why);
                    if outage.replace(reason) != Some(reason) {
                        warn!("what the server has is not known: {trouble}");
                    }
                    let longest = Duration::from_secs(Self::LOOK_SECONDS);
                    backoff.wait(None, chance()).min(longest)
                }
            };
            if is_doubted || outage.is_some() {
                sleep(pause).await;
            } else {
                // Whoever is told that something is not there asks for a look.
                let _ = timeout(pause, self.look.notified()).await;
            }
        }
    }

    /// Why nobody knows what the server has.
    pub(super) fn trouble(&self, why: Why) -> Trouble {
        Trouble {
            cluster: self.cluster.clone(),
            verb: "get",
            what: "/apis".to_owned(),
            why,
        }
    }
}

/// What spreads those who wait at the same time.
pub(super) fn chance() -> u32 {
    // Where there is nothing random, nothing is spread.
    getrandom::u32().unwrap_or_default()
}
