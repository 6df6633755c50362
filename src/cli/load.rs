//! Reads a mesh once, for the commands that look and leave.

use std::time::SystemTime;

use super::{Exit, Failure, output};
use crate::{
    config::Config,
    diagnostic::{Diagnostic, Severity},
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
    let mut pipeline = Pipeline::new(config.policy(0));
    let now = SystemTime::now();
    let mut has_unreadable = false;
    folder.load(|change| {
        has_unreadable |= matches!(change.reading, Reading::Unreadable(_));
        pipeline.take_in(vec![change], now);
    })?;
    pipeline.compile(now);
    Ok(Loaded {
        pipeline,
        has_unreadable,
    })
}

impl Loaded {
    /// Says that there is more to the mesh than what is shown.
    pub(super) fn mention_errors(&self, config: &Config) {
        let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
        let errors = self.pipeline.diagnostics();
        let errors = errors.iter().filter(is_error).count();
        if errors > 0 {
            let folders: Vec<String> = config
                .folders
                .iter()
                .map(|folder| folder.display().to_string())
                .collect();
            output::talk(&format!(
                "{} in the mesh, whose objects are left out: see `meshdns check {}`",
                output::count(errors, "error"),
                folders.join(" ")
            ));
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Exit::NoInput, error)
    }
}
