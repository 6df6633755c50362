//! `check`, `list` and `explain` at a cluster.

use std::process::Output;

use crate::{
    api::Api,
    harness::{Place, run},
    objects::{pod, service, vm},
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command at the cluster.
fn at(place: &Place, api: &Api, arguments: &[&str]) -> Output {
    let flag = format!("--kubeconfig={}", place.kubeconfig(api).display());
    let mut all = arguments.to_vec();
    all.extend(["--kubernetes", &flag]);
    run(&all)
}

fn sample() -> (Place, Api) {
    let api = Api::start();
    api.put(&[
        service("svc1"),
        pod("a", "svc1", "10.0.0.1", true),
        pod("b", "svc1", "10.0.0.2", false),
    ]);
    (Place::new(), api)
}

#[test]
fn list_and_explain_show_what_is_served() {
    let (place, api) = sample();
    let listed = at(&place, &api, &["list"]);
    let printed = text(&listed.stdout);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert!(
        printed.contains("svc1.internal.com") && printed.contains("10.0.0.1"),
        "{printed}"
    );
    let explained = at(&place, &api, &["explain", "svc1.internal.com"]);
    let printed = text(&explained.stdout);
    assert!(explained.status.success(), "{}", text(&explained.stderr));
    assert!(
        printed.contains("serviceentry.networking.istio.io/svc1 -n ns1"),
        "{printed}"
    );
    assert!(printed.contains("pod/b -n ns1"), "{printed}");
}

#[test]
fn check_names_objects_and_fields_as_kubectl_does() {
    let (place, api) = sample();
    let checked = at(&place, &api, &["check"]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    let printed = text(&checked.stdout);
    assert!(
        printed.ends_with("✔ no problems in 1 cluster, 3 objects\n"),
        "{printed}"
    );
    let mut broken = service("svc2");
    broken["spec"]["hosts"] = serde_json::json!(["not a host"]);
    api.put(&[broken, vm("c", "svc1", "10.0.0.3")]);
    let checked = at(&place, &api, &["check"]);
    assert_eq!(checked.status.code(), Some(79));
    let printed = text(&checked.stdout);
    assert!(
        printed.contains("serviceentry.networking.istio.io/svc2 -n ns1, spec.hosts[0]"),
        "{printed}"
    );
}

#[test]
fn what_can_not_be_listed_ends_the_command_in_one_line() {
    let (place, api) = sample();
    api.set_forbidden("pods", true);
    for command in [&["check"][..], &["list"], &["explain", "svc1.internal.com"]] {
        let ended = at(&place, &api, command);
        assert_eq!(ended.status.code(), Some(65));
        let said = text(&ended.stderr);
        assert!(
            said.starts_with("meshdns: cluster kubernetes: list pods: forbidden: add {apiGroups: [\"\"], resources: [\"pods\"]"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
