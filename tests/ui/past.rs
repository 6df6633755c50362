//! What was answered before, and which object's which field changed it.

use serde_json::Value;

use crate::harness::{Place, Shown};

const SVC1: &str = "svc1.internal.com";

/// README's first two edits.
fn third_pod_is_ready(place: &Place) {
    let text = place.read("zones/ns1/pods.yaml");
    let text = text.replace("status: \"False\"", "status: \"True\"");
    place.write("zones/ns1/pods.yaml", &text);
}

fn vm1_fails(place: &Place) {
    let text = place.read("zones/ns1/vms.yaml");
    let at = text.find("type: Healthy").expect("the first VM has one");
    let (before, behind) = text.split_at(at);
    let behind = behind.replacen("\"True\"", "\"False\"", 1);
    place.write("zones/ns1/vms.yaml", &format!("{before}{behind}"));
}

fn changes(server: &Shown, query: &str) -> Vec<Value> {
    let page = server.api(&format!("/changes?{query}"));
    page["changes"].as_array().expect("a list").clone()
}

fn wait_for_changes(server: &Shown, count: usize) -> Vec<Value> {
    let page = server.wait_for("/changes", |page| {
        page["changes"]
            .as_array()
            .is_some_and(|changes| changes.len() == count)
    });
    page["changes"].as_array().expect("a list").clone()
}

/// The addresses that the API's object of a name answers with.
fn answer(story: &Value) -> Vec<&str> {
    let records = story["answer"].as_array().expect("an answer");
    records
        .iter()
        .filter_map(|record| record["data"].as_str())
        .collect()
}

/// That VM 1 failed last, after the third Pod was ready.
#[track_caller]
fn check_causes(newest: &Value, oldest: &Value) {
    assert_eq!(newest["removed"][0], "1.1.1.1");
    assert_eq!(newest["cause"]["object"]["kind"], "WorkloadEntry");
    assert_eq!(newest["cause"]["object"]["name"], "vm1");
    assert_eq!(newest["cause"]["file"], "zones/ns1/vms.yaml");
    assert_eq!(newest["cause"]["line"], 24);
    assert_eq!(newest["cause"]["what"], "condition");
    assert_eq!(newest["cause"]["field"], "Healthy");
    assert_eq!(newest["cause"]["before"], "True");
    assert_eq!(newest["cause"]["after"], "False");
    assert_eq!(newest["hosts"]["names"][0], SVC1);
    assert_eq!(oldest["added"][0], "192.0.2.13");
    assert_eq!(oldest["cause"]["field"], "Ready");
    assert_eq!(oldest["cause"]["line"], 98);
}

#[test]
fn each_step_of_a_move_is_told_with_what_caused_it() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let url = format!("http://{}", server.ui);
    let history = |more: &[&str]| {
        let mut all = vec!["history", SVC1, "--server", &url];
        all.extend(more);
        place.run(&all)
    };
    assert_eq!(changes(&server, ""), Vec::<Value>::new());
    third_pod_is_ready(&place);
    wait_for_changes(&server, 1);
    // Times are whole seconds in what is asked for.
    let between = server.api("/about")["time"]
        .as_str()
        .expect("a time")
        .to_owned();
    while server.api("/about")["time"] == between.as_str() {
        std::thread::yield_now();
    }
    vm1_fails(&place);
    let all = wait_for_changes(&server, 2);
    let (newest, oldest) = (&all[0], &all[1]);
    check_causes(newest, oldest);

    let path = format!("/hosts/{SVC1}");
    let now = server.api(&path);
    assert_eq!(now["history"], Value::from(all.clone()));
    let endpoints = now["hosts"][0]["endpoints"].as_array().expect("a list");
    let since = |address: &str| {
        let mut endpoints = endpoints.iter();
        let endpoint = endpoints.find(|endpoint| endpoint["addresses"][0] == address);
        endpoint.expect("it is there")["since"].clone()
    };
    assert_eq!(since("1.1.1.1"), newest["time"]);
    assert_eq!(since("192.0.2.13"), oldest["time"]);
    assert_eq!(
        since("2.2.2.2"),
        Value::Null,
        "it was in when the server began"
    );

    let then = server.api(&format!("{path}?at={between}"));
    assert_eq!(
        answer(&then),
        [
            "1.1.1.1",
            "2.2.2.2",
            "192.0.2.11",
            "192.0.2.12",
            "192.0.2.13"
        ]
    );
    assert_eq!(
        answer(&now),
        ["2.2.2.2", "192.0.2.11", "192.0.2.12", "192.0.2.13"]
    );
    let (code, told, said) = history(&["--at", &between]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        told,
        "1.1.1.1\n2.2.2.2\n192.0.2.11\n192.0.2.12\n192.0.2.13\n"
    );
    let (_, told, _) = history(&["--since", "1h"]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    for part in [
        "WorkloadEntry ns1/vm1",
        "Healthy True → False",
        "zones/ns1/vms.yaml:24",
        "-1.1.1.1",
    ] {
        assert!(lines[1].contains(part), "{part} in {told}");
    }
    for part in [
        "Pod ns1/foo-6c9f7d5b8-r7c2n",
        "Ready False → True",
        "+192.0.2.13",
    ] {
        assert!(lines[2].contains(part), "{part} in {told}");
    }
    let (_, told, _) = history(&["--at", &between, "--output", "json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["answer"], then["answer"]);

    for path in [&path, "/changes", "/"] {
        let page = server.page(path).body;
        for text in [
            "WorkloadEntry ns1/vm1",
            "True → False",
            "zones/ns1/vms.yaml:24:1",
            "1.1.1.1",
        ] {
            assert!(page.contains(text), "{path}: {text} in {page}");
        }
    }
}

#[test]
fn changes_are_found_by_host_object_and_time() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    third_pod_is_ready(&place);
    wait_for_changes(&server, 1);
    vm1_fails(&place);
    wait_for_changes(&server, 2);
    assert_eq!(changes(&server, &format!("host={SVC1}")).len(), 2);
    assert_eq!(changes(&server, "host=payments.internal.com").len(), 0);
    assert_eq!(changes(&server, "object=vm1").len(), 1);
    assert_eq!(changes(&server, "since=1h").len(), 2);
    assert_eq!(changes(&server, "until=1h").len(), 0);
    let first = server.api("/changes?limit=1");
    let next = first["next"].as_str().expect("there is one more");
    let second = server.api(&format!("/changes?limit=1&after={next}"));
    assert_eq!(second["changes"][0]["cause"]["field"], "Ready");
    assert_eq!(second["next"], Value::Null);
    for wrong in ["since=x", "host=..", "after=x", "foo=1"] {
        assert_eq!(
            server.page(&format!("/api/v1/changes?{wrong}")).status,
            400,
            "{wrong}"
        );
    }
}

#[test]
fn what_was_before_the_start_is_not_guessed() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let path = format!("/hosts/{SVC1}?at=2020-01-01T00:00:00Z");
    let then = server.api(&path);
    assert!(then["knownSince"].is_string(), "{then:#}");
    assert_eq!(then.get("answer"), None);
    let page = server.page(&path);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Not known before"), "{}", page.body);
    let url = format!("http://{}", server.ui);
    let all = [
        "history",
        SVC1,
        "--server",
        &url,
        "--at",
        "2020-01-01T00:00:00Z",
    ];
    let (code, told, said) = place.run(&all);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    assert!(said.contains("not known before"), "{said}");
}

#[test]
fn a_pod_that_many_hosts_share_is_one_change() {
    let place = Place::new();
    let hosts: Vec<String> = (0..300)
        .map(|number| format!("h{number:03}.test"))
        .collect();
    let mesh = |status: &str| {
        let entries = hosts.iter().enumerate().map(|(number, host)| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{number}, namespace: ns1}}\nspec: {{hosts: [{host}], resolution: STATIC, ports: [{{number: 80, name: http}}], workloadSelector: {{labels: {{app: a}}}}}}\n---\n"
            )
        });
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: ns1, labels: {{app: a}}}}\nstatus: {{phase: Running, podIP: 10.0.0.1, conditions: [{{type: Ready, status: '{status}'}}]}}\n"
        );
        entries.chain([pod]).collect::<String>()
    };
    place.write("zones/all.yaml", &mesh("True"));
    let server = place.serve(&[]);
    for (flip, status) in ["False", "True", "False"].into_iter().enumerate() {
        place.write("zones/all.yaml", &mesh(status));
        let all = wait_for_changes(&server, flip + 1);
        assert_eq!(all[0]["hosts"]["count"], 300);
        assert_eq!(all[0]["cause"]["after"], status);
    }
    for host in [&hosts[0], &hosts[299]] {
        let story = server.api(&format!("/hosts/{host}"));
        assert_eq!(story["history"].as_array().map(Vec::len), Some(3));
        assert!(
            server
                .page(&format!("/hosts/{host}"))
                .body
                .contains("True → False")
        );
    }
}

#[test]
fn a_host_that_selects_otherwise_keeps_the_history_of_what_it_selected() {
    let place = Place::new();
    let mesh = |app: &str, ready: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s, namespace: ns1}}\nspec: {{hosts: [a.test], resolution: STATIC, ports: [{{number: 80, name: http}}], workloadSelector: {{labels: {{app: {app}}}}}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: ns1, labels: {{app: a}}}}\nstatus: {{phase: Running, podIP: 10.0.0.1, conditions: [{{type: Ready, status: '{ready}'}}]}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: b, namespace: ns1, labels: {{app: b}}}}\nstatus: {{phase: Running, podIP: 10.0.0.2, conditions: [{{type: Ready, status: 'True'}}]}}\n"
        )
    };
    place.write("zones/a.yaml", &mesh("a", "False"));
    let server = place.serve(&[]);
    place.write("zones/a.yaml", &mesh("a", "True"));
    wait_for_changes(&server, 1);
    place.write("zones/a.yaml", &mesh("b", "True"));
    let all = wait_for_changes(&server, 2);
    assert_eq!(all[0]["cause"]["object"]["kind"], "ServiceEntry");
    assert_eq!(all[0]["cause"]["field"], "workloadSelector");
    assert_eq!(all[0]["added"][0], "10.0.0.2");
    assert_eq!(all[0]["removed"][0], "10.0.0.1");
    let story = server.api("/hosts/a.test");
    assert_eq!(
        story["history"].as_array().map(Vec::len),
        Some(2),
        "{story:#}"
    );
    assert_eq!(story["history"][1]["cause"]["object"]["name"], "a");
}

#[test]
fn a_turn_of_the_dial_is_told_though_the_addresses_stay() {
    let place = Place::new();
    let mesh = |annotations: &str, weight: u8| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s, namespace: ns1, annotations: {{{annotations}}}}}\nspec: {{hosts: [a.test], resolution: STATIC, ports: [{{number: 80, name: http}}], workloadSelector: {{labels: {{app: a}}}}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: ns1, labels: {{app: a}}}}\nstatus: {{phase: Running, podIP: 10.0.0.1, conditions: [{{type: Ready, status: 'True'}}]}}\n---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: v, namespace: ns1}}\nspec: {{address: 10.0.0.2, labels: {{app: a}}, weight: {weight}}}\n"
        )
    };
    place.write("zones/a.yaml", &mesh("meshdns.io/share: pod=10", 1));
    let server = place.serve(&[]);
    let url = format!("http://{}", server.ui);
    let steps = [
        (
            "meshdns.io/share: pod=20",
            1,
            "meshdns.io/share",
            "pod=10",
            Some("pod=20"),
            1,
        ),
        (
            "meshdns.io/share: pod=20, meshdns.io/answer: mix",
            1,
            "meshdns.io/answer",
            "unset",
            Some("mix"),
            1,
        ),
        (
            "meshdns.io/answer: mix",
            1,
            "meshdns.io/share",
            "pod=20",
            None,
            1,
        ),
        ("meshdns.io/answer: mix", 3, "weight", "1", Some("3"), 11),
    ];
    for (number, (annotations, weight, field, before, after, line)) in steps.into_iter().enumerate()
    {
        place.write("zones/a.yaml", &mesh(annotations, weight));
        let newest = &wait_for_changes(&server, number + 1)[0];
        let cause = &newest["cause"];
        assert_eq!(cause["field"], field, "{newest:#}");
        assert_eq!(cause["before"].as_str().unwrap_or("unset"), before);
        assert_eq!(cause["after"].as_str(), after);
        assert_eq!(cause["file"], "zones/a.yaml");
        assert_eq!(cause["line"], line, "{newest:#}");
        assert_eq!(
            (&newest["added"], &newest["removed"]),
            (&Value::from([0; 0]), &Value::from([0; 0]))
        );
        assert_eq!(newest["hosts"]["names"][0], "a.test");
        let (code, told, said) = place.run(&["history", "a.test", "--server", &url]);
        assert_eq!(code, Some(0), "{said}");
        let line = told.lines().nth(1).expect("a change");
        let text = format!("{field} {before} → {}", after.unwrap_or("unset"));
        assert!(
            line.contains(&text) && line.contains("in other parts"),
            "{told}"
        );
    }
    let page = server.page("/changes").body;
    assert!(page.contains("meshdns.io/share pod=10 → pod=20"), "{page}");
    let story = server.api("/hosts/a.test");
    assert_eq!(story["history"].as_array().map(Vec::len), Some(4));
}
