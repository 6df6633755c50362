//! What is asked for: kinds as the API names them, and the paths of lists and watches.

use std::{fmt, fmt::Write as _, sync::Arc};

use crate::{diagnostic::Kind, mesh::ListScope};

/// Istio's group.
pub(super) const GROUP: &str = "networking.istio.io";

/// The versions of it that are read, newest first.
pub(super) const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha3"];

/// How many items a page of a list has.
const PAGE_ITEMS: usize = 500;

/// The kind as paths and rules spell it.
pub(super) fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::ServiceEntry => "serviceentries",
        Kind::WorkloadEntry => "workloadentries",
        Kind::WorkloadGroup => "workloadgroups",
        Kind::Pod => "pods",
        Kind::Node => "nodes",
    }
}

/// The API group of a kind; empty for the core's.
pub(super) fn group(kind: Kind) -> &'static str {
    if kind.is_of_core() { "" } else { GROUP }
}

/// What objects of this kind have as `apiVersion`, at this version of the group.
pub(super) fn api_version(kind: Kind, version: &str) -> String {
    match group(kind) {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// One kind, in one namespace or in all of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Resource {
    pub(super) kind: Kind,
    pub(super) namespace: Option<Arc<str>>,
    /// A label selector.
    pub(super) selector: Option<Box<str>>,
}

/// What is asked about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    /// All objects, as a stream.
    Stream,
    /// A page of the list; the first one without a token.
    Page(Option<Box<str>>),
    /// What changes after this version.
    Watch(Box<str>),
}

impl Ask {
    /// Whether all objects are told from the first on.
    pub(super) fn begins_list(&self) -> bool {
        matches!(self, Self::Stream | Self::Page(None))
    }

    /// The right that it takes.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Page(_) => "list",
            Self::Stream | Self::Watch(_) => "watch",
        }
    }
}

impl Resource {
    /// What a list of it holds.
    pub(super) fn scope(&self) -> ListScope {
        ListScope {
            kind: self.kind,
            namespace: self.namespace.clone(),
        }
    }

    /// The path and query that ask for it at this version of the API, to be answered for so many seconds at most.
    pub(super) fn path(&self, version: &str, ask: &Ask, seconds: u64) -> String {
        let mut path = match group(self.kind) {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/{version}"),
        };
        if let Some(namespace) = &self.namespace {
            path.push_str("/namespaces/");
            escape(&mut path, namespace);
        }
        let _ = write!(path, "/{}?timeoutSeconds={seconds}", plural(self.kind));
        let mut add = |key: &str, value: &str| {
            path.push('&');
            path.push_str(key);
            path.push('=');
            escape(&mut path, value);
        };
        if let Some(selector) = &self.selector {
            add("labelSelector", selector);
        }
        match ask {
            Ask::Stream => {
                add("watch", "true");
                add("allowWatchBookmarks", "true");
                add("sendInitialEvents", "true");
                add("resourceVersionMatch", "NotOlderThan");
            }
            Ask::Page(token) => {
                add("limit", &PAGE_ITEMS.to_string());
                if let Some(token) = token {
                    add("continue", token);
                }
            }
            Ask::Watch(from) => {
                add("watch", "true");
                add("allowWatchBookmarks", "true");
                add("resourceVersion", from);
            }
        }
        path
    }
}

/// As rules and `kubectl` name it.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(plural(self.kind))?;
        if !self.kind.is_of_core() {
            write!(f, ".{GROUP}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in the namespace {namespace}"),
            None => Ok(()),
        }
    }
}

/// Writes `text` as a part of a URL.
fn escape(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: Kind, namespace: Option<&str>, selector: Option<&str>) -> Resource {
        Resource {
            kind,
            namespace: namespace.map(Into::into),
            selector: selector.map(Into::into),
        }
    }

    #[track_caller]
    fn check(resource: &Resource, ask: &Ask, expected: &str) {
        assert_eq!(resource.path("v1beta1", ask, 30), expected);
    }

    #[test]
    fn paths_are_those_of_the_api() {
        let entries = resource(Kind::ServiceEntry, None, None);
        check(
            &entries,
            &Ask::Stream,
            "/apis/networking.istio.io/v1beta1/serviceentries?timeoutSeconds=30&watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        );
        check(
            &entries,
            &Ask::Page(Some("a+b/c=".into())),
            "/apis/networking.istio.io/v1beta1/serviceentries?timeoutSeconds=30&limit=500&continue=a%2Bb%2Fc%3D",
        );
        let pods = resource(Kind::Pod, Some("shop"), Some("app in (a,b)"));
        check(
            &pods,
            &Ask::Page(None),
            "/api/v1/namespaces/shop/pods?timeoutSeconds=30&labelSelector=app%20in%20%28a%2Cb%29&limit=500",
        );
        check(
            &pods,
            &Ask::Watch("7".into()),
            "/api/v1/namespaces/shop/pods?timeoutSeconds=30&labelSelector=app%20in%20%28a%2Cb%29&watch=true&allowWatchBookmarks=true&resourceVersion=7",
        );
    }

    #[test]
    fn a_resource_is_named_as_rules_name_it() {
        assert_eq!(resource(Kind::Pod, None, None).to_string(), "pods");
        assert_eq!(
            resource(Kind::WorkloadEntry, Some("shop"), None).to_string(),
            "workloadentries.networking.istio.io in the namespace shop"
        );
    }
}
