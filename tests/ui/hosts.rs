//! `/hosts`: what there is, found by name, state, namespace and zone, a page at a time.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

use crate::harness::Place;

/// A ServiceEntry of one host with an inline endpoint.
fn entry(name: &str, host: &str, address: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: ns1}}\nspec:\n  hosts: ['{host}']\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  resolution: STATIC\n  endpoints: [{{address: {address}}}]\n---\n"
    )
}

/// So many hosts, from a number on.
fn entries(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut text = String::new();
    for number in numbers {
        let address = format!("10.{}.{}.1", number / 250, number % 250);
        let host = format!("h{number:05}.internal.com");
        text += &entry(&format!("h{number}"), &host, &address);
    }
    text
}

fn names(page: &Value) -> Vec<String> {
    let hosts = page["hosts"].as_array().expect("a list");
    let name = |host: &Value| host["host"].as_str().expect("a name").to_owned();
    hosts.iter().map(name).collect()
}

#[test]
fn a_host_tells_who_is_in_and_out_and_since_when() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let page = server.api("/hosts?q=svc1");
    assert_eq!(names(&page), ["svc1.internal.com"]);
    let row = &page["hosts"][0];
    let offline = place.run(&["list", "zones", "--output", "json"]).1;
    let offline: Value = serde_json::from_str(&offline).expect("JSON");
    let offline = offline.as_array().expect("a list").iter();
    let offline = offline
        .clone()
        .find(|row| row["host"] == "svc1.internal.com");
    for (key, value) in offline.expect("it is there").as_object().expect("a row") {
        assert_eq!(&row[key], value, "{key}");
    }
    assert_eq!(row["state"], "mixed");
    let sum = |side: &str| {
        let kinds = ["pods", "vms", "inline", "names"].map(|kind| row[kind][side].as_u64());
        kinds.into_iter().flatten().sum::<u64>()
    };
    assert_eq!(Some(sum("in")), row["in"].as_u64());
    assert_eq!(Some(sum("out")), row["out"].as_u64());
    let people = server.page("/hosts?q=svc1").body;
    assert!(people.contains("svc1.internal.com</a>"), "{people}");
    assert!(people.contains("mixed"), "{people}");
    assert!(people.contains(row["changed"].as_str().expect("a time")));
}

#[test]
fn hosts_are_found_by_name_state_namespace_and_zone() {
    let place = Place::new();
    let mut text = entry("vm", "vm.internal.com", "10.0.0.1");
    text += &entry("other", "other.example.org", "10.0.0.2");
    text += "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: nobody, namespace: ns2}\nspec:\n  hosts: [nobody.internal.com]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: STATIC\n  workloadSelector: {labels: {app: down}}\n---\n";
    text += "apiVersion: v1\nkind: Pod\nmetadata: {name: down, namespace: ns2, labels: {app: down}}\nstatus: {phase: Running, podIP: 10.0.0.9, conditions: [{type: Ready, status: 'False'}]}\n";
    place.write("zones/all.yaml", &text);
    let server = place.serve(&[]);
    let check = |query: &str, expected: &[&str]| {
        let page = server.api(&format!("/hosts?{query}"));
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!(page["matching"], expected.len(), "{query}");
        assert_eq!(page["total"], 3, "{query}");
        let people = server.page(&format!("/hosts?{query}")).body;
        for host in expected {
            assert!(
                people.contains(&format!(">{host}</a>")),
                "{query}: {people}"
            );
        }
    };
    check(
        "",
        &[
            "nobody.internal.com",
            "vm.internal.com",
            "other.example.org",
        ],
    );
    check("q=VM.", &["vm.internal.com"]);
    check("state=empty", &["nobody.internal.com"]);
    check("state=vm", &["vm.internal.com", "other.example.org"]);
    check("state=vm&zone=internal.com", &["vm.internal.com"]);
    check("state=empty,vm&ns=ns2", &["nobody.internal.com"]);
    check("state=partial", &[]);
    let worst = server.api("/hosts?sort=out&limit=1");
    assert_eq!(names(&worst), ["nobody.internal.com"]);
}

#[test]
fn wrong_parameters_are_refused_by_name() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("sort=x", "sort"),
        ("state=x", "state"),
        ("zone=..", "zone"),
        ("after=..", "after"),
        ("sort=out&after=x", "after"),
        ("foo=1", "foo"),
    ] {
        for path in ["/hosts", "/api/v1/hosts"] {
            let refused = server.page(&format!("{path}?{query}"));
            assert_eq!(refused.status, 400, "{path}?{query}");
            let quoted = format!("`{name}`");
            assert!(refused.body.contains(&quoted), "{query}: {}", refused.body);
        }
    }
}

#[test]
fn whoever_follows_the_pages_meets_every_host_that_stays_once() {
    let place = Place::new();
    place.write("zones/stay.yaml", &entries((0..2500).step_by(2)));
    place.write("zones/go.yaml", &entries((1..2500).step_by(2)));
    let server = place.serve(&[]);
    let mut turns = 0;
    for sort in ["host", "out"] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let query = format!("/hosts?limit=500&sort={sort}&after={after}");
            let page = server.api(&query);
            seen.extend(names(&page));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            after = next.replace(',', "%2C");
            // Half of them come and go meanwhile.
            let generation = page["generation"].as_u64();
            let odd = if turns % 2 == 0 { 1..1 } else { 1..2500 };
            turns += 1;
            place.write("zones/go.yaml", &entries(odd.step_by(2)));
            server.wait_for("/hosts?limit=1", |page| {
                page["generation"].as_u64() > generation
            });
        }
        let stayed: Vec<&String> = seen
            .iter()
            .filter(|host| host[1..6].parse::<usize>().expect("a number") % 2 == 0)
            .collect();
        let once: BTreeSet<&String> = stayed.iter().copied().collect();
        assert_eq!((stayed.len(), once.len()), (1250, 1250), "{sort}");
    }
}

#[test]
fn a_page_that_is_known_is_not_sent_again_until_something_changes() {
    let place = Place::new();
    place.write("zones/a.yaml", &entries(0..3));
    let server = place.serve(&[]);
    for path in ["/hosts", "/api/v1/hosts?limit=2"] {
        let page = server.page(path);
        let etag = page.header("etag").expect("an ETag").to_owned();
        let known = format!("If-None-Match: {etag}\r\n");
        let same = server.ask("GET", path, &known);
        assert_eq!((same.status, same.body.as_str()), (304, ""), "{path}");
        assert_eq!(same.header("etag"), Some(&*etag));
        let total = server.api("/hosts")["total"].as_u64().expect("a number");
        let count = usize::try_from(total).expect("it fits");
        place.write("zones/a.yaml", &entries(0..=count));
        server.wait_for("/hosts", |page| page["total"].as_u64() > Some(total));
        let other = server.ask("GET", path, &known);
        assert_eq!(other.status, 200, "{path}");
        assert_ne!(other.header("etag"), Some(&*etag));
    }
    let etag = server
        .page("/hosts")
        .header("etag")
        .expect("an ETag")
        .to_owned();
    drop(server);
    let again = place.serve(&[]);
    let page = again.ask("GET", "/hosts", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!(page.status, 200, "another process has other generations");
}

#[test]
fn what_manifests_say_is_shown_as_text() {
    let place = Place::new();
    let wicked = "<script>alert(1)</script>\"'&";
    let mut text = entry("a", "a.internal.com", "10.0.0.1");
    text = text.replace("namespace: ns1", "namespace: \"n-s\"");
    let file = format!("zones/{}.yaml", wicked.replace('/', "_"));
    place.write(&file, &text);
    let server = place.serve(&[]);
    let query = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22'%26";
    for path in [
        format!("/hosts?q={query}&ns={query}"),
        format!("/hosts?zone={query}"),
        format!("/{query}"),
        format!("/hosts/{query}"),
        "/hosts/a.internal.com".to_owned(),
    ] {
        let page = server.page(&path).body;
        assert!(!page.contains("<script>alert"), "{path}: {page}");
        assert!(!page.contains("\"'&"), "{path}: {page}");
    }
}

#[test]
fn many_hosts_are_a_small_page() {
    let place = Place::new();
    let mut text = String::new();
    for number in 0..20_000 {
        write!(
            text,
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{number}, namespace: ns1}}\nspec: {{hosts: [h{number}.internal.com], ports: [{{number: 80, name: http}}], resolution: STATIC, endpoints: [{{address: 10.0.0.1}}]}}\n---\n"
        )
        .expect("a string can be written to");
    }
    place.write("zones/many.yaml", &text);
    let server = place.serve(&[]);
    let page = server.page("/hosts");
    assert_eq!(
        page.body.matches("<tr>").count(),
        101,
        "a head and 100 rows"
    );
    assert!(page.body.len() < 200_000, "{} bytes", page.body.len());
    assert!(page.body.contains("of 20000 hosts"));
}
