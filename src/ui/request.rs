//! What is asked for: a path in its parts, and parameters that are all known.

use std::fmt::Write as _;

use url::form_urlencoded;

use super::refusal::Refusal;

/// How many rows a page has where nothing is said.
const DEFAULT_LIMIT: usize = 100;

/// How many it has at most.
const MOST: usize = 1000;

/// How often a page that nobody's script renews may be fetched anew, in seconds.
const REFRESH: std::ops::RangeInclusive<u32> = 1..=3600;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The parts of the path behind `/api/v1`, decoded.
    pub(super) path: Vec<String>,
    /// Whether a program asks.
    pub(super) is_api: bool,
    /// Whether it wants the text that the command line prints.
    pub(super) wants_text: bool,
    parameters: Vec<(String, String)>,
    /// How deep the path is: from there relative links lead up.
    depth: usize,
}

impl Asked {
    /// Reads a path and its query; `None` where the path is none that a page could have.
    pub(super) fn read(path: &str, query: Option<&str>, wants_text: bool) -> Option<Self> {
        let rest = path.strip_prefix('/')?;
        let depth = rest.matches('/').count();
        let mut parts: Vec<String> = Vec::new();
        for part in rest.split('/') {
            parts.push(decode(part)?);
        }
        if parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        let is_api = parts.len() >= 2 && parts[0] == "api" && parts[1] == "v1";
        if is_api {
            parts.drain(..2);
        }
        let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Some(Self {
            path: parts,
            is_api,
            wants_text,
            parameters: query.into_owned().collect(),
            depth,
        })
    }

    /// Refuses parameters that are none of `known`, or stand twice. Every page takes `refresh`.
    pub(super) fn take_only(&self, known: &[&str]) -> Result<(), Refusal> {
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            if name != "refresh" && !known.contains(&name.as_str()) {
                return Err(Refusal::unknown_parameter(name, known));
            }
            let before = &self.parameters[..index];
            if before.iter().any(|(other, _)| other == name) {
                return Err(Refusal::wrong_parameter(name, value, "it once"));
            }
        }
        self.refresh().map(drop)
    }

    /// All parameters, as often as they stand there.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.parameters.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter, where it says something.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(other, _)| other == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// How many rows are wanted.
    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        let Some(value) = self.parameter("limit") else {
            return Ok(DEFAULT_LIMIT);
        };
        let limit = value
            .parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| {
            Refusal::wrong_parameter("limit", value, "a whole number from 1 to 1000")
        })
    }

    /// After how many seconds the page is to be fetched anew.
    pub(super) fn refresh(&self) -> Result<Option<u32>, Refusal> {
        let Some(value) = self.parameter("refresh") else {
            return Ok(None);
        };
        let seconds = value.parse().ok().filter(|value| REFRESH.contains(value));
        let wrong = || Refusal::wrong_parameter("refresh", value, "seconds from 1 to 3600");
        seconds.ok_or_else(wrong).map(Some)
    }

    /// The relative address of the page with these parts of a path, without parameters: a form sends its own.
    pub(super) fn address(&self, path: &[&str]) -> String {
        let mut address = "../".repeat(self.depth);
        if path.is_empty() && address.is_empty() {
            address.push_str("./");
        }
        for (index, part) in path.iter().enumerate() {
            if index > 0 {
                address.push('/');
            }
            encode(part, &mut address);
        }
        address
    }

    /// A relative link to the page with these parts of a path and these parameters; it keeps `refresh`.
    pub(super) fn link(&self, path: &[&str], parameters: &[(&str, &str)]) -> String {
        let mut link = self.address(path);
        let refresh = self.parameter("refresh").map(|value| ("refresh", value));
        let all = parameters.iter().copied().chain(refresh);
        let mut said = all.filter(|(_, value)| !value.is_empty()).peekable();
        if said.peek().is_some() {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(said);
            let _ = write!(link, "?{}", query.finish());
        }
        link
    }

    /// A link to this page with one parameter otherwise, from its first row on.
    pub(super) fn link_with(&self, path: &[&str], name: &str, value: &str) -> String {
        let kept = self
            .parameters
            .iter()
            .filter(|(other, _)| other != name && other != "after" && other != "refresh");
        let kept = kept.map(|(other, value)| (other.as_str(), value.as_str()));
        let all: Vec<_> = kept.chain([(name, value)]).collect();
        self.link(path, &all)
    }
}

/// Undoes `%41`; `None` where what comes out is no text.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Writes a part of a path as a URL has it.
fn encode(part: &str, link: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
            link.push(byte.into());
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(path: &str, query: &str) -> Asked {
        Asked::read(path, Some(query), false).expect("a path")
    }

    #[test]
    fn paths_are_read_in_their_parts() {
        for (path, expected, is_api) in [
            ("/", &[][..], false),
            ("/hosts", &["hosts"], false),
            ("/hosts/%2A.apps.test", &["hosts", "*.apps.test"], false),
            ("/api/v1", &[], true),
            ("/api/v1/", &[], true),
            ("/api/v1/hosts/a.test", &["hosts", "a.test"], true),
        ] {
            let asked = read(path, "");
            assert_eq!(
                (asked.path.as_slice(), asked.is_api),
                (
                    &*expected.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    is_api,
                )
            );
        }
        assert!(Asked::read("/hosts/%FF", None, false).is_none());
        assert!(Asked::read("/hosts/%4", None, false).is_none());
    }

    #[test]
    fn links_lead_up_from_where_the_page_is_and_keep_the_refresh() {
        assert_eq!(read("/", "").link(&[], &[]), "./");
        assert_eq!(
            read("/hosts", "").link(&["hosts"], &[("q", "a b")]),
            "hosts?q=a+b"
        );
        let host = read("/hosts/a.test", "refresh=10");
        assert_eq!(host.link(&[], &[]), "../?refresh=10");
        assert_eq!(host.address(&["hosts"]), "../hosts");
        assert_eq!(
            host.link(&["hosts", "*.é"], &[("q", "")]),
            "../hosts/*.%C3%A9?refresh=10"
        );
        let list = read("/hosts", "q=a&after=x&state=vm");
        assert_eq!(
            list.link_with(&["hosts"], "state", "pod"),
            "hosts?q=a&state=pod"
        );
    }

    #[test]
    fn parameters_are_known_once_and_right() {
        let refused = |query: &str, known: &[&str]| {
            let asked = read("/hosts", query);
            let taken = asked.take_only(known).and_then(|()| asked.limit());
            taken.err().map(|refusal| refusal.message)
        };
        assert_eq!(refused("q=a&limit=1000&refresh=10", &["q", "limit"]), None);
        let names = |query: &str, name: &str| {
            let message = refused(query, &["q", "limit"]).expect("refused");
            assert!(message.contains(&format!("`{name}`")), "{message}");
        };
        names("foo=1", "foo");
        names("q=a&q=b", "q");
        names("limit=0", "limit");
        names("limit=1001", "limit");
        names("limit=x", "limit");
        names("refresh=0", "refresh");
    }
}
