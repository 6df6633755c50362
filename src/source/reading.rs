//! Reads files, each if it holds still, and parses what holds something else than before.
//!
//! Many files are read side by side, and no more of them are in memory than whoever takes them in can keep up with. Never
//! remembers anything.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read, Seek},
    num::NonZero,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use super::{
    documents::{self, Documents, Parsed, digest_of},
    entries::identity_at,
    stamp::{Identity, Stamp},
};
use crate::{diagnostic::Diagnostic, manifest};

/// With at least this many files to read, all cores read.
const MANY_FILES: usize = 16;

/// How many files may be parsed and not yet taken in: enough that nobody waits for long, few enough to be small beside
/// the mesh.
const MAX_AHEAD: usize = 16;

/// What came of reading one file.
#[derive(Debug)]
pub(super) enum ReadOutcome {
    /// It holds what it held.
    Same,
    /// It holds something else.
    Changed {
        digest: u64,
        /// How many bytes it holds.
        length: u64,
        parsed: Parsed,
    },
    /// It was replaced or written to since it was listed: look again.
    Restless,
    /// It is gone.
    Vanished,
    /// The operating system does not give it, or not at this moment.
    Refused(Diagnostic),
    /// It is no text, or too much of it.
    NoText(Diagnostic),
}

/// A file to read, and what is known of it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) name: Arc<str>,
    /// Which of the given paths led to it.
    pub(super) root: usize,
    /// The file itself, behind all links.
    pub(super) real: PathBuf,
    /// The folder that it was listed in; `None` where a path or a link led to it.
    pub(super) folder: Option<Identity>,
    /// As it was listed.
    pub(super) stamp: Stamp,
    /// Whether it must be as it was listed: not where it is in motion all the time.
    pub(super) must_be_still: bool,
    /// What was read last.
    pub(super) digest: Option<u64>,
    pub(super) documents: Option<Arc<Documents>>,
}

/// Reads `candidates`, many of them on all cores, and gives each to `take` while others are being read. Ends early, with
/// `false`, where `take` says `false`.
pub(super) fn read_each(
    candidates: Vec<Candidate>,
    mut take: impl FnMut(Candidate, ReadOutcome) -> bool,
) -> bool {
    if candidates.len() < MANY_FILES {
        return candidates.into_iter().all(|candidate| {
            let outcome = candidate.read();
            take(candidate, outcome)
        });
    }
    let (sender, receiver) = mpsc::sync_channel(MAX_AHEAD);
    let candidates = Mutex::new(candidates.into_iter());
    let next = || {
        let mut candidates = candidates.lock().unwrap_or_else(PoisonError::into_inner);
        candidates.next()
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(candidate) = next() {
                    let outcome = candidate.read();
                    if sender.send((candidate, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut outcomes = receiver.into_iter();
        outcomes.all(|(candidate, outcome)| take(candidate, outcome))
    })
}

impl Candidate {
    /// Reads the file and parses it, unless it holds what it held; of a file that changed, known documents are not parsed
    /// again.
    ///
    /// It must be the same before and after: a reader of a file in motion could see half of it.
    fn read(&self) -> ReadOutcome {
        let name = &self.name;
        let refused = |error: &io::Error| ReadOutcome::Refused(manifest::unreadable(name, error));
        let listed = self.must_be_still.then_some(self.stamp);
        let bytes = match content(&self.real, listed) {
            Ok(Some(bytes)) if self.must_be_still || !self.is_swapped() => bytes,
            // Half of a swap must not be taken in alone.
            Ok(_) if self.is_swapped() => return ReadOutcome::Vanished,
            Ok(_) => return ReadOutcome::Restless,
            Err(error) if error.kind() == ErrorKind::NotFound => return ReadOutcome::Vanished,
            Err(error) => return refused(&error),
        };
        let digest = digest_of(&bytes);
        if self.digest == Some(digest) {
            return ReadOutcome::Same;
        }
        let text = match manifest::text_of(name, &bytes) {
            Ok(text) => text,
            Err(diagnostic) => return ReadOutcome::NoText(diagnostic),
        };
        let parse = || documents::parse(name, text, self.documents.as_deref());
        // A parser that panics on one file must not take the server's eyes.
        match catch_unwind(AssertUnwindSafe(parse)) {
            Ok(Ok(parsed)) => ReadOutcome::Changed {
                digest,
                length: bytes.len() as u64,
                parsed,
            },
            Ok(Err(diagnostic)) => ReadOutcome::NoText(diagnostic),
            Err(_) => {
                let bug = io::Error::other("a bug in meshdns; please report it with the file");
                ReadOutcome::NoText(manifest::unreadable(name, &bug))
            }
        }
    }

    /// Whether another folder took the place of the one in which the file was listed.
    fn is_swapped(&self) -> bool {
        self.folder
            .is_some_and(|folder| self.real.parent().and_then(identity_at) != Some(folder))
    }
}

/// The file's bytes; `None` where it was in motion, as where another was renamed over it. A file that was removed since it was
/// opened is not found: a swap may be under way, and half of it must not be taken in alone.
fn content(path: &Path, listed: Option<Stamp>) -> io::Result<Option<Vec<u8>>> {
    // A pipe may have taken the file's place: opening that must not block.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let Some(opened) = still_linked(&file, path)? else {
        return Ok(None);
    };
    let before = Stamp::of(&opened);
    if !opened.is_file() || listed.is_some_and(|listed| listed != before) {
        return Ok(None);
    }
    let is_same = |file: &File| -> io::Result<bool> {
        let after = still_linked(file, path)?;
        Ok(after.is_some_and(|after| Stamp::of(&after) == before))
    };
    let bytes = read_whole(&mut file, before.size)?;
    if !is_same(&file)? {
        return Ok(None);
    }
    if bytes.len() as u64 != before.size {
        // Some files are made up as they are read, in `/proc` and on file systems in user space: their size tells nothing. What
        // reads the same twice is whole.
        file.rewind()?;
        let again = read_whole(&mut file, bytes.len() as u64)?;
        if again != bytes || !is_same(&file)? {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// All that a file holds, which is so much as it seems; fails where that is too much.
fn read_whole(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let capacity = size.min(manifest::MAX_FILE_BYTES);
    let capacity = usize::try_from(capacity).unwrap_or_default();
    let mut bytes = Vec::with_capacity(capacity + 1);
    file.take(manifest::MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > manifest::MAX_FILE_BYTES {
        return Err(io::Error::other(
            "it holds more than it seems, and too much",
        ));
    }
    Ok(bytes)
}

/// What is to be known of a file that was opened at `path`; `None` where another one has its name.
fn still_linked(file: &File, path: &Path) -> io::Result<Option<Metadata>> {
    let metadata = file.metadata()?;
    if metadata.nlink() > 0 {
        return Ok(Some(metadata));
    }
    fs::symlink_metadata(path).map(|_| None)
}
