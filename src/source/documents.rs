//! Parses a file's documents, in a large file only those that changed.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use foldhash::quality::FixedState;
use rayon::prelude::*;

use crate::manifest::{self, Contents, RawDocument};

/// From this size on, in bytes, a file's documents are remembered one by one. Below, parsing all of them is quick, and
/// memory for a second copy of every object would be wasted.
const LARGE_FILE_BYTES: usize = 256 << 10;

/// The documents of a large file as they were parsed, by their text and place.
#[derive(Debug, Default)]
pub(super) struct Documents(HashMap<u64, Contents>);

/// A parsed file.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) contents: Contents,
    /// For the next time; `None` where the file is small.
    pub(super) documents: Option<Documents>,
    /// How many documents were not among the known ones.
    pub(super) fresh: usize,
}

/// Parses a file, but not the documents that are `known`.
///
/// A document that moved to another line or number is parsed again: its diagnostics say where it stands.
pub(super) fn parse(file: &Arc<str>, text: &str, known: Option<&Documents>) -> Parsed {
    if text.len() < LARGE_FILE_BYTES {
        let contents = manifest::parse(file, text);
        let fresh = contents.documents.len();
        return Parsed {
            contents,
            documents: None,
            fresh,
        };
    }
    let parse_one = |raw: &RawDocument<'_>| {
        let key = key_of(raw);
        match known.and_then(|known| known.0.get(&key)) {
            Some(contents) => (key, contents.clone(), 0),
            None => (key, manifest::parse_document(file, raw), 1),
        }
    };
    let parsed: Vec<(u64, Contents, usize)> =
        manifest::split(text).par_iter().map(parse_one).collect();
    let mut all = Parsed {
        contents: Contents::default(),
        documents: Some(Documents::default()),
        fresh: 0,
    };
    for (key, contents, fresh) in parsed {
        all.fresh += fresh;
        all.contents
            .documents
            .extend(contents.documents.iter().cloned());
        all.contents
            .diagnostics
            .extend(contents.diagnostics.iter().cloned());
        let documents = all.documents.get_or_insert_default();
        documents.0.insert(key, contents);
    }
    all
}

/// A digest of a file's or a document's bytes.
pub(super) fn digest_of(bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

fn key_of(raw: &RawDocument<'_>) -> u64 {
    let mut hasher = FixedState::with_seed(1).build_hasher();
    hasher.write(raw.text.as_bytes());
    for place in [raw.number, raw.line, raw.indent] {
        hasher.write_u32(place);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn mesh(address_of_the_last: &str) -> String {
        let mut text = String::new();
        for number in 0..2_000 {
            let address = if number == 1_999 {
                address_of_the_last
            } else {
                "10.0.0.1"
            };
            write!(
                text,
                "---\nkind: WorkloadEntry\napiVersion: networking.istio.io/v1\n\
                 metadata:\n  name: vm{number}\n  labels: {{app: reviews, version: v1}}\n\
                 spec:\n  address: {address}\n  labels: {{app: reviews}}\n"
            )
            .expect("a string takes everything");
        }
        text
    }

    #[test]
    fn an_unchanged_document_is_not_parsed_again_and_reads_the_same() {
        let file: Arc<str> = "mesh.yaml".into();
        let first = parse(&file, &mesh("10.0.0.1"), None);
        assert_eq!(first.fresh, 2_000);
        let text = mesh("10.0.0.2");
        let second = parse(&file, &text, first.documents.as_ref());
        assert_eq!(second.fresh, 1);
        assert_eq!(second.contents, manifest::parse(&file, &text));
    }
}
