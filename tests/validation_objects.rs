//! What valid manifests become, and what is left of invalid ones.

use std::{io, num::NonZeroU32, sync::Arc};

use meshdns::{
    diagnostic::{Kind, ObjectKey, Position, code},
    dns::Name,
    manifest::{
        self, Address, Attributes, Contents, DocumentOutcome, Endpoint, EndpointSource, Export,
        LabelMap, Object, Pod, Resolution, ServiceEntry, ServicePort, Transport, WorkloadEntry,
    },
};

fn parse(text: &str) -> Contents {
    manifest::parse(&Arc::from("mesh.yaml"), text)
}

#[track_caller]
fn object(text: &str) -> Object {
    let mut contents = parse(text);
    let told: Vec<_> = contents
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    match contents.documents.pop().map(|document| document.outcome) {
        Some(DocumentOutcome::Object(object)) => object,
        other => panic!("{other:?}: {told:#?}"),
    }
}

#[track_caller]
fn service_entry(spec: &str) -> ServiceEntry {
    let text = format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: a}}, spec: {{{spec}}}}}"
    );
    match object(&text) {
        Object::ServiceEntry(entry) => *entry,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn workload_entry(metadata: &str, spec: &str, rest: &str) -> WorkloadEntry {
    let text = format!(
        "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: a, {metadata}}}, \
         spec: {{address: 10.0.0.1, {spec}}}, {rest}}}"
    );
    match object(&text) {
        Object::WorkloadEntry(entry) => *entry,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn pod(rest: &str) -> Pod {
    match object(&format!("{{apiVersion: v1, kind: Pod, {rest}}}")) {
        Object::Pod(pod) => *pod,
        other => panic!("{other:?}"),
    }
}

fn labels(pairs: &[(&str, &str)]) -> LabelMap {
    pairs.iter().copied().collect()
}

fn name(text: &str) -> Name {
    Name::from_text(text).expect("a valid name")
}

#[test]
fn metadata_names_the_object() {
    let pod = pod(
        "metadata: {name: a, namespace: b, labels: {app: x}, creationTimestamp: 1970-01-02T00:00:00Z}",
    );
    assert_eq!(
        (
            &*pod.metadata.name,
            &*pod.metadata.namespace,
            pod.metadata.created
        ),
        ("a", "b", 86_400)
    );
    let entry = workload_entry(
        "namespace: '', creationTimestamp: ~, labels: ~, annotations: {a: }",
        "",
        "",
    );
    assert_eq!(
        (&*entry.metadata.namespace, entry.metadata.created),
        ("default", 0)
    );
}

#[test]
fn a_service_entry_keeps_the_hosts_that_can_answer() {
    let entry = service_entry("hosts: [A.Test, a.test., '*.b.test', '*c.test']");
    assert_eq!(entry.hosts, [name("a.test"), name("*.b.test")]);
    assert_eq!(entry.resolution, Resolution::None);
    assert_eq!(entry.endpoints, EndpointSource::Neither);
    assert_eq!(entry.export, Export::Everyone);
    for (list, export) in [
        ("[]", Export::Everyone),
        ("['*']", Export::Everyone),
        ("[.]", Export::Some(["default".into()].into())),
        (
            "[., other]",
            Export::Some(["default".into(), "other".into()].into()),
        ),
        ("['~']", Export::Nobody),
    ] {
        let entry = service_entry(&format!("hosts: [a.test], exportTo: {list}"));
        assert_eq!(entry.export, export, "{list}");
    }
}

#[test]
fn a_service_entry_keeps_single_addresses() {
    let addresses = "[10.0.0.1, 10.0.0.0/24, 10.0.0.2/32, '2001:db8::1/128', 10.0.0.1, '::ffff:192.0.2.1', 'fe80::1%a']";
    let entry = service_entry(&format!(
        "hosts: [a.test], resolution: STATIC, addresses: {addresses}"
    ));
    let expected = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "192.0.2.1"];
    assert_eq!(
        entry.addresses,
        expected.map(|text| text.parse::<std::net::IpAddr>().expect("an address"))
    );
}

#[test]
fn a_service_entry_has_endpoints_or_a_selector() {
    let entry = service_entry(
        "hosts: [a.test], resolution: STATIC, endpoints: [{address: 10.0.0.1}, {network: net}]",
    );
    let ip = Address::Ip("10.0.0.1".parse().expect("an address"));
    assert_eq!(
        entry.endpoints,
        EndpointSource::Inline(vec![
            ip.into(),
            Endpoint {
                labels: labels(&[("topology.istio.io/network", "net")]),
                ..Address::Network("net".into()).into()
            }
        ])
    );
    let entry = service_entry("hosts: [a.test], resolution: DNS, endpoints: [{address: db.test}]");
    assert_eq!(
        entry.endpoints,
        EndpointSource::Inline(vec![Address::Name("db.test".into()).into()])
    );
    let entry = service_entry("hosts: [a.test], resolution: STATIC, endpoints: []");
    assert_eq!(entry.endpoints, EndpointSource::Neither);
    let entry =
        service_entry("hosts: [a.test], resolution: STATIC, workloadSelector: {labels: {app: a}}");
    assert_eq!(
        entry.endpoints,
        EndpointSource::Selector(labels(&[("app", "a")]))
    );
    let entry = service_entry("hosts: [a.test], resolution: STATIC, workloadSelector: {}");
    assert_eq!(
        entry.endpoints,
        EndpointSource::Selector(LabelMap::default())
    );
}

#[test]
fn endpoints_have_weights_ports_and_labels() {
    let ports = "ports: [{number: 80, name: web, protocol: HTTP}, {number: 443, name: tls, protocol: https}]";
    let attributes = |weight: u32, ports: &[(&str, u16)]| Attributes {
        weight: NonZeroU32::new(weight).expect("a weight"),
        ports: ports
            .iter()
            .map(|(name, port)| ((*name).into(), *port))
            .collect(),
    };
    for (spec, expected) in [
        (
            "weight: 3, ports: {web: 8080.0, tls: 8443}",
            attributes(3, &[("tls", 8443), ("web", 8080)]),
        ),
        ("weight: 4294967295", attributes(u32::MAX, &[])),
        ("weight: 0", Attributes::default()),
    ] {
        let entry = service_entry(&format!(
            "hosts: [a.test], resolution: STATIC, {ports}, endpoints: [{{address: 10.0.0.1, {spec}, locality: eu/eu-1, labels: {{version: v1}}}}]"
        ));
        let EndpointSource::Inline(endpoints) = entry.endpoints else {
            panic!("the endpoint stands in the ServiceEntry");
        };
        assert_eq!(endpoints[0].attributes, expected);
        let zone = "topology.kubernetes.io/zone";
        let region = "topology.kubernetes.io/region";
        let expected_labels = [(region, "eu"), (zone, "eu-1"), ("version", "v1")];
        assert_eq!(endpoints[0].labels, labels(&expected_labels));
        assert_eq!(workload_entry("", spec, "").attributes, expected);
    }
}

#[test]
fn a_service_entry_has_ports() {
    let entry = service_entry(
        "hosts: [a.test], ports: [{number: 80, name: web, targetPort: 8080}, {number: 53, name: dns, protocol: UDP, targetPort: 53}, \
         {number: 443, name: tls, protocol: HTTPS}]",
    );
    let port = |name: &str, number, target, transport, is_https| ServicePort {
        name: name.into(),
        number,
        target,
        transport,
        is_https,
    };
    assert_eq!(
        entry.ports,
        [
            port("web", 80, Some(8080), Transport::Tcp, false),
            port("dns", 53, None, Transport::Udp, false),
            port("tls", 443, None, Transport::Tcp, true),
        ]
    );
}

#[test]
fn a_workload_entry_has_labels_from_everywhere() {
    let entry = workload_entry(
        "labels: {app: metadata, team: x}",
        "labels: {app: spec, tier: db}, locality: eu/eu-1/rack/row, network: vpc",
        "",
    );
    let expected = labels(&[
        ("app", "metadata"),
        ("team", "x"),
        ("tier", "db"),
        ("topology.istio.io/network", "vpc"),
        ("topology.istio.io/subzone", "rack"),
        ("topology.kubernetes.io/region", "eu"),
        ("topology.kubernetes.io/zone", "eu-1"),
    ]);
    assert_eq!(entry.labels, expected);
}

#[test]
fn a_label_stands_in_for_locality_and_wins_over_network() {
    let entry = workload_entry(
        "labels: {istio-locality: eu.eu-1}",
        "labels: {topology.istio.io/network: own}, network: vpc",
        "",
    );
    let expected = labels(&[
        ("istio-locality", "eu.eu-1"),
        ("topology.istio.io/network", "own"),
        ("topology.kubernetes.io/region", "eu"),
        ("topology.kubernetes.io/zone", "eu-1"),
    ]);
    assert_eq!(entry.labels, expected);
    let entry = workload_entry(
        "labels: {topology.kubernetes.io/region: us}",
        "locality: eu//rack",
        "",
    );
    let expected = labels(&[
        ("topology.istio.io/subzone", "rack"),
        ("topology.kubernetes.io/region", "eu"),
    ]);
    assert_eq!(entry.labels, expected);
}

#[test]
fn a_workload_entry_tells_its_health() {
    let entry = workload_entry("", "", "");
    assert_eq!((entry.healthy, entry.health_checks_enabled), (None, false));
    let conditions = "status: {conditions: [{type: Other, status: x}, {type: Healthy, status: Unknown}, {type: Healthy, status: 'True'}]}";
    let enabled = "annotations: {proxy.istio.io/health-checks-enabled: 'true'}";
    let entry = workload_entry(enabled, "", conditions);
    assert_eq!(
        (entry.healthy.as_deref(), entry.health_checks_enabled),
        (Some("Unknown"), true)
    );
    for (text, expected) in [
        ("1", true),
        ("T", true),
        ("True", true),
        ("yes", false),
        ("tRUE", false),
        ("0", false),
    ] {
        let annotation = format!("annotations: {{proxy.istio.io/health-checks-enabled: '{text}'}}");
        assert_eq!(
            workload_entry(&annotation, "", "").health_checks_enabled,
            expected,
            "{text}"
        );
    }
    assert_eq!(workload_entry("", "", "status: ~").healthy, None);
}

#[test]
fn a_workload_entry_has_any_form_of_address() {
    let address = |text: &str| {
        workload_entry("", "", "").address == Address::Ip(text.parse().expect("an address"))
    };
    assert!(address("10.0.0.1"));
    for (spec, expected) in [
        ("{address: vm.test}", Address::Name("vm.test".into())),
        ("{address: 'unix:///x'}", Address::Unix("unix:///x".into())),
        (
            "{network: net, address: ''}",
            Address::Network("net".into()),
        ),
        (
            "{address: '::ffff:192.0.2.1'}",
            Address::Ip("192.0.2.1".parse().expect("an address")),
        ),
        (
            "{address: 'fe80::1%eth0'}",
            Address::Name("fe80::1%eth0".into()),
        ),
    ] {
        let text = format!(
            "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: a}}, spec: {spec}}}"
        );
        match object(&text) {
            Object::WorkloadEntry(entry) => assert_eq!(entry.address, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_pod_is_what_its_status_says() {
    let bare = pod("metadata: {name: a}");
    assert_eq!(
        (
            &*bare.phase,
            bare.ready,
            bare.terminating,
            bare.addresses.len()
        ),
        ("", None, false, 0)
    );
    let full = pod(
        "metadata: {name: a, deletionTimestamp: 2024-01-01T00:00:00Z, labels: {app: x}}, spec: {nodeName: n1}, \
         status: {phase: Running, conditions: [{type: Ready, status: 'True'}], podIP: 10.0.0.1, \
         podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}, {ip: 10.0.0.1}]}",
    );
    assert_eq!(
        (&*full.phase, full.ready.as_deref(), full.terminating),
        ("Running", Some("True"), true)
    );
    assert_eq!(
        full.labels,
        labels(&[("app", "x"), ("kubernetes.io/hostname", "n1")])
    );
    assert_eq!(full.addresses.len(), 2);
    let single = pod("metadata: {name: a}, status: {podIP: 10.0.0.1, podIPs: []}");
    assert_eq!(single.addresses.len(), 1);
    let none = pod("metadata: {name: a}, status: {podIP: '', podIPs: ~, conditions: ~}");
    assert_eq!(none.addresses.len(), 0);
}

#[test]
fn a_rejected_object_keeps_its_key() {
    let contents = parse(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: b}\nspec: 1\n",
    );
    let key = ObjectKey {
        kind: Kind::ServiceEntry,
        namespace: "b".into(),
        name: "a".into(),
    };
    assert_eq!(
        contents.documents[0].outcome,
        DocumentOutcome::Rejected(Some(key.clone()))
    );
    assert_eq!(contents.diagnostics[0].object, Some(key));
    let contents = parse("kind: ServiceEntry\nmetadata: {name: a, namespace: b}\n");
    assert!(matches!(
        contents.documents[0].outcome,
        DocumentOutcome::Rejected(Some(_))
    ));
    let contents = parse("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: 1}\n");
    assert_eq!(
        contents.documents[0].outcome,
        DocumentOutcome::Rejected(None)
    );
    let contents = parse("a: [\n");
    assert_eq!(
        contents.documents[0].outcome,
        DocumentOutcome::Rejected(None)
    );
}

#[test]
fn a_bad_item_takes_no_neighbour_along() {
    let contents = parse(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- 1\n\
         - {apiVersion: v1, kind: Pod, metadata: {name: b, name: c}}\n- {apiVersion: v1, kind: Service}\n\
         - {apiVersion: v1, kind: Pod, metadata: {name: d}}\n",
    );
    let outcomes: Vec<_> = contents
        .documents
        .iter()
        .map(|document| {
            let outcome = match &document.outcome {
                DocumentOutcome::Object(object) => format!("{}", object.key()),
                DocumentOutcome::Rejected(key) => format!(
                    "rejected {}",
                    key.as_ref().map_or(String::new(), ToString::to_string)
                ),
                DocumentOutcome::Ignored(kind) => format!("ignored {kind}"),
            };
            (document.place.position.line, outcome)
        })
        .collect();
    let expected = [
        (4, "Pod default/a"),
        (5, "rejected "),
        (6, "rejected Pod default/b"),
        (7, "ignored Service"),
        (8, "Pod default/d"),
    ];
    assert_eq!(
        outcomes,
        expected.map(|(line, text)| (line, text.to_owned()))
    );
}

#[test]
fn documents_and_places_count_over_the_whole_file() {
    let contents = parse(
        "# a\n\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n\n  # b\napiVersion: v1\nkind: [Pod]\n",
    );
    let origins: Vec<_> = contents
        .documents
        .iter()
        .map(|document| (document.place.document, document.place.position))
        .collect();
    assert_eq!(
        origins,
        [
            (1, Position { line: 4, column: 1 }),
            (
                2,
                Position {
                    line: 10,
                    column: 1
                }
            )
        ]
    );
    assert_eq!(contents.diagnostics[0].origin.to_string(), "mesh.yaml:11:7");
    let place = contents.diagnostics[0].origin.in_file();
    assert_eq!(place.map(|place| place.document), Some(2));
}

#[test]
fn annotations_have_a_size_together() {
    let object = |bytes: usize| {
        let value = "x".repeat(bytes - 2 * "key-a".len());
        let (one, other) = value.split_at(bytes / 2);
        let annotations = format!("{{key-a: {one}, key-b: {other}}}");
        parse(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, annotations: {annotations}}}\n"
        ))
    };
    assert_eq!(object(256 << 10).diagnostics, []);
    let told = object((256 << 10) + 1).diagnostics;
    assert_eq!(told[0].code, code::ANNOTATION);
    assert!(told[0].message.contains("262145 bytes"), "{}", told[0]);
}

#[test]
fn json_is_placed_like_yaml() {
    let json = "{\n\t\"apiVersion\": \"v1\",\n\t\"é\": \"\\u00e9\", \"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"A\", \"name\": 1}}\n{\"kind\": tru}";
    let told: Vec<_> = manifest::parse(&Arc::from("a.json"), json)
        .diagnostics
        .iter()
        .map(|found| format!("{} {}", found.origin, found.code))
        .collect();
    assert_eq!(
        told,
        [
            "a.json:4:23 MDNS111",
            "a.json:4:28 MDNS009",
            "a.json:5:13 MDNS004"
        ]
    );
    let told = manifest::parse(&Arc::from("a.json"), "{\"kind\": \"Pod\", \"é\": 1,}").diagnostics;
    assert_eq!(
        told[0].to_string(),
        "a.json:1:24: error [MDNS004]: not JSON: trailing comma"
    );
}

#[test]
fn files_that_are_no_text_are_told() {
    let file = Arc::from("a.yaml");
    let told = |bytes: &[u8]| {
        manifest::parse_bytes(&file, bytes)
            .diagnostics
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(b"\xff\xfek\0"),
        ["a.yaml:1:1: error [MDNS003]: the file is UTF-16: save it as UTF-8"]
    );
    assert_eq!(
        told(b"\xfe\xff\0k"),
        ["a.yaml:1:1: error [MDNS003]: the file is UTF-16: save it as UTF-8"]
    );
    assert_eq!(
        told(b"a: b\n\xc3\xa9: \xff"),
        ["a.yaml:2:4: error [MDNS003]: the byte 0xff is not UTF-8: save the file as UTF-8"]
    );
    assert!(told(b"").is_empty());
}

#[test]
fn files_that_can_not_be_read_are_told() {
    let file = Arc::from("a.yaml");
    let large = manifest::too_large(&file, 100 << 20);
    assert_eq!(
        (
            large.code,
            large.origin.in_file().map(|place| place.document)
        ),
        (code::FILE_TOO_LARGE, Some(0))
    );
    assert_eq!(
        large.message,
        "the file has 100 MiB, and 64 MiB is the most: split it"
    );
    let denied = manifest::unreadable(&file, &io::Error::from(io::ErrorKind::PermissionDenied));
    assert_eq!(
        (denied.code, &*denied.message),
        (
            code::FILE_UNREADABLE,
            "the file can't be read: permission denied"
        )
    );
}
