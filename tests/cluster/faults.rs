//! What an API server does wrong: no answer is lost, nobody answers less or more than the objects say, and the log says what
//! happened.

use std::time::{Duration, Instant};

use crate::{
    api::{Api, Fault},
    harness::{Mesh, Place},
    objects::{pod, service, vm},
};

const SVC1: &str = "svc1.internal.com";
const PODS: &str = "meshdns_cluster_watch_errors_total{cluster=\"kubernetes\",kind=\"Pod\"";

/// A cluster with one service at 10.0.0.1.
fn sample() -> (Place, Api) {
    let api = Api::start();
    api.put(&[service("svc1"), pod("a", "svc1", "10.0.0.1", true)]);
    (Place::new(), api)
}

fn errors(mesh: &Mesh, reason: &str) -> u64 {
    mesh.metric(&format!("{PODS},reason=\"{reason}\"}}"))
}

#[test]
fn what_was_forgotten_is_listed_again_and_only_what_differs_is_taken_in() {
    let (place, api) = sample();
    let others: Vec<_> = (0..50)
        .map(|number| pod(&format!("p{number}"), "other", "10.0.1.1", true))
        .collect();
    api.put(&others);
    let mesh = Mesh::start(&place, &api);
    let compiled = || mesh.metric::<u64>("meshdns_hosts_recompiled_total");
    let before = compiled();
    // While nobody looks: one Pod goes, another one comes.
    api.fail("pods", [Fault::Status(503, None)]);
    api.cut("pods");
    mesh.wait("a failure", || errors(&mesh, "server") > 0);
    api.compact();
    api.delete(&pod("a", "svc1", "10.0.0.1", true));
    api.apply(&pod("b", "svc1", "10.0.0.2", true));
    mesh.wait_for(SVC1, &["10.0.0.2"]);
    mesh.wait_for_metric("relists_total", "Pod", 1.0);
    mesh.wait_for_metric("objects", "Pod", 51.0);
    assert!(compiled() <= before + 1);
    assert!(errors(&mesh, "too-old") > 0);
}

#[test]
fn a_watch_that_is_cut_in_the_midst_of_an_object_goes_on_where_it_was() {
    let (place, api) = sample();
    let mesh = Mesh::start(&place, &api);
    api.apply(&pod("b", "svc1", "10.0.0.2", true));
    mesh.wait_for(SVC1, &["10.0.0.1", "10.0.0.2"]);
    api.cut("pods");
    api.apply(&pod("a", "svc1", "10.0.0.1", false));
    mesh.wait_for(SVC1, &["10.0.0.2"]);
    assert!(errors(&mesh, "cut") > 0);
    assert_eq!(
        mesh.metric::<u64>("meshdns_cluster_relists_total{cluster=\"kubernetes\",kind=\"Pod\"}"),
        0
    );
}

#[test]
fn a_server_without_streams_is_asked_for_pages() {
    let (place, api) = sample();
    api.set_streams(false);
    api.set_page_items(7);
    let others: Vec<_> = (0..20)
        .map(|number| {
            pod(
                &format!("p{number}"),
                "svc1",
                &format!("10.0.1.{number}"),
                true,
            )
        })
        .collect();
    api.put(&others);
    api.fail("pods", [Fault::Status(422, None), Fault::Cut]);
    let mesh = Mesh::start(&place, &api);
    assert_eq!(
        mesh.answers(SVC1).map(|addresses| addresses.len()),
        Some(21)
    );
    api.apply(&pod("a", "svc1", "10.0.0.1", false));
    mesh.wait("one less", || {
        mesh.answers(SVC1).map(|addresses| addresses.len()) == Some(20)
    });
}

#[test]
fn a_stream_that_fails_in_the_midst_is_a_list_instead() {
    let (place, api) = sample();
    api.fail("pods", [Fault::Event(500)]);
    let mesh = Mesh::start(&place, &api);
    mesh.has(SVC1, &["10.0.0.1"]);
    assert!(api.asked(&["pods", "limit=500"]) > 0);
}

#[test]
fn a_server_that_has_too_much_to_do_is_asked_when_it_wishes() {
    let (place, api) = sample();
    api.fail("pods", [Fault::Status(429, Some(2))]);
    let begun = Instant::now();
    let mesh = Mesh::start(&place, &api);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    mesh.has(SVC1, &["10.0.0.1"]);
    assert_eq!(errors(&mesh, "throttled"), 1);
    mesh.wait_for_log(&["WARN", "cluster kubernetes: watch pods: ", "(429)"]);
    mesh.wait_for_log(&["followed again", "kind=Pod", "away="]);
}

#[test]
fn what_is_no_json_changes_nothing() {
    let (place, api) = sample();
    let mesh = Mesh::start(&place, &api);
    api.fail("pods", [Fault::Garbage, Fault::Garbage]);
    api.cut("pods");
    mesh.wait("two failures", || errors(&mesh, "unreadable") >= 2);
    mesh.has(SVC1, &["10.0.0.1"]);
    api.apply(&pod("a", "svc1", "10.0.0.9", true));
    mesh.wait_for(SVC1, &["10.0.0.9"]);
}

#[test]
fn a_kind_that_is_forbidden_is_named_with_its_rule_and_stops_no_other() {
    let (place, api) = sample();
    let mesh = Mesh::start(&place, &api);
    api.set_forbidden("workloadentries", true);
    api.cut("workloadentries");
    mesh.wait_for_log(&[
        "WARN",
        "cluster kubernetes: watch workloadentries.networking.istio.io: forbidden: add {apiGroups: [\"networking.istio.io\"], resources: [\"workloadentries\"], verbs: [\"get\", \"list\", \"watch\"]}",
    ]);
    mesh.wait("not synced", || {
        mesh.metric::<u64>("meshdns_cluster_synced{cluster=\"kubernetes\",kind=\"WorkloadEntry\"}")
            == 0
    });
    mesh.wait("ready names it", || {
        let ready = mesh.get("/ready");
        let line = "not followed: cluster kubernetes: watch workloadentries.networking.istio.io: forbidden: add ";
        ready.status == 200 && ready.body.starts_with("OK\n") && ready.body.contains(line)
    });
    api.apply(&pod("b", "svc1", "10.0.0.2", true));
    mesh.wait_for(SVC1, &["10.0.0.1", "10.0.0.2"]);
    api.apply(&vm("c", "svc1", "10.0.0.3"));
    api.set_forbidden("workloadentries", false);
    mesh.wait_for(SVC1, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    mesh.wait_for_log(&["followed again", "kind=WorkloadEntry"]);
    mesh.wait("ready names nothing", || mesh.get("/ready").body == "OK\n");
}

#[test]
fn a_kind_that_is_forbidden_at_the_start_is_named_with_the_reason() {
    let (place, api) = sample();
    api.set_forbidden("pods", true);
    let flag = format!("--kubeconfig={}", place.kubeconfig(&api).display());
    let mesh = Mesh::begin(&["--kubernetes", &flag, "--start-patience=1h"]);
    mesh.wait("ready names the list and the reason", || {
        let ready = mesh.get("/ready");
        ready.status == 503
            && ready.body.contains("cluster kubernetes: Pod")
            && ready
                .body
                .contains("not followed: cluster kubernetes: watch pods: forbidden: add ")
    });
    api.set_forbidden("pods", false);
    mesh.wait("ready", || mesh.is_ready());
    mesh.has(SVC1, &["10.0.0.1"]);
}

/// Nobody waits for what else it has to tell, and nobody is answered from half of it.
#[test]
fn a_first_list_that_stops_in_the_midst_keeps_nothing_else_from_being_served() {
    let (place, api) = sample();
    api.put(&[
        vm("v", "svc1", "192.0.2.1"),
        pod("b", "svc1", "10.0.0.2", true),
    ]);
    api.fail("pods", [Fault::Stall]);
    let begun = Instant::now();
    let flag = format!("--kubeconfig={}", place.kubeconfig(&api).display());
    let mesh = Mesh::begin(&[
        "--kubernetes",
        &flag,
        "--zone=internal.com",
        "--start-patience=1h",
    ]);
    mesh.wait("what is complete is served", || {
        mesh.answers(SVC1)
            .is_some_and(|addresses| !addresses.is_empty())
    });
    // Silence would last for 40 s until the list was given up.
    assert!(
        begun.elapsed() < Duration::from_secs(35),
        "{:?}",
        begun.elapsed()
    );
    mesh.has(SVC1, &["192.0.2.1"]);
    let ready = mesh.get("/ready");
    assert!(
        ready.status == 503 && ready.body.contains("cluster kubernetes: Pod"),
        "{}",
        ready.body
    );
    assert_eq!(mesh.answers("nobody.internal.com"), None);
    mesh.wait("ready", || mesh.is_ready());
    mesh.has(SVC1, &["10.0.0.1", "10.0.0.2", "192.0.2.1"]);
}

#[test]
fn a_kind_that_comes_goes_and_changes_its_version_is_followed() {
    let (place, api) = sample();
    api.set_served(&[]);
    let mesh = Mesh::start(&place, &api);
    assert_eq!(mesh.answers(SVC1), None);
    assert_eq!(
        mesh.log_lines(&["does not have this kind", "kind=ServiceEntry"]),
        1
    );
    api.set_served(&["v1beta1", "v1alpha3"]);
    mesh.wait_for(SVC1, &["10.0.0.1"]);
    assert!(api.asked(&["v1beta1/serviceentries"]) > 0);
    api.set_served(&["v1alpha3"]);
    for kind in ["serviceentries", "workloadentries", "workloadgroups"] {
        api.cut(kind);
    }
    mesh.wait("another version", || {
        api.asked(&["v1alpha3/serviceentries"]) > 0
    });
    mesh.has(SVC1, &["10.0.0.1"]);
    api.set_served(&[]);
    api.cut("serviceentries");
    mesh.wait_for_none(SVC1);
}

#[test]
fn a_server_that_is_away_is_asked_until_it_is_back() {
    let (place, mut api) = sample();
    let mesh = Mesh::start(&place, &api);
    api.go_away();
    mesh.wait_for_log(&["WARN", "watch pods: connection refused"]);
    mesh.has(SVC1, &["10.0.0.1"]);
    api.apply(&pod("a", "svc1", "10.0.0.1", false));
    api.apply(&pod("b", "svc1", "10.0.0.2", true));
    api.go_on();
    mesh.wait_for(SVC1, &["10.0.0.2"]);
    mesh.wait_for_log(&["followed again", "kind=Pod", "away="]);
}

#[test]
fn a_token_that_is_replaced_in_its_file_is_used_when_the_old_one_is_refused() {
    let (place, api) = sample();
    api.set_token("first");
    let token = place.write("token", "first");
    let kubeconfig = place.kubeconfig_with(&api, &format!("tokenFile: \"{}\"", token.display()));
    let flag = format!("--kubeconfig={}", kubeconfig.display());
    let mesh = Mesh::start_as(&["--kubernetes", &flag]);
    mesh.has(SVC1, &["10.0.0.1"]);
    api.set_token("second");
    api.cut("pods");
    mesh.wait_for_log(&["WARN", "watch pods: the server does not know this user"]);
    mesh.has(SVC1, &["10.0.0.1"]);
    place.write("token", "second");
    api.apply(&pod("b", "svc1", "10.0.0.2", true));
    mesh.wait_for(SVC1, &["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn a_start_without_the_server_denies_nothing_and_waits() {
    let (place, mut api) = sample();
    let kubeconfig = place.kubeconfig(&api);
    api.go_away();
    let flag = format!("--kubeconfig={}", kubeconfig.display());
    let mesh = Mesh::begin(&["--kubernetes", &flag, "--zone=internal.com"]);
    mesh.wait_for_log(&["WARN", "connection refused"]);
    let ready = mesh.get("/ready");
    assert_eq!(ready.status, 503, "{}", ready.body);
    api.go_on();
    mesh.wait("ready", || mesh.is_ready());
    mesh.has(SVC1, &["10.0.0.1"]);
}

#[test]
fn a_kubeconfig_that_is_gone_changes_nothing() {
    let (place, api) = sample();
    let mesh = Mesh::start(&place, &api);
    std::fs::remove_file(place.join("kubeconfig")).expect("our own file");
    // The client is given up, and can't be made anew.
    api.fail("pods", [Fault::Status(401, None), Fault::Status(401, None)]);
    api.cut("pods");
    mesh.wait_for_log(&["WARN", "going on with what was read before", "/kubeconfig"]);
    api.apply(&pod("a", "svc1", "10.0.0.9", true));
    mesh.wait_for(SVC1, &["10.0.0.9"]);
}
