//! Writes objects back as manifests: as little of each as gives the same answers when it is read again.
//!
//! What was derived when the manifest was read, as labels from a locality, is written as what it was derived from. Objects that
//! answer nothing and decide nothing are left out: WorkloadGroups without a probe, and ServiceEntries without a usable host.

mod notes;

use std::{
    fmt::Write as _,
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use notes::{Annotations, probe_json};

use super::{
    addresses::Addresses,
    attributes::Details,
    entry::{Group, Node},
    exclusion::Exclusion,
    service::{Endpoints, InlineEndpoint, Service},
    workload::Workload,
};
use crate::{
    diagnostic::{Kind, ObjectKey},
    dns::Name,
    manifest::{Address, Attributes, Export, Resolution, ServicePort, Transport},
};

/// The label of a Pod that stands for its node.
const NODE_LABEL: &str = "kubernetes.io/hostname";

/// The label of a WorkloadEntry that stands for its network, and those that stand for the parts of its locality.
const NETWORK_LABEL: &str = "topology.istio.io/network";
const LOCALITY_LABELS: [&str; 3] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
];

/// Appends a ServiceEntry as JSON; `selector` are the labels that it selects by. Tells whether it did.
pub(super) fn push_service(service: &Service, selector: &[(&str, &str)], out: &mut String) -> bool {
    if service.hosts.is_empty() {
        return false;
    }
    push_head("networking.istio.io/v1", "ServiceEntry", &service.key, out);
    if let Some(created) = timestamp(service.created) {
        push_field("creationTimestamp", &created, out);
    }
    let annotations = Annotations {
        notes: service.notes.as_deref(),
        traffic: service.traffic.as_deref(),
        ..Annotations::default()
    };
    annotations.push(out);
    out.push_str("},\"spec\":{\"hosts\":[");
    push_list(service.hosts.iter(), out, |host, out| {
        push_text(&text_of(host), out);
    });
    out.push(']');
    if !service.addresses.is_empty() {
        out.push_str(",\"addresses\":[");
        push_list(service.addresses.iter(), out, |address, out| {
            push_text(&address.to_string(), out);
        });
        out.push(']');
    }
    push_field("resolution", resolution(service.resolution), out);
    if !service.ports.is_empty() {
        out.push_str(",\"ports\":[");
        push_list(service.ports.iter(), out, push_service_port);
        out.push(']');
    }
    match &service.export {
        Export::Everyone => {}
        Export::Some(namespaces) => {
            out.push_str(",\"exportTo\":[");
            push_list(namespaces.iter(), out, |namespace, out| {
                push_text(namespace, out);
            });
            out.push(']');
        }
        Export::Nobody => out.push_str(",\"exportTo\":[\"~\"]"),
    }
    match &service.endpoints {
        Endpoints::Neither => {}
        Endpoints::Selector(_) => {
            out.push_str(",\"workloadSelector\":{\"labels\":{");
            push_labels(selector.iter().copied(), out);
            out.push_str("}}");
        }
        Endpoints::Inline(endpoints) => {
            out.push_str(",\"endpoints\":[");
            let places = endpoints.iter().enumerate();
            push_list(places, out, |(place, endpoint), out| {
                push_endpoint(endpoint, service.details_of(place), out);
            });
            out.push(']');
        }
    }
    out.push_str("}}");
    true
}

/// Appends a WorkloadGroup as JSON, where it has a probe. Tells whether it did.
pub(super) fn push_group(group: &Group, out: &mut String) -> bool {
    let Some(probe) = &group.probe else {
        return false;
    };
    push_head("networking.istio.io/v1", "WorkloadGroup", &group.key, out);
    out.push_str("},\"spec\":{\"metadata\":{\"labels\":{");
    push_labels(group.labels.iter(), out);
    out.push_str("}},\"template\":{},\"probe\":");
    out.push_str(&probe_json(probe).to_string());
    out.push_str("}}");
    true
}

/// Appends a Node as JSON.
pub(super) fn push_node(node: &Node, out: &mut String) {
    push_head("v1", "Node", &node.key, out);
    out.push_str(",\"labels\":{");
    if let Some(place) = &node.place {
        let parts = place.text.split('/');
        push_labels(
            [
                "topology.kubernetes.io/region",
                "topology.kubernetes.io/zone",
            ]
            .into_iter()
            .zip(parts),
            out,
        );
    }
    out.push_str("}}}");
}

/// Appends a WorkloadEntry or a Pod as JSON; `labels` are what a selector sees.
pub(super) fn push_workload(workload: &Workload, labels: &[(&str, &str)], out: &mut String) {
    if workload.key.kind == Kind::Pod {
        push_pod(workload, labels, out);
    } else {
        push_workload_entry(workload, labels, out);
    }
}

fn push_workload_entry(workload: &Workload, labels: &[(&str, &str)], out: &mut String) {
    let excluded = workload.excluded();
    let topology = Topology::of(labels, excluded);
    let of_metadata = |label: &(&str, &str)| !label.0.contains(|c: char| c.is_ascii_uppercase());
    let plain = || topology.others(labels);
    push_head(
        "networking.istio.io/v1",
        "WorkloadEntry",
        &workload.key,
        out,
    );
    let created = workload.statement.as_ref().map_or(0, |said| said.created);
    if let Some(created) = timestamp(created) {
        push_field("creationTimestamp", &created, out);
    }
    let waits_for_report = excluded == Some(&Exclusion::HealthUnknown);
    let annotations = Annotations {
        notes: workload.notes(),
        health_checks: waits_for_report,
        ..Annotations::default()
    };
    annotations.push(out);
    out.push_str(",\"labels\":{");
    push_labels(plain().filter(of_metadata), out);
    out.push_str("}},\"spec\":{\"labels\":{");
    // The API server takes no prefix in upper case, Istio does.
    push_labels(plain().filter(|label| !of_metadata(label)), out);
    out.push('}');
    topology.push(out);
    push_attributes(workload.attributes(), out);
    match (&workload.addresses, excluded) {
        (Addresses::One(ip), _) => push_field("address", &ip.to_string(), out),
        (Addresses::Name(name), _) => push_field("address", &text_of(name), out),
        (
            Addresses::Other(_),
            Some(Exclusion::NotAnAddress(Address::Name(text) | Address::Unix(text))),
        ) => push_field("address", text, out),
        (Addresses::Other(_), _) => {}
    }
    out.push('}');
    let status = match excluded {
        Some(Exclusion::Unhealthy(status)) => Some(&**status),
        _ => reports_well(workload).then_some("True"),
    };
    if let Some(status) = status {
        let reported = workload.statement.as_ref().and_then(|said| said.reported());
        out.push_str(",\"status\":{");
        push_condition("Healthy", status, reported, out);
        out.push('}');
    }
    out.push('}');
}

fn reports_well(workload: &Workload) -> bool {
    workload
        .statement
        .as_ref()
        .is_some_and(|said| said.reports_well)
}

fn push_pod(pod: &Workload, labels: &[(&str, &str)], out: &mut String) {
    let excluded = pod.excluded();
    push_head("v1", "Pod", &pod.key, out);
    if let Some(Exclusion::PodTerminating) = excluded {
        push_field("deletionTimestamp", "1970-01-01T00:00:00Z", out);
    }
    let annotations = Annotations {
        notes: pod.notes(),
        weight: Some(pod.attributes().weight),
        ..Annotations::default()
    };
    annotations.push(out);
    out.push_str(",\"labels\":{");
    let is_node = |label: &&(&str, &str)| label.0 == NODE_LABEL;
    push_labels(labels.iter().filter(|label| !is_node(label)).copied(), out);
    out.push_str("}},\"spec\":{");
    if let Some((_, node)) = labels.iter().find(is_node) {
        out.push_str("\"nodeName\":");
        push_text(node, out);
    }
    out.push_str("},\"status\":{\"phase\":");
    match excluded {
        Some(Exclusion::PodFinished(phase)) => push_text(phase, out),
        _ => push_text("Running", out),
    }
    out.push_str(",\"podIPs\":[");
    push_list(pod.addresses.iter(), out, |address, out| {
        let _ = write!(out, "{{\"ip\":\"{address}\"}}");
    });
    out.push(']');
    let ready = match excluded {
        Some(Exclusion::PodNotReady(status)) => status.as_deref(),
        _ => Some("True"),
    };
    if let Some(ready) = ready {
        out.push(',');
        push_condition("Ready", ready, None, out);
    }
    out.push_str("}}");
}

/// Begins an object; its metadata is open, and has a field.
fn push_head(api_version: &str, kind: &str, key: &ObjectKey, out: &mut String) {
    let _ = write!(
        out,
        "{{\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}\",\"metadata\":{{\"name\":"
    );
    push_text(&key.name, out);
    push_field("namespace", &key.namespace, out);
}

fn push_endpoint(endpoint: &InlineEndpoint, details: Option<&Details>, out: &mut String) {
    let (address, excluded) = match endpoint {
        InlineEndpoint::Ip(ip) => (Some(ip.to_string()), None),
        InlineEndpoint::Name(name) => (Some(text_of(name)), None),
        InlineEndpoint::Other(excluded) => {
            let address = match excluded {
                Exclusion::NotAnAddress(Address::Name(text) | Address::Unix(text)) => {
                    Some(text.to_string())
                }
                Exclusion::NotAnAddress(Address::Ip(ip)) => Some(ip.to_string()),
                // A network stands among its labels.
                _ => None,
            };
            (address, Some(excluded))
        }
    };
    let labels = details.map(|details| details.labels.iter().collect::<Vec<_>>());
    let labels = labels.unwrap_or_default();
    let topology = Topology::of(&labels, excluded);
    out.push('{');
    let start = out.len();
    if let Some(address) = address {
        push_field("address", &address, out);
    }
    if topology.others(&labels).next().is_some() {
        out.push_str(",\"labels\":{");
        push_labels(topology.others(&labels), out);
        out.push('}');
    }
    topology.push(out);
    if let Some(details) = details {
        push_attributes(&details.attributes, out);
    }
    // Each field stands behind a comma, and the first behind none.
    if out.len() > start {
        out.remove(start);
    }
    out.push('}');
}

fn push_service_port(port: &ServicePort, out: &mut String) {
    // What else runs over TCP tells its host, and so may stand beside several.
    let protocol = match port.transport {
        Transport::Udp => "UDP",
        Transport::Tcp if port.is_https => "HTTPS",
        Transport::Tcp => "HTTP",
    };
    let _ = write!(out, "{{\"number\":{}", port.number);
    push_field("name", &port.name, out);
    push_field("protocol", protocol, out);
    if let Some(target) = port.target {
        let _ = write!(out, ",\"targetPort\":{target}");
    }
    out.push('}');
}

/// Appends weight and ports behind another field, where there are any.
fn push_attributes(attributes: &Attributes, out: &mut String) {
    if attributes.weight != NonZeroU32::MIN {
        let _ = write!(out, ",\"weight\":{}", attributes.weight);
    }
    if !attributes.ports.is_empty() {
        out.push_str(",\"ports\":{");
        push_list(attributes.ports.iter(), out, |(name, port), out| {
            push_text(name, out);
            let _ = write!(out, ":{port}");
        });
        out.push('}');
    }
}

/// What of the labels of a WorkloadEntry or an inline endpoint is derived from its network and its locality.
struct Topology<'t> {
    network: Option<&'t str>,
    locality: [&'t str; 3],
}

impl<'t> Topology<'t> {
    /// The topology of an endpoint with these labels, which may be no more than a network.
    fn of(labels: &[(&'t str, &'t str)], excluded: Option<&'t Exclusion>) -> Self {
        let value_of = |key: &str| {
            let label = labels.iter().find(|label| label.0 == key);
            label.map(|label| label.1)
        };
        Self {
            network: match excluded {
                Some(Exclusion::NotAnAddress(Address::Network(network))) => Some(network),
                _ => value_of(NETWORK_LABEL),
            },
            locality: LOCALITY_LABELS.map(|key| value_of(key).unwrap_or_default()),
        }
    }

    /// The labels that are not derived from it.
    fn others<'l>(
        &'l self,
        labels: &'l [(&'l str, &'l str)],
    ) -> impl Iterator<Item = (&'l str, &'l str)> {
        let is_other = |(key, value): &(&str, &str)| {
            let is_network = *key == NETWORK_LABEL && Some(*value) == self.network;
            !is_network && !LOCALITY_LABELS.contains(key)
        };
        labels.iter().copied().filter(is_other)
    }

    /// Appends it behind another field, where there is any of it.
    fn push(&self, out: &mut String) {
        if let Some(network) = self.network {
            push_field("network", network, out);
        }
        let locality = self.locality.join("/");
        let locality = locality.trim_end_matches('/');
        if !locality.is_empty() {
            push_field("locality", locality, out);
        }
    }
}

fn push_condition(name: &str, status: &str, probed: Option<i64>, out: &mut String) {
    let _ = write!(out, "\"conditions\":[{{\"type\":\"{name}\",\"status\":");
    push_text(status, out);
    if let Some(probed) = probed.and_then(timestamp) {
        push_field("lastProbeTime", &probed, out);
    }
    out.push_str("}]");
}

fn push_labels<'t>(labels: impl Iterator<Item = (&'t str, &'t str)>, out: &mut String) {
    for (index, (key, value)) in labels.enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_text(key, out);
        out.push(':');
        push_text(value, out);
    }
}

fn push_list<T>(items: impl Iterator<Item = T>, out: &mut String, push: impl Fn(T, &mut String)) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(item, out);
    }
}

/// Appends a field behind another one.
fn push_field(name: &str, text: &str, out: &mut String) {
    let _ = write!(out, ",\"{name}\":");
    push_text(text, out);
}

fn push_text(text: &str, out: &mut String) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// A name as manifests have it. One that ends with a number needs its last dot, lest it is taken for an address.
fn text_of(name: &Name) -> String {
    let mut text = String::new();
    let mut is_number = false;
    for label in name.labels() {
        if !text.is_empty() {
            text.push('.');
        }
        // What is no UTF-8 was in no manifest.
        text.push_str(&String::from_utf8_lossy(label));
        is_number = label.iter().all(u8::is_ascii_digit);
    }
    if is_number {
        text.push('.');
    }
    text
}

fn resolution(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::None => "NONE",
        Resolution::Static => "STATIC",
        Resolution::Dns => "DNS",
        Resolution::DnsRoundRobin => "DNS_ROUND_ROBIN",
        Resolution::DynamicDns => "DYNAMIC_DNS",
    }
}

/// A time in seconds since 1970 as manifests have it; `None` for the oldest, which is what no time means. What is older than
/// that is as old.
fn timestamp(seconds: i64) -> Option<String> {
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests;
