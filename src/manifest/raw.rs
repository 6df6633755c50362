//! Cuts a file's text into documents, before any of them is read.
//!
//! YAML forbids `---` and `...` at the start of a line inside any value, so that the cut is exact without parsing: a
//! document that can't be read never takes its neighbours along, documents can be read side by side, and an unchanged
//! one can be told by its text alone. What separates documents for `kubectl` (Kubernetes' `apimachinery`,
//! `pkg/util/yaml`, `YAMLReader`) does so here: a comment may be glued to `---`, and JSON values may stand one behind
//! the other. A byte order mark may begin each document.

mod cut;
mod values;

use std::hash::BuildHasher;

pub use cut::{Split, split};
use foldhash::quality::FixedState;
pub(super) use values::string_end;

use self::cut::is_preamble;

use crate::diagnostic::Position;

/// What editors of Windows put in front of a text, and what stays there where files are joined.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// One document of a file as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RawDocument<'t> {
    /// The document, mostly with its `---` line and the comments and directives above it.
    pub text: &'t str,
    /// The document in its file, counted from 1.
    pub number: u32,
    /// The line of the text's first character, counted from 1 over the whole file.
    pub line: u32,
    /// How many characters stand before the text on that line; not 0 only for JSON values that share a line.
    pub indent: u32,
}

impl RawDocument<'_> {
    /// Whether the text begins as JSON objects and lists do (and YAML in flow style).
    pub(super) fn looks_like_json(&self) -> bool {
        self.text.trim_start().starts_with(['{', '['])
    }

    /// A digest of the text from its first token to its last, wherever it stands.
    pub(super) fn digest(&self) -> u64 {
        let mut text = self.text;
        while let Some((row, below)) = text.split_once('\n') {
            let is_above = is_preamble(row) || row.trim_end() == "---";
            if !is_above {
                break;
            }
            text = below;
        }
        let text = text.strip_prefix("---").unwrap_or(text).trim();
        let text = text.strip_suffix("\n...").unwrap_or(text).trim_end();
        FixedState::with_seed(2).hash_one(text)
    }

    /// Where the document's first token stands; comments, directives and `---` are none.
    pub(super) fn start(&self) -> Position {
        if self.text.starts_with(['{', '[']) {
            // Without a search for the end of what may be one long row.
            return self.place(1, 1);
        }
        for (row, line) in self.text.lines().zip(self.line..) {
            let mut token = row;
            if cut::is_marker(row, "---") {
                token = &row[3..];
            } else if cut::is_preamble(row) {
                continue;
            }
            token = token.trim_start();
            if !token.is_empty() && !token.starts_with('#') {
                let before = row[..row.len() - token.len()].chars().count();
                let column = u32::try_from(before + 1).unwrap_or(u32::MAX);
                return self.place(line - self.line + 1, column);
            }
        }
        self.place(1, 1)
    }

    /// The place in the file of a place in this text, both counted from 1.
    pub(super) fn place(&self, line: u32, column: u32) -> Position {
        let indent = if line == 1 { self.indent } else { 0 };
        Position {
            line: self.line.saturating_add(line) - 1,
            column: indent.saturating_add(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_start(text: &str, line: u32, column: u32) {
        let first = split(text).next().expect("a document");
        assert_eq!(first.start(), Position { line, column });
    }

    #[test]
    fn finds_the_first_token() {
        check_start("a: 1", 1, 1);
        check_start("\u{feff}a: 1", 1, 1);
        check_start("# é\n\n---\n# x\n  a: 1\n", 5, 3);
        check_start("---\t{a: 1}\n", 1, 5);
        check_start("---# c\na: 1\n", 2, 1);
        check_start("---\n\u{feff}a: 1\n", 2, 1);
        check_start("%YAML 1.2\n--- # b\n", 1, 1);
    }
}
