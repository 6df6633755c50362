//! Which cluster to follow, and what of it.

use std::{path::PathBuf, sync::Arc};

/// One cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterSettings {
    /// What it is called here: in diagnostics, the log and metrics.
    pub name: Arc<str>,
    /// Where it is written how to reach it; `None` looks where every client does.
    pub kubeconfig: Option<PathBuf>,
    /// Which context of that; `None` for the current one.
    pub context: Option<String>,
    /// The namespaces to follow; none for all of them.
    pub namespaces: Vec<Box<str>>,
    /// Which Pods to follow, as a label selector; `None` for all.
    pub pod_selector: Option<Box<str>>,
}

impl ClusterSettings {
    /// What a cluster is called where nobody names it.
    pub const DEFAULT_NAME: &'static str = "kubernetes";
}
