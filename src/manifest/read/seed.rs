//! The visitors that turn what a reader meets into values, and the limits that end them.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashSet,
    fmt,
};

use bumpalo::Bump;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use smallvec::SmallVec;

use super::{
    super::value::{Entry, Key, Node, NodeId, Value, quoted},
    Fault, Format, MAX_DEPTH, Tree, plain_scalar,
};
use crate::diagnostic::{Code, code};

/// What aliases may add to a document, in values and bytes, beyond twice its own size.
const ALIAS_ALLOWANCE: usize = 100_000;

/// How many members, entries and items, a document's mappings and lists may hold: a list of objects of as many bytes as a file
/// may have has 2,500,000 as kubectl prints it, and 4,500,000 without any blanks. Each takes up to 56 bytes.
pub(super) const MAX_MEMBERS: usize = 5_000_000;

/// How many bytes there have to be for each of them, beyond the first ones: `"a":"b",` is as short as an entry of an object is.
pub(super) const BYTES_OF_MEMBER: usize = 8;
const FREE_MEMBERS: usize = 100_000;

/// How many of them those may hold that are open at a time, which are held once more: more than a file may have objects.
pub(super) const MAX_OPEN_MEMBERS: usize = 1_000_000;

/// The largest mapping whose keys are compared one by one.
const SMALL_MAP: usize = 16;

/// How many values of open lists, and entries of open mappings, are held without an allocation.
const OPEN: usize = 32;

/// How many faults of one document are described with what they are about: nobody is shown as many of them.
const MAX_DESCRIBED: usize = 1_000;

/// How far in front of a scalar its tag is looked for, in bytes.
const TAG_WINDOW: usize = 64;

/// What a parser takes and the visitors refuse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    TooDeep,
    AliasExpansion,
    /// There are more members than objects have.
    TooManyMembers,
    /// A key is a mapping or list.
    Key,
}

/// What the visitors of one document share.
pub(super) struct Reading<'t> {
    arena: &'t Bump,
    text: &'t str,
    /// What was read of the lists that are still open, the outermost first.
    items: RefCell<SmallVec<[Node<'t>; OPEN]>>,
    /// What was read of the mappings that are still open, the outermost first.
    entries: RefCell<SmallVec<[Entry<'t>; OPEN]>>,
    format: Format,
    /// Keys of the root's own mappings whose values are passed over.
    passed_over: &'static [&'static str],
    next: Cell<u32>,
    budget: Cell<usize>,
    /// How many more members there may be.
    members_left: Cell<usize>,
    refusal: Cell<Option<Refusal>>,
    faults: RefCell<Vec<Fault>>,
}

/// How many members a document of this text may have.
fn max_members(text: &str) -> usize {
    MAX_MEMBERS.min(FREE_MEMBERS + text.len() / BYTES_OF_MEMBER)
}

impl<'t> Reading<'t> {
    pub(super) fn new(arena: &'t Bump, text: &'t str, format: Format) -> Self {
        Self {
            arena,
            text,
            items: RefCell::default(),
            entries: RefCell::default(),
            format,
            passed_over: &[],
            next: Cell::new(0),
            budget: Cell::new(2 * text.len() + ALIAS_ALLOWANCE),
            members_left: Cell::new(max_members(text)),
            refusal: Cell::new(None),
            faults: RefCell::default(),
        }
    }

    /// The same for a reader that makes no values of these fields of the root's own mappings.
    pub(super) fn passing_over(self, passed_over: &'static [&'static str]) -> Self {
        Self {
            passed_over,
            ..self
        }
    }

    pub(super) fn finish(&self, root: Node<'t>) -> Tree<'t> {
        let mut faults = self.faults.take();
        faults.sort_by_key(|fault| fault.at);
        Tree {
            root,
            format: self.format,
            faults,
        }
    }

    /// What ended the reading here, and not in the parser.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get()
    }

    /// The number of the value being read, which costs one and its own `bytes`.
    fn number<E: de::Error>(&self, bytes: usize) -> Result<NodeId, E> {
        let Some(budget) = self.budget.get().checked_sub(1 + bytes) else {
            return Err(self.refuse(Refusal::AliasExpansion));
        };
        self.budget.set(budget);
        Ok(self.next_id())
    }

    /// The number of the value being read, where there are no aliases and the budget can't be used up.
    pub(super) fn next_id(&self) -> NodeId {
        let id = self.next.get();
        self.next.set(id + 1);
        NodeId(id)
    }

    fn check_depth<E: de::Error>(&self, depth: usize) -> Result<(), E> {
        if depth >= MAX_DEPTH {
            Err(self.refuse(Refusal::TooDeep))
        } else {
            Ok(())
        }
    }

    fn refuse<E: de::Error>(&self, refusal: Refusal) -> E {
        self.refusal.set(Some(refusal));
        E::custom("refused")
    }

    /// Where the items of a list begin that is read next.
    pub(super) fn open_items(&self) -> usize {
        self.items.borrow().len()
    }

    /// `None` where there are too many.
    pub(super) fn push_item(&self, item: Node<'t>) -> Option<()> {
        let mut items = self.items.borrow_mut();
        self.count_member(items.len())?;
        items.push(item);
        Some(())
    }

    /// Counts one more member, beside `open` ones; `None` where there are too many.
    fn count_member(&self, open: usize) -> Option<()> {
        match self.members_left.get().checked_sub(1) {
            Some(left) if open < MAX_OPEN_MEMBERS => self.members_left.set(left),
            _ => {
                let counted = max_members(self.text) - self.members_left.get();
                // What the text has no room for, aliases made.
                let refusal = if counted > self.text.len() / 2 {
                    Refusal::AliasExpansion
                } else {
                    Refusal::TooManyMembers
                };
                self.refusal.set(Some(refusal));
                return None;
            }
        }
        Some(())
    }

    /// The items of the list that began at `start` and ends here.
    pub(super) fn close_items(&self, start: usize) -> &'t [Node<'t>] {
        let mut items = self.items.borrow_mut();
        let closed = self.arena.alloc_slice_copy(&items[start..]);
        items.truncate(start);
        closed
    }

    /// Where the entries of a mapping begin that is read next.
    pub(super) fn open_entries(&self) -> usize {
        self.entries.borrow().len()
    }

    /// `None` where there are too many.
    pub(super) fn push_entry(&self, entry: Entry<'t>) -> Option<()> {
        let mut entries = self.entries.borrow_mut();
        self.count_member(entries.len())?;
        entries.push(entry);
        Some(())
    }

    /// The entries of the mapping that began at `start` and ends here; two equal keys are a fault.
    pub(super) fn close_entries(&self, start: usize) -> &'t [Entry<'t>] {
        let mut entries = self.entries.borrow_mut();
        let closed = self.arena.alloc_slice_copy(&entries[start..]);
        entries.truncate(start);
        report_equal_keys(closed, self);
        closed
    }

    pub(super) fn alloc_text(&self, text: &str) -> &'t str {
        self.arena.alloc_str(text)
    }

    /// The key that the plain scalar `text` is.
    pub(super) fn plain_key(&self, id: NodeId, text: &'t str) -> Key<'t> {
        let text = match plain_scalar::key(text) {
            Some(Cow::Borrowed(text)) => text,
            Some(Cow::Owned(other)) => self.alloc_text(&other),
            None => {
                let message = "a key is null: write a text";
                self.fault(id, code::NULL, Cow::Borrowed(message));
                text
            }
        };
        Key { id, text }
    }

    /// Whether `scalar`, a part of the text, stands there without quotes and without a tag.
    fn is_plain(&self, scalar: &str) -> bool {
        let offset = (scalar.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let Some(before) = offset.and_then(|offset| self.text.as_bytes().get(..offset)) else {
            return false;
        };
        if before.ends_with(b"\"") || before.ends_with(b"'") {
            return false;
        }
        let window = &before[before.len().saturating_sub(TAG_WINDOW)..];
        let mut row = window
            .rsplit(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        loop {
            let properties = row.trim_ascii_end();
            if properties.len() == row.len() {
                return true;
            }
            let is_between = |byte: &u8| b" \t[{,".contains(byte);
            let start = properties
                .iter()
                .rposition(is_between)
                .map_or(0, |at| at + 1);
            if properties.ends_with(b">") && properties.windows(2).any(|bytes| bytes == b"!<") {
                // A tag in full, with commas in it.
                return false;
            }
            match properties.get(start) {
                Some(b'!') => return false,
                // An anchor; a tag may stand before it.
                Some(b'&') => row = &properties[..start],
                _ => return true,
            }
        }
    }

    fn fault(&self, at: NodeId, code: Code, message: Cow<'static, str>) {
        self.faults.borrow_mut().push(Fault { at, code, message });
    }

    /// Whether so many faults were found that no more of them are described one by one.
    fn has_many_faults(&self) -> bool {
        self.faults.borrow().len() >= MAX_DESCRIBED
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub(super) struct NodeSeed<'r, 't> {
    pub(super) reading: &'r Reading<'t>,
    pub(super) depth: usize,
}

impl<'t> NodeSeed<'_, 't> {
    fn node<E: de::Error>(self, value: Value<'t>) -> Result<Node<'t>, E> {
        Ok(Node {
            id: self.reading.number(0)?,
            value,
        })
    }

    fn below(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

impl<'t> DeserializeSeed<'t> for NodeSeed<'_, 't> {
    type Value = Node<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Node<'t>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for NodeSeed<'_, 't> {
    type Value = Node<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node<'t>, E> {
        self.node(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node<'t>, E> {
        self.node(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node<'t>, E> {
        self.node(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node<'t>, E> {
        self.node(Value::Int(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "shown in a message at most: no field takes a number so large"
    )]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node<'t>, E> {
        self.node(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "shown in a message at most: no field takes a number so large"
    )]
    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Node<'t>, E> {
        self.node(Value::Float(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "shown in a message at most: no field takes a number so large"
    )]
    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Node<'t>, E> {
        self.node(Value::Float(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node<'t>, E> {
        self.node(Value::Float(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'t str) -> Result<Node<'t>, E> {
        if self.reading.format == Format::Json {
            return self.node(Value::Text(text));
        }
        // serde_yaml reads YAML 1.2, in which less is no text.
        self.node(match plain_scalar::value(text) {
            Value::Text(text) => Value::Text(text),
            other if self.reading.is_plain(text) => other,
            _ => Value::Text(text),
        })
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node<'t>, E> {
        let id = self.reading.number(value.len())?;
        Ok(Node {
            id,
            value: Value::Text(self.reading.alloc_text(value)),
        })
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut access: A) -> Result<Node<'t>, A::Error> {
        self.reading.check_depth(self.depth)?;
        let id = self.reading.number(0)?;
        let start = self.reading.open_items();
        while let Some(item) = access.next_element_seed(self.below())? {
            let pushed = self.reading.push_item(item);
            pushed.ok_or_else(|| de::Error::custom("refused"))?;
        }
        Ok(Node {
            id,
            value: Value::List(self.reading.close_items(start)),
        })
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<Node<'t>, A::Error> {
        self.reading.check_depth(self.depth)?;
        let id = self.reading.number(0)?;
        let start = self.reading.open_entries();
        let mut merges = false;
        while let Some(key) = access.next_key_seed(KeySeed(self.reading))? {
            merges |= key.text == "<<";
            if self.depth == 1 && self.reading.passed_over.contains(&key.text) {
                access.next_value::<de::IgnoredAny>()?;
                continue;
            }
            let value = access.next_value_seed(self.below())?;
            let pushed = self.reading.push_entry(Entry { key, value });
            pushed.ok_or_else(|| de::Error::custom("refused"))?;
        }
        let mut entries = self.reading.close_entries(start);
        if merges && self.reading.format == Format::Yaml {
            entries = merge(entries, self.reading);
        }
        Ok(Node {
            id,
            value: Value::Map(entries),
        })
    }

    /// A value with a tag of its own, `!thing value`: the tag means nothing here, as to kubectl.
    fn visit_enum<A: EnumAccess<'t>>(self, access: A) -> Result<Node<'t>, A::Error> {
        let (_tag, value) = access.variant::<de::IgnoredAny>()?;
        value.newtype_variant_seed(self)
    }
}

/// Reads one key; JSON has texts alone.
struct KeySeed<'r, 't>(&'r Reading<'t>);

impl<'t> DeserializeSeed<'t> for KeySeed<'_, 't> {
    type Value = Key<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Key<'t>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for KeySeed<'_, 't> {
    type Value = Key<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as key")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'t str) -> Result<Key<'t>, E> {
        let id = self.0.number(0)?;
        let is_other = self.0.format == Format::Yaml
            && !matches!(plain_scalar::value(text), Value::Text(_))
            && self.0.is_plain(text);
        Ok(if is_other {
            self.0.plain_key(id, text)
        } else {
            Key { id, text }
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'t>, E> {
        Ok(Key {
            id: self.0.number(text.len())?,
            text: self.0.alloc_text(text),
        })
    }

    fn visit_seq<A: SeqAccess<'t>>(self, _access: A) -> Result<Key<'t>, A::Error> {
        Err(self.0.refuse(Refusal::Key))
    }

    fn visit_map<A: MapAccess<'t>>(self, _access: A) -> Result<Key<'t>, A::Error> {
        Err(self.0.refuse(Refusal::Key))
    }
}

fn report_equal_keys(entries: &[Entry<'_>], reading: &Reading<'_>) {
    let report = |key: &Key<'_>| {
        let message = if reading.has_many_faults() {
            Cow::Borrowed("this key stands here for the second time: keep one")
        } else {
            let key = quoted(key.text);
            Cow::Owned(format!(
                "the key {key} stands here for the second time: keep one"
            ))
        };
        reading.fault(key.id, code::DUPLICATE_KEY, message);
    };
    if entries.len() <= SMALL_MAP {
        // Keys that differ in how long they are or how they end are told apart without a look at the others.
        let mut seen = 0_u64;
        for (index, entry) in entries.iter().enumerate() {
            let text = entry.key.text;
            let end = text.as_bytes().last().copied().unwrap_or_default();
            let mark = 1 << ((text.len() + usize::from(end)) % 64);
            let is_marked = seen & mark != 0;
            seen |= mark;
            if is_marked && entries[..index].iter().any(|other| other.key.text == text) {
                report(&entry.key);
            }
        }
    } else {
        let mut seen = HashSet::with_capacity(entries.len());
        let again = entries.iter().filter(|entry| !seen.insert(entry.key.text));
        for entry in again.take(MAX_DESCRIBED) {
            report(&entry.key);
        }
    }
}

/// Applies the merge keys of a mapping: its own keys win, then the mapping merged first.
fn merge<'t>(entries: &[Entry<'t>], reading: &Reading<'t>) -> &'t [Entry<'t>] {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries
        .iter()
        .copied()
        .partition(|entry| entry.key.text == "<<");
    let mut present: HashSet<&str> = own.iter().map(|entry| entry.key.text).collect();
    for merge in &merges {
        let sources = match merge.value.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(&merge.value),
        };
        for source in sources {
            if let Value::Map(entries) = source.value {
                let new = |entry: &&Entry<'t>| present.insert(entry.key.text);
                own.extend(entries.iter().filter(new));
            } else {
                let message = if reading.has_many_faults() {
                    Cow::Borrowed("`<<` merges mappings, and this is none")
                } else {
                    let other = source.describe();
                    Cow::Owned(format!("`<<` merges mappings, but this is {other}"))
                };
                reading.fault(source.id, code::BAD_MERGE, message);
            }
        }
    }
    reading.arena.alloc_slice_copy(&own)
}
