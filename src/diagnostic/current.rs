//! All that there is to say at present, at the cost of what changes.

use std::{
    collections::{BTreeMap, HashSet},
    ops::AddAssign,
    sync::Arc,
};

use super::{Diagnostic, Severity};

/// Diagnostics sorted by place, each once, however many say it.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// With the number of those who say it.
    said: BTreeMap<Arc<Diagnostic>, u32>,
    counts: SeverityCounts,
}

/// How many diagnostics there are of each severity.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SeverityCounts {
    /// Of [`Severity::Error`].
    pub errors: usize,
    /// Of [`Severity::Warning`].
    pub warnings: usize,
    /// Of [`Severity::Info`].
    pub infos: usize,
}

/// What is said otherwise than before, in no order.
#[derive(Clone, Debug, Default)]
pub struct DiagnosticChanges {
    /// What nobody said before.
    pub appeared: Vec<Arc<Diagnostic>>,
    /// What nobody says any more.
    pub withdrawn: Vec<Arc<Diagnostic>>,
}

impl Diagnostics {
    /// Takes in what is `said` once more and what is `withdrawn` once, which was said before.
    pub fn replace(
        &mut self,
        said: Vec<Diagnostic>,
        withdrawn: &[Diagnostic],
    ) -> DiagnosticChanges {
        let mut appeared = Vec::new();
        for diagnostic in said {
            if let Some(count) = self.said.get_mut(&diagnostic) {
                *count += 1;
                continue;
            }
            self.counts.add(diagnostic.severity);
            let diagnostic = Arc::new(diagnostic);
            self.said.insert(diagnostic.clone(), 1);
            appeared.push(diagnostic);
        }
        let fresh: HashSet<*const Diagnostic> = if withdrawn.is_empty() {
            HashSet::new()
        } else {
            appeared.iter().map(Arc::as_ptr).collect()
        };
        let mut gone = Vec::new();
        for diagnostic in withdrawn {
            let count = self.said.get_mut(diagnostic);
            let count = count.expect("what is withdrawn was said");
            *count -= 1;
            if *count == 0 {
                *self.counts.of(diagnostic.severity) -= 1;
                let entry = self.said.remove_entry(diagnostic);
                gone.extend(entry.map(|(diagnostic, _)| diagnostic));
            }
        }
        let was_fresh = |diagnostic: &Arc<Diagnostic>| fresh.contains(&Arc::as_ptr(diagnostic));
        if gone.iter().any(was_fresh) {
            appeared.retain(|diagnostic| self.said.contains_key(&**diagnostic));
            gone.retain(|diagnostic| !was_fresh(diagnostic));
        }
        DiagnosticChanges {
            appeared,
            withdrawn: gone,
        }
    }

    /// All of them, sorted by place.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.said.keys().map(|diagnostic| &**diagnostic)
    }

    /// How many there are of each severity.
    pub fn counts(&self) -> SeverityCounts {
        self.counts
    }
}

impl AddAssign for SeverityCounts {
    fn add_assign(&mut self, more: Self) {
        self.errors += more.errors;
        self.warnings += more.warnings;
        self.infos += more.infos;
    }
}

impl SeverityCounts {
    /// Counts one more.
    pub(crate) fn add(&mut self, severity: Severity) {
        *self.of(severity) += 1;
    }

    fn of(&mut self, severity: Severity) -> &mut usize {
        match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
            Severity::Info => &mut self.infos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FilePlace, Origin, Position, code},
        *,
    };

    fn diagnostics(texts: &str) -> Vec<Diagnostic> {
        let origin = Origin::from(FilePlace {
            file: "a.yaml".into(),
            document: 1,
            position: Position::START,
        });
        let diagnostic = |text: &str| Diagnostic {
            origin: origin.clone(),
            severity: Severity::Warning,
            code: code::SYNTAX,
            message: text.to_owned(),
            object: None,
        };
        texts.split_whitespace().map(diagnostic).collect()
    }

    fn texts<'d>(diagnostics: impl Iterator<Item = &'d Diagnostic>) -> String {
        let texts: Vec<&str> = diagnostics.map(|said| &*said.message).collect();
        texts.join(" ")
    }

    #[test]
    fn tells_what_changed_in_the_end() {
        let mut all = Diagnostics::default();
        let mut check = |said: &str, withdrawn: &str, expected: [&str; 3]| {
            let changes = all.replace(diagnostics(said), &diagnostics(withdrawn));
            let found = [
                texts(changes.appeared.iter().map(|said| &**said)),
                texts(changes.withdrawn.iter().map(|said| &**said)),
                texts(all.iter()),
            ];
            assert_eq!(found, expected, "+ {said} - {withdrawn}");
            assert_eq!(all.counts().warnings, all.iter().len());
        };
        check("b a", "", ["b a", "", "a b"]);
        check("a", "b", ["", "b", "a"]);
        check("", "a", ["", "", "a"]);
        check("c", "a c", ["", "a", ""]);
        check("c c", "c", ["c", "", "c"]);
    }
}
