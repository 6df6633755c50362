//! Where JSON values end, without reading what they say.
//!
//! Total on any bytes, and resumable: a value may come in pieces. Brackets are counted, not matched: whoever reads the value
//! finds out whether it is JSON.

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

    /// The value of the next field, where that has this key, up to the end of the object: nobody looks for the value's own end,
    /// which is found by whoever reads it.
    pub(super) fn rest(&self, key: &str) -> Option<&'b [u8]> {
        let (found, rest) = value(after(self.0, b',')?)?;
        let found = found.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let rest = after(rest, b':').filter(|_| found == key.as_bytes())?;
        Some(rest.trim_ascii().strip_suffix(b"}")?.trim_ascii())
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (&'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        let (key, rest) = value(after(rest, b',').unwrap_or(rest))?;
        let key = key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let (value, rest) = value(after(rest, b':')?)?;
        self.0 = rest;
        Some((key, value))
    }
}

/// The value that `bytes` begin with, and what is behind it.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
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
        assert_eq!(Fields::of(b"[1]").next(), None);
        assert_eq!(Fields::of(br#"{"a" 1}"#).next(), None);
        assert_eq!(Fields::of(b"{}").next(), None);
    }
}
