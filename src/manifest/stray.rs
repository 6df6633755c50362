//! Documents that may belong to no manifest at all, and what becomes of them once the whole file is known.
//!
//! A folder of manifests mostly is a part of a repository, in which other YAML and JSON lie about: values, kustomizations,
//! patches, lock files, templates. None of it is an error of the mesh. A manifest with a mistake in it is one. The rule:
//! a document that can't be read, is no mapping or names no kind is an error where a document of its file names one of
//! our kinds or their API group, or seems to; elsewhere the file is no manifest, which is told once and as a note.

use super::{
    findings::nearest,
    kind::{ISTIO_GROUP, ISTIO_KINDS, known_kind},
    object::{Contents, Document},
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

/// What a stray document looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StraySort {
    /// It seems to be meant as one of our objects.
    Ours,
    /// It has to be rendered first; its diagnostic says so.
    Template,
    Other,
}

/// What documents of a file say, while it is open what the file as a whole is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    pub(super) contents: Contents,
    pub(super) strays: Vec<Stray>,
    /// How many objects of our kinds there are, rejected ones included.
    pub(super) ours: usize,
    /// How many documents are no YAML or JSON, or a mere text, and no template.
    pub(super) garbled: usize,
}

/// How much a draft held at some time.
#[derive(Clone, Copy, Debug)]
pub struct DraftMark {
    documents: usize,
    diagnostics: usize,
    strays: usize,
    ours: usize,
    garbled: usize,
}

impl Draft {
    /// What it holds so far.
    pub fn mark(&self) -> DraftMark {
        DraftMark {
            documents: self.contents.documents.len(),
            diagnostics: self.contents.diagnostics.len(),
            strays: self.strays.len(),
            ours: self.ours,
            garbled: self.garbled,
        }
    }

    /// Whether a document says nothing that any file of YAML or JSON would: the file may have been another a moment ago, as one
    /// that was cut, or that a web page took the place of.
    pub fn is_garbled(&self) -> bool {
        self.garbled > 0
    }

    /// The documents that came since `mark`.
    pub fn documents_since(&self, mark: DraftMark) -> &[Document] {
        &self.contents.documents[mark.documents..]
    }

    /// A copy of what came since `mark`.
    #[must_use]
    pub fn since(&self, mark: DraftMark) -> Self {
        Self {
            contents: Contents {
                documents: self.contents.documents[mark.documents..].to_vec(),
                diagnostics: self.contents.diagnostics[mark.diagnostics..].to_vec(),
            },
            strays: self.strays[mark.strays..].to_vec(),
            ours: self.ours - mark.ours,
            garbled: self.garbled - mark.garbled,
        }
    }

    /// Adds what documents further down in the file say.
    pub fn append(&mut self, mut next: Self) {
        self.contents.documents.append(&mut next.contents.documents);
        self.contents
            .diagnostics
            .append(&mut next.contents.diagnostics);
        self.strays.append(&mut next.strays);
        self.ours += next.ours;
        self.garbled += next.garbled;
    }

    /// What the file holds; `has_more` where it has objects of our kinds that this draft does not hold.
    pub fn finish(self, has_more: bool) -> Contents {
        let Self {
            mut contents,
            mut strays,
            ours,
            garbled: _,
        } = self;
        let is = |sort| move |stray: &Stray| stray.sort == sort;
        let template = strays.iter().position(is(StraySort::Template));
        let told = if let Some(template) = template {
            // In a template nothing else is to be expected than parts of it.
            let template = strays.swap_remove(template);
            strays.retain(is(StraySort::Ours));
            strays.push(template);
            strays
        } else if has_more || ours > 0 || strays.iter().any(is(StraySort::Ours)) {
            strays
        } else {
            strays.truncate(1);
            for diagnostic in strays.iter_mut().flat_map(|stray| &mut stray.diagnostics) {
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
            for stray in &mut strays {
                stray.diagnostics.truncate(1);
            }
            strays
        };
        if !told.is_empty() {
            let told = told.into_iter().flat_map(|stray| stray.diagnostics);
            contents.diagnostics.extend(told);
            contents.diagnostics.sort();
        }
        contents
    }
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
