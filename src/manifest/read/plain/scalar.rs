//! Texts: plain, in quotes and as literal blocks, and what a plain one stands for.

use memchr::memchr;

use super::Reader;
use crate::manifest::value::{Node, Value};

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
            Self::Plain(text) => plain_value(text),
            Self::Quoted(text) => Some(Value::Text(text)),
        }
    }
}

impl<'t> Reader<'_, 't> {
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

/// The value that a plain text stands for; `None` where only `serde_yaml` itself knows. The text begins with a letter or
/// digit, or with what no number begins with.
fn plain_value(text: &str) -> Option<Value<'_>> {
    Some(match text.as_bytes() {
        [b'0'..=b'9', ..] => return number_or_text(text),
        b"~" | b"null" | b"Null" | b"NULL" => Value::Null,
        b"true" | b"True" | b"TRUE" => Value::Bool(true),
        b"false" | b"False" | b"FALSE" => Value::Bool(false),
        _ => Value::Text(text),
    })
}

fn number_or_text(text: &str) -> Option<Value<'_>> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.as_bytes() {
        [b'0', b'x' | b'o' | b'b', ..] => None,
        [b'0', _, ..] if is_whole => Some(Value::Text(text)),
        _ if is_whole => text.parse().ok().map(Value::Int),
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(Value::Float(number)),
            _ => Some(Value::Text(text)),
        },
    }
}
