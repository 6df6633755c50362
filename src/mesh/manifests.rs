//! Writes objects back as manifests: as little of each as gives the same answers when it is read again.
//!
//! What was derived when the manifest was read, as labels from a locality, is written as what it was derived from. Objects that
//! answer nothing and decide nothing are left out: WorkloadGroups without a probe, and ServiceEntries without a usable host.

mod notes;

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use notes::{probe_json, push_annotations};

use super::{
    addresses::Addresses,
    entry::Group,
    exclusion::Exclusion,
    service::{Endpoints, InlineEndpoint, Service},
    workload::Workload,
};
use crate::{
    diagnostic::{Kind, ObjectKey},
    dns::Name,
    manifest::{Address, Export, Resolution},
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
    push_annotations(service.notes.as_deref(), false, out);
    out.push_str("},\"spec\":{\"hosts\":[");
    push_list(&service.hosts, out, |host, out| {
        push_text(&text_of(host), out);
    });
    out.push(']');
    if !service.addresses.is_empty() {
        out.push_str(",\"addresses\":[");
        push_list(&service.addresses, out, |address, out| {
            push_text(&address.to_string(), out);
        });
        out.push(']');
    }
    push_field("resolution", resolution(service.resolution), out);
    match service.export {
        Export::Everyone => {}
        Export::Some => out.push_str(",\"exportTo\":[\".\"]"),
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
            // A socket needs one port.
            if endpoints.iter().any(is_socket) {
                out.push_str(",\"ports\":[{\"number\":1,\"name\":\"http\",\"protocol\":\"HTTP\"}]");
            }
            out.push_str(",\"endpoints\":[");
            push_list(endpoints, out, push_endpoint);
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
    let is_locality = |key: &str| LOCALITY_LABELS.contains(&key);
    let value_of = |key: &str| {
        labels
            .iter()
            .find(|label| label.0 == key)
            .map(|label| label.1)
    };
    let network_label = value_of(NETWORK_LABEL);
    let network = match excluded {
        Some(Exclusion::NotAnAddress(Address::Network(network))) => Some(&**network),
        _ => network_label,
    };
    let is_written = |(key, value): &&(&str, &str)| {
        is_locality(key) || (*key == NETWORK_LABEL && Some(*value) == network)
    };
    let of_metadata = |label: &&(&str, &str)| !label.0.contains(|c: char| c.is_ascii_uppercase());
    let plain = || labels.iter().filter(|label| !is_written(label));
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
    push_annotations(workload.notes(), waits_for_report, out);
    out.push_str(",\"labels\":{");
    push_labels(plain().filter(of_metadata).copied(), out);
    out.push_str("}},\"spec\":{\"labels\":{");
    // The API server takes no prefix in upper case, Istio does.
    push_labels(plain().filter(|label| !of_metadata(label)).copied(), out);
    out.push('}');
    if let Some(network) = network {
        push_field("network", network, out);
    }
    let parts = LOCALITY_LABELS.map(|key| value_of(key).unwrap_or_default());
    let locality = parts.join("/");
    let locality = locality.trim_end_matches('/');
    if !locality.is_empty() {
        push_field("locality", locality, out);
    }
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
        let reported = workload.statement.as_ref().and_then(|said| said.reported);
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
    push_annotations(pod.notes(), false, out);
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
    push_list(&pod.addresses, out, |address, out| {
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

fn push_endpoint(endpoint: &InlineEndpoint, out: &mut String) {
    out.push('{');
    let (field, text) = match endpoint {
        InlineEndpoint::Ip(ip) => ("address", ip.to_string()),
        InlineEndpoint::Name(name) => ("address", text_of(name)),
        InlineEndpoint::Other(Exclusion::NotAnAddress(address)) => match address {
            Address::Ip(ip) => ("address", ip.to_string()),
            Address::Name(text) | Address::Unix(text) => ("address", text.to_string()),
            Address::Network(network) => ("network", network.to_string()),
        },
        InlineEndpoint::Other(_) => ("network", "unknown".to_owned()),
    };
    let _ = write!(out, "\"{field}\":");
    push_text(&text, out);
    out.push('}');
}

fn is_socket(endpoint: &InlineEndpoint) -> bool {
    matches!(
        endpoint,
        InlineEndpoint::Other(Exclusion::NotAnAddress(Address::Unix(_)))
    )
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

fn push_list<T>(items: &[T], out: &mut String, push: impl Fn(&T, &mut String)) {
    for (index, item) in items.iter().enumerate() {
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
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use crate::{
        manifest,
        mesh::{FileChange, Mesh, Reading},
    };

    fn mesh_of(file: &Arc<str>, text: &str) -> (Mesh, usize) {
        let contents = manifest::parse(file, text);
        let errors = contents.diagnostics.len();
        let mut mesh = Mesh::default();
        let change = FileChange {
            file: file.clone(),
            reading: Reading::Read(contents),
        };
        mesh.apply(vec![change], std::time::SystemTime::UNIX_EPOCH);
        (mesh, errors)
    }

    /// What answers are made from, without the places where it stands.
    fn said(mesh: &Mesh) -> Vec<String> {
        let workloads = mesh.workloads().map(|workload| {
            let labels = mesh.label_texts(&workload.key.namespace, &workload.labels);
            let (addresses, said) = (&workload.addresses, &workload.statement);
            format!("{} {labels:?} {addresses:?} {said:?}", workload.key)
        });
        let hosts = mesh.hosts();
        let services = hosts.iter().flat_map(|host| mesh.services_of(host));
        let services = services.map(|service| {
            let selector = service.selector();
            let labels = selector.map(|labels| mesh.label_texts(&service.key.namespace, labels));
            let endpoints = match labels {
                Some(labels) => format!("{labels:?}"),
                None => format!("{:?}", service.endpoints),
            };
            format!(
                "{} {:?} {:?} {:?} {endpoints} {:?} {} {:?}",
                service.key,
                service.hosts,
                service.addresses,
                service.resolution,
                service.export,
                service.created,
                service.notes
            )
        });
        let mut said: Vec<String> = workloads.chain(services).collect();
        said.sort_unstable();
        said.dedup();
        said
    }

    #[track_caller]
    fn check(text: &str) -> usize {
        let file: Arc<str> = "a.yaml".into();
        let (mesh, _) = mesh_of(&file, text);
        let mut written = String::from("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
        let count = mesh.write_objects(&file, &mut written);
        written.push_str("]}");
        let (again, _) = mesh_of(&file, &written);
        assert_eq!(said(&again), said(&mesh), "{text}\n{written}");
        count
    }

    fn manifests_below(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                manifests_below(&path, found);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                // What is no text can't be read, and holds no object.
                found.extend(fs::read_to_string(&path));
            }
        }
    }

    #[test]
    fn what_is_written_says_what_was_read() {
        let mut texts = Vec::new();
        for folder in ["tests/cases", "tests/validation", "zones", "tests/egress"] {
            manifests_below(
                &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
                &mut texts,
            );
        }
        let count: usize = texts.iter().map(|text| check(text)).sum();
        assert!(count > 100, "{count} objects were written");
    }

    #[test]
    fn what_was_derived_is_derived_again() {
        let entry = |spec: &str, metadata: &str| {
            check(&format!(
                "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: a{metadata}}}\nspec: {spec}\n"
            ))
        };
        for status in [
            "{type: Healthy, status: 'True'}",
            "{type: Healthy, status: Odd, lastProbeTime: '2026-01-01T00:00:00Z'}",
        ] {
            let status = format!("{{address: 10.0.0.1}}\nstatus: {{conditions: [{status}]}}");
            assert_eq!(entry(&status, ""), 1, "{status}");
        }
        for spec in [
            "{address: 10.0.0.1, network: net one, locality: us east/a b/c}",
            "{address: 10.0.0.1, labels: {istio-locality: a.b.c, app: x}}",
            "{address: 10.0.0.1, locality: //c, labels: {istio-locality: x.y}}",
            "{address: 10.0.0.1, network: net, labels: {topology.istio.io/network: m}}",
            "{network: net, labels: {topology.istio.io/network: m, Example.com/A: b}}",
            "{address: 'unix:///a/b', labels: {topology.kubernetes.io/zone: z}}",
            "{address: 'fe80::1%eth0'}",
            "{address: vm.example.com}",
        ] {
            for metadata in [
                "",
                ", labels: {app: z, istio-locality: q.r}",
                ", annotations: {proxy.istio.io/health-checks-enabled: 'true'}",
                ", annotations: {meshdns.io/state: drain, meshdns.io/state-until: '2026-12-01T06:00:00Z', meshdns.io/state-reason: \"a \\\"b\\\"\"}",
                ", annotations: {meshdns.io/probe: none, meshdns.io/workload-group: g, istio.io/autoRegistrationGroup: h, meshdns.io/heartbeat: 60s}",
                ", annotations: {meshdns.io/probe: 'httpGet: {port: 80, path: /x?a=1, host: a.example, scheme: HTTPS, httpHeaders: [{name: A, value: b}]}'}",
                ", annotations: {meshdns.io/probe: '{grpc: {port: 1, service: s}, periodSeconds: 3, failureThreshold: 7}'}",
                ", creationTimestamp: '2026-01-01T00:00:00Z', ownerReferences: [{kind: WorkloadGroup, name: g, controller: true}]",
            ] {
                assert_eq!(entry(spec, metadata), 1, "{spec}");
            }
        }
        let pod = |status: &str, metadata: &str| {
            check(&format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: a{metadata}}}\nspec: {{nodeName: node one}}\nstatus: {status}\n"
            ))
        };
        for status in [
            "{phase: Failed, podIP: 10.0.0.1}",
            "{phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: '2001:db8::1'}], conditions: [{type: Ready, status: 'True'}]}",
            "{podIP: 10.0.0.1, conditions: [{type: Ready, status: \"a\\\"b\\\\\"}]}",
            "{podIP: 10.0.0.1}",
            "{}",
        ] {
            for metadata in [
                "",
                ", deletionTimestamp: '2026-01-01T00:00:00Z', labels: {a: b}",
            ] {
                assert_eq!(pod(status, metadata), 1, "{status}");
            }
        }
    }
}
