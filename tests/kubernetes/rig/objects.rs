//! Objects as people and controllers write them, and the definitions of Istio's kinds.

use serde_json::{Value, json};

/// The versions that Istio's kinds are served at.
pub(crate) const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha3"];

/// Istio's kinds that count here, with the plural that paths have.
pub(crate) const KINDS: [(&str, &str); 3] = [
    ("ServiceEntry", "serviceentries"),
    ("WorkloadEntry", "workloadentries"),
    ("WorkloadGroup", "workloadgroups"),
];

/// What makes an API server serve a kind of Istio's at these versions. It takes any fields, so that an object can be wrong.
pub(crate) fn definition(kind: &str, plural: &str, versions: &[&str]) -> Value {
    let version = |(place, name): (usize, &&str)| {
        json!({
            "name": name, "served": true, "storage": place == 0,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            "subresources": {"status": {}},
        })
    };
    let versions: Vec<Value> = versions.iter().enumerate().map(version).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.networking.istio.io")},
        "spec": {
            "group": "networking.istio.io", "scope": "Namespaced", "versions": versions,
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
        },
    })
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A ServiceEntry for a host with this endpoint.
pub(crate) fn service(namespace: &str, name: &str, host: &str, address: &str) -> Value {
    let mut object = selecting(namespace, name, host, &Value::Null);
    let spec = object["spec"].as_object_mut().expect("made above");
    spec.remove("workloadSelector");
    spec.insert("endpoints".to_owned(), json!([{"address": address}]));
    object
}

/// A ServiceEntry for a host that selects by these labels.
pub(crate) fn selecting(namespace: &str, name: &str, host: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "workloadSelector": {"labels": labels},
        },
    })
}

/// A VM without health checks.
pub(crate) fn vm(namespace: &str, name: &str, labels: &Value, address: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"address": address, "labels": labels},
    })
}

/// A Pod that runs.
pub(crate) fn pod(
    namespace: &str,
    name: &str,
    labels: &Value,
    address: &str,
    is_ready: bool,
) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
        "status": pod_status(address, is_ready),
    })
}

/// What a kubelet writes of a Pod that runs.
pub(crate) fn pod_status(address: &str, is_ready: bool) -> Value {
    let status = if is_ready { "True" } else { "False" };
    json!({
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": status}],
    })
}
