//! Parses a file's documents, but not those that say what they said.
//!
//! What objects say the mesh remembers; here is no more than a digest of each document.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use foldhash::quality::FixedState;
use rayon::prelude::*;

use crate::{
    diagnostic::{Diagnostic, Severity},
    manifest::{self, Decoder, Document, DocumentOutcome, Draft, RawDocument},
    mesh::Reading,
};

/// From this size on, in bytes, the parts of a file are parsed side by side.
const LARGE_FILE_BYTES: usize = 256 << 10;

/// How many documents a part holds, and how many documents are cut before they are parsed.
const DOCUMENTS_IN_PART: usize = 500;
const DOCUMENTS_AT_A_TIME: usize = 16 * DOCUMENTS_IN_PART;

/// Of how many documents without an object it is remembered what they said. A file with more of them is parsed as a whole
/// whenever it changes.
const MAX_WITHOUT_OBJECT: usize = 1_000;

/// What is remembered of a file's documents.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// A digest of the text and place of each; 0 for a list that holds anything but objects.
    digests: Box<[u64]>,
    /// What those said that hold no object, by their index.
    without_object: HashMap<usize, Draft>,
}

/// A parsed file.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) reading: Reading,
    /// For the next time.
    pub(super) documents: Documents,
    /// How many documents were parsed.
    pub(super) fresh: u64,
    /// Whether somebody meant it for a mesh: it holds an object of a mesh, a problem, or a template of some.
    pub(super) is_meant: bool,
    /// Whether a document of it says nothing that YAML or JSON says: what the file was to say is not known.
    pub(super) is_garbled: bool,
}

/// Parses a file, but not the documents that are `known`.
///
/// A document that moved to another line or number is parsed again: its diagnostics say where it stands.
///
/// # Errors
///
/// The diagnostic for a file of more than [`manifest::MAX_DOCUMENTS`].
pub(super) fn parse(
    file: &Arc<str>,
    text: &str,
    known: Option<&Documents>,
) -> Result<Parsed, Diagnostic> {
    let mut split = manifest::split(text);
    let mut all = Part::default();
    let mut count = 0;
    loop {
        let raw: Vec<_> = split.by_ref().take(DOCUMENTS_AT_A_TIME).collect();
        if raw.is_empty() {
            break;
        }
        if count + raw.len() > manifest::MAX_DOCUMENTS {
            return Err(manifest::too_many_documents(file));
        }
        let skims = all.draft.is_full();
        let parse = |start, raw: &[_]| {
            let part = if all.documents.is_some() {
                Part::default()
            } else {
                Part::without_memory()
            };
            part.parse(file, start, raw, known, skims)
        };
        let part = if text.len() < LARGE_FILE_BYTES {
            parse(count, &raw)
        } else {
            let parts = raw.par_chunks(DOCUMENTS_IN_PART).enumerate();
            parts
                .map(|(part, raw)| parse(count + part * DOCUMENTS_IN_PART, raw))
                .reduce(Part::default, Part::followed_by)
        };
        all = all.followed_by(part);
        count += raw.len();
    }
    let Part {
        draft,
        unchanged,
        documents,
        fresh,
    } = all;
    let documents = documents
        .filter(|_| draft.is_whole())
        .map(Documents::from)
        .unwrap_or_default();
    let is_garbled = draft.is_garbled();
    let contents = draft.finish(!unchanged.is_empty());
    let reading = if unchanged.is_empty() {
        Reading::Read(contents)
    } else {
        Reading::Amended {
            contents,
            unchanged,
        }
    };
    // A template says so itself.
    let is_meant = is_meant(&reading) || text.contains("{{");
    Ok(Parsed {
        reading,
        documents,
        fresh,
        is_meant,
        is_garbled,
    })
}

/// Whether a file holds an object of a mesh, or something that is worth a warning.
fn is_meant(reading: &Reading) -> bool {
    match reading {
        Reading::Read(contents) => {
            let names_object = |document: &Document| {
                let outcome = &document.outcome;
                matches!(
                    outcome,
                    DocumentOutcome::Object(_) | DocumentOutcome::Rejected(Some(_))
                )
            };
            let loud = |diagnostic: &Diagnostic| diagnostic.severity > Severity::Info;
            contents.diagnostics.iter().any(loud) || contents.documents.iter().any(names_object)
        }
        // What is unchanged are objects.
        _ => true,
    }
}

/// Documents that follow one another in a file.
#[derive(Debug)]
struct Part {
    draft: Draft,
    unchanged: Vec<u32>,
    /// `None` where too many documents hold no object.
    documents: Option<DocumentsSoFar>,
    fresh: u64,
}

/// What is to be remembered of documents, while others follow.
#[derive(Debug, Default)]
struct DocumentsSoFar {
    digests: Vec<u64>,
    without_object: HashMap<usize, Draft>,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            draft: Draft::default(),
            unchanged: Vec::new(),
            documents: Some(DocumentsSoFar::default()),
            fresh: 0,
        }
    }
}

impl From<DocumentsSoFar> for Documents {
    fn from(documents: DocumentsSoFar) -> Self {
        Self {
            digests: documents.digests.into(),
            without_object: documents.without_object,
        }
    }
}

impl Part {
    /// One that remembers nothing.
    fn without_memory() -> Self {
        Self {
            documents: None,
            ..Self::default()
        }
    }

    /// Parses `raw`, whose first is the file's document with index `start`; skims what is nothing of ours.
    fn parse(
        mut self,
        file: &Arc<str>,
        start: usize,
        raw: &[RawDocument<'_>],
        known: Option<&Documents>,
        skims: bool,
    ) -> Self {
        let part = &mut self;
        let mut decoder = Decoder::new(file);
        let mut draft = Draft::default();
        for (index, raw) in (start..).zip(raw) {
            let digest = key_of(raw);
            let known = known.filter(|known| known.digests.get(index) == Some(&digest));
            match known.map(|known| known.without_object.get(&index)) {
                Some(None) => {
                    part.unchanged.push(raw.number);
                    part.remember(index, digest, None);
                    continue;
                }
                Some(Some(known)) => draft.append(&mut known.clone()),
                None => {
                    part.fresh += 1;
                    if skims {
                        decoder.skim(raw, &mut draft);
                    } else {
                        decoder.read(raw, &mut draft);
                    }
                }
            }
            let documents = draft.documents();
            let is_object =
                |document: &&Document| matches!(document.outcome, DocumentOutcome::Object(_));
            let objects = documents.iter().filter(is_object).count();
            let is_mixed = objects > 0 && objects < documents.len();
            let without_object = (objects == 0).then_some(&draft);
            part.remember(index, if is_mixed { 0 } else { digest }, without_object);
            part.draft.append(&mut draft);
        }
        self
    }

    /// Notes what is to be remembered of the document with this index; `without_object` is what it says where it holds none.
    fn remember(&mut self, index: usize, digest: u64, without_object: Option<&Draft>) {
        let Some(documents) = &mut self.documents else {
            return;
        };
        documents.digests.push(digest);
        if let Some(draft) = without_object {
            documents.without_object.insert(index, draft.clone());
        }
        self.forget_too_much();
    }

    fn followed_by(mut self, mut next: Self) -> Self {
        self.draft.append(&mut next.draft);
        self.unchanged.extend(next.unchanged);
        self.fresh += next.fresh;
        self.documents = self.documents.zip(next.documents).map(|(mut all, next)| {
            all.digests.extend(next.digests);
            all.without_object.extend(next.without_object);
            all
        });
        self.forget_too_much();
        self
    }

    fn forget_too_much(&mut self) {
        let is_too_much =
            |documents: &DocumentsSoFar| documents.without_object.len() > MAX_WITHOUT_OBJECT;
        if self.documents.as_ref().is_some_and(is_too_much) {
            self.documents = None;
        }
    }
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
    use super::*;

    fn workload(name: &str, address: &str) -> String {
        format!(
            "---\nkind: WorkloadEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}}}\n\
             spec: {{address: {address}}}\n"
        )
    }

    /// Parses `first` and then `second`; tells which documents of that were known, and how many were not.
    #[track_caller]
    fn check(first: &str, second: &str, unchanged: &[u32], fresh: u64) {
        let file: Arc<str> = "mesh.yaml".into();
        let known = parse(&file, first, None).expect("few documents");
        assert_eq!(known.reading, Reading::Read(manifest::parse(&file, first)));
        let parsed = parse(&file, second, Some(&known.documents)).expect("few documents");
        let Reading::Amended {
            contents,
            unchanged: told,
        } = parsed.reading
        else {
            panic!("all of it was parsed again");
        };
        assert_eq!((&*told, parsed.fresh), (unchanged, fresh));
        let mut whole = manifest::parse(&file, second);
        whole
            .documents
            .retain(|document| !told.contains(&document.place.document));
        whole.diagnostics.retain(|diagnostic| {
            let place = diagnostic.origin.in_file().expect("it is of a file");
            !told.contains(&place.document)
        });
        assert_eq!(contents, whole);
    }

    #[test]
    fn only_what_changed_is_parsed() {
        let [a, b, c] = ["a", "b", "c"].map(|name| workload(name, "10.0.0.1"));
        let other = workload("b", "10.0.0.2");
        check(
            &[&*a, &b, &c].concat(),
            &[&*a, &other, &c].concat(),
            &[1, 3],
            1,
        );
        // What follows a longer document stands elsewhere.
        let longer = format!("{other}# more\n");
        check(
            &[&*a, &b, &c].concat(),
            &[&*a, &longer, &c].concat(),
            &[1],
            2,
        );
        check(&[&*a, &b].concat(), &a, &[1], 0);
        let many = |last| {
            (0..5_000)
                .map(|number| workload(&format!("vm{number}"), "10.0.0.1"))
                .chain([workload("z", last)])
                .collect::<String>()
        };
        let all: Vec<u32> = (1..=5_000).collect();
        check(&many("10.0.0.1"), &many("10.0.0.2"), &all, 1);
    }

    #[test]
    fn objects_behind_documents_without_number_are_found() {
        let file: Arc<str> = "mesh.yaml".into();
        let junk = "---\n{}\n".repeat(2 * DOCUMENTS_AT_A_TIME);
        let text = [&*junk, &workload("a", "10.0.0.1"), &junk].concat();
        let parsed = parse(&file, &text, None).expect("not too many");
        assert!(parsed.documents.digests.is_empty(), "all is forgotten");
        let Reading::Read(contents) = parsed.reading else {
            panic!("nothing was known");
        };
        let objects = contents.documents.iter();
        let objects =
            objects.filter(|document| matches!(document.outcome, DocumentOutcome::Object(_)));
        assert_eq!(objects.count(), 1);
        assert!(contents.documents.len() < 2_000 && contents.diagnostics.len() < 2_000);
    }

    #[test]
    fn what_is_no_object_is_remembered_as_it_was() {
        let broken = workload("b", "10.0.0.256");
        let [a, other] = ["10.0.0.1", "10.0.0.2"].map(|address| workload("a", address));
        let deployment = "---\napiVersion: apps/v1\nkind: Deployment\n";
        let list = "---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service}\n\
                    - {apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: c}, spec: {address: 10.0.0.3}}\n";
        check(
            &[&*a, &a, deployment, &broken, list].concat(),
            &[&*a, &other, deployment, &broken, list].concat(),
            &[1],
            2, // Of the list it is not known which items were objects.
        );
    }
}
