//! Laws that hold for every mesh: a change and a rebuild end in the same place, and names resolve as in Istio.

mod answers;
mod clusters;
mod health;
mod made;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use meshdns::{
    answer::{Outcome, Query, answer},
    authority::{Holder, Place, Standing, Verdict},
    diagnostic::{FilePlace, Kind, ObjectKey, Position},
    dns::{Name, RecordType, Serial},
    manifest::{
        Address, Contents, Document, DocumentOutcome, Endpoint, EndpointSource, Export, LabelMap,
        Metadata, Object, Pod, Resolution, ServiceEntry, WorkloadEntry,
    },
    mesh::{FileChange, Reading, ResolvedName},
    pipeline::{Pipeline, Policy},
    select::{TrafficPolicy, WhenAllUnhealthy},
    zone::{Compiled, Editor, Found, HostRecords, Settings, Snapshot},
};
use proptest::prelude::*;

/// A few names, so that they collide: wildcards, parents, children, another domain.
const HOSTS: [&str; 12] = [
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "x.y.a.test",
    "*.a.test",
    "*.b.a.test",
    "test",
    "*.test",
    "other",
    "d.other",
    "*.d.other",
    "q.w.e.other",
];
/// Names that stand in the place of addresses: hosts, what wildcards cover, what is in zones of hosts, and what is nobody's.
const NAMES: [&str; 9] = [
    "a.test",
    "b.a.test",
    "zz.b.a.test",
    "zz.other",
    "d.other",
    "e.d.other",
    "one.ext",
    "two.ext",
    "two.deep.ext",
];
const NAMESPACES: [&str; 2] = ["ns1", "ns2"];
const FILES: [&str; 3] = ["mesh/a.yaml", "mesh/b.yaml", "mesh/c.yaml"];

fn settings(zones: &[&str], forwarded: &[&str]) -> Arc<Settings> {
    let names = |texts: &[&str]| texts.iter().map(|text| name(text)).collect();
    Arc::new(Settings {
        zones: names(zones),
        forwarded: names(forwarded),
        ..Settings::default()
    })
}

fn name(text: &str) -> Name {
    Name::from_text(text).expect("a valid name")
}

fn declared_zones() -> impl Strategy<Value = Arc<Settings>> {
    prop::sample::select(vec![
        vec![],
        vec!["test"],
        vec!["a.test"],
        vec!["test", "a.test"],
        vec!["other", "b.a.test"],
    ])
    .prop_map(|zones| settings(&zones, &[]))
}

fn partial_and_forwarded() -> impl Strategy<Value = Arc<Settings>> {
    let partial = prop::sample::select(vec![vec![], vec!["test"], vec!["other"]]);
    let forwarded = prop::sample::select(vec![vec![], vec!["."], vec!["ext", "b.a.test"]]);
    let of_addresses = prop::sample::select(vec![
        vec![],
        vec!["10.in-addr.arpa"],
        vec!["ip6.arpa", "0.0.10.in-addr.arpa"],
    ]);
    let declared = (declared_zones(), of_addresses);
    (declared, partial, forwarded).prop_map(|((declared, of_addresses), partial, forwarded)| {
        let settings = settings(&[], &forwarded);
        let partial = partial.into_iter().map(name);
        Arc::new(Settings {
            partial_zones: partial
                .filter(|zone| declared.zones.contains(zone))
                .collect(),
            zones: declared
                .zones
                .iter()
                .cloned()
                .chain(of_addresses.into_iter().map(name))
                .collect(),
            ..Settings::clone(&settings)
        })
    })
}

fn at(step: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + step)
}

fn labels() -> impl Strategy<Value = LabelMap> {
    let keys = prop::sample::select(vec!["app", "class"]);
    let values = prop::sample::select(vec!["foo", "bar"]);
    prop::collection::btree_map(keys, values, 0..3).prop_map(|labels| labels.into_iter().collect())
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1..30_u8).prop_map(|last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last))),
        (1..9_u16).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])),
    ]
}

fn ip_or_name() -> impl Strategy<Value = Address> {
    prop_oneof![
        address().prop_map(Address::Ip),
        prop::sample::select(&NAMES[..]).prop_map(|name| Address::Name(name.into())),
    ]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (ip_or_name(), labels(), answers::attributes()).prop_map(|(address, labels, attributes)| {
        Endpoint {
            address,
            labels,
            attributes,
        }
    })
}

/// What is told of names: addresses, that there are none, an alias, or nothing any more.
fn told() -> impl Strategy<Value = BTreeMap<Name, Option<ResolvedName>>> {
    let alias = prop::option::weighted(0.1, prop::sample::select(&NAMES[..]));
    let told = (prop::collection::vec(address(), 0..3), alias).prop_map(|(addresses, alias)| {
        ResolvedName {
            alias: alias.map(name),
            ..ResolvedName::new(addresses, at(0))
        }
    });
    let names = prop::sample::select(&NAMES[..]).prop_map(name);
    prop::collection::btree_map(names, prop::option::weighted(0.8, told), 0..3)
}

fn metadata() -> impl Strategy<Value = Metadata> {
    (
        prop::sample::select(vec!["one", "two", "three"]),
        prop::sample::select(&NAMESPACES[..]),
        0..3_i64,
    )
        .prop_map(|(name, namespace, created)| Metadata {
            name: name.into(),
            namespace: namespace.into(),
            created,
        })
}

fn service_entry() -> impl Strategy<Value = Object> {
    let endpoints = prop_oneof![
        Just(EndpointSource::Neither),
        prop::collection::vec(endpoint(), 0..3).prop_map(EndpointSource::Inline),
        labels().prop_map(EndpointSource::Selector),
    ];
    let resolution = prop::sample::select(vec![
        Resolution::None,
        Resolution::Static,
        Resolution::Dns,
        Resolution::DnsRoundRobin,
    ]);
    (
        metadata(),
        prop::sample::subsequence(&HOSTS[..], 1..3),
        prop::collection::vec(address(), 0..2),
        resolution,
        endpoints,
        prop_oneof![
            7 => Just(Export::Everyone),
            3 => prop::sample::subsequence(&NAMESPACES[..], 1..=2)
                .prop_map(|names| Export::Some(names.into_iter().map(Into::into).collect())),
            1 => Just(Export::Nobody),
        ],
        answers::ports(),
        answers::traffic(),
    )
        .prop_map(
            |(metadata, hosts, addresses, resolution, endpoints, export, ports, traffic)| {
                let hosts = hosts
                    .iter()
                    .map(|host| host.parse().expect("a valid host"))
                    .collect();
                Object::ServiceEntry(Box::new(ServiceEntry {
                    metadata,
                    hosts,
                    addresses,
                    resolution,
                    ports,
                    endpoints,
                    export,
                    notes: None,
                    traffic,
                }))
            },
        )
}

fn workload_entry() -> impl Strategy<Value = Object> {
    let healthy = prop::sample::select(vec![None, Some("True"), Some("False")]);
    (
        labels(),
        ip_or_name(),
        answers::attributes(),
        healthy,
        any::<bool>(),
    )
        .prop_flat_map(|(labels, address, attributes, healthy, enabled)| {
            metadata().prop_map(move |metadata| {
                Object::WorkloadEntry(Box::new(WorkloadEntry {
                    metadata,
                    labels: labels.clone(),
                    address: address.clone(),
                    attributes: attributes.clone(),
                    healthy: healthy.map(Box::from),
                    health_checks_enabled: enabled,
                    reported: None,
                    notes: None,
                }))
            })
        })
}

/// Labels of a Pod, which may be one of CoreDNS.
fn pod_labels() -> impl Strategy<Value = LabelMap> {
    let dns = prop::option::weighted(0.3, Just(("k8s-app", "kube-dns")));
    (labels(), dns).prop_map(|(labels, dns)| labels.iter().chain(dns).collect())
}

fn pod() -> impl Strategy<Value = Object> {
    let ready = prop::sample::select(vec![None, Some("True"), Some("False")]);
    // So many that hosts which select alike share their records.
    let many = (0..100_u8).map(|last| Ipv4Addr::new(10, 9, 0, last).into());
    let addresses = prop_oneof![
        4 => prop::collection::vec(address(), 0..3),
        1 => Just(many.collect()),
    ];
    (
        pod_labels(),
        addresses,
        answers::noted_weight(),
        ready,
        any::<bool>(),
    )
        .prop_flat_map(|(labels, addresses, weight, ready, terminating)| {
            metadata().prop_map(move |metadata| {
                Object::Pod(Box::new(Pod {
                    metadata,
                    labels: labels.clone(),
                    phase: "Running".into(),
                    terminating,
                    ready: ready.map(Into::into),
                    addresses: addresses.iter().copied().collect(),
                    notes: None,
                    weight,
                }))
            })
        })
}

/// What a file always holds besides its objects: documents that can't be used, of which one names an object that never
/// was good, and one of another kind.
fn bad_documents(place: &FilePlace) -> Vec<Document> {
    let document = |digest, outcome| Document {
        place: place.clone(),
        outcome,
        digest,
    };
    let never = ObjectKey {
        kind: Kind::WorkloadEntry,
        namespace: NAMESPACES[0].into(),
        name: "never".into(),
    };
    let mut documents = vec![
        document(1, DocumentOutcome::Rejected(None)),
        document(2, DocumentOutcome::Rejected(None)),
        document(2, DocumentOutcome::Rejected(None)),
        document(0, DocumentOutcome::Rejected(Some(never))),
        document(0, DocumentOutcome::Ignored("Deployment".into())),
    ];
    let count = FILES.iter().position(|file| **file == *place.file);
    documents.truncate(3 * count.expect("one of the files"));
    documents
}

fn change() -> impl Strategy<Value = FileChange> {
    let object = prop_oneof![service_entry(), workload_entry(), pod()];
    let reading = prop_oneof![
        8 => prop::collection::vec(object, 0..5).prop_map(Some),
        1 => Just(None),
    ];
    let change = (prop::sample::select(&FILES[..]), reading);
    change.prop_flat_map(|(file, objects)| {
        let file: Arc<str> = file.into();
        let place = FilePlace {
            file: file.clone(),
            document: 1,
            position: Position::START,
        };
        let document = |object| Document {
            place: place.clone(),
            outcome: DocumentOutcome::Object(object),
            digest: 0,
        };
        let bad = bad_documents(&place);
        let documents = objects.map(|objects| {
            let good = objects.into_iter().map(document);
            good.chain(bad).collect::<Vec<_>>()
        });
        let documents = Just(documents.clone().unwrap_or_default())
            .prop_shuffle()
            .prop_map(move |shuffled| documents.is_some().then_some(shuffled));
        documents.prop_map(move |documents| FileChange {
            file: file.clone(),
            reading: match documents {
                None => Reading::Gone,
                Some(documents) => Reading::Read(Contents {
                    documents,
                    ..Contents::default()
                }),
            },
        })
    })
}

/// What Istio's `lookupHost` finds: the exact host, else the most specific wildcard at any depth.
fn istio_lookup<'a>(
    hosts: &'a BTreeMap<Name, HostRecords>,
    name: &Name,
) -> Option<&'a HostRecords> {
    hosts.get(name).or_else(|| {
        name.ancestors()
            .find_map(|above| hosts.get(&above.wildcard_below().expect("a short name")))
    })
}

fn names_to_ask() -> Vec<Name> {
    let plain = HOSTS
        .iter()
        .map(|host| host.trim_start_matches("*.").to_owned());
    let below = plain
        .clone()
        .flat_map(|host| [format!("zz.{host}"), format!("u.v.{host}")]);
    let above = ["w.e.other", "e.other", "y.a.test", "nowhere"].map(str::to_owned);
    plain
        .chain(below)
        .chain(above)
        .map(|name| name.parse().expect("a valid name"))
        .collect()
}

fn check_against_istio(
    snapshot: &Snapshot,
    hosts: &BTreeMap<Name, HostRecords>,
) -> Result<(), TestCaseError> {
    let zones = &snapshot.settings().zones;
    let exists_below = |name: &Name| {
        hosts
            .keys()
            .chain(zones)
            .any(|other| other != name && other.is_at_or_below(name))
    };
    for name in names_to_ask() {
        let found = snapshot.find(name.as_wire());
        match (istio_lookup(hosts, &name), found) {
            (Some(expected), Found::Name(owner)) => {
                prop_assert_eq!(owner.records, Some(expected.rrsets()), "{}", name);
            }
            (Some(_), other) => {
                prop_assert!(false, "{name} should have an answer, found {other:?}");
            }
            (None, Found::Name(owner)) => {
                prop_assert!(owner.records.is_none(), "{} should have no records", name);
                let is_apex = owner.apex_at == 0;
                let has_below = exists_below(&name);
                prop_assert!(
                    is_apex || has_below,
                    "{} is neither an apex nor an empty non-terminal",
                    name
                );
            }
            (None, Found::Made { .. }) => {
                prop_assert!(false, "{name} is made, and nothing was said to make it of");
            }
            (None, Found::NoName { .. }) => {
                let has_below = exists_below(&name);
                prop_assert!(
                    !has_below,
                    "{} has names below it: NXDOMAIN would hide them (RFC 8020)",
                    name
                );
            }
            (None, Found::NotOurs { .. }) => {
                let in_zone = |zone: &Name| name.is_at_or_below(zone);
                prop_assert!(
                    !snapshot.settings().zones.iter().any(in_zone),
                    "{} is in a declared zone",
                    name
                );
            }
        }
    }
    Ok(())
}

/// Who answers: what the authority says of a name and type is what a query gets.
fn check_authority(pipeline: &Pipeline) -> Result<(), TestCaseError> {
    let (snapshot, authority) = (pipeline.snapshot(), pipeline.authority());
    let hosts = pipeline.mesh().hosts();
    let answers_at_or_below = |name: &Name| {
        let mut answering = hosts
            .iter()
            .filter(|host| authority.standing(host) == Standing::Answers);
        answering.any(|host| host.is_at_or_below(name))
    };
    for name in names_to_ask().into_iter().chain(NAMES.map(name)) {
        let (place, host) = authority.place(&name);
        for record_type in [1, 28, 65, 5, 16, 6, 255].map(RecordType) {
            let said = snapshot.records_of_host(name.as_wire(), record_type);
            let place = match place {
                Place::Host(zone) if said.is_some() => Place::Records(zone),
                place => place,
            };
            let verdict = place.verdict(record_type, authority.forwards(&name));
            let answer = answer(snapshot, &Query::of(&name, record_type));
            let context = || format!("{name} {record_type}: {place:?}, {verdict:?}, {answer:?}");
            let is_others = answer.others.is_some();
            prop_assert_eq!(is_others, verdict == Verdict::Others, "{}", context());
            if let Some(others) = answer.others {
                let is_host = matches!(place, Place::Host(_));
                prop_assert_eq!(others.is_host, is_host, "{}", context());
                let is_known = is_host || answers_at_or_below(&name);
                prop_assert!(
                    others.name_exists || !is_known || !authority.forwards(&name),
                    "{}",
                    context()
                );
            }
            let is_left_alone = matches!(answer.outcome, Outcome::NotOurs);
            prop_assert!(!is_left_alone || is_others, "{}", context());
            let has_addresses = matches!(answer.outcome, Outcome::Addresses(_));
            prop_assert!(!has_addresses || verdict == Verdict::Ours, "{}", context());
        }
        let is_ours = snapshot.is_ours(name.as_wire());
        prop_assert_eq!(
            is_ours,
            authority.holder(&name) != Holder::Others,
            "{}",
            name
        );
        let records = match snapshot.find(name.as_wire()) {
            Found::Name(owner) => owner.records,
            Found::Made { .. } | Found::NoName { .. } | Found::NotOurs { .. } => None,
        };
        let is_host = matches!(place, Place::Host(_));
        prop_assert_eq!(
            records.is_some(),
            is_host,
            "{} is {:?} {:?}",
            name,
            place,
            host
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_rebuild(
        settings in partial_and_forwarded(),
        when_all_unhealthy in prop::sample::select(vec![WhenAllUnhealthy::None, WhenAllUnhealthy::All]),
        enforces_export in prop::bool::weighted(0.3),
        prefers_near in prop::bool::weighted(0.3),
        changes in prop::collection::vec((prop::collection::vec(change(), 0..3), told()), 1..8),
    ) {
        let traffic = std::sync::Arc::new(TrafficPolicy { prefers_near, ..TrafficPolicy::default() });
        let policy = Policy { settings, when_all_unhealthy, checks: None, traffic, enforces_export };
        let mut incremental = Pipeline::new(policy.clone());
        let (mut files, mut all_told) = (BTreeMap::new(), BTreeMap::new());
        let mut wanted = BTreeSet::new();
        for (step, (batch, told)) in (0..).zip(changes) {
            for change in &batch {
                files.insert(change.file.clone(), change.clone());
            }
            all_told.extend(told.clone());
            incremental.take_in_names(told);
            let report = incremental.apply(batch, at(step));
            for name in report.names.unwanted {
                prop_assert!(wanted.remove(&name), "{} was wanted", name);
            }
            for name in report.names.wanted {
                prop_assert!(wanted.insert(name.clone()), "{} was not wanted", name);
            }
            check_authority(&incremental)?;
            made::check(&incremental)?;
        }
        let mut rebuilt = Pipeline::new(policy);
        rebuilt.take_in_names(all_told);
        rebuilt.apply(files.into_values(), at(100));
        prop_assert!(wanted.iter().eq(rebuilt.names_wanted()), "{:?}", wanted);
        prop_assert_eq!(incremental.mesh().residents(), rebuilt.mesh().residents());
        prop_assert_eq!(&**incremental.snapshot(), &**rebuilt.snapshot());
        prop_assert_eq!(incremental.diagnostics(), rebuilt.diagnostics());
        prop_assert_eq!(incremental.mesh().endpoint_counts(), rebuilt.mesh().endpoint_counts());
        prop_assert_eq!(incremental.mesh().object_counts(), rebuilt.mesh().object_counts());
        prop_assert_eq!(incremental.mesh().forwarders(), rebuilt.mesh().forwarders());
    }

    #[test]
    fn names_resolve_as_in_istio(
        settings in declared_zones(),
        steps in prop::collection::vec((prop::sample::select(&HOSTS[..]), prop::option::of(address())), 1..20),
    ) {
        let mut editor = Editor::new(settings);
        let mut hosts = BTreeMap::new();
        for (step, (host, address)) in (0..).zip(steps) {
            let host: Name = host.parse().expect("a valid host");
            let records = address.map(|address| HostRecords::encode(&[address], editor.snapshot().settings().ttl));
            match records.clone() {
                Some(records) => hosts.insert(host.clone(), records),
                None => hosts.remove(&host),
            };
            let update = BTreeMap::from([(host, records.map(Compiled::Records))]);
            let change = editor.apply(update, Serial(step));
            check_against_istio(&change.snapshot, &hosts)?;
        }
    }
}
