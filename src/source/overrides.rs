//! The override file on disk, looked at every second.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::stamp::Stamp;
use crate::health::{Overrides, OverridesError};

/// How often the file is looked at.
pub const OVERRIDES_INTERVAL: Duration = Duration::from_secs(1);

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// The override file. What is wrong with it is told once; a file that is gone says nothing of anybody.
#[derive(Debug)]
pub struct OverridesFile {
    path: PathBuf,
    seen: Seen,
    next_look: Instant,
}

/// How the file was when it was last looked at.
#[derive(Debug, Eq, PartialEq)]
enum Seen {
    Never,
    Missing,
    There(Stamp),
}

/// Why an override file can't be used. What it said before goes on.
#[derive(Debug, thiserror::Error)]
pub enum OverridesFileError {
    /// It can't be read.
    #[error("read the override file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is larger than anybody's.
    #[error("the override file {} has {bytes} bytes: {MAX_BYTES} is the most", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// What it says can't be used.
    #[error("the override file {}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Which entry, and what is wrong with it.
        source: OverridesError,
    },
}

impl OverridesFile {
    /// The file at `path`, not looked at so far.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: Seen::Never,
            next_look: Instant::now(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When to look again.
    pub fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Looks at the file, where that is due at `now`. `None` where it is as it was.
    pub fn look(&mut self, now: Instant) -> Option<Result<Overrides, OverridesFileError>> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + OVERRIDES_INTERVAL;
        // Taken before the file is read: a change that comes in between is seen the next time.
        let seen = fs::metadata(&self.path)
            .map_or(Seen::Missing, |metadata| Seen::There(Stamp::of(&metadata)));
        if self.seen == seen {
            return None;
        }
        self.seen = seen;
        Some(read(&self.path))
    }
}

/// Reads the override file at `path`; one that is not there says nothing.
///
/// # Errors
///
/// The file can't be read, or what it says can't be used.
pub fn read(path: &Path) -> Result<Overrides, OverridesFileError> {
    let path_of = || path.to_owned();
    let failed = |source| OverridesFileError::Read {
        path: path_of(),
        source,
    };
    let bytes = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Overrides::default()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) => metadata.len(),
    };
    if bytes > MAX_BYTES {
        return Err(OverridesFileError::TooLarge {
            path: path_of(),
            bytes,
        });
    }
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Overrides::default()),
        read => read.map_err(failed)?,
    };
    let name = path.file_name().unwrap_or(path.as_os_str());
    Overrides::parse(&name.to_string_lossy(), &text).map_err(|source| OverridesFileError::Wrong {
        path: path_of(),
        source,
    })
}
