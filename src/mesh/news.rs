//! What is to be said of the mesh otherwise than before.

use super::change::Kept;
use crate::diagnostic::Diagnostic;

/// What changed of [`Mesh::diagnostics`](super::Mesh::diagnostics) since it was last asked, but for endpoints that are
/// names.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// What is said once more than before.
    pub said: Vec<Diagnostic>,
    /// What is said once less.
    pub withdrawn: Vec<Diagnostic>,
    /// Objects that were kept in their last good version and can be used again, as they were kept.
    pub mended: Vec<Kept>,
}

impl News {
    /// Notes what is said otherwise `after` than `before`; both are sorted.
    pub(super) fn compare(&mut self, before: Vec<Diagnostic>, after: &[Diagnostic]) {
        let mut after = after.iter().peekable();
        for diagnostic in before {
            while let Some(fresh) = after.next_if(|other| **other < diagnostic) {
                self.said.push(fresh.clone());
            }
            if after.next_if(|other| **other == diagnostic).is_none() {
                self.withdrawn.push(diagnostic);
            }
        }
        self.said.extend(after.cloned());
    }
}
