//! A quick reader for JSON.
//!
//! What it takes it reads as `serde_json` does, value for value; a text with escapes and a number that is not plain are
//! `serde_json`'s to read. Where it meets a mistake it declines without a word, and `serde_json` says what is wrong.

#[cfg(test)]
mod tests;

use serde::de::DeserializeSeed as _;

use super::{
    Tree, open,
    seed::{NodeSeed, Reading},
};
use crate::manifest::value::{Entry, Key, Node, Value};

/// The most digits with which a number is sure to fit.
const MAX_PLAIN_DIGITS: usize = 18;

/// Reads a document, or declines.
pub(super) fn read<'t>(text: &'t str, reading: &Reading<'t>) -> Option<Tree<'t>> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        reading,
    };
    let root = reader.value(0)?;
    reader.token().is_none().then(|| reading.finish(root))
}

struct Reader<'r, 't> {
    text: &'t str,
    bytes: &'t [u8],
    /// Where the reading stands.
    at: usize,
    reading: &'r Reading<'t>,
}

impl<'t> Reader<'_, 't> {
    /// The first byte of the next token, and the way to it.
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Node<'t>> {
        match self.token()? {
            b'"' => {
                let id = self.reading.next_id();
                let value = Value::Text(self.quoted()?);
                Some(Node { id, value })
            }
            b'{' => self.map(depth),
            b'[' => self.list(depth),
            b'-' | b'0'..=b'9' => self.number(depth),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => None,
        }
    }

    fn map(&mut self, depth: usize) -> Option<Node<'t>> {
        let reading = self.reading;
        let id = open(reading, depth)?;
        let start = reading.open_entries();
        self.at += 1;
        let mut token = self.token()?;
        while token != b'}' {
            let key = Key {
                id: reading.next_id(),
                text: self.quoted()?,
            };
            if self.token()? != b':' {
                return None;
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            reading.push_entry(Entry { key, value });
            token = self.behind_item(b'}')?;
        }
        self.at += 1;
        Some(Node {
            id,
            value: Value::Map(reading.close_entries(start)),
        })
    }

    fn list(&mut self, depth: usize) -> Option<Node<'t>> {
        let reading = self.reading;
        let id = open(reading, depth)?;
        let start = reading.open_items();
        self.at += 1;
        let mut token = self.token()?;
        while token != b']' {
            let item = self.value(depth + 1)?;
            reading.push_item(item);
            token = self.behind_item(b']')?;
        }
        self.at += 1;
        Some(Node {
            id,
            value: Value::List(reading.close_items(start)),
        })
    }

    /// The first byte of the next item, or `end`.
    fn behind_item(&mut self, end: u8) -> Option<u8> {
        match self.token()? {
            b',' => {
                self.at += 1;
                self.token().filter(|token| *token != end)
            }
            token => (token == end).then_some(end),
        }
    }

    /// A text in quotes.
    #[inline]
    fn quoted(&mut self) -> Option<&'t str> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let end = plain_end(self.bytes, start);
        match self.bytes.get(end)? {
            b'"' => {
                self.at = end + 1;
                self.text.get(start..end)
            }
            b'\\' => self.escaped(),
            _ => None,
        }
    }

    /// The same where there are escapes in it.
    #[cold]
    fn escaped(&mut self) -> Option<&'t str> {
        let mut end = self.at + 1;
        loop {
            end = plain_end(self.bytes, end);
            match self.bytes.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => return None,
            }
        }
        let text: String = serde_json::from_str(self.text.get(self.at..=end)?).ok()?;
        self.at = end + 1;
        Some(self.reading.alloc_text(&text))
    }

    fn number(&mut self, depth: usize) -> Option<Node<'t>> {
        let rest = &self.bytes[self.at..];
        let is_digit = u8::is_ascii_digit;
        let length = rest.iter().take_while(|byte| is_digit(byte)).count();
        let goes_on = matches!(rest.get(length), Some(b'.' | b'e' | b'E'));
        let leads_with_zero = rest[0] == b'0' && length > 1;
        if goes_on || leads_with_zero || !(1..=MAX_PLAIN_DIGITS).contains(&length) {
            return self.other_number(depth);
        }
        let number = rest[..length]
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        self.at += length;
        Some(Node {
            id: self.reading.next_id(),
            value: Value::Int(number),
        })
    }

    #[cold]
    fn other_number(&mut self, depth: usize) -> Option<Node<'t>> {
        let rest = &self.text[self.at..];
        let is_of_number =
            |character: char| character.is_ascii_digit() || "+-.eE".contains(character);
        let end = rest.find(|character| !is_of_number(character));
        let token = &rest[..end.unwrap_or(rest.len())];
        let mut deserializer = serde_json::Deserializer::from_str(token);
        let seed = NodeSeed {
            reading: self.reading,
            depth,
        };
        let node = seed.deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        self.at += token.len();
        Some(node)
    }

    fn word(&mut self, word: &str, value: Value<'t>) -> Option<Node<'t>> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            Node {
                id: self.reading.next_id(),
                value,
            }
        })
    }
}

/// Where the first quote, backslash or control character stands behind `start`, or the text's end.
#[inline]
fn plain_end(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = ONES << 7;
    // Eight bytes at a time. A borrow can mark a byte only behind one that is marked by right.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let are = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let mut at = start;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let ends = (are(word, b'"') | are(word, b'\\') | below(word, b' ')) & HIGH_BITS;
        if ends != 0 {
            return at + ends.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..b' ');
    while bytes.get(at).is_some_and(is_plain) {
        at += 1;
    }
    at
}
