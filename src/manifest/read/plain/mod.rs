//! A quick reader for the plain part of YAML, which is nearly all that people and tools write: mappings and lists in block
//! style, and texts, flow collections and literal blocks without anything special in them.
//!
//! What it takes it reads as `serde_yaml` does, value for value. Whatever else it meets (anchors, tags, escapes, texts
//! of several lines, characters beyond ASCII, a mistake) it declines without a word, and `serde_yaml` reads the document.

mod flow;
mod scalar;
#[cfg(test)]
mod tests;

use memchr::memchr;

use self::scalar::Scalar;
use super::{Tree, open, seed::Reading};
use crate::manifest::value::{Entry, Node, Value};

/// The longest key that is taken; YAML wants a `:` within 1024 characters.
const MAX_KEY_BYTES: usize = 1_000;

/// Reads a document, or declines.
pub(super) fn read<'t>(text: &'t str, reading: &Reading<'t>) -> Option<Tree<'t>> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        indent: 0,
        reading,
    };
    if !reader.bytes.iter().fold(true, |plain, byte| {
        plain & matches!(byte, b'\n' | b' '..=b'~')
    }) {
        return None;
    }
    reader.begin()?;
    let root = reader.block(0)?;
    reader.is_at_end().then(|| reading.finish(root))
}

/// Where the reading stands: on a token of a row that holds something.
struct Reader<'r, 't> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// The column, counted from 1, in which the row's first token stands; 0 behind the last row. Behind the `-` of a
    /// list, what follows has a column of its own.
    indent: usize,
    reading: &'r Reading<'t>,
}

impl<'t> Reader<'_, 't> {
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Whether a blank, a line's end or the text's end stands `offset` behind the token.
    fn is_blank(&self, offset: usize) -> bool {
        matches!(self.bytes.get(self.at + offset), None | Some(b' ' | b'\n'))
    }

    fn is_at_end(&self) -> bool {
        self.indent == 0
    }

    fn is_dash(&self) -> bool {
        self.byte() == Some(b'-') && self.is_blank(1)
    }

    fn skip_blanks(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Skips to the document's first token.
    fn begin(&mut self) -> Option<()> {
        self.find_row();
        if self.indent == 1 && self.text[self.at..].starts_with("---") && self.is_blank(3) {
            self.at += 3;
            self.end_row()?;
        }
        (!self.is_at_end()).then_some(())
    }

    /// From a row's beginning to the next token, over blank rows and comments.
    fn find_row(&mut self) {
        loop {
            let row = self.at;
            self.skip_blanks();
            match self.byte() {
                None => return self.indent = 0,
                Some(b'\n') => self.at += 1,
                Some(b'#') => self.leave_row(),
                Some(_) => return self.indent = self.at - row + 1,
            }
        }
    }

    /// To the beginning of the next row.
    fn leave_row(&mut self) {
        if self.byte() == Some(b'\n') {
            return self.at += 1;
        }
        self.at = memchr(b'\n', &self.bytes[self.at..])
            .map_or(self.bytes.len(), |length| self.at + length + 1);
    }

    /// From behind a value to the next row, where nothing but a comment follows.
    fn end_row(&mut self) -> Option<()> {
        let value_end = self.at;
        self.skip_blanks();
        match self.byte() {
            None | Some(b'\n') => {}
            Some(b'#') if self.at > value_end => {}
            Some(_) => return None,
        }
        self.leave_row();
        self.find_row();
        Some(())
    }

    /// A mapping or list that begins with a row.
    fn block(&mut self, depth: usize) -> Option<Node<'t>> {
        if self.is_dash() {
            return self.list(depth);
        }
        let key = self.scalar()?;
        self.mapping(key, depth)
    }

    /// A mapping whose first key was read.
    fn mapping(&mut self, first_key: Scalar<'t>, depth: usize) -> Option<Node<'t>> {
        let (indent, reading) = (self.indent, self.reading);
        let id = open(reading, depth)?;
        let start = reading.open_entries();
        let mut scalar = first_key;
        loop {
            let text = scalar.text();
            if !self.is_at_colon()
                || text == "<<"
                || text.starts_with('-')
                || text.len() > MAX_KEY_BYTES
            {
                return None;
            }
            self.at += 1;
            let key = self.key(&scalar);
            let value = self.value(indent, depth + 1)?;
            reading.push_entry(Entry { key, value })?;
            match self.indent {
                next if next < indent => break,
                next if next > indent => return None,
                _ => scalar = self.scalar()?,
            }
        }
        Some(Node {
            id,
            value: Value::Map(reading.close_entries(start)),
        })
    }

    /// What stands behind a key of a mapping in column `indent`, up to the next row.
    fn value(&mut self, indent: usize, depth: usize) -> Option<Node<'t>> {
        self.skip_blanks();
        if matches!(self.byte(), None | Some(b'\n' | b'#')) {
            self.leave_row();
            self.find_row();
            return if self.indent > indent {
                self.block(depth)
            } else if self.indent == indent && self.is_dash() {
                self.list(depth)
            } else {
                Some(self.node(Value::Null))
            };
        }
        let node = self.inline(indent, depth)?;
        (self.indent <= indent).then_some(node)
    }

    fn list(&mut self, depth: usize) -> Option<Node<'t>> {
        let (indent, reading) = (self.indent, self.reading);
        let id = open(reading, depth)?;
        let start = reading.open_items();
        while self.indent == indent && self.is_dash() {
            let dash = self.at;
            self.at += 1;
            self.skip_blanks();
            let node = match self.byte() {
                None | Some(b'\n' | b'#') => {
                    self.leave_row();
                    self.find_row();
                    if self.indent > indent {
                        self.block(depth + 1)?
                    } else {
                        self.node(Value::Null)
                    }
                }
                Some(_) => {
                    self.indent += self.at - dash;
                    self.item(indent, depth + 1)?
                }
            };
            reading.push_item(node)?;
        }
        Some(Node {
            id,
            value: Value::List(reading.close_items(start)),
        })
    }

    /// What stands behind the `-` of a list in column `indent`.
    fn item(&mut self, indent: usize, depth: usize) -> Option<Node<'t>> {
        if self.is_dash() {
            return self.list(depth);
        }
        if !matches!(self.byte(), Some(b'{' | b'[' | b'|')) {
            let start = self.at;
            let scalar = self.scalar()?;
            if self.is_at_colon() {
                return self.mapping(scalar, depth);
            }
            self.at = start;
        }
        let node = self.inline(indent, depth)?;
        (self.indent <= indent).then_some(node)
    }

    /// A value that begins on its key's or dash's row, and the way to the next row.
    fn inline(&mut self, indent: usize, depth: usize) -> Option<Node<'t>> {
        if self.byte() == Some(b'|') {
            return self.literal(indent);
        }
        let node = if matches!(self.byte(), Some(b'{' | b'[')) {
            self.flow(depth)?
        } else {
            let value = self.scalar()?.value()?;
            self.node(value)
        };
        self.end_row()?;
        Some(node)
    }

    fn node(&self, value: Value<'t>) -> Node<'t> {
        Node {
            id: self.reading.next_id(),
            value,
        }
    }

    fn is_at_colon(&self) -> bool {
        self.byte() == Some(b':') && self.is_blank(1)
    }
}
