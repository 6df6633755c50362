//! `metadata`: what names an object, and the rules that the API server and Istio's webhook have for it.

use std::sync::{Arc, LazyLock};

use super::{
    findings::Findings,
    host::{is_lowercase_label, is_lowercase_subdomain},
    labels::{self, Judge},
    notes,
    object::Metadata,
    timestamp,
    value::{Entry, Fields, Node, NodeId, Value, quoted},
};
use crate::diagnostic::{Kind, ObjectKey, code};

/// The namespace of an object that names none.
static DEFAULT_NAMESPACE: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("default"));

/// The namespace met last: neighbours mostly share theirs, and then its text too.
pub(super) struct Namespaces(Arc<str>);

impl Default for Namespaces {
    fn default() -> Self {
        Self(DEFAULT_NAMESPACE.clone())
    }
}

impl Namespaces {
    /// The namespace of this name, `default` where it is empty.
    fn named(&mut self, name: &str) -> Arc<str> {
        if name.is_empty() || *name == **DEFAULT_NAMESPACE {
            return DEFAULT_NAMESPACE.clone();
        }
        if *name != *self.0 {
            self.0 = Arc::from(name);
        }
        self.0.clone()
    }
}

/// How many labels of one object are taken: far more than anybody gives, and few enough for an index over them.
const MAX_LABELS: usize = 4_096;

/// The fields of Kubernetes' `ObjectMeta`, past ones included.
const FIELDS: &[&str] = &[
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "selfLink",
    "clusterName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// Annotations that only Istio's own conversions may set (`pkg/config/constants`).
const INTERNAL_ANNOTATIONS: &[&str] = &[
    "internal.istio.io/webhook-always-reject",
    "internal.istio.io/parents",
    "internal.istio.io/parent-namespace",
];

/// The most that the annotations of an object may take together, in bytes of keys and values (`apimachinery`,
/// `TotalAnnotationSizeLimitB`).
const MAX_ANNOTATION_BYTES: usize = 256 << 10;

/// `metadata` as it was read; the object's own rules may look at more than [`Metadata`] keeps.
pub(super) struct Decoded<'a> {
    pub(super) metadata: Metadata,
    /// `metadata.labels`.
    pub(super) labels: &'a [Entry<'a>],
    /// The annotation `proxy.istio.io/health-checks-enabled`, as written.
    pub(super) health_checks: Option<&'a str>,
    /// What is noted on it for us.
    pub(super) noted: notes::Decoded,
    /// Whether the object is being deleted.
    pub(super) terminating: bool,
}

/// Reads an object's `metadata`. What is missing is in `findings`, and a placeholder stands for it.
pub(super) fn decode<'a>(
    findings: &mut Findings,
    root: Fields<'a>,
    kind: Kind,
    namespaces: &mut Namespaces,
) -> Decoded<'a> {
    let mut decoded = Decoded {
        metadata: Metadata {
            name: Box::default(),
            namespace: namespaces.named(""),
            created: 0,
        },
        labels: &[],
        health_checks: None,
        noted: notes::Decoded::default(),
        terminating: false,
    };
    let Some(node) = root.get_set("metadata") else {
        findings.error(
            root.id,
            code::NAME,
            "the object has no `metadata.name`: give it a name",
        );
        return decoded;
    };
    let Some(fields) = findings.fields(node, "`metadata`") else {
        return decoded;
    };
    let metadata = &mut decoded.metadata;
    if !kind.is_of_core() {
        findings.check_known(fields, FIELDS);
    }
    metadata.name = name(findings, fields).unwrap_or_default();
    if let Some(namespace) = namespace(findings, fields) {
        metadata.namespace = namespaces.named(namespace);
    }
    if let Some(node) = fields.get_set("labels") {
        let labels = texts_or_null(findings, node, "`metadata.labels`");
        labels::check(findings, labels, Judge::Kubernetes);
        findings.check_count(node.id, labels.len(), MAX_LABELS, "`metadata.labels`");
        decoded.labels = labels;
    }
    metadata.created = timestamp(findings, fields, "creationTimestamp").unwrap_or_default();
    decoded.terminating = fields.get_set("deletionTimestamp").is_some();
    if let Some(node) = fields.get_set("annotations") {
        let annotations = texts_or_null(findings, node, "`metadata.annotations`");
        check_annotations(findings, node.id, annotations);
        if !kind.is_of_core() {
            decoded.health_checks = check_meaning(findings, annotations);
        }
        decoded.noted = notes::decode(findings, kind, fields, annotations);
    } else if kind == Kind::WorkloadEntry {
        decoded.noted = notes::decode(findings, kind, fields, &[]);
    }
    decoded
}

/// What identifies the object, as far as that can be told from an object that is rejected.
pub(super) fn key(root: Fields<'_>, kind: Kind, namespaces: &mut Namespaces) -> Option<ObjectKey> {
    let fields = root.get("metadata")?.as_fields()?;
    let name = fields.text("name").filter(|name| !name.is_empty())?;
    let namespace = match fields.get_set("namespace") {
        None => "",
        Some(node) => node.as_text()?,
    };
    Some(ObjectKey {
        kind,
        namespace: namespaces.named(namespace),
        name: name.into(),
    })
}

fn name(findings: &mut Findings, fields: Fields<'_>) -> Option<Box<str>> {
    let Some(node) = fields.get_set("name") else {
        findings.error(
            fields.id,
            code::NAME,
            "`metadata.name` is missing: give the object a name",
        );
        return None;
    };
    let name = findings.text(node, "`metadata.name`")?;
    if !is_lowercase_subdomain(name) {
        let message = format!(
            "`metadata.name` is {}: use at most 253 lower-case letters, digits, `-` and `.`, with a letter or digit \
             at both ends",
            quoted(name)
        );
        findings.error(node.id, code::NAME, message);
    }
    Some(name.into())
}

fn namespace<'a>(findings: &mut Findings, fields: Fields<'a>) -> Option<&'a str> {
    let node = fields.get_set("namespace")?;
    let namespace = findings.text(node, "`metadata.namespace`")?;
    if !namespace.is_empty() && !is_lowercase_label(namespace) {
        let message = format!(
            "`metadata.namespace` is {}: use at most 63 lower-case letters, digits and `-`, with a letter or digit at \
             both ends",
            quoted(namespace)
        );
        findings.error(node.id, code::NAMESPACE, message);
    }
    Some(namespace)
}

fn timestamp(findings: &mut Findings, fields: Fields<'_>, name: &str) -> Option<i64> {
    let node = fields.get_set(name)?;
    let text = findings.text(node, format_args!("`metadata.{name}`"))?;
    let seconds = timestamp::seconds(text);
    if seconds.is_none() {
        let message = format!(
            "`metadata.{name}` is {}: write it as `2006-01-02T15:04:05Z` or leave it out",
            quoted(text)
        );
        findings.error(node.id, code::TIMESTAMP, message);
    }
    seconds
}

/// A mapping of texts, in which Kubernetes' own types take null for an empty text.
fn texts_or_null<'t>(findings: &mut Findings, node: &Node<'t>, what: &str) -> &'t [Entry<'t>] {
    let Some(fields) = findings.fields(node, what) else {
        return &[];
    };
    for entry in fields.entries {
        if entry.value.as_text().is_none() && entry.value.value != Value::Null {
            findings.text(
                &entry.value,
                format_args!("{} in {what}", quoted(entry.key.text)),
            );
        }
    }
    fields.entries
}

/// The API server's rules for annotations (`ValidateAnnotations`).
fn check_annotations(findings: &mut Findings, at: NodeId, annotations: &[Entry<'_>]) {
    let mut size_bytes = 0;
    for Entry { key, value } in annotations {
        size_bytes += key.text.len() + value.as_text().map_or(0, str::len);
        if !labels::is_annotation_key(key.text) {
            let message = format!(
                "the annotation key {} is malformed: write `name` or `prefix.example/name`, with a name of at most 63 \
                 letters, digits, `-`, `_` and `.`",
                quoted(key.text)
            );
            findings.error(key.id, code::ANNOTATION, message);
        }
    }
    if size_bytes > MAX_ANNOTATION_BYTES {
        let message = format!(
            "the annotations have {size_bytes} bytes, and {MAX_ANNOTATION_BYTES} is the most: take some out"
        );
        findings.error(at, code::ANNOTATION, message);
    }
}

/// Istio's rules for annotations; the value of the one that tells whether health checks are on.
fn check_meaning<'a>(findings: &mut Findings, annotations: &[Entry<'a>]) -> Option<&'a str> {
    let mut health_checks = None;
    for Entry { key, value } in annotations {
        match key.text {
            "proxy.istio.io/health-checks-enabled" => health_checks = value.as_text(),
            "istio.io/dry-run" => {
                let message = "the annotation `istio.io/dry-run` works on AuthorizationPolicies alone: take it out";
                findings.error(key.id, code::DRY_RUN, message);
            }
            text if INTERNAL_ANNOTATIONS.contains(&text) => refuse_internal(findings, key.id, text),
            _ => {}
        }
    }
    health_checks
}

fn refuse_internal(findings: &mut Findings, at: NodeId, annotation: &str) {
    let message =
        format!("the annotation `{annotation}` is reserved for Istio itself: take it out");
    findings.error(at, code::INTERNAL_ANNOTATION, message);
}
