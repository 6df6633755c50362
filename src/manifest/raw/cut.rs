//! The cut itself: one walk over the rows of a text.

use memchr::{Memchr, memchr_iter};

use super::{BYTE_ORDER_MARK, RawDocument, values};

/// Cuts `text` into documents, one at a time, so that what many of them take is up to whoever reads them. What holds only
/// blank lines and comments is no document and has no number.
///
/// Takes time in proportion to the text, however many documents are in it.
pub fn split(text: &str) -> Split<'_> {
    Split {
        text,
        ends: memchr_iter(b'\n', text.as_bytes()),
        offset: 0,
        line: 1,
        open: Some(Open::at(0, 1)),
        values: None,
        count: 0,
        looked_at: 4 * text.len(),
    }
}

/// The documents of a text, in its order.
#[derive(Debug)]
pub struct Split<'t> {
    text: &'t str,
    /// Where rows end.
    ends: Memchr<'t>,
    /// Where the next row begins, and its number.
    offset: usize,
    line: u32,
    /// `None` behind the last row.
    open: Option<Open>,
    /// What was cut and not handed out so far.
    values: Option<Values<'t>>,
    count: usize,
    /// How many bytes were looked at, one that was looked at twice counted twice.
    looked_at: usize,
}

/// Where the document begins that is being walked through, and what was seen of it.
#[derive(Debug)]
struct Open {
    start: usize,
    line: u32,
    /// Whether it may turn out to be none: nothing but blank rows, comments and directives so far, and no `---`.
    is_bare: bool,
    /// Whether nothing but blank rows and comments came behind its `---`, or at all.
    is_fresh: bool,
}

/// A document, or JSON values one behind the other.
#[derive(Debug)]
struct Values<'t> {
    text: &'t str,
    line: u32,
    indent: u32,
    may_be_several: bool,
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

impl<'t> Iterator for Split<'t> {
    type Item = RawDocument<'t>;

    fn next(&mut self) -> Option<RawDocument<'t>> {
        loop {
            if let Some(values) = self.values.take() {
                return Some(self.first_of(values));
            }
            let open = self.open.take()?;
            self.walk(open);
        }
    }
}

impl<'t> Split<'t> {
    /// Walks over the rows from `open` on, up to the end of a document.
    fn walk(&mut self, mut open: Open) {
        let text = self.text;
        while let Some(end) = self.next_end() {
            let (offset, line) = (self.offset, self.line);
            (self.offset, self.line) = (end, line.saturating_add(1));
            if open.has_content() && !may_be_marker(text.as_bytes().get(offset)) {
                continue;
            }
            let row = &text[offset..end];
            let unmarked = row.strip_prefix(BYTE_ORDER_MARK).unwrap_or(row);
            let row_start = end - unmarked.len();
            let begins_file = unmarked.len() < row.len();
            match Row::of(unmarked) {
                Row::End => {
                    self.open = Some(Open::at(end, line + 1));
                    return self.close(&open, end);
                }
                Row::Separator => {
                    let is_fresh = is_blank_or_comment(&unmarked[3..]);
                    if !open.is_bare || begins_file {
                        self.open = Some(Open {
                            is_bare: false,
                            is_fresh,
                            ..Open::at(row_start, line)
                        });
                        return self.close(&open, offset);
                    }
                    open.is_bare = false;
                    open.is_fresh = is_fresh;
                }
                Row::OddSeparator => {
                    self.open = Some(Open::at(end, line + 1));
                    return self.close(&open, offset);
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
        }
        self.close(&open, text.len());
    }

    /// Where the next row ends; the last one is what stands behind the last line break, and may be empty.
    fn next_end(&mut self) -> Option<usize> {
        match self.ends.next() {
            Some(at) => Some(at + 1),
            None => (self.offset < self.text.len()).then_some(self.text.len()),
        }
    }

    /// Ends a document, which may be several JSON values.
    fn close(&mut self, open: &Open, end: usize) {
        if open.is_bare {
            return;
        }
        let text = &self.text[open.start..end];
        let may_be_several = text.trim_start().starts_with(['{', '[']) && {
            self.looked_at += 2 * text.len();
            values::may_hold_several(text)
        };
        self.values = Some(Values {
            text,
            line: open.line,
            indent: 0,
            may_be_several,
        });
    }

    /// The first of `values`, as a document; the others are left for the next time.
    fn first_of(&mut self, mut values: Values<'t>) -> RawDocument<'t> {
        self.count += 1;
        let Values {
            text, line, indent, ..
        } = values;
        let document = |text| RawDocument {
            text,
            number: number(self.count),
            line,
            indent,
        };
        let several = values
            .may_be_several
            .then(|| values::first_of_several(text));
        let Some((end, next)) = several.flatten() else {
            self.looked_at += text.len();
            return document(text);
        };
        let first = document(&text[..end]);
        let passed = &text[..next];
        self.looked_at += 4 * passed.len();
        let row = match passed.rsplit_once('\n') {
            Some((above, row)) => {
                let rows = memchr_iter(b'\n', above.as_bytes()).count();
                values.line = line.saturating_add(1 + number(rows));
                values.indent = 0;
                row
            }
            None => passed,
        };
        let is_shown = |c: &char| *c != BYTE_ORDER_MARK;
        let columns = number(row.chars().filter(is_shown).count());
        values.indent = values.indent.saturating_add(columns);
        values.text = &text[next..];
        self.values = Some(values);
        first
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
        let documents: Vec<_> = split(text).collect();
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
        let start = |text, index| split(text).nth(index).expect("so many").start();
        assert_eq!(start("{} {}", 1), Position { line: 1, column: 4 });
        assert_eq!(start("{}\n {}", 1), Position { line: 2, column: 2 });
        check("{}\n{} é{}", &[("{}", 1), ("{} é{}", 2)]);
        assert_eq!(
            start("{} [\"é\"]\u{feff} {}", 2),
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
        let mut cut = split(&text);
        let documents: Vec<_> = cut.by_ref().collect();
        assert!(documents.len() <= 2 * count + 1, "{part}");
        // No byte belongs to two documents: those who read them look at each once.
        let mut end = text.as_ptr() as usize;
        for document in &documents {
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
