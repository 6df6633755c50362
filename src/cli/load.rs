//! Reads a mesh once, for the commands that look and leave.

use std::time::SystemTime;

use super::{Exit, Failure};
use crate::{
    config::Config,
    mesh::Reading,
    pipeline::Pipeline,
    source::{Folder, LoadError},
};

/// A mesh as `serve` would answer it at this moment.
pub(super) struct Loaded {
    /// The mesh and its snapshot.
    pub(super) pipeline: Pipeline,
    /// Whether there are files that can't be read.
    pub(super) has_unreadable: bool,
}

/// Reads the mesh folders of `config`.
pub(super) fn load(config: &Config) -> Result<Loaded, Failure> {
    let mut folder = Folder::new(config.folders.clone());
    let scan = folder.load()?;
    let has_unreadable = scan
        .changes
        .iter()
        .any(|change| matches!(change.reading, Reading::Unreadable(_)));
    let mut pipeline = Pipeline::new(config.policy(0));
    pipeline.apply(scan.changes, SystemTime::now());
    Ok(Loaded {
        pipeline,
        has_unreadable,
    })
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Exit::NoInput, error)
    }
}
