//! Documents that may belong to no manifest at all; what becomes of them is decided once the whole file is known, by
//! [`Draft::finish`](super::draft::Draft::finish).
//!
//! A folder of manifests mostly is a part of a repository, in which other YAML and JSON lie about: values, kustomizations,
//! patches, lock files, templates. None of it is an error of the mesh. A manifest with a mistake in it is one. The rule:
//! a document that can't be read, is no mapping or names no kind is an error where a document of its file names one of
//! our kinds or their API group, or seems to; elsewhere the file is no manifest, which is told once and as a note.

use memchr::{memchr2, memchr2_iter};

use super::{
    findings::nearest,
    kind::{ISTIO_GROUP, ISTIO_KINDS, known_kind},
    value::{Fields, Node, Value},
};
use crate::diagnostic::{Diagnostic, Severity, code};

/// A document that may belong to no manifest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stray {
    /// What is wrong with it if it does.
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) sort: StraySort,
}

impl Stray {
    /// Says, once and as a note, that its file is no manifest.
    pub(super) fn tell_no_manifest(&mut self) {
        self.diagnostics.truncate(1);
        for diagnostic in &mut self.diagnostics {
            diagnostic.severity = Severity::Info;
            diagnostic.message = format!(
                "the file is no manifest: {}",
                match diagnostic.code {
                    code::NO_KIND => "nothing in it names an object that meshdns reads",
                    _ => &*diagnostic.message,
                }
            );
            diagnostic.code = code::NO_MANIFEST;
        }
    }
}

/// What a stray document looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StraySort {
    /// It seems to be meant as one of our objects.
    Ours,
    /// It has to be rendered first; its diagnostic says so.
    Template,
    Other,
}

/// Whether a value without `apiVersion` or `kind` seems to be meant as an object of ours, or as a list of them.
pub(super) fn seems_ours(node: &Node<'_>) -> bool {
    match node.value {
        Value::Map(entries) => fields_seem_ours(Fields {
            id: node.id,
            entries,
        }),
        Value::List(items) => items
            .iter()
            .filter_map(Node::as_fields)
            .any(fields_seem_ours),
        _ => false,
    }
}

fn fields_seem_ours(fields: Fields<'_>) -> bool {
    let has_metadata = fields.get("metadata").is_some();
    fields.entries.iter().any(|entry| {
        let value = entry.value.as_text().unwrap_or_default();
        if entry.key.text.eq_ignore_ascii_case("kind") {
            is_our_kind(value) || has_metadata
        } else if entry.key.text.eq_ignore_ascii_case("apiVersion") {
            value.starts_with(ISTIO_GROUP) || has_metadata
        } else {
            false
        }
    })
}

fn is_our_kind(kind: &str) -> bool {
    let kind = kind.strip_suffix("List").unwrap_or(kind);
    // The names of most other kinds are told apart without a comparison that takes time.
    let is_near = ["Service", "Workload"].iter().any(|start| {
        kind.len() > start.len() + 1
            && kind
                .get(..start.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    });
    known_kind(kind).is_some() || (is_near && nearest(kind, ISTIO_KINDS).is_some())
}

/// Whether a text may hold an object, or a template, by its letters alone: no object goes without the key `kind`, and with an
/// escape anything can be spelt.
pub(super) fn may_matter(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_word = |word: &[u8]| {
        let (lower, upper) = (word[0], word[0].to_ascii_uppercase());
        memchr2_iter(lower, upper, bytes).any(|at| {
            bytes
                .get(at..at + word.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(word))
        })
    };
    memchr2(b'\\', b'%', bytes).is_some()
        || ["{{", "${"].iter().any(|mark| text.contains(mark))
        || has_word(b"kind")
        || has_word(b"apiversion")
}

/// Whether a text that can't be read seems to hold an object of ours.
pub(super) fn text_seems_ours(text: &str) -> bool {
    let rows = text
        .lines()
        .filter(|row| !row.trim_start().starts_with('#'));
    let is_quote = |c: char| matches!(c, '"' | '\'');
    let value_of = |behind_key: &'_ str| -> Option<usize> {
        let rest = behind_key.strip_prefix(is_quote).unwrap_or(behind_key);
        let rest = rest.trim_start().strip_prefix(':')?.trim_start();
        let rest = rest.strip_prefix(is_quote).unwrap_or(rest);
        Some(behind_key.len() - rest.len())
    };
    let has = |row: &str, key: &str, fits: &dyn Fn(&str) -> bool| {
        row.match_indices(key).any(|(at, _)| {
            let behind_key = &row[at + key.len()..];
            value_of(behind_key).is_some_and(|offset| fits(&behind_key[offset..]))
        })
    };
    let is_kind = |value: &str| {
        let end = value.find(|c: char| !c.is_ascii_alphanumeric());
        is_our_kind(&value[..end.unwrap_or(value.len())])
    };
    let is_group = |value: &str| value.starts_with(ISTIO_GROUP);
    let mut rows = rows;
    rows.any(|row| has(row, "kind", &is_kind) || has(row, "apiVersion", &is_group))
}

#[cfg(test)]
mod tests;
