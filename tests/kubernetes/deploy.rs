//! What `deploy/kubernetes` ships, taken to a real server: it is accepted, and what it grants is enough and no more.

use std::{fs, path::Path, process::Command};

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{
    mesh::Mesh,
    place::{ALL, Place},
    rig::{
        api::Api,
        cluster::Cluster,
        needs::{self, Need},
    },
};

fn objects(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

fn shipped() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes/meshdns.yaml");
    objects(&fs::read_to_string(file).expect("a manifest"))
}

/// The server takes every object as it is: in what is there already for real, the others as a dry run.
#[track_caller]
fn is_accepted(cluster: &Cluster, objects: &[Value]) {
    assert!(objects.len() >= 5);
    for object in objects {
        let is_needed = object["kind"] == "Namespace";
        let reply = cluster.api.apply(object, !is_needed);
        assert!(reply.status < 300, "{}: {reply:?}", object["kind"]);
    }
}

#[test]
fn the_manifests_are_accepted() {
    if let Some(cluster) = Cluster::shared() {
        is_accepted(cluster, &shipped());
    }
}

#[test]
fn the_overlay_for_folders_is_accepted() {
    if !needs::met(&[Need::Program("kubectl version --client")]) {
        return;
    }
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let made = Command::new("kubectl")
        .args(["kustomize", "deploy/kubernetes-folder"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("it has just run");
    let complaints = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{complaints}");
    let objects = objects(&String::from_utf8_lossy(&made.stdout));
    assert!(objects.iter().all(|object| object["kind"] != "ClusterRole"));
    is_accepted(cluster, &objects);
}

/// Asks the server what an account may do.
#[track_caller]
fn may_look_and_no_more(account: &Api) {
    let istio = "networking.istio.io";
    for (group, resource) in [
        ("", "pods"),
        (istio, "serviceentries"),
        (istio, "workloadentries"),
        (istio, "workloadgroups"),
    ] {
        for verb in ["get", "list", "watch"] {
            assert!(account.may(verb, group, resource), "{verb} {resource}");
        }
        for verb in ["create", "update", "patch", "delete", "deletecollection"] {
            assert!(!account.may(verb, group, resource), "{verb} {resource}");
        }
    }
    for (group, resource) in [
        ("", "secrets"),
        ("", "configmaps"),
        ("", "events"),
        ("", "nodes"),
        ("", "services"),
        ("coordination.k8s.io", "leases"),
        (istio, "virtualservices"),
    ] {
        for verb in [
            "get", "list", "watch", "create", "update", "patch", "delete",
        ] {
            assert!(!account.may(verb, group, resource), "{verb} {resource}");
        }
    }
}

/// As in its Pod: the account's token, where every client looks for it, the arguments of the Deployment, and nothing else.
#[test]
fn the_account_may_do_enough_and_no_more() {
    if !needs::met(&[Need::MachineOfItsOwn]) {
        return;
    }
    let Some(place) = Place::shared("as-the-account") else {
        return;
    };
    let objects = shipped();
    let of = |kind: &str| {
        objects
            .iter()
            .find(|object| object["kind"] == kind)
            .expect("one")
    };
    for kind in [
        "Namespace",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
    ] {
        let reply = place.cluster.api.apply(of(kind), false);
        assert!(reply.status < 300, "{kind}: {reply:?}");
    }
    let token = place.cluster.api.token("meshdns", "meshdns", None);
    may_look_and_no_more(&place.cluster.api_as(&token));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let secrets = folder.path().join("serviceaccount");
    fs::create_dir(&secrets).expect("a new folder");
    let files = [
        ("token", token.as_str()),
        ("ca.crt", &place.cluster.certificate().pem),
        ("namespace", "meshdns"),
    ];
    for (name, text) in files {
        fs::write(secrets.join(name), text).expect("a new file");
    }
    let container = &of("Deployment")["spec"]["template"]["spec"]["containers"][0];
    let state = folder.path().join("state");
    let arguments = container["args"].as_array().expect("a list").iter();
    let arguments = arguments.map(|argument| match argument.as_str().expect("text") {
        text if text.starts_with("--listen") => "--listen=127.0.0.1:0".to_owned(),
        text if text.starts_with("--http") => "--http=127.0.0.1:0".to_owned(),
        text if text.starts_with("--state-dir") => format!("--state-dir={}", state.display()),
        text => text.to_owned(),
    });
    let place_secrets = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && \
                         cp -r \"$0\" /run/secrets/kubernetes.io/serviceaccount && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            place_secrets,
        ])
        .arg(&secrets)
        .arg(env!("CARGO_BIN_EXE_meshdns"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", needs::path())
        .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .env(
            "KUBERNETES_SERVICE_PORT",
            place.cluster.address.port().to_string(),
        );
    let mesh = Mesh::start(command);
    mesh.wait_for(&place.host, &ALL);
    place.follows(&mesh);
    // Nothing was refused.
    let forbidden = mesh.sum("meshdns_cluster_watch_errors_total", &["forbidden"]);
    assert!(forbidden.unwrap_or_default().abs() < 0.5, "{}", mesh.log());
    // It has looked, and has written nothing: nobody else is in that namespace.
    let events =
        place
            .cluster
            .api
            .must("GET", "/api/v1/namespaces/meshdns/events", "", &Value::Null);
    assert_eq!(events["items"], json!([]));
}
