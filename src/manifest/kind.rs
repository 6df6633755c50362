//! Tells by `apiVersion` and `kind` what an object is to us.

use super::{
    findings::{Findings, nearest},
    value::{Fields, quoted},
};
use crate::diagnostic::{Kind, code};

/// The API group of Istio's kinds that meshdns reads.
pub(super) const ISTIO_GROUP: &str = "networking.istio.io";

/// The versions of that group; they are aliases of each other.
const ISTIO_VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];

pub(super) const ISTIO_KINDS: &[&str] = &["ServiceEntry", "WorkloadEntry", "WorkloadGroup"];

/// Other kinds of that group, which are nobody's spelling mistake.
const OTHER_ISTIO_KINDS: &[&str] = &[
    "DestinationRule",
    "EnvoyFilter",
    "Gateway",
    "ProxyConfig",
    "Sidecar",
    "VirtualService",
];

/// What a typed list says for its items.
#[derive(Clone, Copy)]
pub(super) struct Inherited<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
}

/// `apiVersion` and `kind`, which an item of a typed list may leave out.
pub(super) fn type_of<'a>(
    findings: &mut Findings,
    root: Fields<'a>,
    inherited: Option<Inherited<'a>>,
) -> Option<(&'a str, &'a str)> {
    let api_version = type_field(
        findings,
        root,
        "apiVersion",
        inherited.map(|inherited| inherited.api_version),
    );
    let kind = type_field(
        findings,
        root,
        "kind",
        inherited.map(|inherited| inherited.kind),
    );
    Some((api_version?, kind?))
}

fn type_field<'a>(
    findings: &mut Findings,
    root: Fields<'a>,
    name: &str,
    inherited: Option<&'a str>,
) -> Option<&'a str> {
    let (at, message) = match (root.get_set(name), inherited) {
        (Some(node), _) => match node.as_text() {
            Some("") => (node.id, format!("`{name}` is empty: write one")),
            Some(text) => return Some(text),
            None => (
                node.id,
                format!("`{name}` is {}, but must be a text", node.describe()),
            ),
        },
        (None, Some(inherited)) => return Some(inherited),
        (None, None) => (
            root.id,
            format!("the object has no `{name}`: every object names its `apiVersion` and `kind`"),
        ),
    };
    findings.error(at, code::NO_KIND, message);
    None
}

/// What an object is to us.
pub(super) enum Sort<'a> {
    Ours(Kind),
    /// Not readable, with the reason.
    OursInAnotherVersion(Kind, String),
    /// Probably meant to be one of ours.
    Misspelt(String),
    /// A list of anything, or of items of one kind.
    List(Option<&'a str>),
    Other,
}

/// What an object of this type is to us.
pub(super) fn sort<'a>(api_version: &str, kind: &'a str) -> Sort<'a> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    match known_kind(kind) {
        Some(kind) if kind.is_of_core() => match (group, version) {
            ("", "v1") => Sort::Ours(kind),
            ("", _) => {
                let api_version = quoted(api_version);
                let message = format!("`apiVersion` is {api_version}, but a {kind} has `v1`");
                Sort::OursInAnotherVersion(kind, message)
            }
            _ => Sort::Other,
        },
        Some(kind) if group == ISTIO_GROUP && ISTIO_VERSIONS.contains(&version) => Sort::Ours(kind),
        Some(kind) if group == ISTIO_GROUP => {
            let message = format!(
                "{ISTIO_GROUP} has no version {} that meshdns reads: use `{ISTIO_GROUP}/v1` (or v1beta1, v1alpha3)",
                quoted(version)
            );
            Sort::OursInAnotherVersion(kind, message)
        }
        Some(kind) => Sort::Misspelt(format!(
            "a {kind} of {} is not read: meshdns reads those of `{ISTIO_GROUP}/v1`",
            quoted(api_version)
        )),
        None => sort_unknown(group, version, kind),
    }
}

fn sort_unknown<'a>(group: &str, version: &str, kind: &'a str) -> Sort<'a> {
    if let Some(item_kind) = kind.strip_suffix("List") {
        let is_plain = group.is_empty() && version == "v1";
        match known_kind(item_kind) {
            None if item_kind.is_empty() && is_plain => return Sort::List(None),
            Some(Kind::Pod | Kind::Node) if is_plain => return Sort::List(Some(item_kind)),
            Some(Kind::ServiceEntry | Kind::WorkloadEntry | Kind::WorkloadGroup)
                if group == ISTIO_GROUP =>
            {
                return Sort::List(Some(item_kind));
            }
            _ => return Sort::Other,
        }
    }
    if group != ISTIO_GROUP || OTHER_ISTIO_KINDS.contains(&kind) {
        return Sort::Other;
    }
    nearest(kind, ISTIO_KINDS).map_or(Sort::Other, |name| {
        Sort::Misspelt(format!(
            "{ISTIO_GROUP} has no kind {}: did you mean `{name}`?",
            quoted(kind)
        ))
    })
}

/// The kind of ours that `text` names.
pub(super) fn known_kind(text: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
}
