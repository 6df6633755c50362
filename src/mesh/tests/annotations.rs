//! What annotations ask, from one version of an object to the next.

use super::*;
use crate::{
    diagnostic::Cluster,
    manifest::{self, ObjectReader, TrafficNotes},
};

/// A ServiceEntry of a file, with these annotations.
fn entry(annotations: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, \
          metadata: {{name: orders, namespace: ns1, annotations: {{{annotations}}}}}, \
          spec: {{hosts: [orders.test], resolution: STATIC}}}}\n"
    )
}

fn read(name: &str, text: &str) -> FileChange {
    let file: Arc<str> = name.into();
    FileChange {
        reading: Reading::Read(manifest::parse(&file, text)),
        file,
    }
}

fn traffic(mesh: &Mesh) -> Option<&TrafficNotes> {
    mesh.services_of(&host("orders"))[0].traffic.as_deref()
}

/// The shares that count, as `pod=10`.
fn shares(mesh: &Mesh) -> Option<String> {
    let shares = traffic(mesh)?.shares.as_ref()?;
    let wanted = shares.wanted.iter();
    let wanted: Vec<_> = wanted
        .map(|(group, share)| format!("{group}={share}"))
        .collect();
    Some(wanted.join(","))
}

fn unreadable(mesh: &Mesh) -> &[&'static str] {
    traffic(mesh).map_or(&[], |traffic| &traffic.unreadable)
}

#[test]
fn a_typo_in_a_share_leaves_the_last_good_one() {
    let mut mesh = Mesh::default();
    let mut set = |annotations: &str| {
        let change = read("a.yaml", &entry(annotations));
        mesh.apply([change], NOON);
        (shares(&mesh), unreadable(&mesh).to_vec())
    };
    let good = |shares: &str| (Some(shares.to_owned()), Vec::new());
    let kept = |shares: &str, names: &[&'static str]| (Some(shares.to_owned()), names.to_vec());
    assert_eq!(set("meshdns.io/share: pod=1O"), (None, vec!["share"]));
    assert_eq!(set("meshdns.io/share: pod=10"), good("pod=10"));
    assert_eq!(set("meshdns.io/share: pod=1O"), kept("pod=10", &["share"]));
    assert_eq!(set("meshdns.io/share: pods=1"), kept("pod=10", &["share"]));
    let by = "meshdns.io/share: v1=1, meshdns.io/share-by: lable";
    assert_eq!(set(by), kept("pod=10", &["share-by"]));
    assert_eq!(set("meshdns.io/share: pod=20"), good("pod=20"));
    assert_eq!(set(""), (None, Vec::new()));
    assert_eq!(set("meshdns.io/share: pod=1O"), (None, vec!["share"]));
}

#[test]
fn what_can_be_read_beside_it_counts() {
    let mut mesh = Mesh::default();
    mesh.apply(
        [read(
            "a.yaml",
            &entry("meshdns.io/txt: one, meshdns.io/answer: mix"),
        )],
        NOON,
    );
    mesh.apply(
        [read(
            "a.yaml",
            &entry("meshdns.io/txt: two, meshdns.io/answer: max"),
        )],
        NOON,
    );
    let traffic = traffic(&mesh).expect("annotations");
    assert_eq!(traffic.answer, Some(manifest::AnswerMode::Mix));
    assert_eq!(*traffic.texts, ["two".into()]);
}

#[test]
fn a_changed_share_affects_the_hosts_of_its_service_alone() {
    let mut mesh = Mesh::default();
    let others = file("b.yaml", [service("svc1", "a")]);
    let mine = read("a.yaml", &entry("meshdns.io/share: pod=10"));
    apply(&mut mesh, vec![others, mine], NOON);
    let mine = read("a.yaml", &entry("meshdns.io/share: pod=20"));
    let affected = apply(&mut mesh, vec![mine], NOON);
    assert_eq!(affected.hosts, [host("orders")]);
}

#[test]
fn a_share_that_moves_to_another_file_with_a_typo_stays() {
    let mut mesh = Mesh::default();
    mesh.apply([read("a.yaml", &entry("meshdns.io/share: pod=10"))], NOON);
    mesh.apply([read("b.yaml", &entry("meshdns.io/share: pod=x"))], NOON);
    assert_eq!(shares(&mesh).as_deref(), Some("pod=10"));
}

#[test]
fn a_typo_in_a_cluster_leaves_the_last_good_share_too() {
    let cluster = Cluster::only("prod");
    let mut reader = ObjectReader::new(cluster.clone());
    let mut object = |share: &str| {
        let json = format!(
            r#"{{"metadata":{{"name":"orders","namespace":"ns1","annotations":{{"meshdns.io/share":"{share}"}}}},
                 "spec":{{"hosts":["orders.test"],"resolution":"STATIC"}}}}"#
        );
        let read = reader.read(
            "networking.istio.io/v1",
            Kind::ServiceEntry,
            json.as_bytes(),
        );
        let read = read.expect("an object");
        ClusterEvent::Object(read.key, read.contents)
    };
    let scope = ListScope {
        kind: Kind::ServiceEntry,
        namespace: None,
    };
    let mut mesh = Mesh::default();
    let mut tell = |event| {
        let cluster = cluster.clone();
        mesh.apply([ClusterChange { cluster, event }], NOON);
        mesh.services_of(&host("orders"))
            .first()
            .and_then(|service| {
                let shares = service.traffic.as_ref()?.shares.as_ref()?;
                Some(shares.wanted[0].1.hundredths())
            })
    };
    assert_eq!(tell(object("pod=10")), Some(1_000));
    assert_eq!(tell(object("pod=1O")), Some(1_000));
    tell(ClusterEvent::ListBegins(scope.clone()));
    tell(object("pod=20"));
    assert_eq!(
        tell(object("pod=2O")),
        Some(1_000),
        "the list has not ended"
    );
    assert_eq!(tell(ClusterEvent::ListEnds(scope)), Some(2_000));
}
