//! Pod: the few fields that make one an endpoint. The others are nobody's business here and are not looked at.

use std::{collections::HashSet, net::IpAddr};

use super::{
    address::{self, Ip},
    findings::Findings,
    metadata::Decoded,
    object::Pod,
    status,
    value::{Fields, Node, quoted},
};
use crate::diagnostic::code;

/// The label that Istio derives from a Pod's node.
const NODE_LABEL: &str = "kubernetes.io/hostname";

/// Reads a Pod's `spec` and `status`.
pub(super) fn decode(findings: &mut Findings, root: Fields<'_, '_>, decoded: Decoded<'_>) -> Pod {
    let spec = root
        .get_set("spec")
        .and_then(|node| findings.fields(node, "`spec`"));
    let node_name = spec
        .and_then(|spec| findings.text(spec.get_set("nodeName")?, "`spec.nodeName`"))
        .filter(|name| !name.is_empty());
    let mut labels = decoded.metadata.labels.clone();
    if let Some(name) = node_name {
        labels.insert(NODE_LABEL.into(), name.into());
    }
    let ready = status::condition(findings, root, "Ready");
    let status = root.get_set("status").and_then(Node::as_fields);
    let phase = status.and_then(|status| findings.text(status.get_set("phase")?, "`status.phase`"));
    Pod {
        labels,
        phase: phase.unwrap_or_default().into(),
        terminating: decoded.terminating,
        ready: ready.map(Into::into),
        addresses: status
            .map(|status| addresses(findings, status))
            .unwrap_or_default(),
        metadata: decoded.metadata,
    }
}

/// `podIPs`, or `podIP` alone where there are none.
fn addresses(findings: &mut Findings, status: Fields<'_, '_>) -> Vec<IpAddr> {
    let first = status
        .get_set("podIP")
        .and_then(|node| address(findings, node, "`status.podIP`"));
    let nodes = status
        .get_set("podIPs")
        .and_then(|node| findings.items(node, "`status.podIPs`"));
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut seen = HashSet::new();
    for node in nodes.unwrap_or_default() {
        let Some(item) = findings.fields(node, "an entry of `status.podIPs`") else {
            continue;
        };
        let Some(ip) = item.get_set("ip") else {
            continue;
        };
        if let Some(address) = address(findings, ip, "an `ip` in `status.podIPs`")
            && seen.insert(address)
        {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        first.into_iter().collect()
    } else {
        addresses
    }
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
