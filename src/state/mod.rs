//! The last good state: what mesh files and clusters last said, kept on disk for a start at which they can't be read.
//!
//! [`open`] finds what an earlier process kept, [`Saver`] keeps what this one knows. The file is what a mesh file is: lines of
//! JSON, each a `List` of the objects of one file, or of objects of one cluster, so that `meshdns explain NAME last-good.jsonl` works and no format has to be
//! converted. A file is begun anew as a whole, and what changes is appended; each line has a checksum.
//!
//! Nothing here ever keeps the server from starting or from answering: what can't be read is passed over, what can't be written
//! is tried again, and both are told. Without a folder to keep it in there is no thread, no file and no memory of any of it.

mod error;
mod line;
mod saver;
mod stored;
#[cfg(test)]
mod tests;
mod writer;

pub use error::StateError;
pub use saver::{Earlier, Saver};
pub use stored::{Stored, StoredFile, StoredObjects, StoredPart, open};

/// The file in the state folder.
const FILE: &str = "last-good.jsonl";

/// The one before it.
const FORMER: &str = "last-good.jsonl.1";

/// Where a file is put that can't be used.
const BROKEN: &str = "last-good.jsonl.broken";
