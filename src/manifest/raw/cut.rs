//! The cut itself: one walk over the rows of a text.

use memchr::memchr_iter;

use super::{BYTE_ORDER_MARK, RawDocument, values};

/// Cuts `text` into documents. What holds only blank lines and comments is no document and has no number.
///
/// Takes time in proportion to the text, however many documents are in it.
pub fn split(text: &str) -> Vec<RawDocument<'_>> {
    Cut::of(text).documents
}

/// A text being cut.
#[derive(Default)]
struct Cut<'t> {
    documents: Vec<RawDocument<'t>>,
    /// How many bytes were looked at, one that was looked at twice counted twice.
    looked_at: usize,
}

/// Where the document begins that is being walked through, and what was seen of it.
struct Open {
    start: usize,
    line: u32,
    /// Whether it may turn out to be none: nothing but blank rows, comments and directives so far, and no `---`.
    is_bare: bool,
    /// Whether nothing but blank rows and comments came behind its `---`, or at all.
    is_fresh: bool,
}

impl Open {
    fn at(start: usize, line: u32) -> Self {
        Self {
            start,
            line,
            is_bare: true,
            is_fresh: true,
        }
    }

    /// Whether content was seen: then only a marker, or what begins another file, makes a difference.
    fn has_content(&self) -> bool {
        !self.is_bare && !self.is_fresh
    }
}

impl<'t> Cut<'t> {
    fn of(text: &'t str) -> Self {
        let mut cut = Self {
            looked_at: 4 * text.len(),
            ..Self::default()
        };
        let mut open = Open::at(0, 1);
        let mut offset = 0;
        let ends = memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        for (end, line) in ends.chain([text.len()]).zip(1..) {
            if open.has_content() && !may_be_marker(text.as_bytes().get(offset)) {
                offset = end;
                continue;
            }
            let row = &text[offset..end];
            let unmarked = row.strip_prefix(BYTE_ORDER_MARK).unwrap_or(row);
            let row_start = end - unmarked.len();
            let begins_file = unmarked.len() < row.len();
            match Row::of(unmarked) {
                Row::End => {
                    cut.close(&open, &text[open.start..end]);
                    open = Open::at(end, line + 1);
                }
                Row::Separator => {
                    if !open.is_bare || begins_file {
                        cut.close(&open, &text[open.start..offset]);
                        open = Open::at(row_start, line);
                    }
                    open.is_bare = false;
                    open.is_fresh = is_blank_or_comment(&unmarked[3..]);
                }
                Row::OddSeparator => {
                    cut.close(&open, &text[open.start..offset]);
                    open = Open::at(end, line + 1);
                }
                // A directive belongs to the `---` below it: what stands above it ends.
                Row::Directive if open.is_fresh && !open.is_bare => {
                    open = Open::at(row_start, line);
                }
                other => {
                    if begins_file && open.is_fresh {
                        (open.start, open.line) = (row_start, line);
                    }
                    if other == Row::Content {
                        open.is_bare = false;
                        open.is_fresh = false;
                    }
                }
            }
            offset = end;
        }
        cut.close(&open, &text[open.start..]);
        cut
    }

    /// Ends a document, which may be several JSON values.
    fn close(&mut self, open: &Open, text: &'t str) {
        if open.is_bare {
            return;
        }
        let (mut text, mut line, mut indent) = (text, open.line, 0);
        let may_be_several = text.trim_start().starts_with(['{', '[']) && {
            self.looked_at += 2 * text.len();
            values::may_hold_several(text)
        };
        while may_be_several && let Some((end, next)) = values::first_of_several(text) {
            self.push(&text[..end], line, indent);
            let passed = &text[..next];
            self.looked_at += 4 * passed.len();
            let row = match passed.rsplit_once('\n') {
                Some((above, row)) => {
                    line = line
                        .saturating_add(1 + number(memchr_iter(b'\n', above.as_bytes()).count()));
                    indent = 0;
                    row
                }
                None => passed,
            };
            let is_shown = |c: &char| *c != BYTE_ORDER_MARK;
            indent = indent.saturating_add(number(row.chars().filter(is_shown).count()));
            text = &text[next..];
        }
        self.looked_at += text.len();
        self.push(text, line, indent);
    }

    fn push(&mut self, text: &'t str, line: u32, indent: u32) {
        self.documents.push(RawDocument {
            text,
            number: number(self.documents.len() + 1),
            line,
            indent,
        });
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What a row is by its beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Row {
    /// `...`
    End,
    /// `---` as YAML has it: what follows on the row belongs to the document.
    Separator,
    /// `---` as `kubectl` alone takes it, with a comment glued to it or with odd blanks behind it.
    OddSeparator,
    /// `%YAML 1.2` and the like.
    Directive,
    /// Blank, or a comment.
    Blank,
    Content,
}

impl Row {
    fn of(row: &str) -> Self {
        match row.as_bytes() {
            [b'.', ..] if is_marker(row, "...") => Self::End,
            [b'-', ..] if is_marker(row, "---") => Self::Separator,
            [b'-', b'-', b'-', ..] if is_blank_or_comment(&row[3..]) => Self::OddSeparator,
            [b'%', ..] => Self::Directive,
            _ if is_blank_or_comment(row) => Self::Blank,
            _ => Self::Content,
        }
    }
}

/// Whether a row with this first byte may be more than content: a marker, a directive, or a byte order mark.
fn may_be_marker(first: Option<&u8>) -> bool {
    // A byte order mark is EF BB BF.
    matches!(first, Some(b'-' | b'.' | b'%' | 0xef))
}

/// Whether `row` is `---` or `...` and nothing or white space follows.
pub(super) fn is_marker(row: &str, marker: &str) -> bool {
    row.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether `row` can stand above a document's `---`: blank, a comment or a directive.
pub(super) fn is_preamble(row: &str) -> bool {
    is_blank_or_comment(row) || row.starts_with('%')
}

fn is_blank_or_comment(text: &str) -> bool {
    let token = text.trim_start();
    token.is_empty() || token.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Position;

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
        check("---x\n", &[("---x\n", 1)]);
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
            &[("{\"a\": \"}\\\"{\"}", 1), ("{}\n", 2)],
        );
        for between in ["", " ", "\t\r", "\u{b}", "\u{a0}", "\u{feff}"] {
            check(&format!("[{{}}]{between}[]"), &[("[{}]", 1), ("[]", 1)]);
        }
        check("{a: b}: c\n", &[("{a: b}: c\n", 1)]);
        check("{\n", &[("{\n", 1)]);
        assert_eq!(split("{} {}")[1].start(), Position { line: 1, column: 4 });
        assert_eq!(split("{}\n {}")[1].start(), Position { line: 2, column: 2 });
        check("{}\n{} é{}", &[("{}", 1), ("{} é{}", 2)]);
        let third = split("{} [\"é\"]\u{feff} {}")[2].start();
        assert_eq!(
            third,
            Position {
                line: 1,
                column: 10
            }
        );
    }

    #[test]
    fn takes_a_byte_order_mark_before_each_document() {
        check("\u{feff}a: 1\n", &[("a: 1\n", 1)]);
        check("\u{feff}# c\na: 1\n", &[("# c\na: 1\n", 1)]);
        check(
            "\u{feff}---\na: 1\n\u{feff}---\nb: 2\n",
            &[("---\na: 1\n", 1), ("---\nb: 2\n", 3)],
        );
        check(
            "a: 1\n---\n# c\n\u{feff}b: 2\n",
            &[("a: 1\n", 1), ("b: 2\n", 4)],
        );
        check("# c\n\u{feff}---\na: 1\n", &[("---\na: 1\n", 2)]);
        check(
            "a: 1\n...\n\u{feff}b: 2\n",
            &[("a: 1\n...\n", 1), ("b: 2\n", 3)],
        );
        check(
            "a: 1\n---\n\u{feff}%YAML 1.2\n---\nb: 2\n",
            &[("a: 1\n", 1), ("%YAML 1.2\n---\nb: 2\n", 3)],
        );
    }

    #[test]
    fn cuts_where_kubectl_does() {
        for glued in [
            "---# c",
            "---#",
            "---\u{a0}",
            "---\u{b}# c",
            "---\u{3000}\r",
        ] {
            check(
                &format!("a: 1\n{glued}\nb: 2\n"),
                &[("a: 1\n", 1), ("b: 2\n", 3)],
            );
            check(&format!("{glued}\nb: 2\n"), &[("b: 2\n", 2)]);
            check(&format!("a: 1\n{glued}"), &[("a: 1\n", 1)]);
            check(&format!("---\n{glued}\na: 1"), &[("---\n", 1), ("a: 1", 3)]);
        }
        for blank in ["---", "--- ", "---\t ", "---\t# c", "--- # c\r", "---\r"] {
            let second = format!("{blank}\nb: 2\n");
            check(&format!("a: 1\n{second}"), &[("a: 1\n", 1), (&second, 2)]);
        }
        check("%YAML 1.2\n---# c\na: 1\n", &[("a: 1\n", 3)]);
        check(
            "{\"a\": 1}\n---# c\n{} []\n",
            &[("{\"a\": 1}\n", 1), ("{}", 3), ("[]\n", 3)],
        );
    }

    /// How many bytes each of `count` such parts costs.
    fn cost(part: &str, count: usize) -> usize {
        let text = part.repeat(count);
        let cut = Cut::of(&text);
        assert!(cut.documents.len() <= 2 * count + 1, "{part}");
        // No byte belongs to two documents: those who read them look at each once.
        let mut end = text.as_ptr() as usize;
        for document in &cut.documents {
            let start = document.text.as_ptr() as usize;
            assert!(end <= start, "{part}");
            end = start + document.text.len();
        }
        cut.looked_at / count
    }

    #[test]
    fn takes_time_in_proportion_to_the_text() {
        for part in [
            "{\"a\":1}\n",
            "{}",
            "[]\r\n\r\n",
            "{}\n---\n",
            "---\n{}\n{}\n",
            "---\n",
            "---# c\n",
            "--- a\n...\n",
            "\n\n\n",
            "a: 1\n---\n",
            "\u{feff}{}\n",
            "%YAML 1.2\n---\n",
            "{\n",
            "}\n{",
            "{\"",
            "] [",
            "\u{a0}{}\u{2003}",
        ] {
            let (few, many) = (cost(part, 100), cost(part, 10_000));
            assert!(
                many <= few + 1 && many <= 12 * part.len(),
                "{part:?}: {few} and {many} bytes"
            );
        }
    }
}
