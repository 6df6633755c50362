//! The syntax of host names, as Istio's webhook has it (`pkg/config/validation/agent`), and of Kubernetes' names.

use super::value::quoted;
use crate::diagnostic::{Code, code};

/// The longest host in characters; a DNS message carries two fewer.
const MAX_HOST: usize = 255;

/// The longest label in characters ([RFC 1035 §2.3.4]).
///
/// [RFC 1035 §2.3.4]: https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
const MAX_LABEL: usize = 63;

/// Why a text is not a host name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HostError<'t> {
    Empty,
    TooLong,
    Label(&'t str),
    Numeric(&'t str),
}

impl HostError<'_> {
    /// The rule that a `ServiceEntry`'s host breaks.
    pub(super) fn code(self) -> Code {
        match self {
            Self::Empty | Self::TooLong => code::HOST_LENGTH,
            Self::Label(_) => code::HOST_LABEL,
            Self::Numeric(_) => code::HOST_NUMERIC,
        }
    }

    /// What is wrong with `host` and what to do.
    pub(super) fn explain(self, host: &str) -> String {
        let host = quoted(host);
        match self {
            Self::Empty => "is empty: write a host name".to_owned(),
            Self::TooLong => format!("{host} has more than {MAX_HOST} characters: shorten it"),
            Self::Label("") => format!("{host} has an empty label: write one dot between labels"),
            Self::Label(label) if label.len() > MAX_LABEL => {
                format!(
                    "{host} has a label of {} characters: {MAX_LABEL} is the most",
                    label.chars().count()
                )
            }
            Self::Label(label) if label.contains('*') => {
                format!(
                    "{host} has the label {}: `*` can only begin the first label of a host",
                    quoted(label)
                )
            }
            Self::Label(label) => format!(
                "{host} has the label {}: use letters, digits and `-`, with a letter or digit at both ends",
                quoted(label)
            ),
            Self::Numeric(label) => format!(
                "{host} ends with the number {}: a name must not",
                quoted(label)
            ),
        }
    }
}

/// Checks a name without wildcard, such as `db.example.com`.
pub(super) fn check_name(text: &str) -> Result<(), HostError<'_>> {
    check_length(text)?;
    check_labels(text)
}

/// Checks a name that may begin with a wildcard: `*.example.com`, `*shop.example.com`.
pub(super) fn check_host(text: &str) -> Result<(), HostError<'_>> {
    check_length(text)?;
    let (first, rest) = text
        .split_once('.')
        .map_or((text, None), |(first, rest)| (first, Some(rest)));
    let label = first
        .strip_prefix("*-")
        .or_else(|| first.strip_prefix('*'))
        .unwrap_or(first);
    if first.len() > MAX_LABEL || (first != "*" && !is_label(label)) {
        return Err(HostError::Label(first));
    }
    rest.map_or(Ok(()), check_labels)
}

fn check_length(text: &str) -> Result<(), HostError<'_>> {
    match text.len() {
        0 => Err(HostError::Empty),
        1..=MAX_HOST => Ok(()),
        _ => Err(HostError::TooLong),
    }
}

fn check_labels(text: &str) -> Result<(), HostError<'_>> {
    let last = text.rsplit('.').next().unwrap_or_default();
    // Go's `Atoi` decides what a number is: it fails where one is too large.
    if last.parse::<i64>().is_ok() {
        return Err(HostError::Numeric(last));
    }
    // One dot at the end is allowed.
    let labels = if last.is_empty() {
        text.strip_suffix('.')
    } else {
        Some(text)
    };
    match labels
        .into_iter()
        .flat_map(|labels| labels.split('.'))
        .find(|label| !is_label(label))
    {
        Some(label) => Err(HostError::Label(label)),
        None => Ok(()),
    }
}

/// Whether `text` is a DNS label in Istio's eyes (upper case allowed).
pub(super) fn is_label(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    (1..=MAX_LABEL).contains(&bytes.len())
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Whether `text` is a DNS label in Kubernetes' eyes (RFC 1123, lower case).
pub(super) fn is_lowercase_label(text: &str) -> bool {
    is_label(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether `text` is a DNS subdomain in Kubernetes' eyes: lower-case labels, of any length, and 253 characters at most.
pub(super) fn is_lowercase_subdomain(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // A dot, or the end, stands behind a letter or digit, and what begins a label is one too.
    let mut begins = true;
    let mut last = b'.';
    for byte in text.bytes() {
        let fits = match byte {
            b'.' => is_alphanumeric(last),
            b'-' => !begins,
            _ => is_alphanumeric(byte),
        };
        if !fits {
            return false;
        }
        begins = byte == b'.';
        last = byte;
    }
    text.len() <= 253 && is_alphanumeric(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, expected: Result<(), HostError<'_>>) {
        assert_eq!(check_host(host), expected);
    }

    #[test]
    fn takes_what_istio_takes() {
        for host in [
            "a",
            "a.test",
            "A.Test",
            "a.test.",
            "*.a.test",
            "*shop.test",
            "*-shop.test",
            "1.a",
            "123",
            "*.",
        ] {
            check(host, Ok(()));
        }
        check("1.1.1.1.", Ok(()));
        check("a.99999999999999999999", Ok(()));
        check(&format!("{}.test", "a".repeat(63)), Ok(()));
    }

    #[test]
    fn refuses_what_istio_refuses() {
        check("", Err(HostError::Empty));
        check("-a.test", Err(HostError::Label("-a")));
        check(".a.test", Err(HostError::Label("")));
        check("foo*.test", Err(HostError::Label("foo*")));
        check("**.test", Err(HostError::Label("**")));
        check("a_b.test", Err(HostError::Label("a_b")));
        check("a.*.test", Err(HostError::Label("*")));
        check("a..test", Err(HostError::Label("")));
        check("a.test..", Err(HostError::Label("")));
        check("a.b_c.test", Err(HostError::Label("b_c")));
        check("é.test", Err(HostError::Label("é")));
        check("10.1.2.3", Err(HostError::Numeric("3")));
        check("db.5432", Err(HostError::Numeric("5432")));
        let long = "a".repeat(64);
        check(&long, Err(HostError::Label(&long)));
        check(
            &format!("{}test", "a.".repeat(126)),
            Err(HostError::TooLong),
        );
    }

    #[test]
    fn names_have_no_wildcard() {
        assert_eq!(check_name("db.test"), Ok(()));
        assert_eq!(check_name("*.test"), Err(HostError::Label("*")));
        assert_eq!(check_name("10.0.0.256"), Err(HostError::Numeric("256")));
        assert_eq!(check_name("5"), Err(HostError::Numeric("5")));
        assert_eq!(check_name("."), Err(HostError::Label("")));
    }

    #[test]
    fn knows_kubernetes_names() {
        assert!(is_lowercase_subdomain("svc-1.a"));
        assert!(is_lowercase_subdomain(&"a".repeat(100)));
        for name in ["", "a_b", "A", "a.", ".a", "-a", "a-"] {
            assert!(!is_lowercase_subdomain(name), "{name}");
        }
        assert!(!is_lowercase_subdomain(&"a".repeat(254)));
        assert!(is_lowercase_label("ns-1"));
        assert!(!is_lowercase_label("Ns"));
        assert!(!is_lowercase_label("a.b"));
    }
}
