//! Unfolds lists, tells kinds apart and hands each object to its kind's rules.

use super::{
    super::{
        draft::MAX_NAMELESS,
        findings::{Findings, Problem},
        kind::{Inherited, Sort, known_kind, sort, type_of},
        labels,
        metadata::{self, Namespaces},
        object::{self, DocumentOutcome, Object},
        pod,
        read::Fault,
        service_entry, status,
        stray::{self, StraySort},
        template,
        value::{Fields, Node, NodeId, Value, quoted},
        workload_entry, workload_group,
    },
    TEMPLATE_MESSAGE,
};
use crate::diagnostic::{Kind, Severity, code};

/// How deep lists may hold lists.
const MAX_LIST_DEPTH: usize = 4;

/// How many list items that are no objects are shown.
const MAX_JUNK: usize = 20;

/// An object, or what stands in its place, before its place is known.
pub(super) struct Item {
    pub(super) at: NodeId,
    /// `None` speaks of a list itself, whose items have outcomes of their own.
    pub(super) outcome: Option<DocumentOutcome>,
    pub(super) problems: Vec<Problem>,
    pub(super) membership: Membership,
    /// What it says, where it is rejected and names no object, else 0.
    pub(super) digest: u64,
}

/// Where an item belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Membership {
    /// It is one of our objects, or was meant as one.
    Ours,
    /// It is another object, or a list.
    Elsewhere,
    /// Whether it belongs to a manifest is open.
    Stray(StraySort),
}

/// Items that can't be used and name no object, beyond those that are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LeftOut {
    pub(super) items: usize,
    pub(super) problems: usize,
    /// The sum of their digests.
    pub(super) digest: u64,
}

pub(super) struct Unfolding<'a> {
    /// In reading order, so that each object takes those of its own.
    pub(super) faults: std::iter::Peekable<std::slice::Iter<'a, Fault>>,
    pub(super) items: &'a mut Vec<Item>,
    /// How many of them can't be used and name no object.
    pub(super) nameless: usize,
    pub(super) left_out: LeftOut,
    pub(super) namespaces: &'a mut Namespaces,
}

impl Unfolding<'_> {
    /// Reads the value `node`, which ends before the value `end`.
    pub(super) fn visit(
        &mut self,
        node: &Node<'_>,
        inherited: Option<Inherited<'_>>,
        depth: usize,
        end: NodeId,
    ) {
        let Some(root) = node.as_fields() else {
            let mut findings = Findings::default();
            let message = format!(
                "this is {}, not an object: write a mapping with `apiVersion` and `kind`",
                node.describe()
            );
            findings.error(node.id, code::NOT_AN_OBJECT, message);
            let outcome = Some(DocumentOutcome::Rejected(None));
            return self.push(
                node.id,
                outcome,
                findings,
                membership_of_no_object(node, depth),
            );
        };
        let mut findings = Findings::default();
        let Some((api_version, kind)) = type_of(&mut findings, root, inherited) else {
            self.take_faults(&mut findings, end);
            let kind = inherited
                .map(|inherited| inherited.kind)
                .or(root.text("kind"));
            let key = kind
                .and_then(known_kind)
                .and_then(|kind| metadata::key(root, kind, self.namespaces));
            let outcome = Some(DocumentOutcome::Rejected(key));
            return self.push(
                node.id,
                outcome,
                findings,
                membership_of_no_object(node, depth),
            );
        };
        match sort(api_version, kind) {
            Sort::Ours(kind) => {
                self.take_faults(&mut findings, end);
                let object = object(&mut findings, root, kind, self.namespaces);
                let outcome = match object.filter(|_| !findings.has_error()) {
                    Some(object) => DocumentOutcome::Object(object),
                    None => DocumentOutcome::Rejected(metadata::key(root, kind, self.namespaces)),
                };
                match placeholder(node, &findings) {
                    Some(at) => self.push_template(node.id, outcome, at),
                    None => self.push(node.id, Some(outcome), findings, Membership::Ours),
                }
            }
            Sort::OursInAnotherVersion(kind, message) => {
                let at = root.get("apiVersion").map_or(node.id, |node| node.id);
                findings.error(at, code::API_VERSION, message);
                self.take_faults(&mut findings, end);
                let key = metadata::key(root, kind, self.namespaces);
                let outcome = Some(DocumentOutcome::Rejected(key));
                self.push(node.id, outcome, findings, Membership::Ours);
            }
            Sort::Misspelt(message) => {
                let at = root.get("kind").map_or(node.id, |node| node.id);
                findings.warning(at, code::UNKNOWN_KIND, message);
                self.skip_faults(end);
                let outcome = Some(DocumentOutcome::Ignored(kind.into()));
                self.push(node.id, outcome, findings, Membership::Ours);
            }
            Sort::Other => {
                self.skip_faults(end);
                let outcome = Some(DocumentOutcome::Ignored(kind.into()));
                self.push(node.id, outcome, findings, Membership::Elsewhere);
            }
            Sort::List(item_kind) => {
                let inherited = item_kind.map(|kind| Inherited { api_version, kind });
                self.visit_list(root, inherited, depth, end);
            }
        }
    }

    fn visit_list(
        &mut self,
        root: Fields<'_>,
        inherited: Option<Inherited<'_>>,
        depth: usize,
        end: NodeId,
    ) {
        let mut findings = Findings::default();
        let items = match root.get_set("items").map(|node| (node.id, node.value)) {
            None => &[][..],
            Some((at, _)) if depth >= MAX_LIST_DEPTH => {
                findings.error(
                    at,
                    code::BAD_LIST,
                    "too many lists within lists: write the objects side by side",
                );
                self.skip_faults(end);
                let outcome = Some(DocumentOutcome::Rejected(None));
                return self.push(root.id, outcome, findings, Membership::Elsewhere);
            }
            Some((_, Value::List(items))) => items,
            Some((at, _)) => {
                findings.error(
                    at,
                    code::BAD_LIST,
                    "`items` is not a list: write one object after the other",
                );
                self.skip_faults(end);
                let outcome = Some(DocumentOutcome::Rejected(None));
                return self.push(root.id, outcome, findings, Membership::Elsewhere);
            }
        };
        // What is wrong before the items, between their keys or behind them is wrong with the list.
        if let Some(first) = items.first() {
            self.take_faults(&mut findings, first.id);
        }
        let junk = |node: &&Node<'_>| node.as_fields().is_none();
        let left_out = items.iter().filter(junk).count().saturating_sub(MAX_JUNK);
        let mut junk_seen = 0;
        for (index, node) in items.iter().enumerate() {
            junk_seen += usize::from(junk(&node));
            if junk(&node) && junk_seen > MAX_JUNK {
                continue;
            }
            let end = items
                .get(index + 1)
                .map_or_else(|| after(node, root, end), |next| next.id);
            self.visit(node, inherited, depth + 1, end);
            self.digest(node);
        }
        if left_out > 0 {
            let message = format!("{left_out} more items of this list are no objects");
            findings.error(root.id, code::MORE_PROBLEMS, message);
        }
        self.take_faults(&mut findings, end);
        if findings.has_error() {
            self.push(root.id, None, findings, Membership::Elsewhere);
        }
    }

    fn push(
        &mut self,
        at: NodeId,
        outcome: Option<DocumentOutcome>,
        findings: Findings,
        membership: Membership,
    ) {
        self.items.push(Item {
            at,
            outcome,
            problems: findings.into_problems(),
            membership,
            digest: 0,
        });
    }

    /// Notes that an object is a part of a template: the value `placeholder` is to be filled in.
    fn push_template(&mut self, at: NodeId, outcome: DocumentOutcome, placeholder: NodeId) {
        self.items.push(Item {
            at,
            outcome: Some(outcome),
            problems: vec![Problem {
                at: placeholder,
                severity: Severity::Info,
                code: code::TEMPLATE,
                message: TEMPLATE_MESSAGE.to_owned(),
            }],
            membership: Membership::Stray(StraySort::Template),
            digest: 0,
        });
    }

    /// Notes what `node` says, which was read last, where it is rejected and names no object. Of many such items no more is
    /// kept.
    pub(super) fn digest(&mut self, node: &Node<'_>) {
        let last = self.items.last_mut().filter(|item| item.at == node.id);
        let Some(item) = last else {
            return;
        };
        if !matches!(item.outcome, Some(DocumentOutcome::Rejected(None))) {
            return;
        }
        item.digest = node.digest();
        if self.nameless < MAX_NAMELESS {
            self.nameless += 1;
        } else if let Some(item) = self.items.pop() {
            self.left_out.items += 1;
            self.left_out.problems += item.problems.len();
            self.left_out.digest = self.left_out.digest.wrapping_add(item.digest);
        }
    }

    /// Moves the faults of values before `end` into `findings`.
    fn take_faults(&mut self, findings: &mut Findings, end: NodeId) {
        while let Some(fault) = self.faults.next_if(|fault| fault.at < end) {
            findings.error(fault.at, fault.code, fault.message.clone());
        }
    }

    fn skip_faults(&mut self, end: NodeId) {
        while self.faults.next_if(|fault| fault.at < end).is_some() {}
    }
}

/// Where a value belongs that is no object; what is in a list of objects belongs to it.
fn membership_of_no_object(node: &Node<'_>, depth: usize) -> Membership {
    if depth > 0 {
        return Membership::Elsewhere;
    }
    Membership::Stray(if stray::seems_ours(node) {
        StraySort::Ours
    } else {
        StraySort::Other
    })
}

/// The first value below `node` that is refused and is to be filled in.
fn placeholder(node: &Node<'_>, findings: &Findings) -> Option<NodeId> {
    if !findings.shows_error() {
        return None;
    }
    let is_placeholder = |id, text| template::is_placeholder(text) && findings.refuses(id);
    match node.value {
        Value::Text(text) => is_placeholder(node.id, text).then_some(node.id),
        Value::List(items) => items.iter().find_map(|item| placeholder(item, findings)),
        Value::Map(entries) => entries.iter().find_map(|entry| {
            if is_placeholder(entry.key.id, entry.key.text) {
                return Some(entry.key.id);
            }
            placeholder(&entry.value, findings)
        }),
        _ => None,
    }
}

/// The number behind the last item of a list: the key that follows `items`, or the list's own end.
fn after(item: &Node<'_>, list: Fields<'_>, end: NodeId) -> NodeId {
    list.entries
        .iter()
        .map(|entry| entry.key.id)
        .filter(|id| *id > item.id)
        .min()
        .unwrap_or(end)
}

/// Reads an object of a known kind; usable only if `findings` has no error afterwards.
pub(in super::super) fn object(
    findings: &mut Findings,
    root: Fields<'_>,
    kind: Kind,
    namespaces: &mut Namespaces,
) -> Option<Object> {
    let decoded = metadata::decode(findings, root, kind, namespaces);
    match kind {
        Kind::Pod => return Some(Object::Pod(Box::new(pod::decode(findings, root, decoded)))),
        Kind::Node => {
            return Some(Object::Node(Box::new(object::Node {
                labels: labels::texts(decoded.labels).collect(),
                metadata: decoded.metadata,
            })));
        }
        Kind::ServiceEntry | Kind::WorkloadEntry | Kind::WorkloadGroup => {}
    }
    for entry in root.entries {
        if !matches!(
            entry.key.text,
            "apiVersion" | "kind" | "metadata" | "spec" | "status"
        ) {
            let message = format!(
                "{} can't stand beside `spec`: a {kind} has `apiVersion`, `kind`, `metadata`, `spec` and `status`",
                quoted(entry.key.text)
            );
            findings.error(entry.key.id, code::TOP_LEVEL_FIELD, message);
        }
    }
    let healthy = status::condition(findings, root, "Healthy");
    let Some(spec) = root.get("spec") else {
        findings.error(
            root.id,
            code::NO_SPEC,
            format!("the {kind} has no `spec`: write one"),
        );
        return None;
    };
    let spec = findings.fields(spec, "`spec`")?;
    match kind {
        Kind::ServiceEntry => {
            let entry = service_entry::decode(findings, spec, decoded)?;
            Some(Object::ServiceEntry(Box::new(entry)))
        }
        Kind::WorkloadEntry => {
            let entry = workload_entry::decode(findings, healthy, spec, decoded)?;
            Some(Object::WorkloadEntry(Box::new(entry)))
        }
        Kind::WorkloadGroup => {
            let group = workload_group::decode(findings, spec, decoded.metadata);
            Some(Object::WorkloadGroup(Box::new(group)))
        }
        Kind::Pod | Kind::Node => None,
    }
}
