//! The flags that decide what a mesh answers: every command has them, so that `explain` tells what `serve` does.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure};
use crate::config::{
    Config, Contradiction, File, FileError, Overrides, SaidBy,
    value::{Context, Domain, Links, Namespace, TtlPeriod, Upstream},
};

/// The folders' help; their variable is read by [`folders_or_variable`].
pub(super) const FOLDERS_HELP: &str =
    "Mesh folders or files [default: zones, or none with --kubernetes] [env: MESHDNS_FOLDERS]";

/// Which cluster is the source, beside folders or in their place.
#[derive(Args, Clone, Debug)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
pub(super) struct ClusterArgs {
    /// Read a Kubernetes cluster, and no folder unless one is named
    ///
    /// Its ServiceEntries, WorkloadEntries, WorkloadGroups and Pods are read from its API server, by get, list and watch
    /// alone. Which cluster says --kubeconfig, else KUBECONFIG, else the service account of the Pod that this runs in, else
    /// ~/.kube/config. Where the configuration file lists clusters, it is those, unless another flag describes one.
    #[arg(long, env = "MESHDNS_KUBERNETES", hide_env_values = true)]
    kubernetes: bool,

    /// File that says how to reach the cluster [default: as kubectl finds it]
    #[arg(
        long,
        value_name = "FILE",
        env = "MESHDNS_KUBECONFIG",
        requires = "kubernetes",
        hide_env_values = true
    )]
    kubeconfig: Option<PathBuf>,

    /// Context of that file [default: its current one]
    #[arg(
        long,
        value_name = "NAME",
        env = "MESHDNS_CONTEXT",
        requires = "kubernetes",
        hide_env_values = true
    )]
    context: Option<Context>,

    /// Namespace to read; repeat for more [default: all]
    #[arg(
        long = "namespace",
        value_name = "NAME",
        env = "MESHDNS_NAMESPACE",
        value_delimiter = ',',
        requires = "kubernetes",
        hide_env_values = true
    )]
    namespaces: Vec<Namespace>,
}

/// What decides the answers, besides the mesh.
#[derive(Args, Clone, Debug)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
pub(super) struct PolicyArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Configuration file (YAML); flags and variables win over it
    #[arg(
        long,
        value_name = "FILE",
        env = "MESHDNS_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,

    /// Domain to answer as a whole, such as internal.com; repeat for more
    ///
    /// Names below it that don't exist get NXDOMAIN, its apex has SOA and NS. Without a zone each host is a zone of its
    /// own, and all other names are REFUSED.
    #[arg(
        long = "zone",
        value_name = "NAME",
        env = "MESHDNS_ZONE",
        value_delimiter = ',',
        hide_env_values = true
    )]
    zones: Vec<Domain>,

    /// Server to ask for names that are not in the mesh; repeat for more
    ///
    /// IP:PORT, or IP for port 53, over UDP and, for long answers, TCP; tcp://IP:PORT for TCP alone; tls://NAME@IP:PORT
    /// over TLS with a server whose certificate has that name; https://NAME@IP:PORT/PATH over HTTPS; system for those of
    /// /etc/resolv.conf. It is asked for endpoints that are names, and for names that clients ask for and the mesh does
    /// not hold. The clients are those on this machine and in private networks, unless the configuration file names others.
    /// Without an upstream, such names are REFUSED, and such endpoints add nothing.
    #[arg(
        long = "upstream",
        value_name = "ADDR",
        env = "MESHDNS_UPSTREAM",
        value_delimiter = ',',
        hide_env_values = true
    )]
    upstreams: Vec<Upstream>,

    /// How long resolvers may keep an address, in whole seconds [default: 5s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "MESHDNS_TTL",
        hide_env_values = true
    )]
    ttl: Option<TtlPeriod>,

    /// How far symbolic links in mesh folders lead: anywhere or inside [default: anywhere]
    ///
    /// Inside follows those alone that lead to something in the mesh folders, which is all that ConfigMaps and git-sync need.
    /// Links to a folder above a mesh folder, and to file systems of the kernel, are never followed.
    #[arg(
        long,
        value_name = "HOW",
        env = "MESHDNS_FOLLOW_LINKS",
        hide_env_values = true
    )]
    follow_links: Option<Links>,
}

impl PolicyArgs {
    /// These flags, and those given in `others`.
    pub(super) fn overrides(&self, others: Overrides) -> Overrides {
        let cluster = self.cluster.clone();
        Overrides {
            kubernetes: cluster.kubernetes,
            kubeconfig: cluster.kubeconfig,
            context: cluster.context,
            namespaces: cluster.namespaces,
            zones: self.zones.clone(),
            upstreams: self.upstreams.clone(),
            ttl: self.ttl,
            follow_links: self.follow_links,
            ..others
        }
    }

    /// Whether clusters are asked for.
    pub(super) fn names_cluster(&self) -> bool {
        self.cluster.kubernetes
    }

    /// Whether there is a configuration file.
    pub(super) fn has_file(&self) -> bool {
        self.config.is_some()
    }

    /// What the configuration file says, if there is one.
    pub(super) fn file(&self) -> Result<File, FileError> {
        self.config
            .clone()
            .map_or_else(|| Ok(File::default()), File::read)
    }

    /// Every setting, with the mesh folders of the command line.
    pub(super) fn config(&self, folders: Vec<PathBuf>) -> Result<Config, Failure> {
        let overrides = self.overrides(Overrides {
            folders: folders_or_variable(folders),
            ..Overrides::default()
        });
        let file = self.file().map_err(Failure::from)?;
        Ok(Config::resolve(&overrides, &file))
    }
}

/// The folders of the command line, else those of `MESHDNS_FOLDERS`, which are separated as in `PATH`: a comma may well
/// be part of a path.
pub(super) fn folders_or_variable(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    match std::env::var_os("MESHDNS_FOLDERS") {
        Some(variable) if folders.is_empty() => std::env::split_paths(&variable)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        _ => folders,
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let exit = match &error {
            FileError::Read { .. } => Exit::NoInput,
            FileError::Invalid { .. } => Exit::Config,
        };
        Self::new(exit, error)
    }
}

impl From<Contradiction> for Failure {
    fn from(error: Contradiction) -> Self {
        let exit = match &error {
            Contradiction::Unguarded(_, SaidBy::Flag) => Exit::Usage,
            _ => Exit::Config,
        };
        Self::new(exit, error)
    }
}
