//! Pod: the few fields that make one an endpoint. The others are nobody's business here and are not looked at.

use std::{borrow::Cow, collections::HashSet, net::IpAddr};

use smallvec::SmallVec;

use super::{
    address::{self, Ip},
    findings::Findings,
    labels,
    metadata::Decoded,
    object::Pod,
    status,
    value::{Fields, Node, quoted},
};
use crate::diagnostic::code;

/// The label that Istio derives from a Pod's node.
pub(crate) const NODE_LABEL: &str = "kubernetes.io/hostname";

/// The phases that a Pod can be in.
const PHASES: &[&str] = &["Running", "Pending", "Succeeded", "Failed", "Unknown"];

/// Up to how many addresses each is compared with each.
const FEW_ADDRESSES: usize = 16;

/// Reads a Pod's `spec` and `status`.
pub(super) fn decode(findings: &mut Findings, root: Fields<'_>, decoded: Decoded<'_>) -> Pod {
    let spec = root
        .get_set("spec")
        .and_then(|node| findings.fields(node, "`spec`"));
    let node_name = spec
        .and_then(|spec| findings.text(spec.get_set("nodeName")?, "`spec.nodeName`"))
        .filter(|name| !name.is_empty());
    let node = node_name.map(|name| (NODE_LABEL, name));
    let ready = status::condition(findings, root, "Ready").map(|ready| ready.status);
    let status = root.get_set("status").and_then(Node::as_fields);
    let phase = status.and_then(|status| findings.text(status.get_set("phase")?, "`status.phase`"));
    Pod {
        labels: labels::texts(decoded.labels).chain(node).collect(),
        phase: shared(phase.unwrap_or_default(), PHASES),
        terminating: decoded.terminating,
        ready: ready.map(|ready| shared(ready, status::VALUES)),
        addresses: status
            .map(|status| addresses(findings, status))
            .unwrap_or_default(),
        notes: decoded.noted.notes,
        weight: decoded.noted.weight,
        metadata: decoded.metadata,
    }
}

/// The text, without a copy of its own where it is a usual one.
fn shared(text: &str, usual: &'static [&'static str]) -> Cow<'static, str> {
    match usual.iter().find(|usual| **usual == text) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(text.to_owned()),
    }
}

/// `podIPs`, or `podIP` alone where there are none.
fn addresses(findings: &mut Findings, status: Fields<'_>) -> SmallVec<[IpAddr; 2]> {
    let single = status.get_set("podIP");
    let first = single.and_then(|node| address(findings, node, "`status.podIP`"));
    let nodes = status
        .get_set("podIPs")
        .and_then(|node| findings.items(node, "`status.podIPs`"))
        .unwrap_or_default();
    let mut addresses = SmallVec::new();
    let mut seen = HashSet::new();
    for node in nodes {
        let Some(item) = findings.fields(node, "an entry of `status.podIPs`") else {
            continue;
        };
        let Some(ip) = item.get_set("ip") else {
            continue;
        };
        let is_first = ip.as_text() == single.and_then(Node::as_text);
        let known = first.filter(|_| is_first);
        let read = || address(findings, ip, "an `ip` in `status.podIPs`");
        let Some(address) = known.or_else(read) else {
            continue;
        };
        let is_new = if nodes.len() <= FEW_ADDRESSES {
            !addresses.contains(&address)
        } else {
            seen.insert(address)
        };
        if is_new {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        addresses.extend(first);
    }
    addresses
}

fn address(findings: &mut Findings, node: &Node<'_>, what: &str) -> Option<IpAddr> {
    let text = findings.text(node, what).filter(|text| !text.is_empty())?;
    if let Some(Ip::Plain(address)) = address::ip(text) {
        return Some(address);
    }
    findings.error(
        node.id,
        code::POD_IP,
        format!("{what} is {}, which is no IP address", quoted(text)),
    );
    None
}
