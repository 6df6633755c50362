//! The syntax of label keys and values, and of annotation keys (Istio's `pkg/config/labels`, Kubernetes' `validation.IsQualifiedName`).

use super::{
    findings::Findings,
    host::{is_label, is_lowercase_subdomain},
    value::{Entry, quoted},
};
use crate::diagnostic::code;

/// The longest name part of a key and the longest value, in characters.
const MAX_NAME: usize = 63;

/// The longest prefix of a key, in characters.
const MAX_PREFIX: usize = 253;

/// Who judges a label.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Judge {
    /// Istio's webhook: labels inside a spec.
    Istio,
    /// The API server: `metadata.labels`, whose prefixes are lower case.
    Kubernetes,
}

/// Refuses malformed labels.
pub(super) fn check(findings: &mut Findings, labels: &[Entry<'_>], judge: Judge) {
    for Entry { key, value } in labels {
        if !is_key(key.text, judge) {
            let key_text = quoted(key.text);
            let message = format!(
                "the label key {key_text} is malformed: write `name` or `prefix.example/name`, with a name of at most \
                 {MAX_NAME} letters, digits, `-`, `_` and `.`"
            );
            findings.error(key.id, code::LABEL, message);
        }
        let text = value.as_text().unwrap_or_default();
        if !is_value(text) {
            let message = format!(
                "the label value {} is malformed: use at most {MAX_NAME} letters, digits, `-`, `_` and `.`, with a \
                 letter or digit at both ends",
                quoted(text)
            );
            findings.error(value.id, code::LABEL, message);
        }
    }
}

/// Keys and values of labels, in which null stands for an empty text.
pub(super) fn texts<'t>(
    labels: &[Entry<'t>],
) -> impl DoubleEndedIterator<Item = (&'t str, &'t str)> {
    let text = |label: &Entry<'t>| label.value.as_text().unwrap_or_default();
    labels
        .iter()
        .map(move |label| (label.key.text, text(label)))
}

/// The value of the label `key`.
pub(super) fn get<'t>(labels: &[Entry<'t>], key: &str) -> Option<&'t str> {
    texts(labels)
        .rev()
        .find_map(|(other, value)| (other == key).then_some(value))
}

/// Whether an annotation can have this key: the API server takes upper case for lower case.
pub(super) fn is_annotation_key(key: &str) -> bool {
    is_key(key, Judge::Kubernetes) || is_key(&key.to_ascii_lowercase(), Judge::Kubernetes)
}

/// Whether a label that a selector sees can have this key.
pub(super) fn is_label_key(key: &str) -> bool {
    is_key(key, Judge::Istio)
}

fn is_key(key: &str, judge: Judge) -> bool {
    if is_name(key) {
        return true;
    }
    let Some((prefix, name)) = key.rsplit_once('/') else {
        return false;
    };
    is_name(name)
        && match judge {
            Judge::Istio => prefix.len() <= MAX_PREFIX && prefix.split('.').all(is_label),
            Judge::Kubernetes => is_lowercase_subdomain(prefix),
        }
}

/// Whether a label can have this value.
pub(super) fn is_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

fn is_name(name: &str) -> bool {
    /// Whether a byte may stand within a name.
    const FITS: [bool; 256] = {
        let mut fits = [false; 256];
        let mut byte = 0_u8;
        while byte < u8::MAX {
            fits[byte as usize] =
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            byte += 1;
        }
        fits
    };
    let bytes = name.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= MAX_NAME
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| FITS[usize::from(*byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_keys() {
        let long = "a".repeat(64);
        for (key, expected) in [
            ("app", true),
            ("app.kubernetes.io/name", true),
            ("a_b.c-d", true),
            ("", false),
            ("/a", false),
            ("a/", false),
            ("a/b/c", false),
            ("bad key!", false),
            (".", false),
            (&long, false),
        ] {
            assert_eq!(is_key(key, Judge::Istio), expected, "{key}");
            assert_eq!(is_key(key, Judge::Kubernetes), expected, "{key}");
        }
        assert!(is_key("A.io/b", Judge::Istio));
        assert!(!is_key("A.io/b", Judge::Kubernetes));
        assert!(is_annotation_key("A.io/b"));
        assert!(!is_annotation_key("a b"));
    }

    #[test]
    fn knows_values() {
        for (value, expected) in [
            ("", true),
            ("v1.2_a-b", true),
            ("a b", false),
            ("-x-", false),
            ("~", false),
        ] {
            assert_eq!(is_value(value), expected, "{value}");
        }
    }
}
