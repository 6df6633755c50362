//! Cuts what an API server sends into objects, while it comes.
//!
//! A list of any length takes as much memory as its largest item. Total on any bytes.

use std::ops::Range;

use super::scan::Scan;

/// The longest object, in bytes: etcd takes 1.5 MiB, and what a server adds is less than that.
pub(super) const MAX_FRAME_BYTES: usize = 16 << 20;

/// What is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// One JSON object after the other: the events of a watch.
    Events,
    /// One JSON object with `items`.
    List,
}

/// A piece of it, as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Frame<'b> {
    /// One event.
    Event(&'b [u8]),
    /// One item of a list.
    Item(&'b [u8]),
    /// The `metadata` of a list, before its items or behind them.
    Metadata(&'b [u8]),
}

/// What came is not what it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum FrameError {
    /// Not JSON, or not of that form.
    #[error("what came is no JSON of Kubernetes")]
    Malformed,
    /// Longer than any object is.
    #[error("an object of more than {} MiB", MAX_FRAME_BYTES >> 20)]
    TooLong,
}

/// Where in the document what comes next is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Document,
    Key,
    Colon,
    Value,
    BehindValue,
    Item,
    BehindItem,
    End,
}

/// The field of a list whose value is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Metadata,
    Items,
    Other,
}

impl Field {
    /// Of a key as it is written, with its quotes.
    fn of(key: &[u8]) -> Self {
        match key {
            b"\"items\"" => Self::Items,
            b"\"metadata\"" => Self::Metadata,
            _ => Self::Other,
        }
    }
}

/// What a piece of the buffer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Piece {
    Event,
    Item,
    Metadata,
}

/// Takes bytes in, and gives frames out.
#[derive(Debug)]
pub(super) struct Splitter {
    form: Form,
    buffer: Vec<u8>,
    /// Where in the buffer begins what is not given out.
    start: usize,
    scan: Scan,
    place: Place,
    field: Field,
}

impl Splitter {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            buffer: Vec::new(),
            start: 0,
            scan: Scan::default(),
            place: Place::Document,
            field: Field::Other,
        }
    }

    /// Takes in what came next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that is there as a whole.
    ///
    /// # Errors
    ///
    /// Where what came can't be cut; nothing that comes later can be, then.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let found = self.next_place()?;
        Ok(found.map(|(piece, place)| {
            let bytes = &self.buffer[place];
            match piece {
                Piece::Event => Frame::Event(bytes),
                Piece::Item => Frame::Item(bytes),
                Piece::Metadata => Frame::Metadata(bytes),
            }
        }))
    }

    /// Where the next frame is, and what it is.
    fn next_place(&mut self) -> Result<Option<(Piece, Range<usize>)>, FrameError> {
        while let Some(first) = self.skip_space() {
            if !self.is_at_value(first) {
                let place = match (self.place, first) {
                    (Place::Value, b'[') => Place::Item,
                    (place, mark) => after_mark(place, mark).ok_or(FrameError::Malformed)?,
                };
                self.start += 1;
                self.place = place;
                continue;
            }
            let Some(value) = self.take_value()? else {
                return Ok(None);
            };
            match self.place {
                Place::Key => {
                    self.field = Field::of(&self.buffer[value]);
                    self.place = Place::Colon;
                }
                Place::Item => {
                    self.place = Place::BehindItem;
                    return Ok(Some((Piece::Item, value)));
                }
                Place::Value => {
                    self.place = Place::BehindValue;
                    if self.field == Field::Metadata {
                        return Ok(Some((Piece::Metadata, value)));
                    }
                }
                _ => return Ok(Some((Piece::Event, value))),
            }
        }
        Ok(None)
    }

    /// Whether a value that is taken as a whole begins with `first`.
    fn is_at_value(&self, first: u8) -> bool {
        match (self.place, first) {
            (Place::Document, b'{') => self.form == Form::Events,
            (Place::Value, b'[') => self.field != Field::Items,
            (Place::Value, _) | (Place::Key, b'"') | (Place::Item, b'{') => true,
            _ => false,
        }
    }

    /// Whether nothing is half there: a watch ended between two events, a list behind its end.
    pub(super) fn is_whole(&self) -> bool {
        match self.form {
            Form::Events => self.buffer[self.start..].trim_ascii().is_empty(),
            Form::List => self.place == Place::End,
        }
    }

    /// The next byte that means something, unless a value is half there: then its first byte.
    fn skip_space(&mut self) -> Option<u8> {
        let rest = &self.buffer[self.start..];
        self.start += rest.len() - rest.trim_ascii_start().len();
        self.buffer.get(self.start).copied()
    }

    /// Where in the buffer the value is that begins here, and goes behind it; `None` where its end is still to come.
    fn take_value(&mut self) -> Result<Option<Range<usize>>, FrameError> {
        let rest = &self.buffer[self.start..];
        match self.scan.end(rest) {
            Some(0) => Err(FrameError::Malformed),
            None if rest.len() > MAX_FRAME_BYTES => Err(FrameError::TooLong),
            None => Ok(None),
            Some(length) => {
                let range = self.start..self.start + length;
                self.start = range.end;
                self.scan = Scan::default();
                Ok(Some(range))
            }
        }
    }
}

/// Where one is behind a mark of punctuation; `None` where it can't stand there.
fn after_mark(place: Place, mark: u8) -> Option<Place> {
    Some(match (place, mark) {
        (Place::Document, b'{') | (Place::BehindValue, b',') => Place::Key,
        (Place::Colon, b':') => Place::Value,
        (Place::BehindItem, b',') => Place::Item,
        (Place::Item | Place::BehindItem, b']') => Place::BehindValue,
        (Place::Key | Place::BehindValue, b'}') => Place::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// What comes out where `bytes` come in pieces of these lengths, the last of them again and again: each frame with a letter
    /// for what it is.
    fn split(
        form: Form,
        bytes: &[u8],
        lengths: &[usize],
    ) -> Result<(Vec<String>, bool), FrameError> {
        let mut splitter = Splitter::new(form);
        let mut frames = Vec::new();
        let mut rest = bytes;
        let mut lengths = lengths.iter().copied().map(|length| length.max(1));
        let mut length = 1;
        while !rest.is_empty() {
            length = lengths.next().unwrap_or(length);
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            splitter.push(piece);
            rest = behind;
            while let Some(frame) = splitter.next()? {
                let (letter, bytes) = match frame {
                    Frame::Event(bytes) => ('e', bytes),
                    Frame::Item(bytes) => ('i', bytes),
                    Frame::Metadata(bytes) => ('m', bytes),
                };
                frames.push(format!("{letter}{}", String::from_utf8_lossy(bytes)));
            }
        }
        Ok((frames, splitter.is_whole()))
    }

    #[track_caller]
    fn check(form: Form, text: &str, expected: &[&str], is_whole: bool) {
        let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        for lengths in [vec![usize::MAX], vec![1], vec![3, 7]] {
            let found = split(form, text.as_bytes(), &lengths);
            assert_eq!(found, Ok((expected.clone(), is_whole)), "{text}");
        }
    }

    #[test]
    fn a_list_comes_item_by_item() {
        check(
            Form::List,
            r#"{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"a":"]"},{"b":[]}]}"#,
            &[
                r#"m{"resourceVersion":"7"}"#,
                r#"i{"a":"]"}"#,
                r#"i{"b":[]}"#,
            ],
            true,
        );
        check(
            Form::List,
            "{\"items\": [ ] , \"x\":1,\"metadata\":{} }\n",
            &["m{}"],
            true,
        );
        check(Form::List, r#"{"items":null}"#, &[], true);
        check(
            Form::List,
            r#"{"items":[{"a":1},{"b"#,
            &[r#"i{"a":1}"#],
            false,
        );
        check(Form::List, r#"{"items":[{"a":1}]"#, &[r#"i{"a":1}"#], false);
        check(Form::List, "", &[], false);
    }

    #[test]
    fn a_watch_comes_event_by_event() {
        check(
            Form::Events,
            "{\"type\":\"ADDED\"}\n{\"type\":\"DELETED\"}\n",
            &[r#"e{"type":"ADDED"}"#, r#"e{"type":"DELETED"}"#],
            true,
        );
        check(Form::Events, "{\"type\":\"AD", &[], false);
        check(Form::Events, "", &[], true);
    }

    #[test]
    fn what_is_something_else_is_refused() {
        let refused = |form, text: &str| split(form, text.as_bytes(), &[usize::MAX]);
        for text in [
            "<html>",
            "[]",
            "{\"items\":[1]}",
            "{\"items\" []}",
            "{]",
            "{}{}",
        ] {
            assert_eq!(
                refused(Form::List, text),
                Err(FrameError::Malformed),
                "{text}"
            );
        }
        assert_eq!(refused(Form::Events, "404"), Err(FrameError::Malformed));
        let endless = format!("{{\"items\":[{{\"a\":\"{}", "x".repeat(MAX_FRAME_BYTES));
        assert_eq!(refused(Form::List, &endless), Err(FrameError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_mean_the_same_and_never_panic(
            bytes in vec(prop_oneof![
                Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b':'), Just(b','),
                Just(b' '), Just(b'\n'), any::<u8>(),
            ], 0..64),
            lengths in vec(1_usize..9, 1..8),
        ) {
            for form in [Form::Events, Form::List] {
                let whole = split(form, &bytes, &[usize::MAX]);
                let pieces = split(form, &bytes, &lengths);
                prop_assert_eq!(whole.is_err(), pieces.is_err());
                if whole.is_ok() {
                    prop_assert_eq!(whole, pieces);
                }
            }
        }

        /// `serde_json` finds the same items.
        #[test]
        fn a_list_has_the_items_that_were_written(
            texts in vec(any::<String>(), 0..6),
            lengths in vec(1_usize..40, 1..8),
        ) {
            let items: Vec<_> = texts.iter().map(|text| serde_json::json!({ text: [text, {"a": text}] })).collect();
            let list = serde_json::json!({"items": items, "kind": "PodList"}).to_string();
            let (frames, is_whole) = split(Form::List, list.as_bytes(), &lengths).expect("JSON");
            prop_assert!(is_whole);
            let found: Vec<serde_json::Value> = frames
                .iter()
                .filter_map(|frame| frame.strip_prefix('i'))
                .map(|item| serde_json::from_str(item).expect("JSON"))
                .collect();
            prop_assert_eq!(found, items);
        }
    }
}
