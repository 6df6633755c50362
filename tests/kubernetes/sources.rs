//! Several sources are one mesh: two clusters, a folder beside a cluster.

use std::fs;

use serde_json::json;

use crate::{
    mesh::{LISTEN, Mesh, look, meshdns},
    place::{ALL, Place, VM},
    rig::{
        cluster::Cluster,
        objects::{namespace, pod, selecting, vm},
    },
};

/// Objects of the same name in two clusters both count, and each cluster's workloads join the others.
#[test]
fn two_clusters_with_equal_names() {
    let Some(other) = Cluster::own() else {
        return;
    };
    let Some(place) = Place::shared("twins") else {
        return;
    };
    other.define_all();
    let labels = place.labels();
    other.api.create_all(&[
        namespace("twins"),
        selecting("twins", "svc", &place.host, &labels),
        pod("twins", "pod-1", &labels, "10.9.0.1", true),
    ]);
    let kubeconfig = other.admin();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("meshdns.yaml");
    let settings = json!({"kubernetes": [
        {"name": "east", "kubeconfig": place.kubeconfig.path(), "namespaces": ["twins"]},
        {"name": "west", "kubeconfig": kubeconfig.path(), "context": "prod", "namespaces": ["twins"]},
    ]});
    // JSON is YAML.
    fs::write(&config, settings.to_string()).expect("a new file");
    let mut command = meshdns();
    command
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .args(LISTEN);
    let mesh = Mesh::start(command);
    let both = [&ALL[..], &["10.9.0.1"]].concat();
    mesh.has(&place.host, &both);
    for cluster in ["east", "west"] {
        let label = format!("cluster=\"{cluster}\"");
        let count = mesh.metric("meshdns_cluster_objects", &[&label, "\"Pod\""]);
        assert!(count > 0.5, "{cluster}: {count}");
    }
    mesh.throughout(&place.host, &[&both, &ALL], || {
        // One of the two goes away: what it said stays.
        other.stop_server();
        mesh.wait_for_log(&["WARN", "west"]);
        mesh.has(&place.host, &both);
        other.start_server();
        other.api.delete(&pod("twins", "pod-1", &labels, "", true));
        mesh.wait_for_late(&place.host, &ALL);
    });
}

/// The same object in a folder and in the cluster: the cluster's counts, and the folder's is reported.
#[test]
fn a_folder_beside_a_cluster() {
    let Some(place) = Place::shared("beside") else {
        return;
    };
    let labels = place.labels();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        vm("beside", "vm", &labels, "10.8.0.1"),
        vm("beside", "old-vm", &labels, "10.8.0.2"),
    ]});
    let file = folder.path().join("vms.json");
    fs::write(&file, objects.to_string()).expect("a new file");
    let text = folder.path().to_str().expect("text");
    let mesh = place.follow_with(&[text]);
    let both = [&ALL[..], &["10.8.0.2"]].concat();
    mesh.wait_for(&place.host, &both);
    let looked = look(
        "check",
        &place.kubeconfig,
        &[&place.only()[..], &[text]].concat(),
    );
    let printed = String::from_utf8_lossy(&[looked.stdout, looked.stderr].concat()).into_owned();
    assert!(printed.contains("vms.json"), "{printed}");
    // It leaves the cluster: the folder's one is there.
    place.cluster.api.delete(&vm("beside", "vm", &labels, VM));
    mesh.wait_for(
        &place.host,
        &["10.0.0.1", "10.0.0.2", "10.8.0.1", "10.8.0.2"],
    );
    fs::remove_file(&file).expect("our own file");
    mesh.wait_for(&place.host, &["10.0.0.1", "10.0.0.2"]);
}

/// Namespaces and labels that were not asked for are no part of the mesh.
#[test]
fn only_what_was_asked_for() {
    let Some(place) = Place::shared("asked-for") else {
        return;
    };
    let Some(_other) = Place::shared("not-asked-for") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("meshdns.yaml");
    let settings = json!({
        "zones": ["internal.com"],
        "kubernetes": [{
            "name": "prod", "kubeconfig": place.kubeconfig.path(),
            "namespaces": ["asked-for"], "podSelector": "app=asked-for,canary!=yes",
        }],
    });
    fs::write(&config, settings.to_string()).expect("a new file");
    let mut canary = place.pod(3);
    canary["metadata"]["labels"]["canary"] = "yes".into();
    place.cluster.api.create(&canary);
    let mut command = meshdns();
    command
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .args(LISTEN);
    let mesh = Mesh::start(command);
    mesh.has(&place.host, &ALL);
    assert!(mesh.addresses("not-asked-for.internal.com").is_empty());
    place.follows(&mesh);
}
