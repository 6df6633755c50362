//! What endpoints say of themselves, and who is affected when that changes.

use super::*;
use crate::manifest;

fn read(text: &str) -> FileChange {
    let file: Arc<str> = "a.yaml".into();
    FileChange {
        reading: Reading::Read(manifest::parse(&file, text)),
        file,
    }
}

/// A ServiceEntry that selects `app: a`, one that selects `app: b`, and a VM of `app: a`.
fn mesh_with(vm: &str) -> Mesh {
    let mut mesh = Mesh::default();
    let services = file("s.yaml", [service("svc1", "a"), service("svc2", "b")]);
    apply(&mut mesh, vec![services, read(vm)], NOON);
    mesh
}

fn vm_with(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: vm, namespace: ns1}}\n\
         spec: {{address: 10.0.0.1, labels: {{app: a}}{spec}}}\n"
    )
}

fn pod_with(annotations: &str, ready: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\n\
         metadata: {{name: pod, namespace: ns1, labels: {{app: a}}, annotations: {{{annotations}}}}}\n\
         status: {{podIP: 10.0.0.2, conditions: [{{type: Ready, status: '{ready}'}}]}}\n"
    )
}

fn weight_of(mesh: &Mesh) -> u32 {
    let workload = mesh.workloads().next().expect("a workload");
    workload.attributes().weight.get()
}

#[test]
fn weights_and_ports_of_workloads_are_known() {
    let mesh = mesh_with(&vm_with(", weight: 3, ports: {web: 8080, admin: 9000}"));
    let workload = mesh.workloads().next().expect("a workload");
    let attributes = workload.attributes();
    assert_eq!(attributes.weight.get(), 3);
    let ports = [("admin".into(), 9_000), ("web".into(), 8_080)];
    assert_eq!(*attributes.ports, ports);
    let plain = mesh_with(&vm_with(", weight: 0"));
    let plain = plain.workloads().next().expect("a workload");
    assert_eq!(plain.attributes(), Attributes::plain());
    assert!(
        plain.statement.is_none(),
        "what says nothing takes no memory"
    );
}

#[test]
fn workloads_that_say_the_same_share_one_copy() {
    let vms = (0..100).map(|vm| {
        let status = if vm % 2 == 0 { "True" } else { "False" };
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: vm{vm}, namespace: ns1}}\n\
             spec: {{address: 10.0.0.{vm}, ports: {{http: 8080}}}}\n\
             status: {{conditions: [{{type: Healthy, status: '{status}'}}]}}\n"
        )
    });
    let mesh = mesh_with(&vms.collect::<String>());
    let (well, unwell): (Vec<_>, Vec<_>) = mesh
        .workloads()
        .partition(|workload| workload.excluded().is_none());
    let said = |workload: &Arc<Workload>| workload.statement.clone().expect("a statement");
    let first = said(well[0]);
    assert!(
        well.iter()
            .all(|workload| Arc::ptr_eq(&said(workload), &first))
    );
    let attributes = first.attributes.as_ref().expect("ports");
    let is_shared = |workload: &&Arc<Workload>| {
        let of_workload = &said(workload).attributes;
        of_workload
            .as_ref()
            .is_some_and(|one| Arc::ptr_eq(one, attributes))
    };
    assert_eq!(unwell.iter().filter(|one| is_shared(one)).count(), 50);
}

#[test]
fn more_different_workloads_than_are_known_are_each_themselves() {
    let vms = (1..2_000).map(|vm| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: vm{vm}, namespace: ns1}}\n\
             spec: {{address: 10.0.0.1, weight: {vm}}}\n"
        )
    });
    let mesh = mesh_with(&vms.collect::<String>());
    for workload in mesh.workloads() {
        let weight = workload.attributes().weight;
        assert_eq!(*workload.key.name, *format!("vm{weight}"));
    }
}

#[test]
fn a_changed_weight_affects_the_hosts_that_pick_the_workload() {
    let mut mesh = mesh_with(&vm_with(", weight: 3"));
    let mut affected = |vm: &str| apply(&mut mesh, vec![read(vm)], NOON).hosts;
    assert_eq!(affected(&vm_with(", weight: 4")), [host("svc1")]);
    assert_eq!(
        affected(&vm_with(", weight: 4, ports: {http: 1}")),
        [host("svc1")]
    );
    assert_eq!(affected(&vm_with(", weight: 4, ports: {http: 1}")), []);
    assert_eq!(affected(&vm_with("")), [host("svc1")]);
}

#[test]
fn a_typo_in_the_weight_of_a_pod_leaves_the_last_good_one() {
    let mut mesh = mesh_with(&pod_with("meshdns.io/weight: x", "True"));
    assert_eq!(weight_of(&mesh), 1);
    let mut set = |annotations: &str, ready: &str| {
        apply(&mut mesh, vec![read(&pod_with(annotations, ready))], NOON);
        weight_of(&mesh)
    };
    assert_eq!(set("meshdns.io/weight: '5'", "True"), 5);
    assert_eq!(set("meshdns.io/weight: 5x", "True"), 5);
    assert_eq!(set("meshdns.io/weight: 6x", "False"), 5);
    assert_eq!(set("meshdns.io/weight: '0'", "True"), 1);
    assert_eq!(
        set("meshdns.io/weight: '7', meshdns.io/state: drain", "True"),
        7
    );
    assert_eq!(set("", "True"), 1);
}

#[test]
fn inline_endpoints_have_what_they_say() {
    let entry = |endpoints: &str, ports: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: svc3, namespace: ns1}}\n\
             spec: {{hosts: [svc3.test], resolution: STATIC, ports: [{ports}], endpoints: [{endpoints}]}}\n"
        )
    };
    let port = "{number: 80, name: http, protocol: HTTP}";
    let endpoints = "{address: 10.0.0.1}, {address: 10.0.0.2, weight: 2, labels: {version: v1}, locality: eu}, {address: 10.0.0.3}";
    let mut mesh = mesh_with(&entry(endpoints, port));
    let services = mesh.services_of(&host("svc3"));
    let [service] = services else {
        panic!("one service has the host");
    };
    let weights = [0, 1, 2, 3].map(|place| service.attributes_of(place).weight.get());
    assert_eq!(weights, [1, 2, 1, 1]);
    assert_eq!(service.label_of(1, "version"), Some("v1"));
    assert_eq!(
        service.label_of(1, "topology.kubernetes.io/region"),
        Some("eu")
    );
    assert_eq!(service.label_of(0, "version"), None);
    assert_eq!(&*service.ports[0].name, "http");
    let mut affected = |text: &str| apply(&mut mesh, vec![read(text)], NOON).hosts;
    let other = endpoints.replace("v1", "v2");
    assert_eq!(affected(&entry(&other, port)), [host("svc3")]);
    let other_port = "{number: 81, name: http, protocol: HTTP}";
    assert_eq!(affected(&entry(&other, other_port)), [host("svc3")]);
    assert_eq!(affected(&entry(&other, other_port)), []);
}
