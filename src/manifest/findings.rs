//! Collects what is wrong with one object, and asks values for their types on the way.
//!
//! All problems of an object are collected, not the first alone. A problem names its value by number: the place is
//! found afterwards, only if there is one.

use std::{borrow::Cow, fmt::Display};

use super::value::{Entry, Fields, Node, NodeId, Value, quoted};
use crate::diagnostic::{Code, Severity, code};

/// How many problems of one object are shown.
const MAX_SHOWN: usize = 100;

/// One problem of an object.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) at: NodeId,
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) message: String,
}

/// What is wrong with one object.
#[derive(Debug, Default)]
pub(super) struct Findings {
    shown: Vec<Problem>,
    left_out: usize,
    has_error: bool,
}

impl Findings {
    /// Whether the object can't be used.
    pub(super) fn has_error(&self) -> bool {
        self.has_error
    }

    /// Whether one of the errors that are shown is about the value or key `id`.
    pub(super) fn refuses(&self, id: NodeId) -> bool {
        self.shown
            .iter()
            .any(|problem| problem.severity == Severity::Error && problem.at == id)
    }

    /// Whether an error is among the problems that are shown, whether or not the object can be used.
    pub(super) fn shows_error(&self) -> bool {
        let severities = self.shown.iter().map(|problem| problem.severity);
        severities.max() == Some(Severity::Error)
    }

    /// The problems, with a word about those that are not shown.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        if let Some(last) = self.shown.last().filter(|_| self.left_out > 0) {
            let message = format!(
                "{} more problems in this object are not shown",
                self.left_out
            );
            let severity = if self.has_error || self.shows_error() {
                Severity::Error
            } else {
                Severity::Warning
            };
            self.shown.push(Problem {
                at: last.at,
                severity,
                code: code::MORE_PROBLEMS,
                message,
            });
        }
        self.shown
    }

    /// The object can't be used.
    pub(super) fn error(&mut self, at: NodeId, code: Code, message: impl Into<String>) {
        self.has_error = true;
        self.push(at, Severity::Error, code, message);
    }

    /// A value can't be read, and the object is used with what the value was before.
    pub(super) fn unread(&mut self, at: NodeId, code: Code, message: impl Into<String>) {
        self.push(at, Severity::Error, code, message);
    }

    /// The object is used, but probably not as it was meant.
    pub(super) fn warning(&mut self, at: NodeId, code: Code, message: impl Into<String>) {
        self.push(at, Severity::Warning, code, message);
    }

    /// Something worth knowing, and no mistake.
    pub(super) fn info(&mut self, at: NodeId, code: Code, message: impl Into<String>) {
        self.push(at, Severity::Info, code, message);
    }

    fn push(&mut self, at: NodeId, severity: Severity, code: Code, message: impl Into<String>) {
        if self.shown.len() < MAX_SHOWN {
            self.shown.push(Problem {
                at,
                severity,
                code,
                message: message.into(),
            });
        } else {
            self.left_out += 1;
        }
    }

    /// The fields of a value that must be a mapping; `what` names it in the message.
    pub(super) fn fields<'t>(&mut self, node: &Node<'t>, what: impl Display) -> Option<Fields<'t>> {
        let fields = node.as_fields();
        if fields.is_none() {
            self.wrong_type(node, &what, "a mapping");
        }
        fields
    }

    /// The items of a value that must be a list.
    pub(super) fn items<'t>(
        &mut self,
        node: &Node<'t>,
        what: impl Display,
    ) -> Option<&'t [Node<'t>]> {
        if let Value::List(items) = node.value {
            return Some(items);
        }
        self.wrong_type(node, &what, "a list");
        None
    }

    /// The text of a value that must be one.
    pub(super) fn text<'t>(&mut self, node: &Node<'t>, what: impl Display) -> Option<&'t str> {
        let text = node.as_text();
        if text.is_none() {
            let wanted = match node.value {
                Value::Bool(_) => {
                    "a text: quote it (Kubernetes reads yes, no, on, off, y and n as booleans)"
                }
                Value::Int(_) | Value::Float(_) => "a text: quote it",
                _ => "a text",
            };
            self.wrong_type(node, &what, wanted);
        }
        text
    }

    /// The number of a value that must be a whole one; one that is out of any field's range is `i64::MAX`.
    pub(super) fn integer(&mut self, node: &Node<'_>, what: impl Display) -> Option<i64> {
        if let Some(number) = node.as_whole() {
            return Some(number);
        }
        match node.value {
            Value::Text(_) => self.wrong_type(node, &what, "a number (without quotes)"),
            _ => self.wrong_type(node, &what, "a whole number"),
        }
        None
    }

    /// The entries of a value that must be a mapping of texts to texts, those alone that are.
    pub(super) fn texts<'t>(
        &mut self,
        node: &Node<'t>,
        what: &str,
    ) -> Option<Cow<'t, [Entry<'t>]>> {
        let entries = self.fields(node, what)?.entries;
        let is_text = |entry: &&Entry<'_>| entry.value.as_text().is_some();
        if entries.iter().all(|entry| is_text(&entry)) {
            return Some(Cow::Borrowed(entries));
        }
        for entry in entries {
            self.text(
                &entry.value,
                format_args!("{} in {what}", quoted(entry.key.text)),
            );
        }
        Some(entries.iter().filter(is_text).copied().collect())
    }

    /// Warns of fields that are not `known`.
    pub(super) fn check_known(&mut self, fields: Fields<'_>, known: &[&str]) {
        for entry in fields.entries {
            if !known.contains(&entry.key.text) {
                let field = quoted(entry.key.text);
                let message = match nearest(entry.key.text, known) {
                    Some(name) => format!("unknown field {field}; did you mean `{name}`?"),
                    None => format!("unknown field {field}: it is ignored"),
                };
                self.warning(entry.key.id, code::UNKNOWN_FIELD, message);
            }
        }
    }

    /// Refuses more than `limit` items.
    pub(super) fn check_count(&mut self, at: NodeId, count: usize, limit: usize, what: &str) {
        if count > limit {
            self.error(
                at,
                code::TOO_MANY,
                format!("{what} has {count} entries: {limit} is the most"),
            );
        }
    }

    /// Refuses a text of more than `limit` characters.
    pub(super) fn check_length(
        &mut self,
        at: NodeId,
        text: &str,
        limit: usize,
        what: impl Display,
    ) {
        if text.len() > limit && text.chars().count() > limit {
            let count = text.chars().count();
            self.error(
                at,
                code::TOO_LONG,
                format!("{what} has {count} characters: {limit} is the most"),
            );
        }
    }

    #[cold]
    fn wrong_type(&mut self, node: &Node<'_>, what: &dyn Display, wanted: &str) {
        if node.value == Value::Null {
            self.error(
                node.id,
                code::NULL,
                format!("{what} is null: give it a value or leave it out"),
            );
        } else {
            let message = format!("{what} is {}, but must be {wanted}", node.describe());
            self.error(node.id, code::WRONG_TYPE, message);
        }
    }
}

/// The name out of `known` that `text` was probably meant to be.
pub(super) fn nearest<'k>(text: &str, known: &[&'k str]) -> Option<&'k str> {
    // Nobody means one of our names with a text of this size, and the comparison takes time.
    if text.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let text = plain(text);
    let distance = |name: &str| strsim::damerau_levenshtein(&text, &plain(name));
    let (distance, name) = known.iter().map(|name| (distance(name), *name)).min()?;
    (distance * 3 <= name.len().min(text.len())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(
            nearest(text, &["address", "ports", "labels", "exportTo"]),
            expected
        );
    }

    #[test]
    fn finds_the_name_that_was_meant() {
        check("adress", Some("address"));
        check("addresses", Some("address"));
        check("port", Some("ports"));
        check("export_to", Some("exportTo"));
        check("colour", None);
        check("", None);
        check(&"a".repeat(1000), None);
    }
}
