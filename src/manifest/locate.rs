//! Finds the places of a document's values: the second look at a text, taken only where a problem needs it.
//!
//! The fast reader numbers values and keys in reading order and forgets where they stood. This module walks the text
//! again in the same order and notes the places. It judges nothing: what the reader took stands.

use granit_parser::{Event, Parser};
use memchr::{memchr, memchr_iter};

use super::{
    raw::{RawDocument, string_end},
    read::Format,
    value::{Node, NodeId},
};
use crate::diagnostic::Position;

/// The places of a document's first values, by number.
pub(super) struct Places {
    found: Vec<Position>,
    /// Where the document begins: the place of what could not be found.
    start: Position,
}

impl Places {
    /// Walks through `raw` up to the value `last`.
    pub(super) fn find(raw: &RawDocument<'_>, format: Format, last: NodeId) -> Self {
        let count = last.0 as usize + 1;
        let found = match format {
            Format::Yaml => walk_yaml(raw, count),
            Format::Json => walk_json(raw, count),
        };
        Self {
            found,
            start: raw.start(),
        }
    }

    /// Where the value or key `id` stands.
    pub(super) fn of(&self, id: NodeId) -> Position {
        self.found.get(id.0 as usize).copied().unwrap_or(self.start)
    }
}

/// Where the items of a list begin that is laid out as kubectl prints it: `items:` at the start of a line, then a `-` for
/// each item, all below each other. `None` where the layout is another or there are not `count` of them.
///
/// What belongs to an item is indented more than its `-`, whatever it is, so that a look at each line's start will do:
/// a large list is not walked twice for the places of valid objects.
pub(super) fn item_places(raw: &RawDocument<'_>, count: usize) -> Option<Vec<Position>> {
    let rows = raw
        .text
        .lines()
        .zip(1..)
        .skip_while(|(row, _)| row.trim_end() != "items:")
        .skip(1);
    let mut places = Vec::with_capacity(count);
    let mut dash = None;
    for (row, line) in rows {
        let token = row.trim_start_matches(' ');
        let indent = row.len() - token.len();
        if token.is_empty() || dash.is_some_and(|dash| indent > dash) {
            continue;
        }
        let Some(item) = token
            .strip_prefix("- ")
            .filter(|_| dash.is_none_or(|dash| indent == dash))
        else {
            break;
        };
        dash = Some(indent);
        let key = item.trim_start_matches(' ');
        // Anchors, tags and comments stand before what they belong to: not worth a rule here.
        if !key.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '{' | '"' | '\'')) {
            return None;
        }
        places.push(raw.place(line, u32::try_from(row.len() - key.len() + 1).ok()?));
    }
    (places.len() == count).then_some(places)
}

/// Where the items of a JSON list begin: before their first keys. `None` where one of them has none in the text as it is.
///
/// It spares large lists a second walk, as [`item_places`] does.
pub(super) fn json_item_places(raw: &RawDocument<'_>, items: &[Node<'_>]) -> Option<Vec<Position>> {
    let mut places = Vec::with_capacity(items.len());
    let (mut passed, mut line, mut column) = (0, 1, 1);
    let is_ascii = raw.text.is_ascii();
    let has_one_row = memchr(b'\n', raw.text.as_bytes()).is_none();
    for item in items {
        let key = item.as_fields()?.entries.first()?.key.text;
        let offset = (key.as_ptr() as usize).checked_sub(raw.text.as_ptr() as usize)?;
        let before_key = raw.text.get(..offset)?.strip_suffix('"')?;
        let before_item = before_key.trim_end().strip_suffix('{')?;
        let skipped = before_item.get(passed..)?;
        let lines = if has_one_row {
            0
        } else {
            memchr_iter(b'\n', skipped.as_bytes()).count()
        };
        let row = match lines {
            0 => skipped,
            _ => skipped.rsplit('\n').next().unwrap_or_default(),
        };
        let characters = if is_ascii {
            row.len()
        } else {
            row.chars().count()
        };
        let characters = u32::try_from(characters).ok()?;
        column = if lines > 0 { 1 } else { column } + characters;
        line += u32::try_from(lines).ok()?;
        passed = before_item.len();
        places.push(raw.place(line, column));
    }
    Some(places)
}

fn walk_yaml(raw: &RawDocument<'_>, count: usize) -> Vec<Position> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut found: Vec<Position> = Vec::new();
    // What each anchor stands for, as a range of `found`, and the anchored collections that are still open.
    let mut anchors = std::collections::HashMap::new();
    let mut open = Vec::new();
    for event in Parser::new_from_str_with_options(raw.text, options) {
        // Where this parser gives up the fast one did not: the rest has the document's place.
        let Ok((event, span)) = event else { break };
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let here = raw.place(
            number(span.start.line()),
            number(span.start.col()).saturating_add(1),
        );
        match event {
            Event::Scalar(_, _, anchor, _) => {
                // A value that is not written has no place of its own: its key (or list) has.
                let unwritten = span.start == span.end;
                let place = found.last().filter(|_| unwritten).copied().unwrap_or(here);
                if anchor != 0 {
                    anchors.insert(anchor, found.len()..found.len() + 1);
                }
                found.push(place);
            }
            Event::SequenceStart(_, anchor, _) => {
                open.push((anchor, found.len()));
                let column = here.column - columns_to_dash(raw.text, span.start.byte_offset());
                found.push(Position { column, ..here });
            }
            Event::MappingStart(_, anchor, _) => {
                open.push((anchor, found.len()));
                found.push(here);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((anchor, start)) = open.pop().filter(|(anchor, _)| *anchor != 0) {
                    anchors.insert(anchor, start..found.len());
                }
            }
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some(range) => {
                    let missing = count.saturating_sub(found.len());
                    let end = range.end.min(range.start.saturating_add(missing));
                    found.extend_from_within(range.start..end);
                }
                None => break,
            },
            _ => {}
        }
        if found.len() >= count {
            break;
        }
    }
    found
}

/// How far left of `offset` the `-` stands that begins a list there: the parser places a list that is not indented more
/// than its key at its first item.
fn columns_to_dash(text: &str, offset: Option<usize>) -> u32 {
    let Some((before, after)) = offset.and_then(|offset| text.split_at_checked(offset)) else {
        return 0;
    };
    let is_here = after.starts_with('[')
        || after
            .strip_prefix('-')
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
    let dashed = before.trim_end_matches([' ', '\t']);
    if is_here || !dashed.ends_with('-') {
        return 0;
    }
    u32::try_from(before.len() - dashed.len() + 1).unwrap_or(0)
}

/// In JSON every `{`, `[`, string and bare word begins a value or key, and nothing else does.
fn walk_json(raw: &RawDocument<'_>, count: usize) -> Vec<Position> {
    let bytes = raw.text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line, mut column) = (0, 1, 1);
    while let Some(&byte) = bytes.get(at).filter(|_| found.len() < count) {
        let end = match byte {
            b'"' => string_end(bytes, at).unwrap_or(bytes.len()) + 1,
            b'{' | b'[' | b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => at + 1,
            _ => {
                let rest = &bytes[at..];
                let word = rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
                at + word.count().max(1)
            }
        };
        if !matches!(
            byte,
            b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n'
        ) {
            found.push(raw.place(line, column));
        }
        if byte == b'\n' {
            (line, column) = (line + 1, 1);
        } else {
            let token = &bytes[at..end.min(bytes.len())];
            let characters = token
                .iter()
                .filter(|byte| !(0x80..0xc0).contains(*byte))
                .count();
            column = column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::*;
    use crate::manifest::{raw::split, read, value::Value};

    /// Compares the place of each value and key, in reading order, and that the reader counts as many.
    #[track_caller]
    fn check(text: &str, expected: &[(u32, u32)]) {
        let raw = split(text).next().expect("a document");
        let arena = Bump::new();
        let tree = read::read(&arena, &raw, false).expect("a document that can be read");
        let last = last_id(&tree.root);
        let places = Places::find(&raw, tree.format, last);
        let found: Vec<_> = places
            .found
            .iter()
            .map(|place| (place.line, place.column))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(found.len(), last.0 as usize + 1);
    }

    fn last_id(node: &Node<'_>) -> NodeId {
        match &node.value {
            Value::List(items) => items.last().map_or(node.id, last_id),
            Value::Map(entries) => entries
                .last()
                .map_or(node.id, |entry| last_id(&entry.value)),
            _ => node.id,
        }
    }

    #[test]
    fn finds_block_style() {
        check(
            "a: 1\nbc:\n- x\n-  y: 'z'\n",
            &[
                (1, 1),
                (1, 1),
                (1, 4),
                (2, 1),
                (3, 1),
                (3, 3),
                (4, 4),
                (4, 4),
                (4, 7),
            ],
        );
        check("é: ü # ö\n", &[(1, 1), (1, 1), (1, 4)]);
        check(
            "---\r\na: 1\r\nb: 2\r\n",
            &[(2, 1), (2, 1), (2, 4), (3, 1), (3, 4)],
        );
        check(
            "a: |\n  text\nb: 1\n",
            &[(1, 1), (1, 1), (2, 3), (3, 1), (3, 4)],
        );
        check(
            "a: !x 1\nb: !!str 2\n",
            &[(1, 1), (1, 1), (1, 7), (2, 1), (2, 10)],
        );
    }

    #[test]
    fn places_an_unwritten_value_at_its_key() {
        check("a:\nb: 1\n", &[(1, 1), (1, 1), (1, 1), (2, 1), (2, 4)]);
        check("a:\n- \n- 1\n", &[(1, 1), (1, 1), (2, 1), (2, 1), (3, 3)]);
        check("a: ''\nb: ~\n", &[(1, 1), (1, 1), (1, 4), (2, 1), (2, 4)]);
    }

    #[test]
    fn finds_flow_style_and_json() {
        check(
            "{a: [1, b], c}\n",
            &[(1, 1), (1, 2), (1, 5), (1, 6), (1, 9), (1, 13), (1, 13)],
        );
        check(
            "{\n\t\"ä\": [1.5e-3, \"\\\"x\"], \"c\": null\n}",
            &[(1, 1), (2, 2), (2, 7), (2, 8), (2, 16), (2, 24), (2, 29)],
        );
    }

    /// Both walks count alike, whatever the example files hold.
    #[test]
    fn finds_every_value_of_the_examples() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validation");
        let files = [folder.clone(), folder.join("valid")]
            .into_iter()
            .flat_map(|folder| {
                let entries =
                    std::fs::read_dir(folder).expect("the folder is part of the repository");
                entries.map(|entry| entry.expect("an entry").path())
            });
        let mut count = 0;
        for path in files.filter(|path| path.is_file()) {
            let bytes = std::fs::read(&path).expect("a file of the repository");
            let text = String::from_utf8_lossy(&bytes);
            for raw in split(&text) {
                let arena = Bump::new();
                let Ok(tree) = read::read(&arena, &raw, false) else {
                    continue;
                };
                let last = greatest_id(&tree.root);
                let places = Places::find(&raw, tree.format, NodeId(u32::MAX - 1));
                assert_eq!(
                    places.found.len(),
                    last.0 as usize + 1,
                    "{}:{}",
                    path.display(),
                    raw.line
                );
                count += 1;
            }
        }
        assert!(count > 100);
    }

    /// Merge keys move values, so that the last one is not the last that was read.
    fn greatest_id(node: &Node<'_>) -> NodeId {
        match &node.value {
            Value::List(items) => items.iter().map(greatest_id).max().unwrap_or(node.id),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| greatest_id(&entry.value))
                .max()
                .unwrap_or(node.id),
            _ => node.id,
        }
    }

    #[test]
    fn finds_the_items_of_a_plain_list() {
        let places = |text: &str, count| {
            let places = item_places(&split(text).next()?, count)?;
            Some(
                places
                    .iter()
                    .map(|place| (place.line, place.column))
                    .collect::<Vec<_>>(),
            )
        };
        let text = "kind: List\nitems:\n- a: |\n    - x\n\n  b:\n  - y\n-   {c: d}\nz: 1\n";
        assert_eq!(places(text, 2), Some(vec![(3, 3), (8, 5)]));
        assert_eq!(places(text, 3), None);
        assert_eq!(
            places("---\r\nitems: \r\n  - a: 1\r\n    b: 2\r\n", 1),
            Some(vec![(3, 5)])
        );
        assert_eq!(places("items:\n- &x a\n", 1), None);
        assert_eq!(places("items:\n# c\n- a\n", 1), None);
        assert_eq!(places("items: [a]\n", 1), None);
        check(
            "items:\n- a: 1\n-   b: 2\n",
            &[
                (1, 1),
                (1, 1),
                (2, 1),
                (2, 3),
                (2, 3),
                (2, 6),
                (3, 5),
                (3, 5),
                (3, 8),
            ],
        );
    }

    #[test]
    fn places_an_alias_where_its_anchor_stands() {
        check(
            "a: &x [1]\nb: *x\nc: 2\n",
            &[
                (1, 1),
                (1, 1),
                (1, 7),
                (1, 8),
                (2, 1),
                (1, 7),
                (1, 8),
                (3, 1),
                (3, 4),
            ],
        );
        check(
            "a: &x k\n*x : 1\n",
            &[(1, 1), (1, 1), (1, 7), (1, 7), (2, 6)],
        );
    }
}
