use std::str::FromStr;

use super::ValueError;

/// What a cluster is called here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterName(pub Box<str>);

impl FromStr for ClusterName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@".contains(&byte);
        if !(1..=253).contains(&text.len()) || !text.bytes().all(is_of_name) {
            return Err(ValueError::ClusterName);
        }
        Ok(Self(text.into()))
    }
}

/// A context of a kubeconfig.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Context(pub Box<str>);

impl FromStr for Context {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if !(1..=253).contains(&text.len()) || text.chars().any(char::is_control) {
            return Err(ValueError::Context);
        }
        Ok(Self(text.into()))
    }
}

/// A namespace ([RFC 1123](https://www.rfc-editor.org/rfc/rfc1123) label).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Namespace(pub Box<str>);

impl FromStr for Namespace {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_of_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let has_edges = !text.starts_with('-') && !text.ends_with('-');
        if !(1..=63).contains(&text.len()) || !text.bytes().all(is_of_name) || !has_edges {
            return Err(ValueError::Namespace);
        }
        Ok(Self(text.into()))
    }
}

/// A label selector, as `kubectl get --selector` takes it
/// ([grammar](https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors)).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PodSelector(pub Box<str>);

impl FromStr for PodSelector {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut rest = text;
        loop {
            rest = requirement(rest).ok_or(ValueError::PodSelector)?;
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest.is_empty() => return Ok(Self(text.into())),
                None => return Err(ValueError::PodSelector),
            }
        }
    }
}

/// What is behind the requirement that `text` begins with; `None` where it begins with none.
fn requirement(text: &str) -> Option<&str> {
    let text = text.trim_start();
    if let Some(absent) = text.strip_prefix('!') {
        return Some(word(absent, false)?.1.trim_start());
    }
    let (_, rest) = word(text, false)?;
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with(',') {
        return Some(rest);
    }
    let signs = ["==", "!=", "="];
    if let Some(value) = signs.iter().find_map(|sign| rest.strip_prefix(sign)) {
        return Some(word(value.trim_start(), true)?.1.trim_start());
    }
    let (operator, set) = word(rest, false)?;
    let set = set.trim_start().strip_prefix('(')?;
    let (values, rest) = set.split_once(')')?;
    let are_words = values
        .split(',')
        .all(|value| word(value.trim(), true).is_some_and(|(_, rest)| rest.is_empty()));
    (matches!(operator, "in" | "notin") && are_words).then(|| rest.trim_start())
}

/// The key or value that `text` begins with, and what is behind it.
fn word(text: &str, may_be_empty: bool) -> Option<(&str, &str)> {
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    let end = text
        .find(|letter| !is_of_word(letter))
        .unwrap_or(text.len());
    (end > 0 || may_be_empty).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = ValueError>>(text: &str, is_valid: bool) {
        assert_eq!(text.parse::<T>().is_ok(), is_valid, "{text}");
    }

    #[test]
    fn names_are_those_of_kubernetes() {
        check::<Namespace>("shop-2", true);
        check::<Namespace>("Shop", false);
        check::<Namespace>("-shop", false);
        check::<Namespace>("", false);
        check::<ClusterName>("arn:aws:eks:eu-1:1:cluster/prod", true);
        check::<ClusterName>("admin@kind", true);
        check::<ClusterName>("a b", false);
        check::<Context>("my context", true);
        check::<Context>("", false);
    }

    #[test]
    fn selectors_are_those_of_kubectl() {
        for text in [
            "app=reviews",
            "app==reviews,tier!=test",
            "app",
            "!app, env in (prod, stage)",
            "example.com/tier notin (a)",
            "app=",
        ] {
            check::<PodSelector>(text, true);
        }
        for text in [
            "",
            "app=a b",
            "app in a",
            "app in (a",
            "=a",
            "app,",
            "app>1 2",
            "app is (a)",
        ] {
            check::<PodSelector>(text, false);
        }
    }
}
