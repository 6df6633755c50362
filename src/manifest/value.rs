//! What a document holds, before anyone asks what it means: a small tree of values.
//!
//! Unlike a map of the reader's, it keeps the order and both of two equal keys, and it tells `"80"` from `80`. Each
//! value and key has a [`NodeId`], from which [`locate`](super::locate) finds its place in the text where a problem
//! needs one.
//!
//! A tree borrows from the document's text and from an arena, so that building one costs next to nothing and leaving it
//! costs nothing at all.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    mem,
};

use foldhash::quality::FixedState;

/// A value's or key's number in reading order: a mapping comes before its first key, a key before its value. What an
/// alias stands for counts again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct NodeId(pub(super) u32);

impl NodeId {
    /// The number of a document's root.
    pub(super) const ROOT: Self = Self(0);
}

/// A value and its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node<'t> {
    pub(super) id: NodeId,
    pub(super) value: Value<'t>,
}

/// A value as YAML and JSON share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'t> {
    Null,
    Bool(bool),
    /// A whole number that fits; any other is a `Float`.
    Int(i64),
    Float(f64),
    Text(&'t str),
    List(&'t [Node<'t>]),
    Map(&'t [Entry<'t>]),
}

/// A key and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry<'t> {
    pub(super) key: Key<'t>,
    pub(super) value: Node<'t>,
}

/// A key and its number. Kubernetes knows only texts as keys: `80:` is `"80":`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key<'t> {
    pub(super) id: NodeId,
    pub(super) text: &'t str,
}

/// Whether `number` is a port's.
pub(super) fn is_port(number: i64) -> bool {
    (1..=65_535).contains(&number)
}

/// A mapping's entries by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'t> {
    pub(super) id: NodeId,
    pub(super) entries: &'t [Entry<'t>],
}

impl<'t> Node<'t> {
    /// The node's fields where it is a mapping.
    pub(super) fn as_fields(&self) -> Option<Fields<'t>> {
        match self.value {
            Value::Map(entries) => Some(Fields {
                id: self.id,
                entries,
            }),
            _ => None,
        }
    }

    /// The node's text where it is one.
    pub(super) fn as_text(&self) -> Option<&'t str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node's number where it is a whole one; one that is out of any field's range is `i64::MAX`.
    pub(super) fn as_whole(&self) -> Option<i64> {
        match self.value {
            Value::Int(number) => Some(number),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "`as` saturates, and the range is checked later"
            )]
            Value::Float(number) if number.fract() == 0.0 => Some(number as i64),
            _ => None,
        }
    }

    /// A digest of what the node says, wherever it stands.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = FixedState::with_seed(2).build_hasher();
        self.add_to(&mut hasher);
        hasher.finish()
    }

    fn add_to(&self, hasher: &mut impl Hasher) {
        mem::discriminant(&self.value).hash(hasher);
        match self.value {
            Value::Null => {}
            Value::Bool(value) => value.hash(hasher),
            Value::Int(value) => value.hash(hasher),
            Value::Float(value) => value.to_bits().hash(hasher),
            Value::Text(text) => text.hash(hasher),
            Value::List(nodes) => {
                nodes.len().hash(hasher);
                for node in nodes {
                    node.add_to(hasher);
                }
            }
            Value::Map(entries) => {
                entries.len().hash(hasher);
                for entry in entries {
                    entry.key.text.hash(hasher);
                    entry.value.add_to(hasher);
                }
            }
        }
    }

    /// A number that is out of range, for a message.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => self.describe(),
        }
    }

    /// What the value is, for a message: `the number 80`.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(text) => format!("the text {}", quoted(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

impl<'t> Fields<'t> {
    /// The value of `key`, null included.
    pub(super) fn get(self, key: &str) -> Option<&'t Node<'t>> {
        self.entries
            .iter()
            .find(|entry| entry.key.text == key)
            .map(|entry| &entry.value)
    }

    /// The value of `key` unless it is null, as Kubernetes' own types take null for absent.
    pub(super) fn get_set(self, key: &str) -> Option<&'t Node<'t>> {
        self.get(key)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    /// The text of `key`, where it is a text.
    pub(super) fn text(self, key: &str) -> Option<&'t str> {
        self.get(key).and_then(Node::as_text)
    }
}

/// The text as a message shows it: in back quotes, on one line and not endless.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.is_empty() {
        return "`\"\"`".to_owned();
    }
    let mut out = String::with_capacity(text.len().min(SHOWN) + 2);
    out.push('`');
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN {
            out.push('…');
            break;
        }
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out.push('`');
    out
}
