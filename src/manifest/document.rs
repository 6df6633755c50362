//! Turns one document's values into objects, and what is wrong with them into diagnostics with their places.

mod unfold;

use std::sync::Arc;

use bumpalo::Bump;

pub(super) use self::unfold::object;
use self::unfold::{Item, LeftOut, Membership, Unfolding};
use super::{
    draft::{Draft, Nameless},
    locate::{self, Places},
    metadata::Namespaces,
    object::{Document, DocumentOutcome},
    raw::RawDocument,
    read::{self, Format, Tree, Unreadable},
    stray::{self, Stray, StraySort},
    template,
    value::{NodeId, Value},
};
use crate::diagnostic::{Diagnostic, FilePlace, Position, Severity, code};

const TEMPLATE_MESSAGE: &str =
    "this is a template: render it, as `helm template` does, and put the result into the folder";

/// Reads a file's documents one after the other; what it keeps between them is memory and nothing else.
pub struct Decoder<'f> {
    file: &'f Arc<str>,
    as_json: bool,
    arena: Bump,
    items: Vec<Item>,
    namespaces: Namespaces,
}

impl<'f> Decoder<'f> {
    /// Reads documents of `file`, which is its name in diagnostics.
    pub fn new(file: &'f Arc<str>) -> Self {
        let extension = file.rsplit_once('.').map(|(_, extension)| extension);
        Self {
            file,
            as_json: extension.is_some_and(|extension| extension.eq_ignore_ascii_case("json")),
            arena: Bump::new(),
            items: Vec::new(),
            namespaces: Namespaces::default(),
        }
    }

    /// The same as [`read`](Self::read) for a draft that is a part of one that [is full](Draft::is_full): what can't be an
    /// object is counted, and nothing else.
    pub fn skim(&mut self, raw: &RawDocument<'_>, draft: &mut Draft) {
        if stray::may_matter(raw.text) {
            return self.read(raw, draft);
        }
        let place = FilePlace {
            file: self.file.clone(),
            document: raw.number,
            position: raw.start(),
        };
        let digest = raw.digest();
        draft.leave_out_stray(Nameless { place, digest });
    }

    /// Adds what `raw` holds to `draft`: several objects where it is a list.
    ///
    /// Positions depend on `raw.line` and the document's number, so that a result can be used again only where the text
    /// and both are the same.
    pub fn read(&mut self, raw: &RawDocument<'_>, draft: &mut Draft) {
        let file = self.file;
        self.arena.reset();
        match read::read(&self.arena, raw, self.as_json) {
            Ok(tree) if tree.root.value == Value::Null => {}
            Ok(tree) => {
                if !matches!(tree.root.value, Value::Map(_) | Value::List(_))
                    && template::first_action(raw.text).is_none()
                {
                    draft.count_garbled();
                }
                let mut unfolding = Unfolding {
                    faults: tree.faults.iter().peekable(),
                    items: &mut self.items,
                    nameless: 0,
                    left_out: LeftOut::default(),
                    namespaces: &mut self.namespaces,
                };
                unfolding.visit(&tree.root, None, 0, NodeId(u32::MAX));
                unfolding.digest(&tree.root);
                let left_out = unfolding.left_out;
                let places = places(raw, &tree, &self.items);
                add(file, raw, self.items.drain(..), &places, draft);
                if left_out.items > 0 {
                    let place = FilePlace {
                        file: file.clone(),
                        document: raw.number,
                        position: raw.start(),
                    };
                    let digest = left_out.digest;
                    draft.leave_out(Nameless { place, digest }, left_out.problems);
                }
            }
            Err(unreadable) => refuse(file, raw, unreadable, draft),
        }
    }
}

fn refuse(file: &Arc<str>, raw: &RawDocument<'_>, unreadable: Unreadable, draft: &mut Draft) {
    let place = |position| FilePlace {
        file: file.clone(),
        document: raw.number,
        position,
    };
    let Unreadable {
        position,
        code,
        message,
    } = unreadable;
    draft.document(Document {
        place: place(raw.start()),
        outcome: DocumentOutcome::Rejected(None),
        digest: raw.digest(),
    });
    let stray = |severity, code, position, message, sort| Stray {
        diagnostics: vec![Diagnostic {
            origin: place(position).into(),
            severity,
            code,
            message,
            object: None,
        }],
        sort,
    };
    let action = template::first_action(raw.text);
    if action.is_none() {
        draft.count_garbled();
    }
    draft.stray(match action {
        Some((line, column)) => stray(
            Severity::Info,
            code::TEMPLATE,
            raw.place(line, column),
            TEMPLATE_MESSAGE.to_owned(),
            StraySort::Template,
        ),
        None if stray::text_seems_ours(raw.text) => {
            stray(Severity::Error, code, position, message, StraySort::Ours)
        }
        None => stray(Severity::Error, code, position, message, StraySort::Other),
    });
}

/// Where the values stand that `items` name.
enum ItemPlaces {
    /// One object, the document itself.
    Single,
    /// Valid items of a list.
    Items(Vec<(NodeId, Position)>),
    /// Any values.
    Any(Places),
}

fn places(raw: &RawDocument<'_>, tree: &Tree<'_>, items: &[Item]) -> ItemPlaces {
    if items.iter().all(|item| item.problems.is_empty()) {
        if items.len() == 1 && items[0].at == tree.root.id {
            return ItemPlaces::Single;
        }
        if let Some(places) = plain_list(raw, tree, items) {
            return ItemPlaces::Items(places);
        }
    }
    let problems = items
        .iter()
        .flat_map(|item| item.problems.iter().map(|problem| problem.at));
    let last = problems
        .chain(items.iter().map(|item| item.at))
        .max()
        .unwrap_or(tree.root.id);
    if last == NodeId::ROOT {
        return ItemPlaces::Single;
    }
    ItemPlaces::Any(Places::find(raw, tree.format, last))
}

/// The places of a list's items where all are objects and the list is laid out plainly.
fn plain_list(
    raw: &RawDocument<'_>,
    tree: &Tree<'_>,
    items: &[Item],
) -> Option<Vec<(NodeId, Position)>> {
    let Value::List(nodes) = tree.root.as_fields()?.get("items")?.value else {
        return None;
    };
    let ids = items.iter().map(|item| item.at);
    if !nodes.iter().map(|node| node.id).eq(ids.clone()) {
        return None;
    }
    let places = match tree.format {
        Format::Yaml => locate::item_places(raw, items.len()),
        Format::Json => locate::json_item_places(raw, nodes),
    };
    Some(ids.zip(places?).collect())
}

fn add(
    file: &Arc<str>,
    raw: &RawDocument<'_>,
    items: impl Iterator<Item = Item>,
    places: &ItemPlaces,
    draft: &mut Draft,
) {
    let start = raw.start();
    let position = |id| match places {
        ItemPlaces::Single => start,
        ItemPlaces::Items(places) => places
            .binary_search_by_key(&id, |place| place.0)
            .map_or(start, |index| places[index].1),
        ItemPlaces::Any(_) if id == NodeId::ROOT => start,
        ItemPlaces::Any(places) => places.of(id),
    };
    let place = |id| FilePlace {
        file: file.clone(),
        document: raw.number,
        position: position(id),
    };
    for item in items {
        let object = match &item.outcome {
            Some(DocumentOutcome::Object(object)) if !item.problems.is_empty() => {
                Some(object.key())
            }
            Some(DocumentOutcome::Rejected(key)) => key.clone(),
            _ => None,
        };
        let diagnostics = item.problems.into_iter().map(|problem| Diagnostic {
            origin: place(problem.at).into(),
            severity: problem.severity,
            code: problem.code,
            message: problem.message,
            object: object.clone(),
        });
        match item.membership {
            Membership::Stray(sort) => draft.stray(Stray {
                diagnostics: diagnostics.collect(),
                sort,
            }),
            membership => {
                if membership == Membership::Ours {
                    draft.count_ours();
                }
                draft.diagnostics(diagnostics);
            }
        }
        if let Some(outcome) = item.outcome {
            draft.document(Document {
                place: place(item.at),
                outcome,
                digest: item.digest,
            });
        }
    }
}
