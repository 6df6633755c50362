//! What a user does: a cluster is followed, and what happens in it is in the answers.

use std::process::Command;

use crate::{
    api::Api,
    harness::{Mesh, Place},
    objects::{pod, service, vm},
};

const SVC1: &str = "svc1.internal.com";

/// What `dig` prints of the addresses of `name`, sorted.
fn dig(mesh: &Mesh, name: &str) -> String {
    let asked = Command::new("dig")
        .arg(format!("@{}", mesh.dns.ip()))
        .args(["-p", &mesh.dns.port().to_string(), name, "A", "+short"])
        .output()
        .expect("dig is installed");
    let printed = String::from_utf8(asked.stdout).expect("text");
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    lines.join(" ")
}

#[test]
fn what_happens_in_the_cluster_is_in_the_answers() {
    let (place, api) = (Place::new(), Api::start());
    api.put(&[
        service("svc1"),
        pod("a", "svc1", "10.0.0.1", true),
        pod("b", "svc1", "10.0.0.2", false),
        vm("c", "svc1", "10.0.0.3"),
    ]);
    let mesh = Mesh::start(&place, &api);
    assert_eq!(dig(&mesh, SVC1), "10.0.0.1 10.0.0.3");
    api.apply(&pod("b", "svc1", "10.0.0.2", true));
    mesh.wait_for(SVC1, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(dig(&mesh, SVC1), "10.0.0.1 10.0.0.2 10.0.0.3");
    api.apply(&pod("a", "svc1", "10.0.0.1", false));
    mesh.wait_for(SVC1, &["10.0.0.2", "10.0.0.3"]);
    api.delete(&vm("c", "svc1", "10.0.0.3"));
    mesh.wait_for(SVC1, &["10.0.0.2"]);
    api.apply(&service("svc2"));
    api.apply(&vm("d", "svc2", "10.0.0.4"));
    mesh.wait_for("svc2.internal.com", &["10.0.0.4"]);
    api.delete(&service("svc1"));
    mesh.wait_for_none(SVC1);
    assert_eq!(dig(&mesh, SVC1), "");
    mesh.wait_for_metric("objects", "Pod", 2.0);
    mesh.wait_for_metric("synced", "ServiceEntry", 1.0);
    assert_eq!(mesh.log_lines(&["synced", "kind=Pod"]), 1, "{}", mesh.log());
    assert_eq!(mesh.log_lines(&["WARN"]), 0, "{}", mesh.log());
}

#[test]
fn an_object_that_is_refused_keeps_its_last_good_version_and_is_named_as_kubectl_does() {
    let (place, api) = (Place::new(), Api::start());
    api.put(&[service("svc1"), vm("c", "svc1", "10.0.0.3")]);
    let mesh = Mesh::start(&place, &api);
    mesh.has(SVC1, &["10.0.0.3"]);
    let mut broken = service("svc1");
    broken["spec"]["hosts"] = serde_json::json!(["not a host"]);
    api.apply(&broken);
    mesh.wait_for_log(&["serviceentry.networking.istio.io/svc1 -n ns1"]);
    mesh.has(SVC1, &["10.0.0.3"]);
    api.apply(&service("svc1"));
    api.apply(&vm("c", "svc1", "10.0.0.4"));
    mesh.wait_for(SVC1, &["10.0.0.4"]);
}

#[test]
fn namespaces_are_followed_one_by_one_and_pods_by_their_labels() {
    let (place, api) = (Place::new(), Api::start());
    api.put(&[service("svc1"), pod("a", "svc1", "10.0.0.1", true)]);
    let kubeconfig = place.kubeconfig(&api);
    let file = place.write(
        "meshdns.yaml",
        &format!(
            "kubernetes:\n  name: kubernetes\n  kubeconfig: {}\n  namespaces: [ns1, ns2]\n  podSelector: tier!=batch\n",
            kubeconfig.display()
        ),
    );
    let mesh = Mesh::start_as(&[&format!("--config={}", file.display())]);
    mesh.has(SVC1, &["10.0.0.1"]);
    assert_eq!(api.asked(&["/api/v1/pods"]), 0);
    for namespace in ["ns1", "ns2"] {
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        assert!(api.asked(&[&pods, "labelSelector=tier%21%3Dbatch"]) > 0);
        let entries = format!("/apis/networking.istio.io/v1/namespaces/{namespace}/serviceentries");
        assert!(api.asked(&[&entries]) > 0);
    }
    assert_eq!(api.asked(&["serviceentries", "labelSelector"]), 0);
}

#[test]
fn a_folder_and_a_cluster_are_one_mesh() {
    let (place, api) = (Place::new(), Api::start());
    api.apply(&pod("a", "svc1", "10.0.0.1", true));
    let folder = place.join("zones");
    std::fs::create_dir(&folder).expect("a new folder");
    place.write("zones/svc1.json", &service("svc1").to_string());
    let mesh = Mesh::start_with(&place, &api, &[&folder.display().to_string()]);
    mesh.has(SVC1, &["10.0.0.1"]);
    api.apply(&pod("a", "svc1", "10.0.0.1", false));
    mesh.wait_for(SVC1, &[]);
}
