//! What is written says what was read.

use std::{fs, path::Path, sync::Arc};

use proptest::prelude::*;
use serde_json::json;

use crate::{
    manifest::{self, TrafficNotes},
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
        let traffic = service.traffic.as_deref().cloned().map(|mut traffic| {
            traffic.unreadable = Box::default();
            traffic
        });
        let traffic = traffic.filter(|traffic| *traffic != TrafficNotes::default());
        format!(
            "{} {:?} {:?} {:?} {endpoints} {:?} {} {:?} {traffic:?} {:?} {:?}",
            service.key,
            service.hosts,
            service.addresses,
            service.resolution,
            service.export,
            service.created,
            service.notes,
            service.ports,
            service.details,
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
        "{address: 10.0.0.1, labels: {istio-locality: a.b.c, topology.istio.io/locality: d.e}}",
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

/// The ports of a service: names that endpoints use too, over TCP and UDP.
fn service_ports() -> impl Strategy<Value = Vec<serde_json::Value>> {
    let all = vec![
        json!({"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}),
        json!({"number": 443, "name": "TLS", "protocol": "https"}),
        json!({"number": 53, "name": "dns", "protocol": "UDP", "targetPort": 53}),
        json!({"number": 27017, "name": "db"}),
    ];
    prop::sample::subsequence(all, 1..=4)
}

/// What an endpoint says of itself; `ports` are the service's.
fn endpoint(ports: &[serde_json::Value]) -> impl Strategy<Value = serde_json::Value> + use<> {
    let names = ports
        .iter()
        .filter_map(|port| Some(port["name"].as_str()?.to_owned()));
    let names: Vec<_> = names.collect();
    let most = names.len();
    (
        prop::sample::select(vec!["10.0.0.1", "2001:db8::1", ""]),
        prop::option::of(prop::sample::select(vec![0_u32, 1, 7, u32::MAX])),
        prop::sample::subsequence(names, 0..=most),
        prop::sample::subsequence(
            vec![
                ("version", "v1"),
                ("Example.com/Team", "a"),
                ("istio-locality", "x.y"),
                ("topology.istio.io/network", "other"),
                ("topology.kubernetes.io/zone", "z"),
            ],
            0..=5,
        ),
        prop::option::of(prop::sample::select(vec!["eu", "us east/a b/c", "//c"])),
        any::<bool>(),
    )
        .prop_map(|(address, weight, ports, labels, locality, has_network)| {
            let mut endpoint = json!({});
            if !address.is_empty() {
                endpoint["address"] = address.into();
            }
            if address.is_empty() || has_network {
                endpoint["network"] = "net one".into();
            }
            if let Some(weight) = weight {
                endpoint["weight"] = weight.into();
            }
            if !ports.is_empty() {
                let ports = ports.into_iter().zip(8_000..);
                endpoint["ports"] = ports
                    .map(|(name, port)| (name, port.into()))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
            }
            let labels = labels.into_iter();
            endpoint["labels"] = labels
                .map(|(key, value)| (key.to_owned(), value.into()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            if let Some(locality) = locality {
                endpoint["locality"] = locality.into();
            }
            endpoint
        })
}

/// Annotations that can be read.
fn annotations() -> impl Strategy<Value = serde_json::Value> {
    let shares = prop::sample::select(vec![
        vec![],
        vec![("meshdns.io/share", "pod=10")],
        vec![("meshdns.io/share", "vm=99.99, pod=0.01")],
        vec![
            ("meshdns.io/share", "v1=33.3,v2=10,other=0"),
            ("meshdns.io/share-by", "label:app.kubernetes.io/version"),
        ],
    ]);
    let others = prop::sample::subsequence(
        vec![
            ("meshdns.io/answer", "mix"),
            ("meshdns.io/max-addresses", "0"),
            ("meshdns.io/https", "h3,h2"),
            ("meshdns.io/txt", "[\"a \\\"b\\\"\", \"[x\", \"\"]"),
            (
                "meshdns.io/grpc-config",
                "[{\"serviceConfig\": {\"a\": 1}}]",
            ),
            ("meshdns.io/ptr", "true"),
            ("networking.istio.io/traffic-distribution", "preferSameNode"),
            ("meshdns.io/state", "drain"),
        ],
        0..=8,
    );
    (shares, others).prop_map(|(shares, others)| {
        let annotations = shares.into_iter().chain(others);
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value.into()));
        serde_json::Value::Object(annotations.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_asked_of_answers_is_asked_again(
        annotations in annotations(),
        (ports, endpoints) in service_ports().prop_flat_map(|ports| {
            let endpoints = prop::collection::vec(endpoint(&ports), 0..4);
            (Just(ports), endpoints)
        }),
        vm in endpoint(&[json!({"name": "http"})]),
        weight in 0..3_u32,
    ) {
        let objects = [
            json!({
                "apiVersion": "networking.istio.io/v1",
                "kind": "ServiceEntry",
                "metadata": {"name": "a", "annotations": annotations},
                "spec": {"hosts": ["a.test"], "resolution": "STATIC", "ports": ports, "endpoints": endpoints},
            }),
            json!({
                "apiVersion": "networking.istio.io/v1",
                "kind": "WorkloadEntry",
                "metadata": {"name": "a"},
                "spec": vm,
            }),
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "a", "annotations": {"meshdns.io/weight": weight.to_string()}},
                "status": {"podIP": "10.0.0.2", "conditions": [{"type": "Ready", "status": "True"}]},
            }),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        prop_assert_eq!(check(&list.to_string()), 3);
    }
}
