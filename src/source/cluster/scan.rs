//! Where JSON values end, without reading what they say.
//!
//! Total on any bytes, and resumable: a value may come in pieces. Brackets are counted, not matched: whoever reads the value
//! finds out whether it is JSON. Every byte of a list comes by here, so what is between brackets is taken 64 bytes at a time,
//! without a branch for each of them.

use memchr::memchr2;

/// What a byte outside of strings is to the end of a value.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Class {
    Plain,
    Quote,
    Open,
    Close,
    Break,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    classes[b'"' as usize] = Class::Quote;
    classes[b'{' as usize] = Class::Open;
    classes[b'[' as usize] = Class::Open;
    classes[b'}' as usize] = Class::Close;
    classes[b']' as usize] = Class::Close;
    classes[b',' as usize] = Class::Break;
    classes[b':' as usize] = Class::Break;
    classes[b' ' as usize] = Class::Break;
    classes[b'\n' as usize] = Class::Break;
    classes[b'\r' as usize] = Class::Break;
    classes[b'\t' as usize] = Class::Break;
    classes
};

/// How many bytes are taken at a time: one for each bit of a number.
const BLOCK: usize = 64;

/// What came of a block.
enum Passed {
    /// The value goes on behind it.
    Behind,
    /// The value ends in it.
    End,
    /// It has to be looked at byte by byte.
    Unclear,
}

/// How far the look for the end of one value is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    at: usize,
    depth: usize,
    in_string: bool,
}

impl Scan {
    /// How many bytes of `bytes` the value takes that they begin with: none where no value begins there; `None` where it is
    /// not over. The next call gets the same bytes and more behind them.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            if self.depth > 0
                && let Some(block) = bytes.get(self.at..)?.first_chunk()
            {
                match self.pass(block) {
                    Passed::Behind => continue,
                    Passed::End => return Some(self.at),
                    Passed::Unclear => {}
                }
            }
            if self.in_string {
                self.leave_string(bytes)?;
                if self.depth == 0 {
                    return Some(self.at);
                }
            }
            let class = CLASSES[usize::from(*bytes.get(self.at)?)];
            if class == Class::Plain {
                self.at += 1;
                continue;
            }
            if self.depth == 0 && (self.at > 0 || matches!(class, Class::Close | Class::Break)) {
                // Behind a number or a word, or where there is no value.
                return Some(self.at);
            }
            self.at += 1;
            match class {
                Class::Quote => self.in_string = true,
                Class::Open => self.depth += 1,
                Class::Close => self.depth -= 1,
                Class::Plain | Class::Break => {}
            }
            if class == Class::Close && self.depth == 0 {
                return Some(self.at);
            }
        }
    }

    /// Goes behind a block, or behind the end of the value in it.
    fn pass(&mut self, block: &[u8; BLOCK]) -> Passed {
        let backslashes = mask(block, |byte| byte == b'\\');
        let (escaped, length) = escaped(backslashes);
        let quotes = mask(block, |byte| byte == b'"') & !escaped;
        // From each quote that begins a string up to the one that ends it.
        let inside = parities(quotes) ^ if self.in_string { u64::MAX } else { 0 };
        if backslashes & !inside != 0 {
            // They mean nothing outside of strings.
            return Passed::Unclear;
        }
        // The two kinds of brackets differ in this bit.
        let opens = mask(block, |byte| byte | 0x20 == b'{') & !inside;
        let closes = mask(block, |byte| byte | 0x20 == b'}') & !inside;
        if closes.count_ones() as usize >= self.depth {
            let (mut depth, mut marks) = (self.depth, opens | closes);
            while marks != 0 {
                let place = marks.trailing_zeros();
                if opens >> place & 1 == 1 {
                    depth += 1;
                } else if depth > 1 {
                    depth -= 1;
                } else {
                    self.at += place as usize + 1;
                    self.depth = 0;
                    self.in_string = false;
                    return Passed::End;
                }
                marks &= marks - 1;
            }
        }
        self.depth = self.depth + opens.count_ones() as usize - closes.count_ones() as usize;
        self.in_string ^= quotes.count_ones() % 2 == 1;
        self.at += length;
        Passed::Behind
    }

    /// Goes behind the quote that ends the string; `None` where that is still to come.
    fn leave_string(&mut self, bytes: &[u8]) -> Option<()> {
        loop {
            let rest = bytes.get(self.at..)?;
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.at = bytes.len();
                return None;
            };
            if rest[found] == b'"' {
                self.at += found + 1;
                self.in_string = false;
                return Some(());
            }
            // What is escaped goes with its backslash.
            if found + 1 == rest.len() {
                self.at += found;
                return None;
            }
            self.at += found + 2;
        }
    }
}

/// Which bytes of a block are such, the first of them at the lowest bit.
fn mask(block: &[u8; BLOCK], is_such: impl Fn(u8) -> bool) -> u64 {
    /// Brings the lowest bits of eight bytes together in the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let such = block.map(|byte| u8::from(is_such(byte)));
    let (eights, _) = such.as_chunks::<8>();
    let bits = eights
        .iter()
        .map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    bits.rfold(0, |mask, bits| mask << 8 | bits)
}

/// Which bytes are escaped where these are backslashes of a string, and how many bytes that is known for: the last one may
/// escape the next block's first.
fn escaped(mut backslashes: u64) -> (u64, usize) {
    let mut escaped = 0;
    while backslashes != 0 {
        let place = backslashes.trailing_zeros();
        if place == u64::BITS - 1 {
            return (escaped, BLOCK - 1);
        }
        escaped |= 1 << (place + 1);
        backslashes &= !(0b11 << place);
    }
    (escaped, BLOCK)
}

/// Whether the number of bits up to each one, with itself, is odd.
fn parities(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The fields of a JSON object, each with its key as it is written between the quotes, and its value; as far as they can be
/// told apart.
#[derive(Clone, Debug)]
pub(super) struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    /// Of the object that `bytes` begin with; none where they begin with something else.
    pub(super) fn of(bytes: &'b [u8]) -> Self {
        Self(after(bytes, b'{').unwrap_or_default())
    }

    /// The value of the first field with this key.
    pub(super) fn value(mut self, key: &str) -> Option<&'b [u8]> {
        self.find(|(found, _)| *found == key.as_bytes())
            .map(|(_, value)| value)
    }

    /// The fields of the object that is the value of the first field with this key. Nobody looks for its end.
    pub(super) fn within(mut self, key: &str) -> Option<Self> {
        loop {
            let (found, value) = self.next_key()?;
            if found == key.as_bytes() {
                return Some(Self::of(value));
            }
            self.0 = value_at(value)?.1;
        }
    }

    /// The next key, and all from its value on.
    fn next_key(&mut self) -> Option<(&'b [u8], &'b [u8])> {
        let rest = std::mem::take(&mut self.0);
        let (key, rest) = value_at(after(rest, b',').unwrap_or(rest))?;
        let key = key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some((key, after(rest, b':')?))
    }

    /// The value of the next field, where that has this key, up to the end of the object: nobody looks for the value's own end,
    /// which is found by whoever reads it.
    pub(super) fn rest(&self, key: &str) -> Option<&'b [u8]> {
        let mut next = Self(after(self.0, b',')?);
        let (_, rest) = next
            .next_key()
            .filter(|(found, _)| *found == key.as_bytes())?;
        Some(rest.trim_ascii().strip_suffix(b"}")?.trim_ascii())
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (&'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.next_key()?;
        let (value, rest) = value_at(rest)?;
        self.0 = rest;
        Some((key, value))
    }
}

/// The value that `bytes` begin with, and what is behind it.
fn value_at(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.trim_ascii_start();
    match Scan::default().end(bytes)? {
        0 => None,
        end => Some(bytes.split_at(end)),
    }
}

/// What is behind `mark`, where `bytes` begin with that.
fn after(bytes: &[u8], mark: u8) -> Option<&[u8]> {
    bytes.trim_ascii_start().strip_prefix(&[mark])
}

/// What a JSON string says; `None` where `value` is none, or has an escape, which no name of Kubernetes has.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    let text = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let is_plain = !text.contains(&b'\\');
    is_plain.then(|| std::str::from_utf8(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Checks where the value ends that `text` begins with.
    #[track_caller]
    fn check(text: &str, expected: Option<usize>) {
        let bytes = text.as_bytes();
        assert_eq!(Scan::default().end(bytes), expected, "{text}");
        // The same where it comes byte by byte.
        let mut scan = Scan::default();
        let ends = (0..=bytes.len()).find_map(|length| scan.end(&bytes[..length]));
        assert_eq!(ends, expected, "{text} in pieces");
    }

    #[test]
    fn a_value_ends_where_its_brackets_or_quotes_do() {
        check(r#"{"a":[1,{"b":"}"}]},x"#, Some(19));
        check(r#""a\"b\\" "#, Some(8));
        check(r#"{"a":"\\\"}"}x"#, Some(13));
        check("12,", Some(2));
        check("null]", Some(4));
        check("12", None);
        check(r#"{"a":"#, None);
        check(r#""a\"#, None);
        check("", None);
        check("]", Some(0));
        check(",1", Some(0));
    }

    /// Where the value ends that `bytes` begin with, told by one look at each byte.
    fn end_byte_by_byte(bytes: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            if depth == 0 && !in_string {
                return Some(at + 1);
            }
        }
        None
    }

    proptest! {
        /// Where blocks begin and end, and in which pieces the bytes come, makes no difference.
        #[test]
        fn blocks_are_as_good_as_bytes(
            parts in vec(prop::sample::select(vec!["{", "[", "}", "]", "\"", "\\", "\\\"", "a", "\"key\":", "   ", "é"]), 0..200),
            first in 0..200_usize,
        ) {
            let text = format!("{{{}", parts.concat());
            let expected = end_byte_by_byte(text.as_bytes());
            prop_assert_eq!(Scan::default().end(text.as_bytes()), expected);
            let mut scan = Scan::default();
            let early = scan.end(&text.as_bytes()[..first.min(text.len())]);
            prop_assert_eq!(early.or_else(|| scan.end(text.as_bytes())), expected);
        }
    }

    #[test]
    fn fields_are_told_apart() {
        let object = br#" {"a" : 1, "b":{"c":[",}"]},"d":"x"}"#;
        let fields: Vec<_> = Fields::of(object).collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"a", b"1"), (b"b", br#"{"c":[",}"]}"#), (b"d", br#""x""#)];
        assert_eq!(fields, expected);
        assert_eq!(Fields::of(object).value("d").and_then(text), Some("x"));
        let mut fields = Fields::of(object);
        fields.next();
        assert_eq!(fields.rest("a"), None);
        fields.next();
        assert_eq!(fields.rest("d"), Some(&br#""x""#[..]));
        let within = Fields::of(object).within("b").expect("it is there");
        let within: Vec<_> = within.collect();
        let expected: [(&[u8], &[u8]); 1] = [(b"c", br#"[",}"]"#)];
        assert_eq!(within, expected);
        assert!(Fields::of(object).within("c").is_none());
        assert_eq!(Fields::of(b"[1]").next(), None);
        assert_eq!(Fields::of(br#"{"a" 1}"#).next(), None);
        assert_eq!(Fields::of(b"{}").next(), None);
    }
}
