//! `list` and `explain`.

use serde_json::{Value, json};

use crate::harness::{BROKEN, Place, SVC1};

#[test]
fn list_is_a_table_of_hosts() {
    let ran = Place::with_svc1().run(&["list"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec![
                "HOST",
                "NAMESPACE",
                "SERVICEENTRY",
                "SOURCE",
                "IN",
                "OUT",
                "ADDRESSES"
            ],
            vec![
                "svc1.internal.com",
                "ns1",
                "svc1",
                "selector",
                "2",
                "1",
                "10.0.0.1,192.0.2.7"
            ],
        ]
    );
}

#[test]
fn list_json_says_the_same() {
    let place = Place::with_svc1();
    // The same host in another namespace, with a later name, loses.
    let other = SVC1.replace("ns1", "ns2");
    place.write("zones/other.yaml", &other);
    assert_eq!(
        place.run(&["list", "zones", "-o", "json"]).json(),
        json!([{
            "host": "svc1.internal.com",
            "namespace": "ns1",
            "serviceEntries": ["svc1"],
            "source": "selector",
            "in": 2,
            "out": 1,
            "addresses": ["10.0.0.1", "192.0.2.7"],
            "lost": ["ns2/svc1"],
        }])
    );
}

#[test]
fn an_empty_mesh_is_said_on_stderr() {
    let place = Place::new();
    let ran = place.run(&["list", "--output", "json"]);
    assert_eq!(ran.json(), json!([]));
    assert!(ran.stderr.contains("no ServiceEntry"), "{}", ran.stderr);
    place.write("zones/broken.yaml", BROKEN);
    let ran = place.run(&["list"]);
    assert!(
        ran.stderr.contains("see `meshdns check zones`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn explain_tells_who_is_in_and_why() {
    let place = Place::with_svc1();
    let ran = place.run(&["explain", "SVC1.internal.com"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "svc1.internal.com. A: NOERROR, 2 records\n",
        "ns1/svc1",
        "zones/svc1.yaml:1:1",
        "selector app=svc1",
        "\n  in    Pod ns1/ready ",
        "\n  out   Pod ns1/unready ",
        "condition Ready is False\n",
        "\n  in    WorkloadEntry ns1/vm ",
        "\nsvc1.internal.com. 5 IN A 10.0.0.1\n",
        "\nsvc1.internal.com. 5 IN A 192.0.2.7\n",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} in {}", ran.stdout);
    }
}

#[test]
fn explain_json_has_the_whole_story() {
    let told = Place::with_svc1()
        .run(&["explain", "svc1.internal.com", "-o", "json"])
        .json();
    let expected = json!({
        "name": "svc1.internal.com.",
        "type": "A",
        "outcome": "answer",
        "rcode": "NOERROR",
        "asker": null,
        "forward": null,
        "via": "host",
        "zone": {"apex": "svc1.internal.com.", "declared": false},
        "hosts": [{
            "host": "svc1.internal.com",
            "answers": true,
            "allUnhealthy": false,
            "shares": [],
            "serviceEntries": [{
                "namespace": "ns1", "name": "svc1", "file": "zones/svc1.yaml", "line": 1,
                "chosen": true, "reason": null, "source": "selector", "selector": {"app": "svc1"},
            }],
            "endpoints": [
                {
                    "kind": "WorkloadEntry", "namespace": "ns1", "name": "vm",
                    "file": "zones/svc1.yaml", "line": 26, "addresses": ["192.0.2.7"],
                    "named": null, "in": true, "part": null, "reason": null, "message": null,
                },
                {
                    "kind": "Pod", "namespace": "ns1", "name": "ready",
                    "file": "zones/svc1.yaml", "line": 10, "addresses": ["10.0.0.1"],
                    "named": null, "in": true, "part": null, "reason": null, "message": null,
                },
                {
                    "kind": "Pod", "namespace": "ns1", "name": "unready",
                    "file": "zones/svc1.yaml", "line": 18, "addresses": ["10.0.0.2"],
                    "named": null, "in": false, "part": null, "reason": "PodNotReady",
                    "message": "condition Ready is False",
                },
            ],
            "near": [],
        }],
        "answer": [
            {"name": "svc1.internal.com.", "ttl": 5, "type": "A", "data": "10.0.0.1"},
            {"name": "svc1.internal.com.", "ttl": 5, "type": "A", "data": "192.0.2.7"},
        ],
        "authority": [],
        "near": [],
        "hostsBelow": 0,
    });
    assert_eq!(told, expected);
}

/// A mesh of two Pods, one of them unready, and three VMs, of which Pods are to have a tenth.
const DIALLED: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop, annotations: {meshdns.io/share: pod=10}}
spec:
  hosts: [orders.internal.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: orders}}
---
apiVersion: v1
kind: Pod
metadata: {name: p1, namespace: shop, labels: {app: orders}}
status: {phase: Running, podIPs: [{ip: 10.1.0.1}], conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p2, namespace: shop, labels: {app: orders}}
status: {phase: Running, podIPs: [{ip: 10.1.0.2}], conditions: [{type: Ready, status: 'False'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: coredns-1, namespace: kube-system, labels: {k8s-app: kube-dns}}
status: {phase: Running, podIPs: [{ip: 10.1.0.53}], conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: v1, namespace: shop, labels: {app: orders}}
spec: {address: 192.0.2.1}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: v2, namespace: shop, labels: {app: orders}}
spec: {address: 192.0.2.2}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: v3, namespace: shop, labels: {app: orders}}
spec: {address: 192.0.2.3}
";

#[test]
fn explain_tells_the_shares_who_asks_and_each_endpoints_part() {
    let place = Place::new();
    place.write("zones/orders.yaml", DIALLED);
    let direct = ["explain", "orders.internal.com", "--client", "192.0.2.77"];
    let text = place.run(&direct).stdout;
    for line in [
        "asker  192.0.2.77 asks for itself",
        "share   pod 10 % wanted, 7.22 % now (1 of 2 in)   vm 90 % wanted, 92.78 % now (3 of 3 in)",
        "by annotation meshdns.io/share, zones/orders.yaml:1",
        "answer  up to 2 addresses of one side, drawn for each question: pod 7.22 %, vm 92.78 %",
        "30.9 % of answers",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let forwarder = ["explain", "orders.internal.com", "--client", "10.1.0.53"];
    let text = place.run(&forwarder).stdout;
    for line in [
        "asker  10.1.0.53 is a forwarder, and asks for others",
        "answer  a set in the proportion of the shares, drawn for each question",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let told = place
        .run(&["explain", "orders.internal.com", "-o", "json"])
        .json();
    let endpoints = told["hosts"][0]["endpoints"].as_array().expect("a list");
    let parts = endpoints
        .iter()
        .map(|endpoint| endpoint["part"].as_f64().expect("a number"));
    assert!((parts.sum::<f64>() - 1.0).abs() < 1e-9, "{told}");
    let shares = told["hosts"][0]["shares"].as_array().expect("a list");
    assert_eq!(shares.len(), 2, "{told}");
}

#[test]
fn shares_of_the_configuration_that_can_not_be_are_refused_with_their_place() {
    let place = Place::new();
    place.write("zones/orders.yaml", DIALLED);
    for (text, expected) in [
        (
            "answers:\n  shares:\n    - {host: orders.internal.com, pod: 60, vm: 60}\n",
            "are not a hundred together",
        ),
        (
            "answers:\n  shares:\n    - {host: orders.internal.com}\n",
            "no share: write",
        ),
        (
            "answers:\n  shares:\n    - {host: orders.internal.com, pods: 10}\n",
            "did you mean `pod`?",
        ),
        (
            "answers:\n  maxAddresses: many\n",
            "expected auto, 0 for all",
        ),
        ("answers:\n  split: {healthFactor: 140}\n", "as in 140%"),
        (
            "forwarders: [coredns]\n",
            "expected auto, a network or an address",
        ),
    ] {
        place.write("meshdns.yaml", text);
        let run = place.run(&["explain", "orders.internal.com", "--config", "meshdns.yaml"]);
        let said = run.stderr;
        assert!(said.contains("meshdns.yaml:"), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
    place.write(
        "meshdns.yaml",
        "answers:\n  shares:\n    - {host: orders.internal.com, pod: 0}\n",
    );
    let run = place.run(&["explain", "orders.internal.com", "--config", "meshdns.yaml"]);
    let text = run.stdout;
    assert!(
        text.contains("by answers.shares of the configuration"),
        "{text}"
    );
    assert!(text.contains("no share"), "{text}");
}

/// Compares outcome, response code and way of a name in the declared zone `internal.com`.
#[track_caller]
fn check_outcome(name: &str, record_type: &str, expected: [&str; 3]) -> Value {
    let place = Place::with_svc1();
    let arguments = ["explain", name, "-t", record_type, "--zone", "internal.com"];
    let mut arguments = arguments.to_vec();
    arguments.extend(["--output", "json"]);
    let told = place.run(&arguments).json();
    let got = ["outcome", "rcode", "via"].map(|key| told[key].as_str().expect("text").to_owned());
    assert_eq!(got, expected, "{told}");
    told
}

#[test]
fn every_outcome_ends_in_0() {
    check_outcome("svc1.internal.com", "A", ["answer", "NOERROR", "host"]);
    check_outcome("svc1.internal.com", "AAAA", ["nodata", "NOERROR", "host"]);
    check_outcome("svc1.internal.com", "TYPE65", ["nodata", "NOERROR", "host"]);
    check_outcome("internal.com", "SOA", ["answer", "NOERROR", "apex"]);
    check_outcome("svc1.internal.com", "AXFR", ["declined", "REFUSED", "host"]);
    check_outcome("elsewhere.test", "A", ["refused", "REFUSED", "nothing"]);
    let told = check_outcome(
        "scv1.internal.com",
        "A",
        ["nxdomain", "NXDOMAIN", "nothing"],
    );
    assert_eq!(told["near"], json!(["svc1.internal.com"]));
    assert_eq!(told["authority"][0]["type"], "SOA");
}
