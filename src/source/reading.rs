//! Reads one file, if it holds still, and parses it, if it holds something else than before.
//!
//! Never remembers anything and never waits.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use super::{
    documents::{self, Documents, Parsed, digest_of},
    stamp::Stamp,
};
use crate::{diagnostic::Diagnostic, manifest};

/// What came of reading one file.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It holds what it held.
    Same,
    /// It holds something else.
    Changed { digest: u64, parsed: Parsed },
    /// It was replaced or written to since it was listed: look again.
    Restless,
    /// It is gone.
    Vanished,
    /// It can't be read, or is no text.
    Unreadable(Diagnostic),
}

/// Reads the file `name` at `path` and parses it, unless its content has the digest `known`; of a large file
/// that changed, the known `documents` are not parsed again.
///
/// The file must be as `listed` before, unless that is `None`, and the same after: a reader of a file in motion could see
/// half of it.
pub(super) fn read(
    name: &Arc<str>,
    path: &Path,
    listed: Option<Stamp>,
    known: Option<u64>,
    documents: Option<&Documents>,
) -> Outcome {
    let unreadable = |error: &io::Error| Outcome::Unreadable(manifest::unreadable(name, error));
    let bytes = match content(path, listed) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Outcome::Restless,
        Err(error) if error.kind() == ErrorKind::NotFound => return Outcome::Vanished,
        Err(error) => return unreadable(&error),
    };
    let digest = digest_of(&bytes);
    if known == Some(digest) {
        return Outcome::Same;
    }
    let text = match manifest::text_of(name, &bytes) {
        Ok(text) => text,
        Err(diagnostic) => return Outcome::Unreadable(diagnostic),
    };
    // A parser that panics on one file must not take the server's eyes.
    match catch_unwind(AssertUnwindSafe(|| documents::parse(name, text, documents))) {
        Ok(parsed) => Outcome::Changed { digest, parsed },
        Err(_) => unreadable(&io::Error::other(
            "a bug in meshdns; please report it with the file",
        )),
    }
}

/// The file's bytes; `None` where it was in motion. A file that was removed since it was opened is not found: a swap may
/// be under way, of which nothing must be taken in alone.
fn content(path: &Path, listed: Option<Stamp>) -> io::Result<Option<Vec<u8>>> {
    // A pipe may have taken the file's place: opening that must not block.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let opened = still_linked(&file)?;
    let before = Stamp::of(&opened);
    if !opened.is_file() || listed.is_some_and(|listed| listed != before) {
        return Ok(None);
    }
    let size = before.size.min(manifest::MAX_FILE_BYTES);
    let capacity = usize::try_from(size).unwrap_or_default();
    let mut bytes = Vec::with_capacity(capacity + 1);
    (&mut file).take(size + 1).read_to_end(&mut bytes)?;
    let is_whole = Stamp::of(&still_linked(&file)?) == before && bytes.len() == capacity;
    Ok(is_whole.then_some(bytes))
}

fn still_linked(file: &File) -> io::Result<Metadata> {
    let metadata = file.metadata()?;
    match metadata.nlink() {
        0 => Err(ErrorKind::NotFound.into()),
        _ => Ok(metadata),
    }
}
