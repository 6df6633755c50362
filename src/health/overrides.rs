//! The override file: a person's word on endpoints, stronger than annotations.
//!
//! A list of lines, of which the last that matches an endpoint counts. A line whose `until` is over counts for nothing.

use std::{fmt, net::IpAddr, num::NonZeroU32, sync::Arc};

use serde::Deserialize;

use crate::{
    diagnostic::{Kind, ObjectKey},
    manifest::{Order, OrderedState, seconds_of},
};

/// How many lines a file may have.
const MAX_LINES: usize = 10_000;

/// The lines of an override file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    /// The file's name, as `explain` shows it.
    pub file: Arc<str>,
    /// In the file's order.
    pub lines: Vec<OverrideLine>,
}

/// One line of an override file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OverrideLine {
    /// Whom it is about.
    pub pattern: Pattern,
    /// What is to be done with them.
    pub order: Order,
    /// Its place in the list, counted from 1.
    pub number: usize,
}

/// Whom a line is about; `*` stands for any characters and `?` for one, but for `/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// `WorkloadEntry ns/name`, or `ServiceEntry ns/name/ADDRESS` for an inline endpoint.
    Object {
        /// The kind.
        kind: Kind,
        /// Of the namespace.
        namespace: Box<str>,
        /// Of the name.
        name: Box<str>,
        /// Of an inline endpoint's address.
        address: Option<Box<str>>,
        /// As written.
        text: Box<str>,
    },
    /// An address.
    Address(Box<str>),
}

/// Why an override file can't be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OverridesError {
    /// Which line of the list, counted from 1; `None` where the file as a whole is no list.
    pub number: Option<NonZeroU32>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for OverridesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "entry {number}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for OverridesError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    r#match: String,
    state: String,
    until: Option<String>,
    reason: Option<String>,
}

impl Overrides {
    /// Reads an override file.
    ///
    /// # Errors
    ///
    /// The first line that can't be used: a file that is wrong somewhere counts nowhere.
    pub fn parse(file: &str, text: &str) -> Result<Self, OverridesError> {
        let whole = |message: String| OverridesError {
            number: None,
            message,
        };
        let values: Option<Vec<serde_yaml::Value>> =
            serde_yaml::from_str(text).map_err(|error| whole(error.to_string()))?;
        let values = values.unwrap_or_default();
        if values.len() > MAX_LINES {
            return Err(whole(format!(
                "it has {} entries: {MAX_LINES} is the most",
                values.len()
            )));
        }
        let mut lines = Vec::with_capacity(values.len());
        for (number, value) in (1..).zip(values) {
            let line = line(number, value).map_err(|message| OverridesError {
                number: u32::try_from(number).ok().and_then(NonZeroU32::new),
                message,
            })?;
            lines.push(line);
        }
        Ok(Self {
            file: file.into(),
            lines,
        })
    }

    /// The line that counts at `now` for an endpoint of the object `key` with these addresses; `is_inline` where it stands in
    /// the object itself.
    pub fn find(
        &self,
        key: &ObjectKey,
        addresses: &[IpAddr],
        is_inline: bool,
        now: i64,
    ) -> Option<&OverrideLine> {
        let mut lines = self.lines.iter().rev();
        lines.find(|line| line.order.is_in_force(now) && line.matches(key, addresses, is_inline))
    }

    /// When the first line ends after `now`.
    pub fn next_end(&self, now: i64) -> Option<i64> {
        let ends = self.lines.iter().filter_map(|line| line.order.until);
        ends.filter(|end| *end > now).min()
    }

    /// Whether a line ends after `from`, and not after `to`.
    pub fn ends_between(&self, from: i64, to: i64) -> bool {
        let mut ends = self.lines.iter().filter_map(|line| line.order.until);
        ends.any(|end| end > from && end <= to)
    }
}

impl OverrideLine {
    /// Whether the line is about an endpoint of the object `key` with these addresses.
    pub fn matches(&self, key: &ObjectKey, addresses: &[IpAddr], is_inline: bool) -> bool {
        let is_address = |pattern: &str| {
            addresses
                .iter()
                .any(|address| matches_glob(pattern, &address.to_string()))
        };
        match &self.pattern {
            Pattern::Address(pattern) => is_address(pattern),
            Pattern::Object {
                kind,
                namespace,
                name,
                address,
                ..
            } => {
                *kind == key.kind
                    && address.is_some() == is_inline
                    && matches_glob(namespace, &key.namespace)
                    && matches_glob(name, &key.name)
                    && address.as_deref().is_none_or(is_address)
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { text, .. } | Self::Address(text) => f.write_str(text),
        }
    }
}

fn line(number: usize, value: serde_yaml::Value) -> Result<OverrideLine, String> {
    let line: Line = serde_yaml::from_value(value).map_err(|error| {
        format!("{error}: write `match` and `state`, and `until` and `reason` where you want them")
    })?;
    let state = OrderedState::from_text(&line.state);
    let state = state.ok_or_else(|| {
        format!(
            "`state` is `{}`: write `up`, `down`, `drain` or `auto`",
            line.state
        )
    })?;
    let until = line.until.map(|text| {
        seconds_of(&text)
            .ok_or_else(|| format!("`until` is `{text}`: write it as `2006-01-02T15:04:05Z`"))
    });
    Ok(OverrideLine {
        pattern: pattern(&line.r#match)?,
        order: Order {
            state,
            until: until.transpose()?,
            reason: line.reason.map(Into::into),
        },
        number,
    })
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let wrong = || {
        format!(
            "`match` is `{text}`: write `WorkloadEntry NAMESPACE/NAME`, `Pod NAMESPACE/NAME`, \
             `ServiceEntry NAMESPACE/NAME/ADDRESS` or an address"
        )
    };
    let Some((kind, place)) = text.split_once(' ') else {
        let is_address = |byte: u8| byte.is_ascii_hexdigit() || b".:*?".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_address) {
            return Err(wrong());
        }
        return Ok(Pattern::Address(text.to_ascii_lowercase().into()));
    };
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    let mut parts = place.trim().split('/');
    let (namespace, name) = (parts.next(), parts.next());
    let (address, rest) = (parts.next(), parts.next());
    match (kind, namespace, name, address, rest) {
        (
            Some(kind @ (Kind::WorkloadEntry | Kind::Pod)),
            Some(namespace),
            Some(name),
            None,
            None,
        )
        | (Some(kind @ Kind::ServiceEntry), Some(namespace), Some(name), Some(_), None) => {
            Ok(Pattern::Object {
                kind,
                namespace: namespace.into(),
                name: name.into(),
                address: address.map(|address| address.to_ascii_lowercase().into()),
                text: text.into(),
            })
        }
        _ => Err(wrong()),
    }
}

/// Whether `text` is what `pattern` describes: `*` stands for any characters, `?` for one.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    // Where the last star stands, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((star, reach)) => {
                    *reach += 1;
                    (at, place) = (*star + 1, *reach);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The state of WorkloadEntry `shop/orders-vm3` with 10.0.9.3 by the lines of `text`, at 1000 s.
    #[track_caller]
    fn check(text: &str, expected: Option<OrderedState>) {
        let overrides = Overrides::parse("a.yaml", text).expect("lines");
        let vm = key(Kind::WorkloadEntry, "shop", "orders-vm3");
        let address = [IpAddr::from([10, 0, 9, 3])];
        let line = overrides.find(&vm, &address, false, 1000);
        assert_eq!(line.map(|line| line.order.state), expected, "{text}");
    }

    #[test]
    fn the_last_line_that_matches_counts() {
        use OrderedState::{Auto, Down, Drain};
        check("", None);
        check("[]", None);
        check(
            "- {match: WorkloadEntry shop/orders-vm*, state: drain}",
            Some(Drain),
        );
        check(
            "- {match: WorkloadEntry shop/orders-vm?, state: drain}",
            Some(Drain),
        );
        check(
            "- {match: WorkloadEntry shop/orders-vm, state: drain}",
            None,
        );
        check(
            "- {match: WorkloadEntry */orders*3, state: drain}",
            Some(Drain),
        );
        check(
            "- {match: WorkloadEntry *, state: drain}\n"
                .replace(" *,", " */*,")
                .as_str(),
            Some(Drain),
        );
        check("- {match: Pod shop/orders-vm3, state: drain}", None);
        check("- {match: 10.0.9.*, state: down}", Some(Down));
        check("- {match: 10.0.8.*, state: down}", None);
        check(
            "- {match: WorkloadEntry shop/*, state: drain}\n- {match: WorkloadEntry shop/orders-vm3, state: auto}",
            Some(Auto),
        );
        check(
            "- {match: 10.0.9.3, state: down}\n- {match: 10.0.9.3, state: drain, until: '1970-01-01T00:16:40Z'}",
            Some(Down),
        );
        check(
            "- {match: 10.0.9.3, state: down}\n- {match: 10.0.9.3, state: drain, until: '1970-01-01T00:16:41Z'}",
            Some(Drain),
        );
    }

    #[test]
    fn an_inline_endpoint_is_matched_by_its_address() {
        let text = "- {match: ServiceEntry shop/legacy/192.0.2.*, state: down}";
        let overrides = Overrides::parse("a.yaml", text).expect("lines");
        let service = key(Kind::ServiceEntry, "shop", "legacy");
        let finds = |address: [u8; 4]| {
            let address = [IpAddr::from(address)];
            overrides.find(&service, &address, true, 0).is_some()
        };
        assert!(finds([192, 0, 2, 1]));
        assert!(!finds([192, 0, 3, 1]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let problem = |text: &str| {
            let error = Overrides::parse("a.yaml", text).expect_err("a mistake");
            error.to_string()
        };
        for (text, expected) in [
            (
                "- {match: 10.0.0.1, state: down}\n- {match: vm3, state: down}",
                "entry 2: `match` is `vm3`: write `WorkloadEntry",
            ),
            (
                "- {match: 10.0.0.1, state: off}",
                "entry 1: `state` is `off`: write `up`",
            ),
            ("- {match: 10.0.0.1}", "entry 1: missing field `state`"),
            (
                "- {match: 10.0.0.1, state: up, why: x}",
                "entry 1: unknown field `why`",
            ),
            (
                "- {match: 10.0.0.1, state: up, until: soon}",
                "entry 1: `until` is `soon`",
            ),
            (
                "- {match: WorkloadGroup a/b, state: up}",
                "entry 1: `match` is",
            ),
            (
                "- {match: ServiceEntry a/b, state: up}",
                "entry 1: `match` is",
            ),
            ("match: 10.0.0.1", "invalid type"),
            ("- [", "did not find"),
        ] {
            let problem = problem(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
