//! Files and clusters side by side: whatever happens in which order, it ends where a rebuild ends.

use std::collections::BTreeMap;

use meshdns::{
    diagnostic::{Cluster, ClusterPlace, Diagnostic, Kind, ObjectKey, Severity, code},
    manifest::{Object, ObjectContents},
    mesh::{Change, ClusterChange, ClusterEvent, ListScope},
};

use super::*;

const CLUSTERS: [&str; 2] = ["east", "west"];
const KINDS: [Kind; 3] = [Kind::ServiceEntry, Kind::WorkloadEntry, Kind::Pod];

/// The newest version of an object.
#[derive(Clone, Debug)]
enum Version {
    Good(Object),
    /// Never was good: of one that was, a rebuild would not know the last good version.
    Refused(Kind),
}

impl Version {
    fn key(&self) -> ObjectKey {
        match self {
            Self::Good(object) => object.key(),
            Self::Refused(kind) => ObjectKey {
                kind: *kind,
                namespace: NAMESPACES[0].into(),
                name: "refused".into(),
            },
        }
    }

    fn event(&self, cluster: &Cluster) -> ClusterEvent {
        let key = self.key();
        let contents = match self {
            Self::Good(object) => ObjectContents {
                object: Some(object.clone()),
                diagnostics: Vec::new(),
            },
            Self::Refused(_) => {
                let place = ClusterPlace {
                    cluster: cluster.clone(),
                    object: key.clone(),
                    field: "spec".into(),
                };
                ObjectContents {
                    object: None,
                    diagnostics: vec![Diagnostic {
                        origin: place.into(),
                        severity: Severity::Error,
                        code: code::NO_SPEC,
                        message: "refused".to_owned(),
                        object: Some(key.clone()),
                    }],
                }
            }
        };
        ClusterEvent::Object(key, contents)
    }
}

/// What becomes of a list.
#[derive(Clone, Copy, Debug)]
enum End {
    Ends,
    Fails,
    /// The next one of its scope begins, or an event comes that belongs to it.
    Stays,
}

#[derive(Clone, Debug)]
enum Step {
    File(FileChange),
    Told(usize, Version),
    Gone(usize, ObjectKey),
    List {
        cluster: usize,
        scope: ListScope,
        told: Vec<Version>,
        /// Whether each object that is known is told as unchanged.
        unchanged: Vec<bool>,
        end: End,
    },
    Serve,
}

fn version() -> impl Strategy<Value = Version> {
    let object = prop_oneof![service_entry(), workload_entry(), pod()];
    prop_oneof![
        8 => object.prop_map(Version::Good),
        1 => prop::sample::select(&KINDS[..]).prop_map(Version::Refused),
    ]
}

fn key() -> impl Strategy<Value = ObjectKey> {
    (
        prop::sample::select(&KINDS[..]),
        prop::sample::select(&NAMESPACES[..]),
        prop::sample::select(vec!["one", "two", "three", "refused"]),
    )
        .prop_map(|(kind, namespace, name)| ObjectKey {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        })
}

fn step() -> impl Strategy<Value = Step> {
    let cluster = 0..CLUSTERS.len();
    // A cluster is followed as a whole, or by namespaces.
    let scope = (
        cluster.clone(),
        prop::sample::select(&KINDS[..]),
        prop::sample::select(&NAMESPACES[..]),
    );
    let scope = scope.prop_map(|(cluster, kind, namespace)| {
        let namespace = (cluster == 1).then(|| namespace.into());
        (cluster, ListScope { kind, namespace })
    });
    let list = (
        scope,
        prop::collection::vec(version(), 0..6),
        prop::collection::vec(any::<bool>(), 8),
        prop::sample::select(vec![
            End::Ends,
            End::Ends,
            End::Ends,
            End::Fails,
            End::Stays,
        ]),
    );
    prop_oneof![
        4 => change().prop_map(Step::File),
        6 => (cluster.clone(), version()).prop_map(|(cluster, version)| Step::Told(cluster, version)),
        2 => (cluster, key()).prop_map(|(cluster, key)| Step::Gone(cluster, key)),
        4 => list.prop_map(|((cluster, scope), mut told, unchanged, end)| {
            told.retain(|version| scope.holds(&version.key()));
            Step::List { cluster, scope, told, unchanged, end }
        }),
        1 => Just(Step::Serve),
    ]
}

/// What there is: the last of each file, and the objects of each cluster.
#[derive(Default)]
struct World {
    files: BTreeMap<Arc<str>, FileChange>,
    clusters: [BTreeMap<ObjectKey, Version>; 2],
    /// Lists that stay open: nothing else is told of their scopes but another list.
    open: Vec<(usize, ListScope)>,
    is_serving: bool,
}

impl World {
    /// Lets a step happen; the events of it.
    fn take(&mut self, step: Step) -> Vec<Change> {
        let name = |cluster: usize| Cluster::one_of_several(CLUSTERS[cluster]);
        let (cluster, events) = match step {
            Step::Serve => {
                self.is_serving = true;
                return Vec::new();
            }
            Step::File(change) => {
                self.files.insert(change.file.clone(), change.clone());
                return vec![change.into()];
            }
            Step::Told(cluster, version) => {
                if self.is_in_open_list(cluster, &version.key()) {
                    return Vec::new();
                }
                let event = version.event(&name(cluster));
                self.clusters[cluster].insert(version.key(), version);
                (cluster, vec![event])
            }
            Step::Gone(cluster, key) => {
                if self.is_in_open_list(cluster, &key) {
                    return Vec::new();
                }
                self.clusters[cluster].remove(&key);
                (cluster, vec![ClusterEvent::Gone(key)])
            }
            Step::List {
                cluster,
                scope,
                told,
                unchanged,
                end,
            } => {
                self.open.retain(|open| *open != (cluster, scope.clone()));
                let known = &mut self.clusters[cluster];
                let mut events = vec![ClusterEvent::ListBegins(scope.clone())];
                let mut listed = BTreeMap::new();
                let of_scope = known.iter().filter(|(key, _)| scope.holds(key));
                for ((key, version), is_there) in of_scope.zip(unchanged) {
                    if is_there {
                        events.push(ClusterEvent::Unchanged(key.clone()));
                        listed.insert(key.clone(), version.clone());
                    }
                }
                for version in told {
                    events.push(version.event(&name(cluster)));
                    listed.insert(version.key(), version);
                }
                if listed.len() % 2 == 1 {
                    // That it makes no progress for a while is no difference, wherever that is.
                    events.insert(
                        events.len() / 2 + 1,
                        ClusterEvent::ListStalls(scope.clone()),
                    );
                }
                match end {
                    End::Ends => {
                        events.push(ClusterEvent::ListEnds(scope.clone()));
                        known.retain(|key, _| !scope.holds(key));
                        known.extend(listed);
                    }
                    End::Fails => events.push(ClusterEvent::ListFails(scope.clone())),
                    End::Stays => self.open.push((cluster, scope)),
                }
                (cluster, events)
            }
        };
        let changes = events.into_iter().map(|event| {
            Change::Cluster(ClusterChange {
                cluster: name(cluster),
                event,
            })
        });
        changes.collect()
    }

    fn is_in_open_list(&self, cluster: usize, key: &ObjectKey) -> bool {
        let is_it = |(of, scope): &(usize, ListScope)| *of == cluster && scope.holds(key);
        self.open.iter().any(is_it)
    }

    /// The changes that end the lists which are open.
    fn close(&mut self) -> Vec<Change> {
        let failed = self.open.drain(..).map(|(cluster, scope)| {
            Change::Cluster(ClusterChange {
                cluster: Cluster::one_of_several(CLUSTERS[cluster]),
                event: ClusterEvent::ListFails(scope),
            })
        });
        failed.collect()
    }

    /// All of it at once.
    fn changes(self) -> Vec<Change> {
        let mut changes: Vec<Change> = self.files.into_values().map(Change::from).collect();
        for (name, versions) in CLUSTERS.iter().zip(self.clusters) {
            let cluster = Cluster::one_of_several(name);
            let events = versions.values().map(|version| version.event(&cluster));
            changes.extend(events.map(|event| {
                Change::Cluster(ClusterChange {
                    cluster: cluster.clone(),
                    event,
                })
            }));
        }
        changes
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_and_clusters_end_where_a_rebuild_ends(
        settings in partial_and_forwarded(),
        steps in prop::collection::vec(prop::collection::vec(step(), 0..4), 1..10),
    ) {
        let policy = Policy { settings, ..Policy::default() };
        let mut incremental = Pipeline::new(policy.clone());
        let mut world = World::default();
        for (number, batch) in (0..).zip(steps) {
            for step in batch {
                incremental.take_in(world.take(step), at(number));
                if world.is_serving {
                    incremental.begin_serving();
                }
            }
            incremental.compile(at(number));
            check_authority(&incremental)?;
        }
        incremental.apply(world.close(), at(90));
        let mut rebuilt = Pipeline::new(policy);
        rebuilt.apply(world.changes(), at(100));
        prop_assert_eq!(&**incremental.snapshot(), &**rebuilt.snapshot());
        prop_assert_eq!(incremental.diagnostics(), rebuilt.diagnostics());
        prop_assert_eq!(incremental.mesh().endpoint_counts(), rebuilt.mesh().endpoint_counts());
        prop_assert_eq!(incremental.mesh().object_counts(), rebuilt.mesh().object_counts());
        prop_assert_eq!(incremental.mesh().forwarders(), rebuilt.mesh().forwarders());
        prop_assert_eq!(incremental.mesh().workloads().count(), rebuilt.mesh().workloads().count());
    }
}
