use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
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
/// The file must be as listed before and after: a reader of a file in motion could see half of it.
pub(super) fn read(
    name: &Arc<str>,
    path: &Path,
    listed: Stamp,
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

/// The file's bytes; `None` where it was not as listed all the while.
fn content(path: &Path, listed: Stamp) -> io::Result<Option<Vec<u8>>> {
    // A pipe may have taken the file's place: opening that must not block.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if Stamp::of(&file.metadata()?) != listed {
        return Ok(None);
    }
    let capacity = usize::try_from(listed.size).unwrap_or_default();
    let mut bytes = Vec::with_capacity(capacity + 1);
    (&mut file).take(listed.size + 1).read_to_end(&mut bytes)?;
    let as_listed = Stamp::of(&file.metadata()?) == listed && bytes.len() == capacity;
    Ok(as_listed.then_some(bytes))
}
