//! The file of verdicts: what an earlier process knew, for the next one.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{info, warn};

use super::shared::Shared;
use crate::{
    chain::Chain,
    health::{Board, Saved, SavedError},
};

/// How often the file is written at most.
const INTERVAL: Duration = Duration::from_secs(10);

/// How often it is written where nothing changed: verdicts count for ten minutes.
const SIGN_OF_LIFE: Duration = Duration::from_mins(3);

/// The file can't be read or written.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("read the file of verdicts {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("use the file of verdicts {}", path.display())]
    Use { path: PathBuf, source: SavedError },
    #[error("write the file of verdicts {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What the file at `path` says. Where it can't be used the log says so, and it is as if there were none.
pub(super) fn load(path: Option<&Path>) -> Saved {
    let Some(path) = path else {
        return Saved::default();
    };
    read(path).unwrap_or_else(|error| {
        warn!("{}: starting without verdicts", Chain(&error));
        Saved::default()
    })
}

fn read(path: &Path) -> Result<Saved, FileError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Saved::default()),
        Err(source) => {
            let path = path.to_owned();
            return Err(FileError::Read { path, source });
        }
    };
    Saved::parse(&bytes).map_err(|source| FileError::Use {
        path: path.to_owned(),
        source,
    })
}

/// Writes the file now and then, and nobody waits for the disk.
#[derive(Debug, Default)]
pub(super) struct Saver {
    path: Option<PathBuf>,
    /// When it may be written again, and when it is written at the latest.
    next: Duration,
    latest: Duration,
    writing: Option<JoinHandle<Result<(), FileError>>>,
    has_failed: bool,
}

impl Saver {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            ..Self::default()
        }
    }

    /// Writes to another file from now on, or to none.
    pub(super) fn save_to(&mut self, path: Option<PathBuf>) {
        self.path = path;
        (self.next, self.latest) = (Duration::ZERO, Duration::ZERO);
    }

    /// Begins to write where it is time. Needs a runtime.
    pub(super) fn go_on(&mut self, board: &mut Board, now: Duration) {
        let is_due = board.is_unsaved() && now >= self.next || now >= self.latest;
        if self.writing.is_none()
            && is_due
            && let Some(path) = self.path.clone()
            && let Some(bytes) = board.to_save(now)
        {
            self.next = now + INTERVAL;
            self.latest = now + SIGN_OF_LIFE;
            self.writing = Some(spawn_blocking(move || write(&path, &bytes)));
        }
    }

    /// Waits until what is being written is; forever where nothing is.
    pub(super) async fn written(&mut self, shared: &Shared) {
        let Some(writing) = &mut self.writing else {
            return std::future::pending().await;
        };
        let written = writing.await.expect("writing a file does not panic");
        self.writing = None;
        self.note(written, shared);
    }

    /// Writes for the last time.
    pub(super) async fn finish(mut self, shared: &Shared) {
        if self.writing.is_some() {
            self.written(shared).await;
        }
        self.latest = Duration::ZERO;
        self.go_on(&mut shared.board(), shared.now());
        if self.writing.is_some() {
            self.written(shared).await;
        }
    }

    fn note(&mut self, written: Result<(), FileError>, shared: &Shared) {
        let had_failed = std::mem::replace(&mut self.has_failed, written.is_err());
        match written {
            Ok(()) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                shared
                    .saved
                    .store(now.map_or(0, |now| now.as_secs()), Relaxed);
                if had_failed {
                    info!("verdicts are saved again");
                }
            }
            Err(error) if !had_failed => {
                warn!("{}: it is tried again every 10 s", Chain(&error));
            }
            Err(_) => {}
        }
        if self.has_failed {
            self.latest = self.next;
        }
    }
}

/// Puts `bytes` in the place of the file: there is the old one or the new one at any time, and never a mix.
fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let put = || {
        let mut fresh = path.to_owned().into_os_string();
        fresh.push(".new");
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    put().map_err(|source| FileError::Write {
        path: path.to_owned(),
        source,
    })
}
