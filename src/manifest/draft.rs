//! What documents of a file say, while it is open what the file as a whole is.
//!
//! Owns how much of it is kept. A file may hold more documents, and more that is wrong with them, than anyone reads: of each
//! list the first so many are kept, and of the others how many there are.

use std::{mem, sync::Arc};

use super::{
    object::{Contents, Document, DocumentOutcome},
    stray::{Stray, StraySort},
};
use crate::diagnostic::{Diagnostic, FilePlace, Origin, Severity, SeverityCounts, code};

/// How many diagnostics of one file are kept, errors first; one more says how many there are besides.
const MAX_DIAGNOSTICS: usize = 1_000;

/// How many documents of one file are kept that can't be used and name no object; the others are kept as one.
pub(super) const MAX_NAMELESS: usize = 1_000;

/// How many objects of other kinds are kept of one file; the others are counted.
const MAX_IGNORED: usize = 1_000;

/// What documents of a file say, while it is open what the file as a whole is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    contents: Contents,
    strays: Vec<Stray>,
    counts: Counts,
    left_out: LeftOut,
}

/// How much a draft keeps.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    /// Objects of our kinds, rejected ones included.
    ours: usize,
    /// Documents that are no YAML or JSON, or a mere text, and no template.
    garbled: usize,
    /// Documents that can't be used and name no object, and those that are objects of other kinds.
    nameless: usize,
    ignored: usize,
    /// Diagnostics of documents that may belong to no manifest, by what those look like.
    of_strays: [usize; 3],
}

/// What a draft does not keep.
#[derive(Clone, Debug, Default, PartialEq)]
struct LeftOut {
    diagnostics: SeverityCounts,
    /// Diagnostics of documents that may belong to no manifest.
    of_strays: [usize; 3],
    nameless: Option<Nameless>,
}

/// Documents that can't be used and name no object, as one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Nameless {
    /// Where the first begins.
    pub(super) place: FilePlace,
    /// The sum of what tells each from others, in whatever order they stand.
    pub(super) digest: u64,
}

impl Draft {
    /// The documents that it keeps.
    pub fn documents(&self) -> &[Document] {
        &self.contents.documents
    }

    /// Whether it keeps all that it was told.
    pub fn is_whole(&self) -> bool {
        self.left_out == LeftOut::default() && self.contents.more_ignored == 0
    }

    /// Whether a document says nothing that any file of YAML or JSON would: the file may have been another a moment ago, as one
    /// that was cut, or that a web page took the place of.
    pub fn is_garbled(&self) -> bool {
        self.counts.garbled > 0
    }

    /// Whether it keeps nothing more of documents that are nothing of ours.
    pub fn is_full(&self) -> bool {
        let of_others = self.counts.of_strays[StraySort::Other as usize];
        self.counts.nameless >= MAX_NAMELESS && of_others >= MAX_DIAGNOSTICS
    }

    /// Moves what documents further down in the file say to the end of this draft, and leaves an empty one.
    pub fn append(&mut self, next: &mut Self) {
        let Self {
            contents,
            strays,
            counts,
            left_out,
        } = next;
        let counts = mem::take(counts);
        let has_room = self.counts.nameless + counts.nameless <= MAX_NAMELESS
            && self.counts.ignored + counts.ignored <= MAX_IGNORED;
        if has_room {
            self.contents.documents.append(&mut contents.documents);
            self.counts.nameless += counts.nameless;
            self.counts.ignored += counts.ignored;
        } else {
            for document in contents.documents.drain(..) {
                self.document(document);
            }
        }
        self.contents.more_ignored += mem::take(&mut contents.more_ignored);
        self.contents.diagnostics.append(&mut contents.diagnostics);
        self.shorten(2 * MAX_DIAGNOSTICS);
        for stray in strays.drain(..) {
            self.stray(stray);
        }
        self.counts.ours += counts.ours;
        self.counts.garbled += counts.garbled;
        let left_out = mem::take(left_out);
        self.left_out.diagnostics += left_out.diagnostics;
        for (all, more) in self.left_out.of_strays.iter_mut().zip(left_out.of_strays) {
            *all += more;
        }
        if let Some(more) = left_out.nameless {
            self.leave_out(more, 0);
        }
    }

    /// What the file holds; `has_more` where it has objects of our kinds that this draft does not hold.
    pub fn finish(mut self, has_more: bool) -> Contents {
        let of_strays = self.left_out.of_strays;
        let of = |sort: StraySort| of_strays[sort as usize];
        let is = |sort| move |stray: &Stray| stray.sort == sort;
        let mut strays = mem::take(&mut self.strays);
        let template = strays.iter().position(is(StraySort::Template));
        if let Some(template) = template {
            // In a template nothing else is to be expected than parts of it.
            let template = strays.swap_remove(template);
            strays.retain(is(StraySort::Ours));
            strays.push(template);
            self.left_out.diagnostics.errors += of(StraySort::Ours);
        } else if has_more || self.counts.ours > 0 || strays.iter().any(is(StraySort::Ours)) {
            self.left_out.diagnostics.errors += of(StraySort::Ours) + of(StraySort::Other);
        } else {
            strays.truncate(1);
            for stray in &mut strays {
                stray.tell_no_manifest();
            }
        }
        let told = strays.into_iter().flat_map(|stray| stray.diagnostics);
        self.contents.diagnostics.extend(told);
        self.shorten(MAX_DIAGNOSTICS);
        let Self {
            mut contents,
            left_out,
            ..
        } = self;
        contents.diagnostics.sort();
        if let Some(first) = contents.diagnostics.first()
            && let Origin::File(place) = &first.origin
            && let Some(told) = left_out.told(&place.file)
        {
            contents.diagnostics.insert(0, told);
        }
        if let Some(Nameless { place, digest }) = left_out.nameless {
            contents.documents.push(Document {
                place,
                outcome: DocumentOutcome::Rejected(None),
                digest,
            });
        }
        contents
    }

    /// Notes an object of our kinds, or what was meant as one.
    pub(super) fn count_ours(&mut self) {
        self.counts.ours += 1;
    }

    /// Notes a document that is no YAML or JSON, or a mere text, and no template.
    pub(super) fn count_garbled(&mut self) {
        self.counts.garbled += 1;
    }

    /// Takes in a document.
    pub(super) fn document(&mut self, document: Document) {
        match document.outcome {
            DocumentOutcome::Rejected(None) if self.counts.nameless >= MAX_NAMELESS => {
                let Document { place, digest, .. } = document;
                return self.leave_out(Nameless { place, digest }, 0);
            }
            DocumentOutcome::Ignored(_) if self.counts.ignored >= MAX_IGNORED => {
                self.contents.more_ignored += 1;
                return;
            }
            DocumentOutcome::Rejected(None) => self.counts.nameless += 1,
            DocumentOutcome::Ignored(_) => self.counts.ignored += 1,
            DocumentOutcome::Object(_) | DocumentOutcome::Rejected(Some(_)) => {}
        }
        self.contents.documents.push(document);
    }

    /// Takes in what is wrong with a document that belongs to a manifest.
    pub(super) fn diagnostics(&mut self, diagnostics: impl Iterator<Item = Diagnostic>) {
        self.contents.diagnostics.extend(diagnostics);
        self.shorten(2 * MAX_DIAGNOSTICS);
    }

    /// Takes in a document that may belong to no manifest.
    pub(super) fn stray(&mut self, stray: Stray) {
        let most = match stray.sort {
            StraySort::Ours | StraySort::Other => MAX_DIAGNOSTICS,
            // Of templates one is told.
            StraySort::Template => 1,
        };
        let kept = &mut self.counts.of_strays[stray.sort as usize];
        if *kept < most {
            *kept += stray.diagnostics.len().max(1);
            self.strays.push(stray);
        } else if stray.sort != StraySort::Template {
            self.left_out.of_strays[stray.sort as usize] += stray.diagnostics.len();
        }
    }

    /// Notes documents that can't be used and name no object, and so many `errors` that nobody is told one by one.
    pub(super) fn leave_out(&mut self, nameless: Nameless, errors: usize) {
        self.left_out.diagnostics.errors += errors;
        match &mut self.left_out.nameless {
            Some(all) => all.digest = all.digest.wrapping_add(nameless.digest),
            none => *none = Some(nameless),
        }
    }

    /// Notes a document that may belong to no manifest and of which nothing is kept.
    pub(super) fn leave_out_stray(&mut self, nameless: Nameless) {
        self.left_out.of_strays[StraySort::Other as usize] += 1;
        self.leave_out(nameless, 0);
    }

    /// Leaves out the least of what is wrong, where that is more than `limit`.
    fn shorten(&mut self, limit: usize) {
        let diagnostics = &mut self.contents.diagnostics;
        if diagnostics.len() <= limit {
            return;
        }
        diagnostics.sort_unstable_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.cmp(b)));
        for diagnostic in diagnostics.drain(MAX_DIAGNOSTICS..) {
            self.left_out.diagnostics.add(diagnostic.severity);
        }
    }
}

impl LeftOut {
    /// The diagnostic that says how many others of `file` are not told.
    fn told(&self, file: &Arc<str>) -> Option<Diagnostic> {
        let SeverityCounts {
            errors,
            warnings,
            infos,
        } = self.diagnostics;
        let counts = [
            (errors, Severity::Error, "error"),
            (warnings, Severity::Warning, "warning"),
            (infos, Severity::Info, "note"),
        ];
        let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
        let worst = counts.clone().map(|(_, severity, _)| severity).max()?;
        let counts = counts.map(|(count, _, word)| match count {
            1 => format!("1 more {word}"),
            _ => format!("{count} more {word}s"),
        });
        let counts: Vec<String> = counts.collect();
        Some(Diagnostic {
            origin: FilePlace::whole(file.clone()).into(),
            severity: worst,
            code: code::MORE_IN_FILE,
            message: format!(
                "there is more to say of this file than is told: {}",
                counts.join(", ")
            ),
            object: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Position;

    const FILE: &str = "a.yaml";

    fn place(document: u32) -> FilePlace {
        FilePlace {
            file: FILE.into(),
            document,
            position: Position::START,
        }
    }

    fn diagnostic(document: u32, severity: Severity) -> Diagnostic {
        Diagnostic {
            origin: place(document).into(),
            severity,
            code: code::NO_KIND,
            message: String::new(),
            object: None,
        }
    }

    fn of_document(document: u32, severity: Severity) -> Draft {
        let mut draft = Draft::default();
        let diagnostic = diagnostic(document, severity);
        draft.document(Document {
            place: place(document),
            outcome: DocumentOutcome::Rejected(None),
            digest: u64::from(document),
        });
        draft.diagnostics(std::iter::once(diagnostic));
        draft.count_ours();
        draft
    }

    /// What a file of so many documents comes to that is read in parts of so many.
    fn finish(documents: u32, part: u32) -> Contents {
        let mut whole = Draft::default();
        for first in (1..=documents).step_by(part as usize) {
            let mut draft = Draft::default();
            for number in first..(first + part).min(documents + 1) {
                let severity = if number % 10 == 0 {
                    Severity::Error
                } else {
                    Severity::Warning
                };
                draft.append(&mut of_document(number, severity));
            }
            whole.append(&mut draft);
            assert_eq!(draft, Draft::default());
        }
        whole.finish(false)
    }

    #[test]
    fn keeps_errors_first_and_counts_the_others() {
        let contents = finish(5_000, 5_000);
        let [more, told @ ..] = &*contents.diagnostics else {
            panic!("nothing is told");
        };
        assert_eq!(
            (more.code, more.severity),
            (code::MORE_IN_FILE, Severity::Warning)
        );
        assert!(
            more.message.ends_with(": 4000 more warnings"),
            "{}",
            more.message
        );
        let errors = told.iter().filter(|told| told.severity == Severity::Error);
        assert_eq!((errors.count(), told.len()), (500, MAX_DIAGNOSTICS));
        assert!(told.is_sorted());
        assert_eq!(contents.documents.len(), MAX_NAMELESS + 1);
    }

    #[test]
    fn keeps_the_same_in_whatever_parts_a_file_is_read() {
        let whole = finish(5_000, 5_000);
        for part in [1, 7, 500] {
            assert_eq!(finish(5_000, part), whole, "{part}");
        }
        assert_eq!(finish(1_000, 1).diagnostics.len(), 1_000);
    }
}
