use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    diagnostic::{FilePlace, Holder, ObjectKey, Position, Severity, code},
    manifest::{
        Address, Attributes, Contents, Document, DocumentOutcome, EndpointSource, Export, LabelMap,
        Metadata, Object, Resolution, ServiceEntry, WorkloadEntry,
    },
};

const NOON: SystemTime = SystemTime::UNIX_EPOCH;

fn later(seconds: u64) -> SystemTime {
    NOON + Duration::from_secs(seconds)
}

fn labels(app: &str) -> LabelMap {
    LabelMap::from_iter([("app", app)])
}

fn metadata(name: &str) -> Metadata {
    Metadata {
        name: name.into(),
        namespace: "ns1".into(),
        created: 0,
    }
}

fn service(name: &str, app: &str) -> DocumentOutcome {
    DocumentOutcome::Object(Object::ServiceEntry(Box::new(ServiceEntry {
        metadata: metadata(name),
        hosts: vec![host(name)],
        addresses: Vec::new(),
        resolution: Resolution::Static,
        ports: Vec::new(),
        endpoints: EndpointSource::Selector(labels(app)),
        export: Export::Everyone,
        notes: None,
        traffic: None,
    })))
}

fn vm(name: &str, app: &str, address: &str, healthy: Option<&str>) -> DocumentOutcome {
    DocumentOutcome::Object(Object::WorkloadEntry(Box::new(WorkloadEntry {
        metadata: metadata(name),
        labels: labels(app),
        address: Address::Ip(address.parse().expect("an address")),
        attributes: Attributes::default(),
        healthy: healthy.map(Box::from),
        health_checks_enabled: false,
        reported: None,
        notes: None,
    })))
}

fn rejected(kind: Kind, name: &str) -> DocumentOutcome {
    DocumentOutcome::Rejected(Some(ObjectKey {
        kind,
        namespace: "ns1".into(),
        name: name.into(),
    }))
}

fn host(name: &str) -> Name {
    format!("{name}.test").parse().expect("a valid host")
}

fn contents(
    file: &Arc<str>,
    outcomes: impl IntoIterator<Item = (u32, DocumentOutcome)>,
) -> Contents {
    let document = |(number, outcome)| Document {
        place: FilePlace {
            file: file.clone(),
            document: number,
            position: Position::START,
        },
        outcome,
        digest: 0,
    };
    Contents {
        documents: outcomes.into_iter().map(document).collect(),
        ..Contents::default()
    }
}

fn file(name: &str, outcomes: impl IntoIterator<Item = DocumentOutcome>) -> FileChange {
    let file: Arc<str> = name.into();
    FileChange {
        reading: Reading::Read(contents(&file, (1..).zip(outcomes))),
        file,
    }
}

/// The same where only the numbered documents say something else.
fn amended(
    name: &str,
    outcomes: impl IntoIterator<Item = (u32, DocumentOutcome)>,
    unchanged: &[u32],
) -> FileChange {
    let file: Arc<str> = name.into();
    FileChange {
        reading: Reading::Amended {
            contents: contents(&file, outcomes),
            unchanged: unchanged.to_vec(),
        },
        file,
    }
}

fn unreadable(name: &str) -> FileChange {
    let diagnostic = Diagnostic {
        origin: FilePlace::whole(name.into()).into(),
        severity: Severity::Error,
        code: code::LAST_GOOD_SERVED,
        message: "permission denied".into(),
        object: None,
    };
    FileChange {
        file: name.into(),
        reading: Reading::Unreadable(diagnostic),
    }
}

fn apply(mesh: &mut Mesh, changes: Vec<FileChange>, now: SystemTime) -> Affected {
    mesh.apply(changes, now);
    mesh.take_affected()
}

/// The names of the workloads that the ServiceEntry `name` picks, sorted.
fn picked(mesh: &Mesh, name: &str) -> Vec<String> {
    let host = host(name);
    let service = &mesh.services_of(&host)[0];
    let Endpoints::Selector(selector) = &service.endpoints else {
        return Vec::new();
    };
    let mut names: Vec<_> = mesh
        .selected("ns1", selector)
        .map(|(_, workload)| workload.key.name.to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn a_change_affects_only_the_hosts_that_pick_the_workload() {
    let mut mesh = Mesh::default();
    let services = ["a", "b", "c"].map(|name| service(name, name));
    apply(&mut mesh, vec![file("services.yaml", services)], NOON);
    let affected = apply(
        &mut mesh,
        vec![file("vm.yaml", [vm("vm", "a", "192.0.2.1", None)])],
        NOON,
    );
    assert_eq!(affected.hosts, vec![host("a")]);
    let affected = apply(
        &mut mesh,
        vec![file("vm.yaml", [vm("vm", "b", "192.0.2.1", None)])],
        NOON,
    );
    assert_eq!(
        affected.hosts,
        vec![host("a"), host("b")],
        "its labels moved it from one to the other"
    );
    let affected = apply(
        &mut mesh,
        vec![file("vm.yaml", [vm("vm", "b", "192.0.2.1", None)])],
        NOON,
    );
    assert_eq!(affected, Affected::default(), "nothing changed");
    let affected = apply(
        &mut mesh,
        vec![FileChange {
            file: "vm.yaml".into(),
            reading: Reading::Gone,
        }],
        NOON,
    );
    assert_eq!((affected.hosts, affected.removed), (vec![host("b")], 1));
}

#[test]
fn a_rejected_object_keeps_its_last_good_version_and_says_since_when() {
    let mut mesh = Mesh::default();
    apply(
        &mut mesh,
        vec![file(
            "a.yaml",
            [service("a", "a"), vm("vm", "a", "192.0.2.1", None)],
        )],
        NOON,
    );
    let broken = || {
        file(
            "a.yaml",
            [service("a", "a"), rejected(Kind::WorkloadEntry, "vm")],
        )
    };
    apply(&mut mesh, vec![broken()], later(1));
    apply(&mut mesh, vec![broken()], later(2));
    assert_eq!(picked(&mesh, "a"), ["vm"]);
    let kept: Vec<_> = mesh
        .kept()
        .into_iter()
        .map(|kept| (kept.key.name.clone(), kept.since))
        .collect();
    assert_eq!(kept, [("vm".into(), later(1))]);
    assert_eq!(
        mesh.diagnostics(|_| Some(Unresolvable::NoUpstream))[0].code,
        code::LAST_GOOD_SERVED
    );

    apply(
        &mut mesh,
        vec![file("a.yaml", [service("a", "a")])],
        later(3),
    );
    assert_eq!(picked(&mesh, "a"), [""; 0], "left out on purpose, it goes");
    assert!(
        mesh.kept().is_empty()
            && mesh
                .diagnostics(|_| Some(Unresolvable::NoUpstream))
                .is_empty()
    );
}

#[test]
fn unchanged_documents_say_what_they_said() {
    let mut mesh = Mesh::default();
    let vm_at = |name, address| vm(name, "a", address, None);
    let one = vm_at("one", "192.0.2.1");
    let two = vm_at("two", "192.0.2.2");
    apply(
        &mut mesh,
        vec![file("a.yaml", [service("a", "a"), one, two])],
        NOON,
    );
    let moved = amended("a.yaml", [(2, vm_at("one", "192.0.2.9"))], &[1, 3]);
    let affected = apply(&mut mesh, vec![moved], NOON);
    assert_eq!(affected.hosts, [host("a")]);
    assert_eq!(
        (affected.added, affected.changed, affected.removed),
        (0, 1, 0)
    );
    for step in 1..3 {
        let broken = amended(
            "a.yaml",
            [(2, rejected(Kind::WorkloadEntry, "one"))],
            &[1, 3],
        );
        apply(&mut mesh, vec![broken], later(step));
        assert_eq!(picked(&mesh, "a"), ["one", "two"]);
        assert_eq!(mesh.kept()[0].since, later(1));
    }
    apply(&mut mesh, vec![amended("a.yaml", [], &[1, 3])], NOON);
    assert_eq!(picked(&mesh, "a"), ["two"], "it was taken out");
    assert!(mesh.kept().is_empty());
}

/// One of a few objects, in one of a few versions, or one that can't be read or told.
fn any_outcome() -> impl Strategy<Value = DocumentOutcome> {
    let name = || prop::sample::select(&["one", "two", "three"][..]);
    let address = prop::sample::select(&["192.0.2.1", "192.0.2.2"][..]);
    // Nobody selects by the last two, so that nothing holds their labels but workloads.
    let app = prop::sample::select(&["a", "b", "c", "d"][..]);
    prop_oneof![
        6 => (name(), app, address).prop_map(|(name, app, address)| vm(name, app, address, None)),
        2 => name().prop_map(|name| rejected(Kind::WorkloadEntry, name)),
        1 => Just(DocumentOutcome::Rejected(None)),
        1 => Just(DocumentOutcome::Ignored("Deployment".into())),
    ]
}

/// Everything that can be seen of the workloads.
fn seen(mesh: &Mesh) -> impl PartialEq + std::fmt::Debug {
    let mut workloads: Vec<_> = mesh
        .workloads()
        .map(|workload| {
            let Workload {
                key,
                labels,
                addresses,
                read_from,
                ..
            } = &**workload;
            let labels = mesh.label_texts(&key.namespace, labels);
            format!("{key} {labels:?} {addresses:?} {read_from:?}")
        })
        .collect();
    workloads.sort_unstable();
    (
        workloads,
        [picked(mesh, "a"), picked(mesh, "b")],
        (mesh.object_counts(), mesh.ignored_counts()),
        mesh.endpoint_counts(),
        mesh.kept(),
        mesh.diagnostics(|_| None),
    )
}

proptest! {
    #[test]
    fn files_say_the_same_whether_or_not_unchanged_documents_are_read_again(
        states in prop::collection::vec(
            (0..2_usize, prop::collection::vec(any_outcome(), 0..5)),
            1..10,
        ),
    ) {
        let (mut whole, mut amending) = (Mesh::default(), Mesh::default());
        let services = file("0.yaml", [service("a", "a"), service("b", "b")]);
        whole.apply(vec![services.clone()], NOON);
        amending.apply(vec![services], NOON);
        let mut before = [Vec::new(), Vec::new()];
        for (step, (number, outcomes)) in states.into_iter().enumerate() {
            let now = later(step as u64);
            let name = ["a.yaml", "b.yaml"][number];
            let is_unchanged = |index: usize| {
                matches!(outcomes[index], DocumentOutcome::Object(_))
                    && before[number].get(index) == Some(&outcomes[index])
            };
            let numbered = (1..).zip(outcomes.iter().cloned());
            let (unchanged, changed): (Vec<_>, Vec<_>) =
                numbered.partition(|(number, _)| is_unchanged(*number as usize - 1));
            let unchanged: Vec<_> = unchanged.into_iter().map(|(number, _)| number).collect();
            amending.apply(vec![amended(name, changed, &unchanged)], now);
            whole.apply(vec![file(name, outcomes.iter().cloned())], now);
            prop_assert_eq!(seen(&amending), seen(&whole));
            before[number] = outcomes;
        }
    }
}

#[test]
fn an_object_that_was_never_good_is_not_served() {
    let mut mesh = Mesh::default();
    apply(
        &mut mesh,
        vec![file(
            "a.yaml",
            [service("a", "a"), rejected(Kind::WorkloadEntry, "vm")],
        )],
        NOON,
    );
    assert_eq!(picked(&mesh, "a"), [""; 0]);
    assert!(mesh.kept().is_empty());
}

#[test]
fn an_unreadable_file_and_one_with_an_unidentified_document_keep_what_they_held() {
    let mut mesh = Mesh::default();
    let whole = || {
        file(
            "a.yaml",
            [service("a", "a"), vm("one", "a", "192.0.2.1", None)],
        )
    };
    apply(&mut mesh, vec![whole()], NOON);
    apply(&mut mesh, vec![unreadable("a.yaml")], later(1));
    assert_eq!(picked(&mesh, "a"), ["one"]);
    assert_eq!(mesh.kept().len(), 2);

    apply(
        &mut mesh,
        vec![file(
            "a.yaml",
            [service("a", "a"), DocumentOutcome::Rejected(None)],
        )],
        later(2),
    );
    assert_eq!(
        picked(&mesh, "a"),
        ["one"],
        "the document that can't be read may be the VM"
    );
    apply(&mut mesh, vec![whole()], later(3));
    assert!(mesh.kept().is_empty());
}

/// Goes through the states of one file and compares what is served after the last. A capital letter is a workload, a small
/// one a document that can't be used and names no object, `!` a file that can't be read.
#[track_caller]
fn check_strays(states: &[&str], served: &str) {
    let mut mesh = Mesh::default();
    for state in states {
        let change = if *state == "!" {
            unreadable("a.yaml")
        } else {
            let outcome = |letter: char| match letter {
                'A'..='Z' => vm(&letter.to_lowercase().to_string(), "a", "192.0.2.1", None),
                _ => DocumentOutcome::Rejected(None),
            };
            let mut change = file("a.yaml", state.chars().map(outcome));
            if let Reading::Read(contents) = &mut change.reading {
                for (document, letter) in contents.documents.iter_mut().zip(state.chars()) {
                    document.digest = u64::from(letter);
                }
            }
            change
        };
        apply(&mut mesh, vec![change], NOON);
    }
    let mut names: Vec<_> = mesh
        .workloads()
        .map(|vm| vm.key.name.to_uppercase())
        .collect();
    names.sort_unstable();
    assert_eq!(names.concat(), served, "{states:?}");
}

#[test]
fn a_document_that_names_no_object_keeps_only_what_it_may_have_been() {
    check_strays(&["ABs", "Bs"], "B");
    check_strays(&["ABs", "sB"], "B");
    check_strays(&["AB", "As"], "AB");
    check_strays(&["AB", "As", "sA"], "AB");
    check_strays(&["AB", "As", "At"], "AB");
    check_strays(&["AB", "As", "s"], "B");
    check_strays(&["AB", "As", "A"], "A");
    check_strays(&["AB", "As", "ABs", "As"], "A");
    check_strays(&["ABs", "Ast", "As"], "A");
    check_strays(&["ABss", "Ass"], "A");
    check_strays(&["ABss", "Asss"], "AB");
    check_strays(&["ABs", "ABst", "Ast"], "A");
    check_strays(&["ABs", "!", "Bs"], "B");
    check_strays(&["AB", "As", "!", "As"], "AB");
    check_strays(&["AB", "As", "!", "A"], "A");
}

#[test]
fn the_last_claim_in_path_order_wins_and_the_other_serves_again() {
    let mut mesh = Mesh::default();
    apply(
        &mut mesh,
        vec![file("b.yaml", [vm("vm", "b", "192.0.2.2", None)])],
        NOON,
    );
    apply(
        &mut mesh,
        vec![file(
            "a.yaml",
            [
                service("a", "a"),
                service("b", "b"),
                vm("vm", "a", "192.0.2.1", None),
            ],
        )],
        NOON,
    );
    assert_eq!((picked(&mesh, "a").len(), picked(&mesh, "b").len()), (0, 1));
    let duplicates: Vec<_> = mesh
        .diagnostics(|_| Some(Unresolvable::NoUpstream))
        .into_iter()
        .map(|said| (said.code, said.origin.holder()))
        .collect();
    let holder = Holder::File("a.yaml".into());
    assert_eq!(duplicates, [(code::DUPLICATE_OBJECT, holder)]);

    apply(
        &mut mesh,
        vec![FileChange {
            file: "b.yaml".into(),
            reading: Reading::Gone,
        }],
        NOON,
    );
    assert_eq!((picked(&mesh, "a").len(), picked(&mesh, "b").len()), (1, 0));
    assert!(
        mesh.diagnostics(|_| Some(Unresolvable::NoUpstream))
            .is_empty()
    );
}

#[test]
fn of_two_in_one_file_the_last_wins() {
    let mut mesh = Mesh::default();
    let twice = [
        service("a", "a"),
        vm("vm", "a", "192.0.2.1", None),
        vm("vm", "other", "192.0.2.2", None),
    ];
    apply(&mut mesh, vec![file("a.yaml", twice)], NOON);
    assert_eq!(picked(&mesh, "a"), [""; 0]);
    assert_eq!(
        mesh.object_counts(),
        BTreeMap::from([(Kind::ServiceEntry, 1), (Kind::WorkloadEntry, 1)])
    );
    apply(
        &mut mesh,
        vec![file(
            "a.yaml",
            [service("a", "a"), vm("vm", "a", "192.0.2.1", None)],
        )],
        NOON,
    );
    assert_eq!(picked(&mesh, "a"), ["vm"]);
}

#[test]
fn counts_endpoints_by_state() {
    let mut mesh = Mesh::default();
    let vms = [
        vm("healthy", "a", "192.0.2.1", None),
        vm("unhealthy", "a", "192.0.2.2", Some("False")),
        vm("nobody-asks", "b", "192.0.2.3", None),
    ];
    apply(
        &mut mesh,
        vec![
            file("vms.yaml", vms),
            file("services.yaml", [service("a", "a")]),
        ],
        NOON,
    );
    let expected = EndpointCounts {
        selected: 1,
        named: 0,
        unready: 1,
        excluded: 0,
        drained: 0,
        unselected: 1,
    };
    assert_eq!(mesh.endpoint_counts(), expected);
    apply(
        &mut mesh,
        vec![file("services.yaml", [service("b", "b")])],
        NOON,
    );
    let expected = EndpointCounts {
        selected: 1,
        named: 0,
        unready: 0,
        excluded: 0,
        drained: 0,
        unselected: 2,
    };
    assert_eq!(mesh.endpoint_counts(), expected);
}

mod annotations;
mod attributes;
mod clusters;
mod forwarders;
