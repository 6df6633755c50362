//! Whole files: bytes to text, and the problems that a file has before anyone reads a document.

use std::{fmt, str, sync::Arc};

use super::{document::Decoder, draft::Draft, object::Contents, raw::split};
use crate::diagnostic::{Code, Diagnostic, FilePlace, Position, Severity, code};

/// The largest file that is read, in bytes: about 140 000 `WorkloadEntries`.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// How many documents of one file are read: no file of [`MAX_FILE_BYTES`] holds as many objects.
pub const MAX_DOCUMENTS: usize = 600_000;

/// Reads every document of `text`, [`MAX_DOCUMENTS`] at most: what `file` (the name in diagnostics) holds.
pub fn parse(file: &Arc<str>, text: &str) -> Contents {
    let mut draft = Draft::default();
    let mut next = Draft::default();
    let mut decoder = Decoder::new(file);
    for (count, raw) in split(text).enumerate() {
        if count == MAX_DOCUMENTS {
            return refused(too_many_documents(file));
        }
        decoder.read(&raw, &mut next);
        draft.append(&mut next);
    }
    draft.finish(false)
}

/// Reads a file's bytes, which must be UTF-8 and [`MAX_FILE_BYTES`] at most.
pub fn parse_bytes(file: &Arc<str>, bytes: &[u8]) -> Contents {
    let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size_bytes > MAX_FILE_BYTES {
        return refused(too_large(file, size_bytes));
    }
    match text_of(file, bytes) {
        Ok(text) => parse(file, text),
        Err(diagnostic) => refused(diagnostic),
    }
}

fn refused(diagnostic: Diagnostic) -> Contents {
    Contents {
        diagnostics: vec![diagnostic],
        ..Contents::default()
    }
}

/// The text of a file's bytes, or why there is none.
///
/// # Errors
///
/// The diagnostic for a file that is not UTF-8, at its first bad byte.
pub fn text_of<'b>(file: &Arc<str>, bytes: &'b [u8]) -> Result<&'b str, Diagnostic> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let message = "the file is UTF-16: save it as UTF-8".to_owned();
        return Err(whole_file(file, Position::START, code::ENCODING, message));
    }
    str::from_utf8(bytes).map_err(|error| {
        let (good, bad) = bytes.split_at(error.valid_up_to());
        let mut rows = good.rsplit(|byte| *byte == b'\n');
        let row = rows.next().unwrap_or_default();
        let lines = rows.count();
        let characters = row
            .iter()
            .filter(|byte| !(0x80..0xc0).contains(*byte))
            .count();
        let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        let position = Position {
            line: number(lines),
            column: number(characters),
        };
        let message = format!(
            "the byte 0x{:02x} is not UTF-8: save the file as UTF-8",
            bad.first().unwrap_or(&0)
        );
        whole_file(file, position, code::ENCODING, message)
    })
}

/// The diagnostic for a file of more than [`MAX_FILE_BYTES`].
pub fn too_large(file: &Arc<str>, size_bytes: u64) -> Diagnostic {
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let message = format!(
        "the file has {} MiB, and {} MiB is the most: split it",
        mebibytes(size_bytes),
        mebibytes(MAX_FILE_BYTES)
    );
    whole_file(file, Position::START, code::FILE_TOO_LARGE, message)
}

/// The diagnostic for a file of more than [`MAX_DOCUMENTS`].
pub fn too_many_documents(file: &Arc<str>) -> Diagnostic {
    let message = format!("the file has more than {MAX_DOCUMENTS} documents: split it");
    whole_file(file, Position::START, code::FILE_TOO_LARGE, message)
}

/// The diagnostic for a file that can't be opened or read.
pub fn unreadable(file: &Arc<str>, why: &impl fmt::Display) -> Diagnostic {
    whole_file(
        file,
        Position::START,
        code::FILE_UNREADABLE,
        format!("the file can't be read: {why}"),
    )
}

fn whole_file(file: &Arc<str>, position: Position, code: Code, message: String) -> Diagnostic {
    let place = FilePlace {
        file: file.clone(),
        document: 0,
        position,
    };
    Diagnostic {
        origin: place.into(),
        severity: Severity::Error,
        code,
        message,
        object: None,
    }
}
