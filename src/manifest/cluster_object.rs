//! Objects as an API server sends them: one object's JSON to what it says, by the rules that hold for files.
//!
//! What is wrong with an object is told with the path to the field, for there is no file to show a place in.

use std::{fmt::Write as _, str};

use bumpalo::Bump;
use serde::Deserialize;

use super::{
    document::object,
    findings::{Findings, Problem},
    kind::{Inherited, Sort, sort, type_of},
    metadata::{self, Namespaces},
    object::{Object, ObjectContents},
    raw::RawDocument,
    read::{self, Unreadable},
    value::{Fields, Node, NodeId, Value},
};
use crate::diagnostic::{Cluster, ClusterPlace, Diagnostic, Kind, ObjectKey, Severity, code};

/// Written by the API server for itself, and half of an object's bytes.
const NOT_OF_THE_OBJECT: &[&str] = &["managedFields"];

/// The same for Pods, and the large fields of theirs that no rule looks at.
const NOT_OF_A_POD: &[&str] = &[
    "managedFields",
    "affinity",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "tolerations",
    "volumes",
    "containerStatuses",
    "initContainerStatuses",
    "ephemeralContainerStatuses",
];

/// An object of a cluster in the version that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterObject {
    /// What identifies it.
    pub key: ObjectKey,
    /// `metadata.resourceVersion`; empty where there is none.
    pub resource_version: Box<str>,
    /// What it says.
    pub contents: ObjectContents,
}

/// The bytes are no object of the wanted kind: they say nothing about any object.
#[derive(Debug, thiserror::Error)]
pub enum NotAnObject {
    /// They are cut, or something else.
    #[error("read an object of a cluster")]
    Json(#[from] serde_json::Error),
    /// They are no text.
    #[error("read the text of an object of a cluster")]
    Text(#[from] str::Utf8Error),
    /// An object has a name.
    #[error("the object has no metadata.name")]
    Nameless,
    /// Something else was asked for.
    #[error("the object is no {0}")]
    OtherKind(Kind),
}

/// Reads objects of a cluster one after the other; what it keeps between them is memory and nothing else.
pub struct ObjectReader {
    cluster: Cluster,
    arena: Bump,
    namespaces: Namespaces,
}

/// What names an object, where the whole can't be read.
#[derive(Deserialize)]
struct Named<'j> {
    #[serde(borrow)]
    metadata: NamedMetadata<'j>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamedMetadata<'j> {
    name: &'j str,
    namespace: Option<&'j str>,
    resource_version: Option<&'j str>,
}

impl ObjectReader {
    /// Reads objects of `cluster`.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            arena: Bump::new(),
            namespaces: Namespaces::default(),
        }
    }

    /// Reads the JSON of one object of `kind`. The items of an API server's lists leave out `apiVersion` and `kind`, which are
    /// those given.
    ///
    /// # Errors
    ///
    /// Fails where the bytes are no object at all. One that breaks a rule is no failure: its contents say so.
    pub fn read(
        &mut self,
        api_version: &str,
        kind: Kind,
        json: &[u8],
    ) -> Result<ClusterObject, NotAnObject> {
        self.arena.reset();
        let text = str::from_utf8(json)?;
        let raw = RawDocument {
            text,
            number: 1,
            line: 1,
            indent: 0,
        };
        let passed_over = match kind {
            Kind::Pod | Kind::Node => NOT_OF_A_POD,
            _ => NOT_OF_THE_OBJECT,
        };
        match read::read_object(&self.arena, &raw, passed_over) {
            Ok(tree) => {
                let root = tree.root.as_fields().ok_or(NotAnObject::OtherKind(kind))?;
                let key = metadata::key(root, kind, &mut self.namespaces);
                let key = key.ok_or(NotAnObject::Nameless)?;
                let mut findings = Findings::default();
                for fault in &tree.faults {
                    findings.error(fault.at, fault.code, fault.message.clone());
                }
                let inherited = Inherited {
                    api_version,
                    kind: kind.as_str(),
                };
                let object = typed(&mut findings, root, kind, inherited, &mut self.namespaces)?;
                let resource_version = root
                    .get("metadata")
                    .and_then(Node::as_fields)
                    .and_then(|metadata| metadata.text("resourceVersion"));
                Ok(ClusterObject {
                    resource_version: resource_version.unwrap_or_default().into(),
                    contents: ObjectContents {
                        object: object.filter(|_| !findings.has_error()),
                        diagnostics: self.diagnostics(&key, &tree.root, findings),
                    },
                    key,
                })
            }
            Err(unreadable) => self.refused(kind, text, unreadable),
        }
    }

    fn diagnostics(&self, key: &ObjectKey, root: &Node<'_>, findings: Findings) -> Vec<Diagnostic> {
        let mut problems = findings.into_problems();
        problems.sort_by_key(|problem| problem.at);
        let diagnostic = |problem: Problem| {
            let field = path_to(root, problem.at);
            let Problem {
                severity,
                code,
                message,
                ..
            } = problem;
            self.diagnostic(key, field, severity, code, message)
        };
        problems.into_iter().map(diagnostic).collect()
    }

    fn diagnostic(
        &self,
        key: &ObjectKey,
        field: String,
        severity: Severity,
        code: code::Code,
        message: String,
    ) -> Diagnostic {
        let place = ClusterPlace {
            cluster: self.cluster.clone(),
            object: key.clone(),
            field: field.into(),
        };
        Diagnostic {
            origin: place.into(),
            severity,
            code,
            message,
            object: Some(key.clone()),
        }
    }

    /// An object that is JSON and more than is read, as one that is nested too deeply.
    fn refused(
        &self,
        kind: Kind,
        json: &str,
        unreadable: Unreadable,
    ) -> Result<ClusterObject, NotAnObject> {
        let Named { metadata } = serde_json::from_str(json)?;
        let key = ObjectKey {
            kind,
            namespace: metadata
                .namespace
                .filter(|name| !name.is_empty())
                .unwrap_or("default")
                .into(),
            name: metadata.name.into(),
        };
        let Unreadable { code, message, .. } = unreadable;
        let refused = self.diagnostic(&key, String::new(), Severity::Error, code, message);
        Ok(ClusterObject {
            key,
            resource_version: metadata.resource_version.unwrap_or_default().into(),
            contents: ObjectContents {
                object: None,
                diagnostics: vec![refused],
            },
        })
    }
}

/// Reads an object that has to be of the wanted kind.
fn typed(
    findings: &mut Findings,
    root: Fields<'_>,
    wanted: Kind,
    inherited: Inherited<'_>,
    namespaces: &mut Namespaces,
) -> Result<Option<Object>, NotAnObject> {
    let Some((api_version, kind)) = type_of(findings, root, Some(inherited)) else {
        return Ok(None);
    };
    match sort(api_version, kind) {
        Sort::Ours(kind) if kind == wanted => Ok(object(findings, root, kind, namespaces)),
        Sort::OursInAnotherVersion(kind, message) if kind == wanted => {
            let at = root.get("apiVersion").map_or(root.id, |node| node.id);
            findings.error(at, code::API_VERSION, message);
            Ok(None)
        }
        _ => Err(NotAnObject::OtherKind(wanted)),
    }
}

/// The path to the value or key `id` as Kubernetes writes one: `spec.hosts[0]`, `metadata.labels[example.com/team]`. Empty for
/// the root.
fn path_to(root: &Node<'_>, id: NodeId) -> String {
    let mut path = String::new();
    let mut node = root;
    while node.id != id {
        match node.value {
            Value::Map(entries) => {
                // The last that does not begin behind it.
                let Some(entry) = entries.iter().rfind(|entry| entry.key.id <= id) else {
                    break;
                };
                let key = entry.key.text;
                let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                if key.is_empty() || !key.chars().all(is_plain) {
                    path.push('[');
                    path.extend(key.chars().filter(|c| !c.is_control()));
                    path.push(']');
                } else {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                if entry.key.id == id {
                    break;
                }
                node = &entry.value;
            }
            Value::List(items) => {
                let Some(index) = items.iter().rposition(|item| item.id <= id) else {
                    break;
                };
                let _ = write!(path, "[{index}]");
                node = &items[index];
            }
            _ => break,
        }
    }
    path
}

#[cfg(test)]
mod tests;
