//! Reads one document's text into a tree of values, once and fast, whatever it means.
//!
//! Owns the two readers (`serde_yaml` and `serde_json`), what they can't do (equal keys, merge keys) and the limits that
//! keep a hostile document cheap: nesting, and what aliases unfold to.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashSet,
    fmt,
};

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{
    raw::RawDocument,
    value::{Entry, Key, Node, NodeId, Value, quoted},
};
use crate::diagnostic::{Code, Position, code};

/// How deep mappings and lists may be nested; Kubernetes objects need less than 20.
const MAX_DEPTH: usize = 64;

/// How many brackets may be open before a document's nesting is looked at, strings and comments included.
const SUSPICIOUS_DEPTH: usize = 256;

/// What aliases may add to a document, in values and bytes, beyond twice its own size.
const ALIAS_ALLOWANCE: usize = 100_000;

/// The largest mapping whose keys are compared one by one.
const SMALL_MAP: usize = 16;

/// A document's values.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    pub(super) root: Node<'t>,
    pub(super) format: Format,
    /// What is wrong with the tree's shape, in reading order of the places.
    pub(super) faults: Vec<Fault>,
}

/// Which reader took the document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Yaml,
    Json,
}

/// A mapping that can be read but not meant.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: NodeId,
    pub(super) code: Code,
    pub(super) message: String,
}

/// Why a document can't be read at all.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) position: Position,
    pub(super) code: Code,
    pub(super) message: String,
}

/// Reads `raw`; `as_json` where its file says that it is JSON.
pub(super) fn read<'t>(raw: &RawDocument<'t>, as_json: bool) -> Result<Tree<'t>, Unreadable> {
    if !raw.looks_like_json() {
        return read_yaml(raw);
    }
    let refused = match read_json(raw) {
        Ok(tree) => return Ok(tree),
        Err(refused) => refused,
    };
    let meant_as_json = raw.text.trim_start()[1..]
        .trim_start()
        .starts_with(['"', '{', '[', '}', ']']);
    if refused.code == code::SYNTAX && !as_json {
        // YAML's flow style looks like JSON too: `{kind: Pod}`.
        read_yaml(raw).map_err(|other| if meant_as_json { refused } else { other })
    } else {
        Err(refused)
    }
}

/// Refuses a text whose nesting would keep libyaml busy: its time grows with the square of it.
///
/// Brackets in quotes and comments count too, so that many of them only call for a look with the other parser, which
/// has a limit.
fn check_nesting(raw: &RawDocument<'_>) -> Result<(), Unreadable> {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in raw.text.bytes() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest <= SUSPICIOUS_DEPTH {
        return Ok(());
    }
    let error = granit_parser::Parser::new_from_str(raw.text).find_map(Result::err);
    error.map_or(Ok(()), |error| {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let marker = error.marker();
        let position = raw.place(
            number(marker.line()),
            number(marker.col()).saturating_add(1),
        );
        let too_deep = matches!(
            error.kind(),
            granit_parser::ErrorKind::RecursionLimitExceeded
        );
        let code = if too_deep {
            code::TOO_DEEP
        } else {
            code::SYNTAX
        };
        let message = if too_deep {
            too_deep_message()
        } else {
            format!("not YAML: {}", error.info())
        };
        Err(Unreadable {
            position,
            code,
            message,
        })
    })
}

fn too_deep_message() -> String {
    format!("more than {MAX_DEPTH} mappings and lists are nested: flatten them")
}

fn read_yaml<'t>(raw: &RawDocument<'t>) -> Result<Tree<'t>, Unreadable> {
    check_nesting(raw)?;
    let reading = Reading::new(raw.text, Format::Yaml);
    let seed = NodeSeed {
        reading: &reading,
        depth: 0,
    };
    seed.deserialize(serde_yaml::Deserializer::from_str(raw.text))
        .map(|root| reading.finish(root))
        .map_err(|error| {
            let place = error
                .location()
                .map_or((1, 1), |place| (place.line(), place.column()));
            reading.refuse(raw, place, &error.to_string())
        })
}

fn read_json<'t>(raw: &RawDocument<'t>) -> Result<Tree<'t>, Unreadable> {
    let reading = Reading::new(raw.text, Format::Json);
    let mut deserializer = serde_json::Deserializer::from_str(raw.text);
    let root = NodeSeed {
        reading: &reading,
        depth: 0,
    }
    .deserialize(&mut deserializer)
    .and_then(|root| deserializer.end().map(|()| root));
    root.map(|root| reading.finish(root)).map_err(|error| {
        // serde_json counts columns in bytes.
        let row = raw
            .text
            .split('\n')
            .nth(error.line().saturating_sub(1))
            .unwrap_or_default();
        let column = row
            .bytes()
            .take(error.column())
            .filter(|byte| !(0x80..0xc0).contains(byte))
            .count();
        reading.refuse(raw, (error.line(), column), &error.to_string())
    })
}

/// What the visitors of one document share.
struct Reading {
    format: Format,
    next: Cell<u32>,
    budget: Cell<usize>,
    broken_limit: Cell<Option<Code>>,
    faults: RefCell<Vec<Fault>>,
}

impl Reading {
    fn new(text: &str, format: Format) -> Self {
        Self {
            format,
            next: Cell::new(0),
            budget: Cell::new(2 * text.len() + ALIAS_ALLOWANCE),
            broken_limit: Cell::new(None),
            faults: RefCell::default(),
        }
    }

    fn finish<'t>(&self, root: Node<'t>) -> Tree<'t> {
        let mut faults = self.faults.take();
        faults.sort_by_key(|fault| fault.at);
        Tree {
            root,
            format: self.format,
            faults,
        }
    }

    /// The number of the value being read, which costs one and its own `bytes`.
    fn number<E: de::Error>(&self, bytes: usize) -> Result<NodeId, E> {
        let Some(budget) = self.budget.get().checked_sub(1 + bytes) else {
            return Err(self.break_limit(code::ALIAS_EXPANSION));
        };
        self.budget.set(budget);
        let id = self.next.get();
        self.next.set(id + 1);
        Ok(NodeId(id))
    }

    fn check_depth<E: de::Error>(&self, depth: usize) -> Result<(), E> {
        if depth >= MAX_DEPTH {
            Err(self.break_limit(code::TOO_DEEP))
        } else {
            Ok(())
        }
    }

    fn break_limit<E: de::Error>(&self, limit: Code) -> E {
        self.broken_limit.set(Some(limit));
        E::custom("limit")
    }

    fn fault(&self, at: NodeId, code: Code, message: String) {
        self.faults.borrow_mut().push(Fault { at, code, message });
    }

    /// Turns a reader's error into ours.
    fn refuse(&self, raw: &RawDocument<'_>, place: (usize, usize), error: &str) -> Unreadable {
        let limit = self.broken_limit.get().or_else(|| match error {
            _ if error.contains("recursion limit exceeded") => Some(code::TOO_DEEP),
            _ if error.contains("repetition limit exceeded") => Some(code::ALIAS_EXPANSION),
            _ => None,
        });
        let forbidden =
            forbidden_character(raw.text).filter(|_| error.contains("control characters"));
        let (line, column) = forbidden.map_or(place, |(place, _)| place);
        let number = |count: usize| u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let position = match limit {
            // Where the allowance ends says nothing about what uses it up.
            Some(code::ALIAS_EXPANSION) => raw.start(),
            _ => raw.place(number(line), number(column)),
        };
        let message = match limit {
            Some(code::TOO_DEEP) => too_deep_message(),
            Some(_) => {
                "the aliases unfold to far more than the document holds: write the values out"
                    .to_owned()
            }
            None => match forbidden {
                Some((_, character)) => {
                    format!(
                        "the character U+{:04X} can't stand here: take it out",
                        u32::from(character)
                    )
                }
                None => self.explain(
                    error,
                    raw.text
                        .split('\n')
                        .nth(line.saturating_sub(1))
                        .unwrap_or_default(),
                ),
            },
        };
        Unreadable {
            position,
            code: limit.unwrap_or(code::SYNTAX),
            message,
        }
    }

    fn explain(&self, error: &str, row: &str) -> String {
        let format = if self.format == Format::Json {
            "JSON"
        } else {
            "YAML"
        };
        let indent = &row[..row.len() - row.trim_start().len()];
        if self.format == Format::Yaml && indent.contains('\t') {
            return "this line is indented with a tab, which YAML forbids: use spaces".to_owned();
        }
        format!("not {format}: {}", without_places(error))
    }
}

/// The reader's words without its line numbers, which count from the document's start.
fn without_places(error: &str) -> String {
    let mut out = String::with_capacity(error.len());
    let mut rest = error;
    while let Some(at) = rest.find(" at line ") {
        out.push_str(&rest[..at]);
        let tail = &rest[at + " at line ".len()..];
        rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = rest.strip_prefix(" column ").map_or(rest, |tail| {
            tail.trim_start_matches(|c: char| c.is_ascii_digit())
        });
    }
    out.push_str(rest);
    out.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The place and character that YAML does not allow in a text, which libyaml's error does not tell.
fn forbidden_character(text: &str) -> Option<((usize, usize), char)> {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
            || c >= '\u{10000}'
    };
    text.split('\n').zip(1..).find_map(|(row, line)| {
        let (character, column) = row
            .chars()
            .zip(1..)
            .find(|(character, _)| !allowed(*character))?;
        Some(((line, column), character))
    })
}

/// Reads one value.
#[derive(Clone, Copy)]
struct NodeSeed<'r> {
    reading: &'r Reading,
    depth: usize,
}

impl<'r> NodeSeed<'r> {
    fn node<E: de::Error>(self, value: Value<'_>) -> Result<Node<'_>, E> {
        Ok(Node {
            id: self.reading.number(0)?,
            value,
        })
    }

    fn below(self) -> NodeSeed<'r> {
        NodeSeed {
            depth: self.depth + 1,
            ..self
        }
    }
}

impl<'t> DeserializeSeed<'t> for NodeSeed<'_> {
    type Value = Node<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Node<'t>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for NodeSeed<'_> {
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

    fn visit_borrowed_str<E: de::Error>(self, value: &'t str) -> Result<Node<'t>, E> {
        self.node(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node<'t>, E> {
        let id = self.reading.number(value.len())?;
        Ok(Node {
            id,
            value: Value::Text(Cow::Owned(value.to_owned())),
        })
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut access: A) -> Result<Node<'t>, A::Error> {
        self.reading.check_depth(self.depth)?;
        let id = self.reading.number(0)?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.below())? {
            items.push(item);
        }
        Ok(Node {
            id,
            value: Value::List(items),
        })
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<Node<'t>, A::Error> {
        self.reading.check_depth(self.depth)?;
        let id = self.reading.number(0)?;
        let mut entries: Vec<Entry<'t>> = Vec::new();
        let mut merges = false;
        while let Some(key) = access.next_key_seed(KeySeed(self.reading))? {
            merges |= key.text == "<<";
            let value = access.next_value_seed(self.below())?;
            entries.push(Entry { key, value });
        }
        report_equal_keys(&entries, self.reading);
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

/// Reads one key; a number or boolean is taken as it is written.
struct KeySeed<'r>(&'r Reading);

impl<'t> DeserializeSeed<'t> for KeySeed<'_> {
    type Value = Key<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Key<'t>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for KeySeed<'_> {
    type Value = Key<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as key")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'t str) -> Result<Key<'t>, E> {
        Ok(Key {
            id: self.0.number(0)?,
            text: Cow::Borrowed(text),
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'t>, E> {
        Ok(Key {
            id: self.0.number(text.len())?,
            text: Cow::Owned(text.to_owned()),
        })
    }
}

fn report_equal_keys(entries: &[Entry<'_>], reading: &Reading) {
    let report = |key: &Key<'_>| {
        let message = format!(
            "the key {} stands here for the second time: keep one",
            quoted(&key.text)
        );
        reading.fault(key.id, code::DUPLICATE_KEY, message);
    };
    if entries.len() <= SMALL_MAP {
        for (index, entry) in entries.iter().enumerate() {
            if entries[..index]
                .iter()
                .any(|other| other.key.text == entry.key.text)
            {
                report(&entry.key);
            }
        }
    } else {
        let mut seen = HashSet::with_capacity(entries.len());
        for entry in entries {
            if !seen.insert(&*entry.key.text) {
                report(&entry.key);
            }
        }
    }
}

/// Applies the merge keys of a mapping: its own keys win, then the mapping merged first.
fn merge<'t>(entries: Vec<Entry<'t>>, reading: &Reading) -> Vec<Entry<'t>> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.key.text == "<<");
    let mut present: HashSet<String> = own.iter().map(|entry| entry.key.text.to_string()).collect();
    for merge in merges {
        let sources = match merge.value.value {
            Value::List(items) => items,
            _ => vec![merge.value],
        };
        for source in sources {
            if let Value::Map(entries) = source.value {
                own.extend(
                    entries
                        .into_iter()
                        .filter(|entry| present.insert(entry.key.text.to_string())),
                );
            } else {
                let message = format!("`<<` merges mappings, but this is {}", source.describe());
                reading.fault(source.id, code::BAD_MERGE, message);
            }
        }
    }
    own
}
