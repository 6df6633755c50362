//! Kinds of Istio's come, go and change their versions.

use serde_json::{Value, json};

use crate::{
    mesh::Mesh,
    place::{ALL, Place, VM},
    rig::{
        cluster::Cluster,
        objects::{KINDS, VERSIONS, definition, service, vm},
    },
};

/// Without Istio's kinds a cluster has an empty mesh; they are followed when they appear.
#[test]
fn kinds_that_are_not_there_yet() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    let kubeconfig = cluster.admin();
    let mesh = Mesh::follow(&kubeconfig, &["--zone=internal.com"]);
    assert!(mesh.addresses("kinds.internal.com").is_empty());
    // Said once a kind, and not at each look.
    mesh.wait_for_log(&["prod", "WorkloadEntry"]);
    assert_eq!(
        mesh.log_lines(&["prod", "WorkloadGroup"]),
        1,
        "{}",
        mesh.log()
    );
    cluster.define_all();
    let place = Place::within(&cluster, "kinds");
    mesh.wait_for_late(&place.host, &ALL);
    place.follows(&mesh);
}

/// A kind is deleted with all of its objects, and comes back.
#[test]
fn a_kind_that_is_deleted_and_made_again() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let place = Place::within(&cluster, "deleted");
    let kubeconfig = cluster.admin();
    let mesh = Mesh::follow(&kubeconfig, &[]);
    mesh.has(&place.host, &ALL);
    let (kind, plural) = KINDS[1];
    cluster.api.delete(&definition(kind, plural, &[]));
    let without: &[&str] = &["10.0.0.1", "10.0.0.2"];
    mesh.wait_for_late(&place.host, without);
    // The name is free again when all that belonged to it is gone.
    cluster.wait_until_gone(plural);
    cluster.define(kind, plural, &VERSIONS);
    let vm = vm("deleted", "vm", &place.labels(), VM);
    cluster.api.create(&vm);
    mesh.wait_for_late(&place.host, &ALL);
    place.follows(&mesh);
}

/// The version that is followed is no longer served: the objects are the same at another one, and no answer changes.
#[test]
fn a_version_that_is_no_longer_served() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let place = Place::within(&cluster, "versions");
    let kubeconfig = cluster.admin();
    let mesh = Mesh::follow(&kubeconfig, &[]);
    let (kind, plural) = KINDS[0];
    let serve = |is_served: bool| {
        let mut versions = definition(kind, plural, &VERSIONS)["spec"]["versions"].take();
        versions[0]["served"] = is_served.into();
        let fields = json!({"spec": {"versions": versions}});
        cluster.api.patch(&definition(kind, plural, &[]), &fields);
    };
    let other = |version: &str, name: &str, address: &str| {
        let host = format!("{name}.internal.com");
        let mut object = service("versions", name, &host, address);
        object["apiVersion"] = Value::from(format!("networking.istio.io/{version}"));
        cluster.api.create(&object);
        mesh.wait_for_late(&host, &[address]);
    };
    mesh.throughout(&place.host, &[&ALL], || {
        serve(false);
        cluster.wait_until_not_served("v1", plural);
        other("v1beta1", "older", "10.0.2.1");
        serve(true);
        cluster.wait_until_served(plural, &VERSIONS);
        other("v1", "newer", "10.0.2.2");
    });
    assert!(mesh.is_ready());
}

/// A namespace goes with all that is in it.
#[test]
fn a_namespace_that_is_deleted() {
    let Some(place) = Place::shared("namespace") else {
        return;
    };
    let mesh = place.follow_with(&["--zone=internal.com"]);
    mesh.has(&place.host, &ALL);
    place.cluster.api.delete_namespace(&place.namespace);
    mesh.wait_for(&place.host, &[]);
    mesh.wait_for_metric("meshdns_cluster_objects", &[], |count| count.abs() < 0.5);
    assert!(mesh.is_ready());
}
