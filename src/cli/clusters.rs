//! Clusters as a source, where this program is built with them. Without, settings that name one are refused, and there is
//! nothing here to do.
#![cfg_attr(
    not(feature = "kubernetes"),
    allow(clippy::unnecessary_wraps, reason = "with clusters, these fail")
)]

use prometheus_client::collector::Collector;

use super::Failure;
#[cfg(feature = "kubernetes")]
use crate::{
    cli::Exit,
    source::cluster::{self, ConnectError, Followers, ListError, StartError},
};
use crate::{
    mesh::ClusterChange,
    source::{ClusterSettings, Inbox},
};

/// Clusters that are followed until this is dropped.
#[derive(Default)]
pub(super) struct Following {
    /// What they say; one a cluster.
    pub(super) inboxes: Vec<Inbox>,
    /// What is counted of them.
    pub(super) figures: Option<Box<dyn Collector>>,
    #[cfg(feature = "kubernetes")]
    _followers: Option<Followers>,
}

/// Follows `clusters`; without one, nothing is started.
pub(super) fn follow(clusters: &[ClusterSettings]) -> Result<Following, Failure> {
    #[cfg(feature = "kubernetes")]
    if !clusters.is_empty() {
        let (followers, inboxes) = Followers::start(clusters)?;
        return Ok(Following {
            inboxes,
            figures: Some(Box::new(followers.page())),
            _followers: Some(followers),
        });
    }
    debug_assert!(clusters.is_empty(), "they were refused");
    Ok(Following::default())
}

/// Lists what `clusters` hold.
pub(super) fn list(
    clusters: &[ClusterSettings],
    take_in: impl FnMut(Vec<ClusterChange>),
) -> Result<(), Failure> {
    #[cfg(feature = "kubernetes")]
    cluster::list(clusters, take_in)?;
    #[cfg(not(feature = "kubernetes"))]
    let _ = (clusters, take_in);
    Ok(())
}

/// Fails where it can be said without asking anybody that one of `clusters` can't be followed.
pub(super) fn probe(clusters: &[ClusterSettings]) -> Result<(), Failure> {
    #[cfg(feature = "kubernetes")]
    clusters.iter().try_for_each(cluster::probe)?;
    #[cfg(not(feature = "kubernetes"))]
    let _ = clusters;
    Ok(())
}

#[cfg(feature = "kubernetes")]
impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let exit = match &error {
            ConnectError::Read { .. }
            | ConnectError::ServiceAccount { .. }
            | ConnectError::Nowhere { .. } => Exit::NoInput,
            ConnectError::NoContext { .. } | ConnectError::Kubeconfig { .. } => Exit::Config,
        };
        Self::new(exit, error)
    }
}

#[cfg(feature = "kubernetes")]
impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(Exit::Failed, error)
    }
}

#[cfg(feature = "kubernetes")]
impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Connect(error) => error.into(),
            ListError::Start(error) => error.into(),
            ListError::Trouble(_) => Self::new(Exit::NoInput, error),
        }
    }
}
