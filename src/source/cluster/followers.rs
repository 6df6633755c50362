//! The thread on which clusters are followed: one for all of them.

use std::{io, panic::resume_unwind, sync::Arc, thread::JoinHandle};

use tokio::{
    runtime::{self, Runtime},
    sync::Notify,
    task::JoinSet,
};
use tracing::error;

use super::{
    super::{
        cluster_settings::ClusterSettings,
        inbox::{Inbox, LoopEnded, Teller},
    },
    figures::Figures,
    follow::Follower,
    page::Page,
    resource::Resource,
    server::Server,
};
use crate::{
    diagnostic::{Cluster, Kind},
    threads,
};

/// How many names are looked up, and programs run that get credentials, at a time.
const MAX_BLOCKING: usize = 4;

/// Clusters can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system gives no thread.
    #[error("start the thread that follows clusters")]
    Thread(#[source] io::Error),
    /// Nor what it waits with.
    #[error("start what waits for clusters")]
    Runtime(#[source] io::Error),
}

/// Clusters that are followed until this is dropped.
#[derive(Debug)]
pub struct Followers {
    figures: Arc<[Arc<Figures>]>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// One cluster to follow, and whom to tell.
struct Source {
    cluster: Cluster,
    settings: ClusterSettings,
    teller: Teller,
}

impl Followers {
    /// Follows `clusters`, and tells what they say to the inboxes that come back with it, one a cluster.
    ///
    /// # Errors
    ///
    /// As [`StartError`] says.
    pub fn start(clusters: &[ClusterSettings]) -> Result<(Self, Vec<Inbox>), StartError> {
        let runtime = runtime()?;
        let mut inboxes = Vec::new();
        let mut sources = Vec::new();
        for settings in clusters {
            let cluster = cluster(settings, clusters.len());
            let scopes = resources(settings).iter().map(Resource::scope).collect();
            let (inbox, teller) = Inbox::new(cluster.clone(), scopes);
            inboxes.push(inbox);
            sources.push(Source {
                cluster,
                settings: settings.clone(),
                teller,
            });
        }
        let mut figures = Vec::new();
        let mut tasks = JoinSet::new();
        for source in sources {
            source.follow(&mut tasks, &runtime, &mut figures);
        }
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.notified() => {}
                    () = end_of(&mut tasks) => {}
                }
            });
            drop(tasks);
            // A program that gets credentials may take long.
            runtime.shutdown_background();
        };
        let thread = threads::start("clusters", run).map_err(StartError::Thread)?;
        let followers = Self {
            figures: figures.into(),
            stop,
            thread: Some(thread),
        };
        Ok((followers, inboxes))
    }

    /// What is counted of them, for the metrics page.
    pub fn page(&self) -> Page {
        Page(self.figures.clone())
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Source {
    /// Begins, once somebody runs the runtime.
    fn follow(
        self,
        tasks: &mut JoinSet<Result<(), LoopEnded>>,
        runtime: &Runtime,
        figures: &mut Vec<Arc<Figures>>,
    ) {
        let resources = resources(&self.settings);
        let server = Arc::new(Server::new(self.cluster, self.settings));
        let discovering = Arc::clone(&server);
        tasks.spawn_on(
            async move { discovering.discover().await },
            runtime.handle(),
        );
        for resource in resources {
            let counted = Arc::new(Figures::new(server.cluster.clone(), resource.kind));
            figures.push(Arc::clone(&counted));
            let teller = self.teller.clone();
            let follower = Follower::new(Arc::clone(&server), resource, counted, teller);
            tasks.spawn_on(follower.run(), runtime.handle());
        }
    }
}

/// Waits until one of the tasks ends: where the loop that is told has ended, or by a bug.
async fn end_of(tasks: &mut JoinSet<Result<(), LoopEnded>>) {
    if let Some(Err(error)) = tasks.join_next().await
        && let Ok(panic) = error.try_into_panic()
    {
        error!("clusters are no longer followed: restart meshdns");
        // The thread ends with it, and `/health` names that.
        resume_unwind(panic);
    }
}

/// What waits for clusters.
pub(super) fn runtime() -> Result<Runtime, StartError> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING)
        .build()
        .map_err(StartError::Runtime)
}

/// The cluster of these settings, one of so many.
pub(super) fn cluster(settings: &ClusterSettings, count: usize) -> Cluster {
    match count {
        1 => Cluster::only(&settings.name),
        _ => Cluster::one_of_several(&settings.name),
    }
}

/// What is followed of a cluster.
pub(super) fn resources(settings: &ClusterSettings) -> Vec<Resource> {
    let all = [None];
    let named: Vec<_> = settings
        .namespaces
        .iter()
        .map(|name| Some(Arc::from(&**name)))
        .collect();
    let namespaces: &[Option<Arc<str>>] = if named.is_empty() { &all } else { &named };
    let of_kind = |kind| {
        namespaces.iter().map(move |namespace| Resource {
            kind,
            namespace: namespace.clone(),
            selector: settings.pod_selector.clone().filter(|_| kind == Kind::Pod),
        })
    };
    Kind::OF_CLUSTERS.into_iter().flat_map(of_kind).collect()
}
