//! Objects of clusters, beside those of files.

use super::*;
use crate::{
    diagnostic::{Cluster, ClusterPlace},
    manifest::ObjectContents,
};

fn prod() -> Cluster {
    Cluster::only("prod")
}

fn key_of(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: "ns1".into(),
        name: name.into(),
    }
}

/// The object of an outcome, or that its newest version is refused.
fn told(outcome: DocumentOutcome) -> ClusterEvent {
    let (key, object) = match outcome {
        DocumentOutcome::Object(object) => (object.key(), Some(object)),
        DocumentOutcome::Rejected(key) => (key.expect("it names an object"), None),
        DocumentOutcome::Ignored(kind) => panic!("{kind} is not followed"),
    };
    let place = ClusterPlace {
        cluster: prod(),
        object: key.clone(),
        field: "spec".into(),
    };
    let diagnostics = object.is_none().then(|| Diagnostic {
        origin: place.into(),
        severity: Severity::Error,
        code: code::NO_SPEC,
        message: "refused".to_owned(),
        object: Some(key.clone()),
    });
    let contents = ObjectContents {
        object,
        diagnostics: diagnostics.into_iter().collect(),
    };
    ClusterEvent::Object(key, contents)
}

fn list(kind: Kind, outcomes: impl IntoIterator<Item = DocumentOutcome>) -> Vec<ClusterEvent> {
    let scope = ListScope {
        kind,
        namespace: None,
    };
    let mut events = vec![ClusterEvent::ListBegins(scope.clone())];
    events.extend(outcomes.into_iter().map(told));
    events.push(ClusterEvent::ListEnds(scope));
    events
}

fn tell(
    mesh: &mut Mesh,
    cluster: &Cluster,
    events: impl IntoIterator<Item = ClusterEvent>,
    now: SystemTime,
) -> Affected {
    let changes = events.into_iter().map(|event| ClusterChange {
        cluster: cluster.clone(),
        event,
    });
    mesh.apply(changes, now);
    mesh.take_affected()
}

fn said(mesh: &Mesh) -> Vec<String> {
    let said = mesh.diagnostics(|_| None);
    said.iter().map(ToString::to_string).collect()
}

/// The first address of each VM that is served, sorted.
fn addresses(mesh: &Mesh) -> Vec<String> {
    let mut addresses: Vec<_> = mesh
        .workloads()
        .map(|workload| workload.addresses[0].to_string())
        .collect();
    addresses.sort_unstable();
    addresses
}

#[test]
fn a_cluster_counts_before_files_and_two_clusters_count_both() {
    let mut mesh = Mesh::default();
    let of_file = file("a.yaml", [vm("one", "a", "192.0.2.1", None)]);
    apply(&mut mesh, vec![of_file.clone()], NOON);
    let east = Cluster::one_of_several("east");
    let west = Cluster::one_of_several("west");
    let one = |address| [told(vm("one", "a", address, None))];
    tell(&mut mesh, &west, one("192.0.2.2"), NOON);
    assert_eq!(addresses(&mesh), ["192.0.2.2"]);
    assert_eq!(mesh.object_counts()[&Kind::WorkloadEntry], 1);
    tell(&mut mesh, &east, one("192.0.2.3"), NOON);
    assert_eq!(addresses(&mesh), ["192.0.2.2", "192.0.2.3"]);
    assert_eq!(
        said(&mesh),
        [
            "a.yaml:1:1: warning [MDNS611]: WorkloadEntry ns1/one: cluster east has this object too, and the cluster's is used: \
             take this one out of the file"
        ]
    );
    // What the file says from now on does not count either.
    let other = file("a.yaml", [vm("one", "a", "192.0.2.9", None)]);
    apply(&mut mesh, vec![other], NOON);
    let gone = || [ClusterEvent::Gone(key_of(Kind::WorkloadEntry, "one"))];
    tell(&mut mesh, &east, gone(), NOON);
    assert_eq!(addresses(&mesh), ["192.0.2.2"]);
    tell(&mut mesh, &west, gone(), NOON);
    assert_eq!(addresses(&mesh), ["192.0.2.9"]);
    assert!(said(&mesh).is_empty());
}

#[test]
fn an_object_whose_newest_version_is_refused_keeps_its_last_good_one() {
    let mut mesh = Mesh::default();
    tell(&mut mesh, &prod(), [told(service("a", "a"))], NOON);
    let refused = || [told(rejected(Kind::ServiceEntry, "a"))];
    tell(&mut mesh, &prod(), refused(), later(1));
    tell(&mut mesh, &prod(), refused(), later(2));
    assert_eq!(mesh.host_count(), 1);
    assert_eq!(mesh.kept()[0].since, later(1));
    assert_eq!(
        said(&mesh),
        [
            "serviceentry.networking.istio.io/a -n ns1: warning [MDNS606]: its newest version can't be used since \
             1970-01-01T00:00:01Z; the last good one is served",
            "serviceentry.networking.istio.io/a -n ns1, spec: error [MDNS103]: refused",
        ]
    );
    mesh.take_news();
    tell(&mut mesh, &prod(), [told(service("a", "a"))], later(3));
    let news = mesh.take_news();
    assert_eq!(news.mended[0].holder, Holder::Cluster(prod()));
    assert!(said(&mesh).is_empty() && mesh.kept().is_empty());
    assert_eq!(mesh.kept_counts().objects(), 0);
}

#[test]
fn a_list_counts_at_its_end_and_touches_what_differs() {
    let mut mesh = Mesh::default();
    tell(&mut mesh, &prod(), [told(service("a", "a"))], NOON);
    let vms = |addresses: [&str; 3]| {
        let names = ["one", "two", "three"];
        let vms = names.iter().zip(addresses);
        vms.map(|(name, address)| vm(name, "a", address, None))
            .collect::<Vec<_>>()
    };
    let first = vms(["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let kind = Kind::WorkloadEntry;
    let affected = tell(&mut mesh, &prod(), list(kind, first.clone()), NOON);
    assert_eq!((affected.added, affected.hosts.len()), (3, 1));

    // All as it was: nothing is touched.
    let affected = tell(&mut mesh, &prod(), list(kind, first.clone()), NOON);
    assert_eq!(affected, Affected::default());
    assert!(!mesh.has_changed());

    // One is another, one is gone, one is told by its name alone; until the end nothing counts.
    let mut events = list(kind, vms(["192.0.2.1", "192.0.2.9", "192.0.2.3"]));
    events[1] = ClusterEvent::Unchanged(key_of(kind, "one"));
    events.remove(3);
    let end = events.pop();
    let affected = tell(&mut mesh, &prod(), events, NOON);
    assert_eq!(affected, Affected::default());
    assert_eq!(addresses(&mesh), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let affected = tell(&mut mesh, &prod(), end, NOON);
    assert_eq!(
        (affected.added, affected.changed, affected.removed),
        (0, 1, 1)
    );
    assert_eq!(addresses(&mesh), ["192.0.2.1", "192.0.2.9"]);

    // Half a list changes nothing.
    let mut events = list(kind, []);
    events[1] = ClusterEvent::ListFails(ListScope {
        kind,
        namespace: None,
    });
    let affected = tell(&mut mesh, &prod(), events, NOON);
    assert_eq!(affected, Affected::default());
    // An empty one does.
    let affected = tell(&mut mesh, &prod(), list(kind, []), NOON);
    assert_eq!(affected.removed, 2);
    assert_eq!(picked(&mesh, "a").len(), 0);
}

#[test]
fn a_first_list_that_stalls_holds_up_nobody_and_counts_when_it_ends() {
    let mut mesh = Mesh::default();
    let mut events = list(
        Kind::WorkloadEntry,
        [
            vm("one", "a", "192.0.2.1", None),
            rejected(Kind::WorkloadEntry, "two"),
            vm("three", "a", "192.0.2.3", None),
        ],
    );
    let rest = events.split_off(3);
    tell(&mut mesh, &prod(), events, NOON);
    assert!(mesh.has_half_a_list());
    let stalls = ClusterEvent::ListStalls(ListScope {
        kind: Kind::WorkloadEntry,
        namespace: None,
    });
    tell(&mut mesh, &prod(), [stalls.clone(), stalls], NOON);
    assert!(!mesh.has_half_a_list());
    assert_eq!(mesh.workloads().count(), 0);
    assert!(said(&mesh).is_empty());
    tell(&mut mesh, &prod(), rest, NOON);
    assert_eq!(addresses(&mesh), ["192.0.2.1", "192.0.2.3"]);
    assert_eq!(said(&mesh).len(), 1);
}

#[test]
fn a_first_list_that_fails_leaves_nothing() {
    for is_serving in [false, true] {
        let mut mesh = Mesh::default();
        if is_serving {
            mesh.begin_serving();
        }
        let mut events = list(
            Kind::WorkloadEntry,
            [
                vm("one", "a", "192.0.2.1", None),
                rejected(Kind::WorkloadEntry, "two"),
            ],
        );
        events.pop();
        tell(&mut mesh, &prod(), events, NOON);
        assert_eq!(mesh.has_half_a_list(), !is_serving);
        assert_eq!(mesh.workloads().count(), usize::from(!is_serving));
        let failed = ClusterEvent::ListFails(ListScope {
            kind: Kind::WorkloadEntry,
            namespace: None,
        });
        tell(&mut mesh, &prod(), [failed], NOON);
        assert!(!mesh.has_half_a_list());
        assert_eq!(mesh.workloads().count(), 0);
        assert!(said(&mesh).is_empty());
    }
}
