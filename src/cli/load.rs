//! Reads a mesh once, for the commands that look and leave.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::runtime::{self, Runtime};

use super::{Exit, Failure, clusters, output};
use crate::{
    config::Config,
    dns::Name,
    explain::Others,
    forward::Forwarder,
    mesh::Reading,
    pipeline::Pipeline,
    resolve,
    source::{self, LoadError, OverridesFileError},
    zone::Snapshot,
};

/// How many names that can't be looked up are told one by one.
const MOST_TOLD: usize = 10;

/// A mesh as `serve` would answer it at this moment.
pub(super) struct Loaded {
    /// The mesh and its snapshot.
    pub(super) pipeline: Pipeline,
    /// Whether there are files that can't be read.
    pub(super) has_unreadable: bool,
}

/// Reads the mesh folders and lists the clusters of `config`.
pub(super) fn load(config: &Config) -> Result<Loaded, Failure> {
    if !config.clusters.is_empty() {
        config.check()?;
    }
    let mut pipeline = Pipeline::new(config.policy(0));
    let now = SystemTime::now();
    let mut has_unreadable = false;
    source::load(config.folders.clone(), config.follow_links, |batch| {
        let mut readings = batch.changes.iter().map(|change| &change.reading);
        has_unreadable |= readings.any(|reading| matches!(reading, Reading::Unreadable(_)));
        pipeline.take_in(batch.changes, now);
    })?;
    clusters::list(&config.clusters, |changes| pipeline.take_in(changes, now))?;
    if let Some(file) = config
        .health
        .as_ref()
        .and_then(|health| health.overrides.as_ref())
    {
        pipeline.set_overrides(Arc::new(source::overrides::read(file)?));
    }
    pipeline.compile(now);
    Ok(Loaded {
        pipeline,
        has_unreadable,
    })
}

impl Loaded {
    /// Says that there is more to the mesh than what is shown.
    pub(super) fn mention_errors(&self, config: &Config) {
        let errors = self.pipeline.diagnostic_counts().errors;
        if errors > 0 {
            let folders = config.folders.iter();
            let mut sources: Vec<String> =
                folders.map(|folder| folder.display().to_string()).collect();
            if !config.clusters.is_empty() {
                sources.push("--kubernetes".to_owned());
            }
            output::talk(&format!(
                "{} in the mesh, whose objects are left out: see `meshdns check {}`",
                output::count(errors, "error"),
                sources.join(" ")
            ));
        }
    }
}

/// The upstreams that `serve` asks for names that the mesh does not hold.
pub(super) struct Upstreams {
    runtime: Runtime,
    forwarder: Arc<Forwarder>,
}

/// The upstreams of `config`; `None` where it has none. This process answers nowhere.
pub(super) fn upstreams(config: &Config) -> Result<Option<Upstreams>, Failure> {
    upstreams_of_server(config, &[])
}

/// The same for a server that answers at `own`: fails where one of the upstreams is that server itself.
pub(super) fn upstreams_of_server(
    config: &Config,
    own: &[SocketAddr],
) -> Result<Option<Upstreams>, Failure> {
    let Some(settings) = config.forward.clone() else {
        return Ok(None);
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start what asks upstreams")?;
    let forwarder = {
        let _inside = runtime.enter();
        // This process answers nowhere, and holds no snapshot that aliases could lead into: who resolves brings one.
        let none = Snapshot::not_ready(Arc::default());
        Forwarder::start(settings, own, Arc::new(ArcSwap::from_pointee(none)))?
    };
    Ok(Some(Upstreams { runtime, forwarder }))
}

impl Upstreams {
    /// Looks up the endpoints that are names, those of `hosts` or of all hosts, and says which can't be looked up.
    pub(super) fn resolve(&self, pipeline: &mut Pipeline, hosts: Option<&[Name]>) {
        let resolving = resolve::resolve(pipeline, &self.forwarder, hosts);
        let failures = self.runtime.block_on(resolving);
        for (name, failure) in failures.iter().take(MOST_TOLD) {
            let name = name.to_host();
            output::talk(&format!("name {name} of an endpoint: {failure}"));
        }
        if let Some(more @ 1..) = failures.len().checked_sub(MOST_TOLD) {
            output::talk(&format!(
                "{more} more names of endpoints can't be looked up"
            ));
        }
    }

    /// Who answers for `name`, which the mesh leaves to others; `None` where nobody does.
    pub(super) fn of(&self, name: &Name) -> Option<Others<'_>> {
        self.forwarder.others(name)
    }
}

impl From<OverridesFileError> for Failure {
    fn from(error: OverridesFileError) -> Self {
        Self::new(Exit::Config, error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Exit::NoInput, error)
    }
}
