//! Who meshdns is and what it may do changes while it runs.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    mesh::{Mesh, look, serve},
    place::{ALL, POD_2, Place, VM},
    rig::{
        cluster::{ADMIN_TOKEN, Cluster, Kubeconfig, USER, USER_TOKEN, base64},
        proxy::Proxy,
        secure::Certificate,
        tunnel::Tunnel,
    },
};

/// What the cluster role of `deploy/kubernetes` grants, for some resources.
fn role(name: &str, rules: &[(&str, &[&str])]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(group, resources)| {
            json!({"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]})
        })
        .collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": rules,
    })
}

/// Gives a role to somebody.
fn binding(name: &str, subject: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": name}, "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
    })
}

fn user() -> Value {
    json!({"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"})
}

const ISTIO: (&str, &[&str]) = (
    "networking.istio.io",
    &["serviceentries", "workloadentries", "workloadgroups"],
);
const PODS: (&str, &[&str]) = ("", &["pods"]);

/// A kubeconfig of the user that has no right but those that a test grants, through the proxy of a place.
fn as_user(place: &Place<'_>) -> Kubeconfig {
    let user = json!({"token": USER_TOKEN});
    place.cluster.kubeconfig(place.proxy.address, &user)
}

/// Everything is taken away and given back: what was known stays, and what changed meanwhile comes.
#[test]
fn rights_that_are_taken_away_and_given_back() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let place = Place::within(&cluster, "rights");
    let granted = binding("meshdns", &user());
    cluster.api.create(&role("meshdns", &[PODS, ISTIO]));
    cluster.api.create(&granted);
    let kubeconfig = as_user(&place);
    let mesh = Mesh::follow(&kubeconfig, &[]);
    mesh.throughout(&place.host, &[&ALL, &[POD_2, VM]], || {
        cluster.api.delete(&granted);
        // A watch that runs is not looked at again.
        place.proxy.cut();
        mesh.wait_for_log(&["WARN", "prod", "pods", "forbidden"]);
        mesh.wait_for_metric("meshdns_cluster_synced", &["Pod"], |value| value < 0.5);
        place.turn(1, false);
        cluster.api.create(&granted);
        mesh.wait_for_late(&place.host, &[POD_2, VM]);
        place.turn(1, true);
        mesh.wait_for(&place.host, &ALL);
    });
}

/// One kind is not allowed: the others are followed, and `/ready` names it.
#[test]
fn one_kind_that_is_not_allowed() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let place = Place::within(&cluster, "one-kind");
    cluster.api.create(&role("meshdns", &[ISTIO]));
    cluster.api.create(&binding("meshdns", &user()));
    let kubeconfig = as_user(&place);
    let mesh = Mesh::follow(&kubeconfig, &["--start-patience=3s"]);
    mesh.has(&place.host, &[VM]);
    mesh.wait_for_log(&["WARN", "prod", "pods", "forbidden"]);
    let ready = mesh.get("/ready").body;
    assert!(ready.contains("Pod"), "{ready}");
    // The rule that has to be added.
    let log = mesh.log();
    assert!(log.contains("ClusterRole"), "{log}");
    cluster.api.delete(&role("meshdns", &[]));
    cluster.api.create(&role("meshdns", &[ISTIO, PODS]));
    mesh.wait_for_late(&place.host, &ALL);
}

/// The token in the file is replaced, as a kubelet does, and the former one is worth nothing any more.
#[test]
fn a_token_that_is_replaced_and_revoked() {
    let Some(place) = Place::shared("token") else {
        return;
    };
    let api = &place.cluster.api;
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "reader", "namespace": place.namespace},
    });
    let subject = json!({"kind": "ServiceAccount", "name": "reader", "namespace": place.namespace});
    api.create(&account);
    api.create(&role("reader", &[PODS, ISTIO]));
    api.create(&binding("reader", &subject));
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": place.namespace}});
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("token");
    let write = |secret: &str| {
        let token = api.token(&place.namespace, "reader", Some(secret));
        let beside = file.with_extension("new");
        fs::write(&beside, token).expect("a new file");
        fs::rename(&beside, &file).expect("a rename");
    };
    api.create(&secret("first"));
    write("first");
    let user = json!({"tokenFile": file});
    let kubeconfig = place.cluster.kubeconfig(place.proxy.address, &user);
    let mesh = Mesh::follow(&kubeconfig, &place.only());
    mesh.throughout(&place.host, &[&ALL, &[POD_2, VM]], || {
        api.create(&secret("second"));
        write("second");
        api.delete(&secret("first"));
        place.turn(1, false);
        place.proxy.cut();
        mesh.wait_for_late(&place.host, &[POD_2, VM]);
        place.turn(1, true);
        mesh.wait_for(&place.host, &ALL);
    });
}

/// Starts with a kubeconfig that leads nowhere good, and sees that one line says what is wrong.
#[track_caller]
fn says(kubeconfig: &Kubeconfig, texts: &[&str]) {
    let mesh = Mesh::listening(serve(kubeconfig, &[]));
    mesh.wait_for_log(&[&["WARN", "prod"], texts].concat());
    let looked = look("check", kubeconfig, &[]);
    let printed = String::from_utf8_lossy(&looked.stderr).to_lowercase();
    assert!(!looked.status.success());
    for text in texts {
        assert!(
            printed.contains(&text.to_lowercase()),
            "{text} in {printed}"
        );
    }
}

#[test]
fn a_token_that_nobody_knows() {
    if let Some(cluster) = Cluster::shared() {
        let user = json!({"token": "unknown"});
        says(
            &cluster.kubeconfig(cluster.address, &user),
            &["does not know this user"],
        );
    }
}

#[test]
fn another_authority() {
    if let Some(cluster) = Cluster::shared() {
        let other = Certificate::new();
        let server = json!({
            "server": format!("https://{}", cluster.address),
            "certificate-authority-data": base64(other.pem.as_bytes()),
        });
        let kubeconfig = Kubeconfig::new(&server, &json!({"token": "any"}));
        says(&kubeconfig, &["unknown authority"]);
    }
}

#[test]
fn a_certificate_that_is_over() {
    if let Some(cluster) = Cluster::shared() {
        let old = Certificate::valid(2020, 2021);
        let proxy = Proxy::start(cluster.address, &old);
        let server = json!({
            "server": format!("https://{}", proxy.address),
            "certificate-authority-data": base64(old.pem.as_bytes()),
        });
        says(
            &Kubeconfig::new(&server, &json!({"token": "any"})),
            &["has expired"],
        );
    }
}

#[test]
fn nobody_listens() {
    let server = json!({"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true});
    says(
        &Kubeconfig::new(&server, &json!({"token": "any"})),
        &["connection refused"],
    );
}

#[test]
fn a_name_that_does_not_exist() {
    let server =
        json!({"server": "https://nowhere.invalid:6443", "insecure-skip-tls-verify": true});
    says(
        &Kubeconfig::new(&server, &json!({"token": "any"})),
        &["looked up"],
    );
}

/// A program prints the token, as `kubectl` runs it for clouds.
#[test]
fn a_program_that_tells_the_token() {
    let Some(place) = Place::shared("exec") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("login");
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": ADMIN_TOKEN},
    });
    write_program(
        &program,
        &format!("#!/bin/sh\ncat <<'END'\n{credential}\nEND\n"),
    );
    let user = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": program, "interactiveMode": "Never",
    }});
    let kubeconfig = place.cluster.kubeconfig(place.proxy.address, &user);
    let mesh = Mesh::follow(&kubeconfig, &place.only());
    place.follows(&mesh);
}

#[test]
fn a_client_certificate() {
    let Some(place) = Place::shared("client-certificate") else {
        return;
    };
    let [certificate, key] = place.cluster.client_certificate();
    let user = json!({
        "client-certificate-data": base64(certificate.as_bytes()),
        "client-key-data": base64(key.as_bytes()),
    });
    // The proxy has no certificate to show.
    let kubeconfig = place.cluster.kubeconfig(place.cluster.address, &user);
    let mesh = Mesh::follow(&kubeconfig, &place.only());
    place.follows(&mesh);
}

/// Between this machine and the cluster is a proxy, which the kubeconfig names.
#[test]
fn a_proxy_on_the_way() {
    let Some(place) = Place::shared("proxy-url") else {
        return;
    };
    let tunnel = Tunnel::start();
    let server = json!({
        "server": format!("https://{}", place.proxy.address),
        "certificate-authority-data": base64(place.cluster.certificate().pem.as_bytes()),
        "proxy-url": format!("http://{}", tunnel.address),
    });
    let kubeconfig = Kubeconfig::new(&server, &json!({"token": ADMIN_TOKEN}));
    let mesh = Mesh::follow(&kubeconfig, &place.only());
    place.follows(&mesh);
    assert!(tunnel.count() > 0, "it went that way");
}

fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).expect("a new file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}
