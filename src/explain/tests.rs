use std::{collections::BTreeMap, time::SystemTime};

use super::*;
use crate::{
    diagnostic::{FilePlace, Kind, Position},
    manifest::{
        Address, Contents, Document, DocumentOutcome, EndpointSource, Export, LabelMap, Metadata,
        NotedWeight, Object, Pod, Resolution, ServiceEntry,
    },
    mesh::{FileChange, Reading},
    pipeline::Policy,
    zone::Settings,
};

#[track_caller]
fn name(text: &str) -> Name {
    Name::from_text(text).expect("a valid name")
}

fn metadata(name: &str, namespace: &str) -> Metadata {
    Metadata {
        name: name.into(),
        namespace: namespace.into(),
        created: 0,
    }
}

fn labels(text: &str) -> LabelMap {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .collect()
}

fn service(namespace: &str, host: &str, endpoints: EndpointSource) -> Object {
    Object::ServiceEntry(Box::new(ServiceEntry {
        metadata: metadata(host, namespace),
        hosts: vec![name(host)],
        addresses: Vec::new(),
        resolution: Resolution::Static,
        ports: Vec::new(),
        endpoints,
        export: Export::Everyone,
        notes: None,
        traffic: None,
    }))
}

fn pod(pod: &str, namespace: &str, text: &str, ip: &str, ready: &str) -> Object {
    Object::Pod(Box::new(Pod {
        metadata: metadata(pod, namespace),
        labels: labels(text),
        phase: "Running".into(),
        terminating: false,
        ready: Some(ready.to_owned().into()),
        addresses: [ip.parse().expect("an IP")].into_iter().collect(),
        notes: None,
        weight: NotedWeight::Unset,
    }))
}

fn inline(ip: &str) -> EndpointSource {
    EndpointSource::Inline(vec![Address::Ip(ip.parse().expect("an IP")).into()])
}

fn selector(text: &str) -> EndpointSource {
    EndpointSource::Selector(labels(text))
}

fn pipeline(zones: &[&str], objects: Vec<Object>) -> Pipeline {
    let place = FilePlace {
        file: "mesh.yaml".into(),
        document: 1,
        position: Position::START,
    };
    let documents = objects.into_iter().map(|object| Document {
        place: place.clone(),
        outcome: DocumentOutcome::Object(object),
        digest: 0,
    });
    let change = FileChange {
        file: place.file.clone(),
        reading: Reading::Read(Contents {
            documents: documents.collect(),
            ..Contents::default()
        }),
    };
    let settings = Settings {
        zones: zones.iter().map(|zone| name(zone)).collect(),
        ..Settings::default()
    };
    let mut pipeline = Pipeline::new(Policy {
        settings: Arc::new(settings),
        ..Policy::default()
    });
    pipeline.apply(vec![change], SystemTime::UNIX_EPOCH);
    pipeline
}

/// Compares the outcome, the way to it and the answer's data.
#[track_caller]
fn check(pipeline: &Pipeline, asked: &str, record_type: RecordType, expected: &str) {
    let told = explain(pipeline, &name(asked), record_type, None);
    let mut line = format!("{} {}", told.outcome.as_str(), told.via.as_str());
    for record in told.answer {
        line.push(' ');
        line.push_str(&record.data);
    }
    assert_eq!(line, expected);
}

#[test]
fn tells_the_outcome_of_every_kind_of_name() {
    let mesh = pipeline(
        &["zone.test"],
        vec![
            service("ns1", "a.zone.test", inline("10.0.0.1")),
            service("ns1", "b.deep.zone.test", inline("10.0.0.2")),
            service("ns1", "*.wild.zone.test", inline("2001:db8::1")),
            service("ns1", "x.below.wild.zone.test", inline("10.0.0.3")),
        ],
    );
    let (a, aaaa) = (RecordType::A, RecordType::AAAA);
    check(&mesh, "a.zone.test", a, "answer host 10.0.0.1");
    check(&mesh, "A.Zone.Test.", a, "answer host 10.0.0.1");
    check(&mesh, "a.zone.test", aaaa, "nodata host");
    check(&mesh, "a.zone.test", RecordType(16), "nodata host");
    check(&mesh, "deep.zone.test", a, "nodata emptyNonTerminal");
    check(&mesh, "zone.test", a, "nodata apex");
    check(
        &mesh,
        "zone.test",
        RecordType::NS,
        "answer apex ns.meshdns.invalid.",
    );
    check(
        &mesh,
        "zone.test",
        RecordType::SOA,
        "answer apex ns.meshdns.invalid. hostmaster.meshdns.invalid. 1 60 10 86400 5",
    );
    check(
        &mesh,
        "y.wild.zone.test",
        aaaa,
        "answer wildcard 2001:db8::1",
    );
    check(
        &mesh,
        "below.wild.zone.test",
        aaaa,
        "answer wildcardCopy 2001:db8::1",
    );
    check(
        &mesh,
        "y.below.wild.zone.test",
        aaaa,
        "answer wildcard 2001:db8::1",
    );
    check(
        &mesh,
        "a.zone.test",
        RecordType::ANY,
        "answer host \"RFC8482\" \"\"",
    );
    check(&mesh, "a.zone.test", RecordType::AXFR, "declined host");
    check(&mesh, "none.zone.test", a, "nxdomain nothing");
    check(&mesh, "elsewhere.test", a, "refused nothing");
}

#[test]
fn names_the_zone_and_its_soa() {
    let mesh = pipeline(&[], vec![service("ns1", "a.test", inline("10.0.0.1"))]);
    let told = explain(&mesh, &name("a.test"), RecordType::AAAA, None);
    let zone = told.zone.expect("in a zone");
    assert_eq!((zone.apex, zone.is_declared), (name("a.test"), false));
    assert_eq!(told.authority.len(), 1);
    assert_eq!(told.authority[0].owner, name("a.test"));
}

#[test]
fn counts_the_hosts_that_a_declared_zone_would_hold() {
    let objects = vec![
        service("ns1", "a.zone.test", inline("10.0.0.1")),
        service("ns1", "b.zone.test", inline("10.0.0.2")),
    ];
    let below = |zones: &[&str]| {
        let mesh = pipeline(zones, objects.clone());
        explain(&mesh, &name("zone.test"), RecordType::A, None).hosts_below
    };
    assert_eq!(below(&[]), 2);
    assert_eq!(below(&["zone.test"]), 0);
}

#[test]
fn sorts_candidates_and_tells_who_is_in() {
    let mesh = pipeline(
        &[],
        vec![
            service("ns1", "a.test", selector("app=a")),
            service("ns2", "a.test", selector("app=a")),
            pod("two", "ns1", "app=a", "10.0.0.2", "False"),
            pod("one", "ns1", "app=a", "10.0.0.1", "True"),
        ],
    );
    let told = explain(&mesh, &name("a.test"), RecordType::A, None);
    let [host] = &*told.hosts else {
        panic!("one host");
    };
    assert_eq!(
        host.selectors,
        [Some(vec![("app".to_owned(), "a".to_owned())])]
    );
    let candidates = host.selection.candidates.iter().map(|candidate| {
        let Source::Workload(workload) = &candidate.source else {
            panic!("a workload");
        };
        (workload.key.to_string(), host.selection.is_in(candidate))
    });
    assert_eq!(
        candidates.collect::<Vec<_>>(),
        [
            ("Pod ns1/one".to_owned(), true),
            ("Pod ns1/two".to_owned(), false)
        ]
    );
    let entries = host
        .service_entries()
        .map(|(service, loss)| (service.key.to_string(), loss));
    assert_eq!(
        entries.collect::<BTreeMap<_, _>>(),
        BTreeMap::from([
            ("ServiceEntry ns1/a.test".to_owned(), None),
            (
                "ServiceEntry ns2/a.test".to_owned(),
                Some(Loss::OtherNamespace)
            ),
        ])
    );
}

#[test]
fn a_hidden_host_still_has_a_story() {
    let Object::ServiceEntry(mut hidden) = service("ns1", "a.test", inline("10.0.0.1")) else {
        panic!("a ServiceEntry");
    };
    hidden.export = Export::Nobody;
    let mesh = pipeline(&[], vec![Object::ServiceEntry(hidden)]);
    let told = explain(&mesh, &name("a.test"), RecordType::A, None);
    assert_eq!(told.outcome, Outcome::NotOurs);
    assert!(!told.hosts[0].answers);
    assert_eq!(told.hosts[0].selection.lost[0].1, Loss::Hidden);
}

#[test]
fn suggests_what_was_meant() {
    let mesh = pipeline(
        &[],
        vec![
            service(
                "ns1",
                "reviews.internal.com",
                selector("app=reviews,version=v2"),
            ),
            pod("near", "ns1", "app=reviews,version=v1", "10.0.0.1", "True"),
            pod(
                "elsewhere",
                "ns2",
                "app=reviews,version=v2",
                "10.0.0.2",
                "True",
            ),
            pod("far", "ns1", "app=ratings", "10.0.0.3", "True"),
        ],
    );
    let told = explain(&mesh, &name("review.internal.com"), RecordType::A, None);
    assert_eq!(told.near, [name("reviews.internal.com")]);
    let told = explain(&mesh, &name("reviews.internal.com"), RecordType::A, None);
    let near = told.hosts[0].near.iter().map(|near| {
        assert_eq!(near.workload.key.kind, Kind::Pod);
        (&*near.workload.key.name, near.miss.clone())
    });
    assert_eq!(
        near.collect::<Vec<_>>(),
        [
            (
                "near",
                Miss::Label {
                    key: "version".to_owned(),
                    wanted: "v2".to_owned(),
                    found: Some("v1".to_owned()),
                }
            ),
            ("elsewhere", Miss::OtherNamespace),
        ]
    );
}
