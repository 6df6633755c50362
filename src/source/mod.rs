//! Where meshes come from: folders of manifests, read and watched.
//!
//! [`Folder`] tells what changed on disk as [`FileChange`](crate::mesh::FileChange)s, one by one; [`Watch`] and
//! [`Signals`] tell when and where a look is worth it. Events are only clues: what counts is what a look finds, and now
//! and then one looks at everything.
//!
//! Never joins objects and never publishes anything: `control` does.

mod documents;
mod folder;
mod held;
mod look;
mod mounts;
mod reading;
mod signals;
mod stamp;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

use std::{fs, io, path::PathBuf};

pub use folder::Folder;
pub use look::{Look, Scan, Trust, Work};
pub use signals::{Evidence, Extent, Signals, Stir};
pub(crate) use stamp::Stamp;
pub use walk::Listing;
pub use watch::{AS_ASKED_FOR, FALLBACK_INTERVAL, Watch, Wish};

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

/// Fails where one of `paths` can't be opened, without reading what is below it.
pub fn probe(paths: &[PathBuf]) -> Result<(), LoadError> {
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| LoadError::Open {
            path: path.clone(),
            source,
        })?;
        if metadata.is_dir() {
            fs::read_dir(path).map_err(|source| LoadError::List {
                path: path.clone(),
                source,
            })?;
        }
    }
    Ok(())
}
