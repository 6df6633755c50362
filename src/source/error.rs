use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A mesh folder could not be opened at the start. What is *in* it is never this error: a bad file is a
/// [`Diagnostic`](crate::diagnostic::Diagnostic), and the others are served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The path leads nowhere.
    #[error(
        "open mesh folder {}: give the path of a folder with ServiceEntry, WorkloadEntry or Pod manifests",
        path.display()
    )]
    Open {
        /// As given.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The folder is there and can't be listed.
    #[error("list mesh folder {}: give this user the right to read it", path.display())]
    List {
        /// As given.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl LoadError {
    pub(super) fn open(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Open { path, source }
    }

    pub(super) fn list(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::List { path, source }
    }
}

/// Fails where one of `paths` can't be opened, without reading what is below it.
pub fn probe(paths: &[PathBuf]) -> Result<(), LoadError> {
    for path in paths {
        let metadata = fs::metadata(path).map_err(|error| LoadError::open(path, error))?;
        if metadata.is_dir() {
            fs::read_dir(path).map_err(|error| LoadError::list(path, error))?;
        }
    }
    Ok(())
}
