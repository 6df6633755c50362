//! Flow collections, `{a: b}` and `[a, b]`, on one line.

use super::{MAX_KEY_BYTES, Reader, open, scalar::Scalar};
use crate::manifest::value::{Entry, Node, Value};

impl<'t> Reader<'_, 't> {
    /// A flow collection on one line, or a text in it.
    pub(super) fn flow(&mut self, depth: usize) -> Option<Node<'t>> {
        let reading = self.reading;
        match self.byte()? {
            b'{' => {
                let id = open(reading, depth)?;
                let start = reading.open_entries();
                self.flow_parts(b'}', |reader| {
                    let scalar = reader.flow_scalar()?;
                    if reader.byte() != Some(b':') || !reader.is_blank(1) || scalar.text() == "<<" {
                        return None;
                    }
                    reader.at += 1;
                    reader.skip_blanks();
                    let key = reader.key(&scalar);
                    let value = reader.flow(depth + 1)?;
                    reading.push_entry(Entry { key, value })
                })?;
                Some(Node {
                    id,
                    value: Value::Map(reading.close_entries(start)),
                })
            }
            b'[' => {
                let id = open(reading, depth)?;
                let start = reading.open_items();
                self.flow_parts(b']', |reader| {
                    let item = reader.flow(depth + 1)?;
                    reading.push_item(item)
                })?;
                Some(Node {
                    id,
                    value: Value::List(reading.close_items(start)),
                })
            }
            _ => {
                let value = self.flow_scalar()?.value()?;
                Some(self.node(value))
            }
        }
    }

    /// What stands between brackets, with a comma between two parts.
    fn flow_parts(
        &mut self,
        close: u8,
        mut part: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.at += 1;
        self.skip_blanks();
        if self.byte() == Some(close) {
            self.at += 1;
            return Some(());
        }
        loop {
            part(self)?;
            self.skip_blanks();
            let byte = self.byte()?;
            self.at += 1;
            if byte == close {
                return Some(());
            }
            if byte != b',' {
                return None;
            }
            self.skip_blanks();
        }
    }

    fn flow_scalar(&mut self) -> Option<Scalar<'t>> {
        let first = self.byte()?;
        if matches!(first, b'"' | b'\'') {
            return self
                .quoted(first)
                .filter(|scalar| scalar.text().len() <= MAX_KEY_BYTES);
        }
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .position(|byte| !(byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)))
            .filter(|length| (1..=MAX_KEY_BYTES).contains(length))?;
        if matches!(first, b'-' | b'.') {
            return None;
        }
        self.at += length;
        Some(Scalar::Plain(&rest[..length]))
    }
}
