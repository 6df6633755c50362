//! `/hosts/NAME`: what a name answers and why, as `explain` tells it, from the running server.

use serde_json::Value;

use crate::harness::{Place, Shown};

const SVC1: &str = "svc1.internal.com";

/// README's second edit: the agent on `vm1` reports that its check fails.
fn vm1_fails(place: &Place) {
    let text = place.read("zones/ns1/vms.yaml");
    let at = text.find("type: Healthy").expect("the first VM has one");
    let (before, behind) = text.split_at(at);
    place.write(
        "zones/ns1/vms.yaml",
        &format!("{before}{}", behind.replacen("\"True\"", "\"False\"", 1)),
    );
}

/// The candidates of the host that answers.
fn endpoints(story: &Value) -> &Vec<Value> {
    story["hosts"][0]["endpoints"].as_array().expect("a list")
}

fn wait_for_out(server: &Shown, reason: &str) {
    server.wait_for(&format!("/hosts/{SVC1}"), |story| {
        endpoints(story)
            .iter()
            .any(|endpoint| endpoint["message"] == reason)
    });
}

#[test]
fn every_candidate_is_in_or_out_with_its_reason_and_its_place() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    vm1_fails(&place);
    wait_for_out(&server, "condition Healthy is False");
    let page = server.page(&format!("/hosts/{SVC1}"));
    assert_eq!(page.status, 200);
    let (_, offline, _) = place.run(&["explain", SVC1]);
    let candidates = page.body.split("Candidates").nth(1).expect("a table");
    let candidates = candidates.split("</table>").next().expect("it ends");
    assert_eq!(candidates.matches("<tr>").count(), 1 + 5, "{candidates}");
    for text in [
        "condition Healthy is False",
        "WorkloadEntry ns1/vm1",
        "zones/ns1/vms.yaml:24:1",
        "Pod ns1/foo-6c9f7d5b8-r7c2n",
        "condition Ready is False",
        "192.0.2.13",
    ] {
        assert!(candidates.contains(text), "{text} in {candidates}");
        assert!(offline.contains(text), "{text} in {offline}");
    }
    assert_eq!(candidates.matches("<time ").count(), 5, "{candidates}");
    let printed = page.body.split("<pre").nth(1).expect("as it is printed");
    let printed = printed.split_once('>').expect("a tag").1;
    let printed = printed.split("</pre>").next().expect("it ends");
    assert_eq!(printed, offline);
    assert!(page.body.contains("mixed"), "its state is a word");
}

/// Checks that everything in `part` is in `whole`, which may have more fields.
#[track_caller]
fn check_holds(whole: &Value, part: &Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                let found = whole.get(key);
                check_holds(
                    found.unwrap_or_else(|| panic!("no {key} in {whole:?}")),
                    value,
                );
            }
        }
        (Value::Array(whole), Value::Array(part)) => {
            assert_eq!(whole.len(), part.len(), "{whole:?}");
            for (whole, part) in whole.iter().zip(part) {
                check_holds(whole, part);
            }
        }
        _ => assert_eq!(whole, part),
    }
}

/// A text without serials, which tell when a zone was loaded.
fn without_serial(text: &str) -> String {
    const BEFORE: &str = "hostmaster.meshdns.invalid. ";
    let mut parts = text.split(BEFORE);
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        without += BEFORE;
        without += part.trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    without
}

#[test]
fn the_server_tells_what_explain_tells() {
    let place = Place::with_zones();
    vm1_fails(&place);
    let server = place.serve(&["--zone", "internal.com"]);
    for name in [
        SVC1,
        "payments.internal.com",
        "catalog.internal.com",
        "eu.web.apps.internal.com",
        "apps.internal.com",
        "internal.com",
        "nosuch.internal.com",
        "elsewhere.test",
    ] {
        for record_type in ["A", "AAAA", "SOA", "TXT"] {
            let explain = |more: &[&str]| {
                let mut all = vec!["explain", name, "--type", record_type];
                all.extend(["--zone", "internal.com"]);
                all.extend(more);
                let (code, told, said) = place.run(&all);
                assert_eq!(code, Some(0), "{said}");
                without_serial(&told)
            };
            let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            let offline = json(&explain(&["--output", "json"]));
            let path = format!("/api/v1/hosts/{name}?type={record_type}");
            let shown = json(&without_serial(&server.page(&path).body));
            check_holds(&shown, &offline);
            let url = format!("http://{}", server.ui);
            let asked = ["--server", &url];
            assert_eq!(explain(&asked), explain(&[]), "{name} {record_type}");
            let asked = json(&explain(&["--server", &url, "--output", "json"]));
            check_holds(&asked, &offline);
        }
    }
}

#[test]
fn a_host_is_found_however_it_is_spelt() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let spelt = [
        "*.apps.internal.com",
        "%2A.apps.internal.com",
        "%2a.Apps.Internal.COM.",
    ];
    let pages = spelt.map(|name| {
        let page = server.page(&format!("/hosts/{name}"));
        assert_eq!(page.status, 200, "{name}");
        let content = page.body.split("<main").nth(1).expect("a page");
        content.split("</main>").next().expect("it ends").to_owned()
    });
    assert!(pages[0].contains("*.apps.internal.com"), "{}", pages[0]);
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
}

#[test]
fn an_unknown_name_is_told_with_those_that_are_spelt_alike() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let page = server.page("/hosts/svc11.internal.com");
    assert_eq!(page.status, 404);
    assert!(
        page.body.contains("href=\"../hosts/svc1.internal.com\""),
        "{}",
        page.body
    );
    let api = server.page("/api/v1/hosts/svc11.internal.com");
    assert_eq!(api.status, 404);
    let api = api.json();
    assert_eq!(api["error"]["code"], "unknownHost");
    assert_eq!(api["near"][0], SVC1);
    assert_eq!(server.page("/hosts/a..b").status, 404);
}

#[test]
fn the_commands_ask_the_running_server() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let url = format!("http://{}", server.ui);
    // What it has read is what it tells, wherever the command runs.
    let elsewhere = Place::new();
    let (code, listed, said) = elsewhere.run(&["list", "--server", &url]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(listed, place.run(&["list"]).1);
    let (_, listed, _) = elsewhere.run(&["list", "--server", &url, "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let offline = place.run(&["list", "--output", "json"]).1;
    let offline: Value = serde_json::from_str(&offline).expect("JSON");
    let pairs = listed.as_array().expect("a list").iter();
    let pairs = pairs.zip(offline.as_array().expect("a list"));
    for (listed, offline) in pairs {
        for (key, value) in offline.as_object().expect("a row") {
            assert_eq!(&listed[key], value, "{key}");
        }
        assert!(listed["state"].is_string());
    }
    drop(server);
    for command in [&["list"][..], &["explain", SVC1]] {
        let all: Vec<&str> = command.iter().copied().chain(["--server", &url]).collect();
        let (code, _, said) = place.run(&all);
        assert_eq!(code, Some(69), "{said}");
        assert!(said.contains(&url), "{said}");
    }
}

#[test]
fn the_commands_bring_a_token_and_never_show_it() {
    let place = Place::with_zones();
    place.write("token", "s3cret\n");
    place.write("meshdns.yaml", "ui: {tokenFile: token}\n");
    let server = place.serve(&["--config", "meshdns.yaml"]);
    let with = format!("http://me:s3cret@{}", server.ui);
    let (code, told, said) = place.run(&["explain", SVC1, "--server", &with]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(told, place.run(&["explain", SVC1]).1);
    let wrong = format!("http://me:other@{}", server.ui);
    let (code, _, said) = place.run(&["explain", SVC1, "--server", &wrong]);
    assert_eq!(code, Some(77), "{said}");
    assert!(!said.contains("other"), "{said}");
}
