//! README's story in a cluster: a service on its way from VMs to Pods, seen with dig.

use std::{fs, net::IpAddr, path::Path, process::Command};

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{
    mesh::{Mesh, look},
    program::console::steps,
    rig::{cluster::Cluster, objects::namespace},
};

const HOST: &str = "svc1.internal.com";

/// The objects of the sample folder.
fn sample() -> Vec<Value> {
    let zones = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    let mut objects = Vec::new();
    for file in [
        "ns1/svc1",
        "ns1/pods",
        "ns1/vms",
        "shop/apps",
        "shop/catalog",
        "shop/payments",
    ] {
        let text = fs::read_to_string(zones.join(file).with_extension("yaml"));
        for document in serde_yaml::Deserializer::from_str(&text.expect("the sample")) {
            let object = Value::deserialize(document).expect("YAML");
            match object["items"].as_array() {
                Some(items) => objects.extend(items.iter().cloned()),
                None => objects.push(object),
            }
        }
    }
    objects
}

/// Writes the sample into a cluster; returns its objects.
pub(crate) fn sample_in(cluster: &Cluster) -> Vec<Value> {
    let objects = sample();
    cluster
        .api
        .create_all(&[namespace("ns1"), namespace("shop")]);
    cluster.api.create_all(&objects);
    objects
}

/// What dig prints, in order.
fn dig(mesh: &Mesh, name: &str, record_type: &str) -> Vec<String> {
    let port = format!("-p{}", mesh.dns.port());
    let asked = Command::new("dig")
        .args(["@127.0.0.1", &port, name, record_type, "+short"])
        .output()
        .expect("make test installs dig");
    let printed = String::from_utf8(asked.stdout).expect("text");
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort_by_key(|line| line.parse::<IpAddr>().ok());
    lines
}

/// Waits until dig prints this of the service.
#[track_caller]
fn sees(mesh: &Mesh, addresses: &[&str]) {
    mesh.wait(&format!("{addresses:?}"), || {
        dig(mesh, HOST, "A") == addresses
    });
}

/// The object of the sample with this name.
fn object<'o>(objects: &'o [Value], name: &str) -> &'o Value {
    let mut objects = objects.iter();
    let found = objects.find(|object| object["metadata"]["name"] == name);
    found.expect("it is in the sample")
}

#[test]
fn the_story_of_readme_in_a_cluster() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let objects = sample();
    cluster
        .api
        .create_all(&[namespace("ns1"), namespace("shop")]);
    cluster.api.create_all(&objects);
    let kubeconfig = cluster.admin();
    let mesh = Mesh::follow(&kubeconfig, &[]);
    sees(&mesh, &["1.1.1.1", "2.2.2.2", "192.0.2.11", "192.0.2.12"]);

    // The third Pod turns ready.
    let pod = object(&objects, "foo-6c9f7d5b8-r7c2n");
    let mut status = pod["status"].clone();
    for condition in status["conditions"].as_array_mut().expect("a list") {
        condition["status"] = "True".into();
    }
    cluster.api.set_status(pod, &status);
    sees(
        &mesh,
        &[
            "1.1.1.1",
            "2.2.2.2",
            "192.0.2.11",
            "192.0.2.12",
            "192.0.2.13",
        ],
    );

    // The agent on vm1 reports that its health check fails.
    let unhealthy = json!({"conditions": [{"type": "Healthy", "status": "False"}]});
    cluster.api.set_status(object(&objects, "vm1"), &unhealthy);
    let without_vm1 = ["2.2.2.2", "192.0.2.11", "192.0.2.12", "192.0.2.13"];
    sees(&mesh, &without_vm1);

    // Why is it not in the answer?
    let told = look("explain", &kubeconfig, &[HOST]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let line = told
        .lines()
        .find(|line| line.contains("vm1"))
        .expect("it tells");
    assert!(
        line.contains("out") && line.contains("condition Healthy is False"),
        "{told}"
    );
    let listed = look("list", &kubeconfig, &[]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("*.apps.internal.com"), "{listed}");

    // An object breaks: its last good version stays in service, and the object, the field and what to do are told.
    let vm2 = object(&objects, "vm2");
    cluster
        .api
        .patch(vm2, &json!({"spec": {"address": "2.2.2.256"}}));
    let told = [
        "MDNS303",
        "workloadentry.networking.istio.io/vm2 -n ns1",
        "spec.address",
    ];
    mesh.wait_for_log(&["2.2.2.256"]);
    assert_eq!(dig(&mesh, HOST, "A"), without_vm1);
    let checked = look("check", &kubeconfig, &[]);
    assert_eq!(checked.status.code(), Some(79));
    let printed = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    for text in told {
        assert!(printed.contains(text), "{text} in {printed}");
    }

    // It is mended, elsewhere.
    cluster
        .api
        .patch(vm2, &json!({"spec": {"address": "2.2.2.3"}}));
    sees(
        &mesh,
        &["2.2.2.3", "192.0.2.11", "192.0.2.12", "192.0.2.13"],
    );

    // The other names of the sample, as README has them.
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let steps = steps(&fs::read_to_string(page).expect("the page is there"));
    let others = steps
        .iter()
        .filter(|step| step.command.starts_with("dig ") && !step.command.contains(HOST));
    let mut count = 0;
    for step in others {
        let words: Vec<&str> = step.command.split(' ').collect();
        let record_type = if words.contains(&"AAAA") { "AAAA" } else { "A" };
        let expected: Vec<&str> = step.printed.lines().collect();
        assert_eq!(
            dig(&mesh, words[4], record_type),
            expected,
            "{}",
            step.command
        );
        count += 1;
    }
    assert!(count >= 3, "README tells of other names");
}
