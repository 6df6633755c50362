//! Texts: plain, in quotes and as literal blocks.

use memchr::memchr;

use super::{super::plain_scalar, Reader};
use crate::manifest::value::{Key, Node, Value};

/// A text as it is written.
pub(super) enum Scalar<'t> {
    Plain(&'t str),
    Quoted(&'t str),
}

impl<'t> Scalar<'t> {
    pub(super) fn text(&self) -> &'t str {
        match *self {
            Self::Plain(text) | Self::Quoted(text) => text,
        }
    }

    pub(super) fn value(&self) -> Option<Value<'t>> {
        match *self {
            Self::Plain(text) => match plain_scalar::value(text) {
                // `serde_yaml` takes one of more than 64 bits for a number.
                Value::Text(_) if matches!(text.as_bytes(), [b'0', b'x' | b'o' | b'b', ..]) => None,
                value => Some(value),
            },
            Self::Quoted(text) => Some(Value::Text(text)),
        }
    }
}

impl<'t> Reader<'_, 't> {
    /// The key that `scalar` is.
    pub(super) fn key(&self, scalar: &Scalar<'t>) -> Key<'t> {
        let id = self.reading.next_id();
        match *scalar {
            Scalar::Plain(text) => self.reading.plain_key(id, text),
            Scalar::Quoted(text) => Key { id, text },
        }
    }

    /// A text on one line; a plain one ends before `: `, ` #` and the blanks at the line's end.
    pub(super) fn scalar(&mut self) -> Option<Scalar<'t>> {
        let first = self.byte()?;
        if matches!(first, b'"' | b'\'') {
            return self.quoted(first);
        }
        let rest = &self.bytes[self.at..];
        // A flag such as `--port` is a text; what else begins with a dash may be a number.
        let is_flag =
            matches!(rest, [b'-', second, ..] if *second == b'-' || second.is_ascii_alphabetic());
        if !(first.is_ascii_alphanumeric() || b"_/$(~<=".contains(&first) || is_flag) {
            return None;
        }
        let mut length = 1;
        loop {
            length = rest[length..]
                .iter()
                .position(|byte| matches!(byte, b'\n' | b':' | b'#'))
                .map_or(rest.len(), |more| length + more);
            match rest[length..] {
                [] | [b'\n', ..] | [b':'] | [b':', b' ' | b'\n', ..] => break,
                [b'#', ..] if rest[length - 1] == b' ' => break,
                _ => length += 1,
            }
        }
        let text = self.text[self.at..self.at + length].trim_ascii_end();
        self.at += text.len();
        Some(Scalar::Plain(text))
    }

    pub(super) fn quoted(&mut self, quote: u8) -> Option<Scalar<'t>> {
        let start = self.at + 1;
        let length = self.bytes[start..]
            .iter()
            .position(|byte| *byte == quote || matches!(byte, b'\\' | b'\n'))?;
        self.at = start + length + 1;
        // In single quotes a backslash is itself, and two quotes are one.
        let ends =
            self.bytes[start + length] == quote && !(quote == b'\'' && self.byte() == Some(quote));
        ends.then(|| Scalar::Quoted(&self.text[start..start + length]))
    }

    /// A literal block, `|` or `|-`, below a mapping or list in column `indent`, and the way to the next row.
    pub(super) fn literal(&mut self, indent: usize) -> Option<Node<'t>> {
        self.at += 1;
        let strips = self.byte() == Some(b'-');
        self.at += usize::from(strips);
        self.skip_blanks();
        if self.byte() != Some(b'\n') {
            return None;
        }
        self.at += 1;
        let margin = self.bytes[self.at..]
            .iter()
            .take_while(|byte| **byte == b' ')
            .count();
        let mut text = String::new();
        let mut blank_rows = 0;
        while self.at < self.bytes.len() {
            // Of a last row without a line's end it is not told here what belongs to the text.
            let length = memchr(b'\n', &self.bytes[self.at..])?;
            let row = &self.text[self.at..self.at + length];
            let token = row.trim_ascii_start();
            let is_short = row.len() - token.len() < margin;
            if token.is_empty() {
                // Blanks behind the margin would belong to the text.
                if row.len() > margin || text.is_empty() {
                    return None;
                }
                blank_rows += 1;
            } else if is_short {
                break;
            } else {
                text.extend(std::iter::repeat_n('\n', blank_rows));
                blank_rows = 0;
                text.push_str(&row[margin..]);
                text.push('\n');
            }
            self.at += length + 1;
        }
        if margin < indent || text.is_empty() {
            return None;
        }
        if strips {
            text.pop();
        }
        let text = self.reading.alloc_text(&text);
        self.find_row();
        (self.indent <= indent).then_some(())?;
        Some(self.node(Value::Text(text)))
    }
}
