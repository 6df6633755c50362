//! Lists what a cluster holds once, for those who look and leave.

use super::{
    super::cluster_settings::ClusterSettings,
    connect::{ConnectError, probe},
    discovery::discover,
    follow,
    followers::{StartError, cluster, resources, runtime},
    server::Server,
    trouble::Trouble,
};
use crate::mesh::ClusterChange;

/// A cluster can't be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Nobody knows whom to ask.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// What waits for it can't be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server does not do as it is asked.
    #[error(transparent)]
    Trouble(#[from] Box<Trouble>),
}

/// Lists every kind of each of `clusters`, and hands on what they hold.
///
/// # Errors
///
/// As [`ListError`] says, at the first kind that can't be listed: without it the mesh would be another one.
pub fn list(
    clusters: &[ClusterSettings],
    mut take_in: impl FnMut(Vec<ClusterChange>),
) -> Result<(), ListError> {
    if clusters.is_empty() {
        return Ok(());
    }
    let runtime = runtime()?;
    for settings in clusters {
        probe(settings)?;
        let cluster = cluster(settings, clusters.len());
        let server = Server::new(cluster.clone(), settings.clone());
        let mut tell = |events: Vec<_>| {
            let change = |event| ClusterChange {
                cluster: cluster.clone(),
                event,
            };
            take_in(events.into_iter().map(change).collect());
        };
        let listing = async {
            let found = discover(&server.connection).await;
            let found = found.map_err(|why| server.trouble(why))?;
            for resource in resources(settings) {
                let version = found.get(&resource.kind).copied();
                follow::list(&server, &resource, version, &mut tell).await?;
            }
            Ok::<_, Trouble>(())
        };
        runtime.block_on(listing).map_err(Box::new)?;
    }
    runtime.shutdown_background();
    Ok(())
}
