//! Objects as a cluster has them.

use serde_json::{Value, json};

/// A ServiceEntry in the namespace `ns1` for `<name>.internal.com` that selects workloads with the label `app: <name>`.
pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "ns1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "hosts": [format!("{name}.internal.com")],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "workloadSelector": {"labels": {"app": name}},
        },
    })
}

/// A Pod of `app` in the namespace `ns1`.
pub(crate) fn pod(name: &str, app: &str, address: &str, is_ready: bool) -> Value {
    let ready = if is_ready { "True" } else { "False" };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns1", "labels": {"app": app}, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "main", "image": "reviews", "env": [{"name": "X", "value": "}]\"\\"}]}]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    })
}

/// A VM of `app` in the namespace `ns1`.
pub(crate) fn vm(name: &str, app: &str, address: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": name, "namespace": "ns1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"address": address, "labels": {"app": app}},
    })
}
