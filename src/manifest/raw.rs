//! Cuts a file's text into documents, before any of them is read.
//!
//! YAML forbids `---` and `...` at the start of a line inside any value, so that the cut is exact without parsing: a
//! document that can't be read never takes its neighbours along, documents can be read side by side, and an unchanged
//! one can be told by its text alone. Concatenated JSON values are cut too.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use memchr::{memchr_iter, memchr2_iter};

use crate::diagnostic::Position;

/// One document of a file as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RawDocument<'t> {
    /// The document with its `---` line and the comments and directives above it.
    pub text: &'t str,
    /// The document in its file, counted from 1.
    pub number: u32,
    /// The line of the text's first character, counted from 1 over the whole file.
    pub line: u32,
    /// How many characters stand before the text on that line; not 0 only for JSON values that share a line.
    pub indent: u32,
}

/// Cuts `text` into documents. What holds only blank lines and comments is no document and has no number.
pub fn split(text: &str) -> Vec<RawDocument<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 1);
    let (mut offset, mut line) = (0, 1);
    let mut bare = true;
    let rows = memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
    for end in rows.chain([text.len()]) {
        let row = &text[offset..end];
        if is_marker(row, "...") {
            if !bare {
                push(&mut documents, &text[start..end], start_line);
            }
            (start, start_line, bare) = (end, line + 1, true);
        } else if is_marker(row, "---") {
            if !bare {
                push(&mut documents, &text[start..offset], start_line);
                (start, start_line) = (offset, line);
            }
            bare = false;
        } else if bare {
            bare = is_preamble(row);
        }
        offset = end;
        line += 1;
    }
    if !bare {
        push(&mut documents, &text[start..], start_line);
    }
    documents
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
            if is_marker(row, "---") {
                token = &row[3..];
            } else if is_preamble(row) {
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

fn push<'t>(documents: &mut Vec<RawDocument<'t>>, text: &'t str, line: u32) {
    let (mut text, mut line, mut indent) = (text, line, 0);
    loop {
        let number =
            u32::try_from(documents.len()).map_or(u32::MAX, |count| count.saturating_add(1));
        let Some(end) = json_value_end(text) else {
            documents.push(RawDocument {
                text,
                number,
                line,
                indent,
            });
            return;
        };
        let (value, rest) = text.split_at(end);
        documents.push(RawDocument {
            text: value,
            number,
            line,
            indent,
        });
        let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        match value.rsplit_once('\n') {
            Some((above, row)) => {
                line += 1 + u32::try_from(above.matches('\n').count()).unwrap_or(u32::MAX);
                indent = count(row);
            }
            None => indent += count(value),
        }
        text = rest;
    }
}

/// The end of the first JSON value of `text`, where another one follows it.
fn json_value_end(text: &str) -> Option<usize> {
    if !may_hold_two_json_values(text) {
        return None;
    }
    let begin = text.len() - text.trim_start().len();
    let bytes = text.as_bytes();
    if !matches!(bytes.get(begin), Some(b'{' | b'[')) {
        return None;
    }
    let (mut depth, mut at) = (0_usize, begin);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => at = string_end(bytes, at)?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return text[at..]
                .trim_start()
                .starts_with(['{', '['])
                .then_some(at);
        }
    }
    None
}

/// Whether a bracket that closes stands before one that opens, with nothing between: that is quickly seen, and rare.
fn may_hold_two_json_values(text: &str) -> bool {
    let bytes = text.as_bytes();
    may_end_a_value_within(bytes)
        && memchr2_iter(b'}', b']', bytes).any(|at| match bytes.get(at + 1) {
            None | Some(b',' | b'}' | b']') => false,
            Some(_) => text[at + 1..].trim_start().starts_with(['{', '[']),
        })
}

/// Whether a bracket that opens, or what may be a blank, follows one that closes. In JSON without blanks nowhere: one look
/// at all pairs is much quicker than a look at each bracket.
fn may_end_a_value_within(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    pairs.fold(false, |any, (before, after)| {
        any | (matches!(before, b'}' | b']') & matches!(after, b'{' | b'[' | ..=b' ' | 0x80..))
    })
}

/// The closing quote of the JSON string that opens at `open`.
pub(super) fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether `row` is `---` or `...` and nothing or white space follows.
fn is_marker(row: &str, marker: &str) -> bool {
    row.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether `row` can stand above a document's `---`: blank, a comment or a directive.
fn is_preamble(row: &str) -> bool {
    let token = row.trim_start();
    token.is_empty() || token.starts_with('#') || row.starts_with('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, u32)]) {
        let documents = split(text);
        let found: Vec<_> = documents.iter().map(|raw| (raw.text, raw.line)).collect();
        assert_eq!(found, expected);
        assert!(
            documents
                .iter()
                .map(|raw| raw.number)
                .eq(1..=u32::try_from(found.len()).expect("few"))
        );
    }

    #[track_caller]
    fn check_start(text: &str, line: u32, column: u32) {
        assert_eq!(split(text)[0].start(), Position { line, column });
    }

    #[test]
    fn cuts_at_document_markers() {
        check("", &[]);
        check("\n# nothing\n", &[]);
        check("a: 1\n", &[("a: 1\n", 1)]);
        check("a: 1\n---\nb: 2\n", &[("a: 1\n", 1), ("---\nb: 2\n", 2)]);
        check(
            "---\na: 1\n---\nb: 2",
            &[("---\na: 1\n", 1), ("---\nb: 2", 3)],
        );
        check(
            "a: 1\r\n---\r\nb: 2\r\n",
            &[("a: 1\r\n", 1), ("---\r\nb: 2\r\n", 2)],
        );
        check(
            "a: 1\n--- # why\nb: 2\n",
            &[("a: 1\n", 1), ("--- # why\nb: 2\n", 2)],
        );
        check("a: 1\n--- {b: 2}\n", &[("a: 1\n", 1), ("--- {b: 2}\n", 2)]);
        check("---\n---\na: 1\n", &[("---\n", 1), ("---\na: 1\n", 2)]);
    }

    #[test]
    fn keeps_what_only_looks_like_a_marker() {
        check(
            "a: |\n  ---\n  ...\nb: ---x\n",
            &[("a: |\n  ---\n  ...\nb: ---x\n", 1)],
        );
        check("----\n", &[("----\n", 1)]);
    }

    #[test]
    fn keeps_comments_and_directives_with_their_document() {
        check(
            "# licence\n\n---\na: 1\n",
            &[("# licence\n\n---\na: 1\n", 1)],
        );
        check("%YAML 1.2\n---\na: 1\n", &[("%YAML 1.2\n---\na: 1\n", 1)]);
        check(
            "a: 1\n...\n%YAML 1.2\n---\nb: 2\n",
            &[("a: 1\n...\n", 1), ("%YAML 1.2\n---\nb: 2\n", 3)],
        );
        check("a: 1\n...\n# end\n", &[("a: 1\n...\n", 1)]);
    }

    #[test]
    fn cuts_concatenated_json() {
        check(
            "{\"a\": \"}\\\"{\"}\n{}\n",
            &[("{\"a\": \"}\\\"{\"}", 1), ("\n{}\n", 1)],
        );
        for between in ["", " ", "\t\r", "\u{b}", "\u{a0}"] {
            let second = format!("{between}[]");
            check(&format!("[{{}}]{second}"), &[("[{}]", 1), (&second, 1)]);
        }
        check("{a: b}: c\n", &[("{a: b}: c\n", 1)]);
        check("{\n", &[("{\n", 1)]);
        assert_eq!(split("{} {}")[1].start(), Position { line: 1, column: 4 });
        assert_eq!(split("{}\n {}")[1].start(), Position { line: 2, column: 2 });
    }

    #[test]
    fn finds_the_first_token() {
        check_start("a: 1", 1, 1);
        check_start("\u{feff}a: 1", 1, 1);
        check_start("# é\n\n---\n# x\n  a: 1\n", 5, 3);
        check_start("---\t{a: 1}\n", 1, 5);
        check_start("%YAML 1.2\n--- # b\n", 1, 1);
    }
}
