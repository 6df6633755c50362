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
        "forward": null,
        "via": "host",
        "zone": {"apex": "svc1.internal.com.", "declared": false},
        "hosts": [{
            "host": "svc1.internal.com",
            "answers": true,
            "allUnhealthy": false,
            "serviceEntries": [{
                "namespace": "ns1", "name": "svc1", "file": "zones/svc1.yaml", "line": 1,
                "chosen": true, "reason": null, "source": "selector", "selector": {"app": "svc1"},
            }],
            "endpoints": [
                {
                    "kind": "WorkloadEntry", "namespace": "ns1", "name": "vm",
                    "file": "zones/svc1.yaml", "line": 26, "addresses": ["192.0.2.7"],
                    "named": null, "in": true, "reason": null, "message": null,
                },
                {
                    "kind": "Pod", "namespace": "ns1", "name": "ready",
                    "file": "zones/svc1.yaml", "line": 10, "addresses": ["10.0.0.1"],
                    "named": null, "in": true, "reason": null, "message": null,
                },
                {
                    "kind": "Pod", "namespace": "ns1", "name": "unready",
                    "file": "zones/svc1.yaml", "line": 18, "addresses": ["10.0.0.2"],
                    "named": null, "in": false, "reason": "PodNotReady",
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
