use std::{cmp::Ordering, fmt};

use smallvec::SmallVec;

/// The longest name in wire form, in bytes, the root label included ([RFC 1035 §3.1]).
///
/// [RFC 1035 §3.1]: https://www.rfc-editor.org/rfc/rfc1035#section-3.1
pub const MAX_NAME_LEN: usize = 255;

const MAX_LABEL_LEN: usize = 63;

/// Names up to this length in wire form, which are most, are held without an allocation of their own: a lookup then finds
/// the name beside what it answers.
const SHORT_NAME_LEN: usize = 40;

/// A fully qualified domain name, in lower-case wire form: length-prefixed labels and the root's zero byte.
///
/// Names compare without regard to case ([RFC 4343]); this type holds the one form that all spellings share, so that
/// equality, hashing and lookup work on bytes. The order is the canonical one of [RFC 4034 §6.1]: a zone's names
/// stand directly behind its apex.
///
/// [RFC 4343]: https://www.rfc-editor.org/rfc/rfc4343
/// [RFC 4034 §6.1]: https://www.rfc-editor.org/rfc/rfc4034#section-6.1
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Name(SmallVec<[u8; SHORT_NAME_LEN]>);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("a name can't be empty")]
    Empty,
    /// Two dots in a row, or one at the start.
    #[error("a label can't be empty")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("a label has at most 63 characters")]
    LabelTooLong,
    /// More than 255 bytes in wire form.
    #[error("a name has at most 255 bytes in wire form")]
    TooLong,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(SmallVec::from_slice(&[0]))
    }

    /// Reads a name as manifests and flags write it: dots between labels, an optional one at the end, no escapes.
    ///
    /// # Errors
    ///
    /// [`NameError`] where no DNS message could carry the name. Which characters a host may have is the caller's rule.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            let length = match label.len() {
                0 => return Err(NameError::EmptyLabel),
                length @ 1..=MAX_LABEL_LEN => {
                    u8::try_from(length).expect("a label's length fits a byte")
                }
                _ => return Err(NameError::LabelTooLong),
            };
            wire.push(length);
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > MAX_NAME_LEN {
            return Err(NameError::TooLong);
        }
        Ok(Self(SmallVec::from_slice(&wire)))
    }

    /// A name from bytes that already are in lower-case wire form, as the message reader leaves them.
    pub fn from_lowercase_wire(wire: &[u8]) -> Self {
        debug_assert!(
            wire.last() == Some(&0) && wire.len() <= MAX_NAME_LEN,
            "a whole name in wire form"
        );
        Self(SmallVec::from_slice(wire))
    }

    /// The lower-case wire form, the root's zero byte included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The name without its first label; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        self.parent_wire()
            .map(|wire| Self(SmallVec::from_slice(wire)))
    }

    /// The name `*.<name>`; `None` where it would be too long for a name.
    pub fn wildcard_below(&self) -> Option<Self> {
        let wire = [b"\x01*", &*self.0].concat();
        (wire.len() <= MAX_NAME_LEN).then(|| Self(SmallVec::from_vec(wire)))
    }

    /// The names above this one, the nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// As ServiceEntries write it: without the root's dot.
    pub fn to_host(&self) -> String {
        let mut text = self.to_string();
        if text.len() > 1 {
            text.pop();
        }
        text
    }

    /// The labels from the left, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            let label = tail
                .get(..usize::from(length))
                .filter(|label| !label.is_empty())?;
            rest = &tail[label.len()..];
            Some(label)
        })
    }

    /// Whether the first label is `*` ([RFC 4592 §2.1.1]).
    ///
    /// [RFC 4592 §2.1.1]: https://www.rfc-editor.org/rfc/rfc4592#section-2.1.1
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Whether this name is `ancestor` or stands below it.
    pub fn is_at_or_below(&self, ancestor: &Self) -> bool {
        ancestor.holds(&self.0)
    }

    /// Whether the name with this lower-case wire form is this one or stands below it.
    pub fn holds(&self, mut name: &[u8]) -> bool {
        while name.len() > self.0.len() {
            name = &name[1 + usize::from(name[0])..];
        }
        *name == *self.0
    }

    /// Bytes that are ordered as names are, for sorting many: comparing them takes a fraction of the time.
    pub(crate) fn canonical_key(&self) -> SmallVec<[u8; SHORT_NAME_LEN]> {
        // Behind each label, the last first, stands a zero; what could be taken for one is written as two bytes.
        let mut key = SmallVec::new();
        let labels: SmallVec<[&[u8]; 16]> = self.labels().collect();
        for label in labels.into_iter().rev() {
            for &byte in label {
                match byte {
                    0 | 1 => key.extend([1, byte]),
                    _ => key.push(byte),
                }
            }
            key.push(0);
        }
        key
    }

    fn parent_wire(&self) -> Option<&[u8]> {
        match self.0[0] {
            0 => None,
            length => Some(&self.0[1 + usize::from(length)..]),
        }
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let starts = |name: &Self| {
            let mut starts = SmallVec::<[u8; 32]>::new();
            let mut at = 0;
            while name.0[at] != 0 {
                starts.push(u8::try_from(at).expect("a name has at most 255 bytes"));
                at += 1 + usize::from(name.0[at]);
            }
            starts
        };
        let label = |name: &Self, start: u8| {
            let start = usize::from(start);
            start + 1..start + 1 + usize::from(name.0[start])
        };
        let (left, right) = (starts(self), starts(other));
        for (&a, &b) in left.iter().rev().zip(right.iter().rev()) {
            match self.0[label(self, a)].cmp(&other.0[label(other, b)]) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        left.len().cmp(&right.len())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Dots between labels and one at the end; bytes that would mislead are escaped as `\DDD` ([RFC 1035 §5.1]).
///
/// [RFC 1035 §5.1]: https://www.rfc-editor.org/rfc/rfc1035#section-5.1
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.0 == [0] {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                    0x21..=0x7e => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn name(text: &str) -> Name {
        Name::from_text(text).expect("a valid name")
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, NameError>) {
        assert_eq!(
            Name::from_text(text).map(|name| name.to_string()),
            expected.map(str::to_owned)
        );
    }

    #[test]
    fn reads_and_prints_names() {
        check("Svc1.Internal.COM", Ok("svc1.internal.com."));
        check("a.test.", Ok("a.test."));
        check("*.a.test", Ok("*.a.test."));
        check(".", Ok("."));
        check("", Err(NameError::Empty));
        check("a..b", Err(NameError::EmptyLabel));
        check(".a", Err(NameError::EmptyLabel));
        check(&"a".repeat(64), Err(NameError::LabelTooLong));
        check(
            &["a".repeat(63).as_str(); 4].join("."),
            Err(NameError::TooLong),
        );
    }

    #[test]
    fn orders_canonically() {
        let mut names = [
            "b.test", "test", "a.b.test", "z.a.test", "a.test", "other", "*.a.test",
        ]
        .map(name);
        names.sort();
        let texts: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "other.",
                "test.",
                "a.test.",
                "*.a.test.",
                "z.a.test.",
                "b.test.",
                "a.b.test."
            ]
        );
    }

    proptest! {
        #[test]
        fn keys_are_ordered_as_names_are(
            labels in prop::array::uniform2(prop::collection::vec(
                prop::collection::vec(prop::sample::select(&[0, 1, 2, b'a'][..]), 1..4),
                0..4,
            )),
        ) {
            let [one, other] = labels.map(|labels| {
                let length = |label: &Vec<u8>| u8::try_from(label.len()).expect("a short label");
                let labels = labels.iter().map(|label| [&[length(label)], &**label].concat());
                Name::from_lowercase_wire(&labels.chain([vec![0]]).collect::<Vec<_>>().concat())
            });
            prop_assert_eq!(one.canonical_key().cmp(&other.canonical_key()), one.cmp(&other));
        }
    }

    #[test]
    fn knows_what_is_below() {
        assert!(name("a.b.test").is_at_or_below(&name("b.test")));
        assert!(name("b.test").is_at_or_below(&name("b.test")));
        assert!(name("b.test").is_at_or_below(&Name::root()));
        assert!(!name("ab.test").is_at_or_below(&name("b.test")));
        assert!(!name("test").is_at_or_below(&name("b.test")));
    }

    #[test]
    fn walks_up_to_the_root() {
        let above: Vec<_> = name("a.b.test")
            .ancestors()
            .map(|name| name.to_string())
            .collect();
        assert_eq!(above, ["b.test.", "test.", "."]);
    }
}
