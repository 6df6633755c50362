//! Reads one document's text into a tree of values, once and fast, whatever it means.
//!
//! Owns the two readers (`serde_yaml` and `serde_json`), what they can't do (equal keys, merge keys) and the limits that
//! keep a hostile document cheap: nesting, and what aliases unfold to. Before `serde_yaml` stands a quick reader of our own,
//! which takes what is plain and right, nearly everything. Whatever is wrong is told by `serde_yaml`.

#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod plain;
mod plain_scalar;
mod refusal;
mod seed;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bumpalo::Bump;
use serde::de::DeserializeSeed;

use self::seed::{NodeSeed, Reading};
use super::{
    raw::RawDocument,
    value::{Node, NodeId},
};
use crate::diagnostic::{Code, Position, code};

/// How deep mappings and lists may be nested; Kubernetes objects need less than 20.
const MAX_DEPTH: usize = 64;

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
    pub(super) message: Cow<'static, str>,
}

/// Why a document can't be read at all.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) position: Position,
    pub(super) code: Code,
    pub(super) message: String,
}

/// Reads `raw` into `arena`; `as_json` where its file says that it is JSON.
pub(super) fn read<'t>(
    arena: &'t Bump,
    raw: &RawDocument<'t>,
    as_json: bool,
) -> Result<Tree<'t>, Unreadable> {
    if !raw.looks_like_json() {
        return read_yaml(arena, raw);
    }
    let refused = match read_json(arena, raw) {
        Ok(tree) => return Ok(tree),
        Err(refused) => refused,
    };
    let meant_as_json = raw.text.trim_start()[1..]
        .trim_start()
        .starts_with(['"', '{', '[', '}', ']']);
    if refused.code == code::SYNTAX && !as_json {
        // YAML's flow style looks like JSON too: `{kind: Pod}`.
        read_yaml(arena, raw).map_err(|other| if meant_as_json { refused } else { other })
    } else {
        Err(refused)
    }
}

fn read_yaml<'t>(arena: &'t Bump, raw: &RawDocument<'t>) -> Result<Tree<'t>, Unreadable> {
    let reading = Reading::new(arena, raw.text, Format::Yaml);
    if let Some(tree) = plain::read(raw.text, &reading) {
        return Ok(tree);
    }
    match refusal::of_quick_reader(raw, reading.refusal()) {
        Some(unreadable) => Err(unreadable),
        None => read_any_yaml(arena, raw),
    }
}

fn read_any_yaml<'t>(arena: &'t Bump, raw: &RawDocument<'t>) -> Result<Tree<'t>, Unreadable> {
    refusal::check_size(raw)?;
    refusal::check_nesting(raw)?;
    let reading = Reading::new(arena, raw.text, Format::Yaml);
    let seed = NodeSeed {
        reading: &reading,
        depth: 0,
    };
    seed.deserialize(serde_yaml::Deserializer::from_str(raw.text))
        .map(|root| reading.finish(root))
        .map_err(|error| refusal::of_yaml(raw, reading.refusal(), &error))
}

/// Reads one object as an API server sends it, but for the fields that `passed_over` names in the root's own mappings: they are
/// looked through for their end, and no value is made of them.
pub(super) fn read_object<'t>(
    arena: &'t Bump,
    raw: &RawDocument<'t>,
    passed_over: &'static [&'static str],
) -> Result<Tree<'t>, Unreadable> {
    let reading = Reading::new(arena, raw.text, Format::Json).passing_over(passed_over);
    read_json_with(&reading, raw)
}

fn read_json<'t>(arena: &'t Bump, raw: &RawDocument<'t>) -> Result<Tree<'t>, Unreadable> {
    read_json_with(&Reading::new(arena, raw.text, Format::Json), raw)
}

fn read_json_with<'t>(
    reading: &Reading<'t>,
    raw: &RawDocument<'t>,
) -> Result<Tree<'t>, Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.text);
    let root = NodeSeed { reading, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|root| deserializer.end().map(|()| root));
    root.map(|root| reading.finish(root))
        .map_err(|error| refusal::of_json(raw, reading.refusal(), &error))
}

/// The number of a mapping or list that begins, for a reader that knows no aliases; `None` where it is too deep.
fn open(reading: &Reading<'_>, depth: usize) -> Option<NodeId> {
    (depth < MAX_DEPTH).then(|| reading.next_id())
}
