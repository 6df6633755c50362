//! The loop over clusters that say what a test wants.

use std::{
    iter,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    diagnostic::{Cluster, Kind},
    dns::Name,
    manifest::ObjectReader,
    mesh::{ClusterEvent, ListScope},
    source::{FollowLinks, Inbox, Teller, Wish},
    zone::{Found, RRsets},
};

/// Longer than anything here takes, however busy the machine is.
const LONG: Duration = Duration::from_mins(1);

const SERVICE: &str = r#"{"metadata":{"name":"svc1","namespace":"ns1"},
    "spec":{"hosts":["svc1.test"],"resolution":"STATIC","workloadSelector":{"labels":{"app":"a"}}}}"#;

fn vm(name: &str, address: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"ns1"}},"spec":{{"address":"{address}","labels":{{"app":"a"}}}}}}"#
    )
}

fn scope(kind: Kind) -> ListScope {
    ListScope {
        kind,
        namespace: None,
    }
}

fn object(kind: Kind, json: &str) -> ClusterEvent {
    let mut reader = ObjectReader::new(Cluster::only("prod"));
    let api_version = match kind {
        Kind::Pod => "v1",
        _ => "networking.istio.io/v1",
    };
    let read = reader.read(api_version, kind, json.as_bytes());
    let read = read.expect("an object");
    ClusterEvent::Object(read.key, read.contents)
}

fn list(kind: Kind, objects: &[&str]) -> Vec<ClusterEvent> {
    let begins = iter::once(ClusterEvent::ListBegins(scope(kind)));
    let objects = objects.iter().map(|json| object(kind, json));
    let ends = iter::once(ClusterEvent::ListEnds(scope(kind)));
    begins.chain(objects).chain(ends).collect()
}

/// All lists of the cluster: a ServiceEntry, and VMs that it selects.
fn lists(vms: &[&str]) -> Vec<ClusterEvent> {
    [
        list(Kind::ServiceEntry, &[SERVICE]),
        list(Kind::WorkloadGroup, &[]),
        list(Kind::Pod, &[]),
        list(Kind::WorkloadEntry, vms),
    ]
    .concat()
}

fn tell(teller: &Teller, events: Vec<ClusterEvent>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let told = runtime.expect("a runtime").block_on(teller.tell(events));
    told.expect("the loop has not ended");
}

/// A loop over one cluster, and perhaps a folder.
struct Rig {
    control: Control,
    teller: Teller,
}

impl Rig {
    /// Starts it when the cluster has `told` so much.
    fn start(
        folder: Option<&Path>,
        state_dir: Option<&Path>,
        patience: Duration,
        told: Vec<ClusterEvent>,
    ) -> Self {
        let scopes = Kind::OF_CLUSTERS.map(scope).to_vec();
        let (inbox, teller) = Inbox::new(Cluster::only("prod"), scopes);
        tell(&teller, told);
        let options = Options {
            shown: None,
            folders: folder.map(Path::to_owned).into_iter().collect(),
            follow_links: FollowLinks::default(),
            policy: Policy::default(),
            wish: Wish::default(),
            start_patience: patience,
            state_dir: state_dir.map(Path::to_owned),
            health: HealthOptions::default(),
        };
        let control = start(options, vec![inbox], Box::new(|_| {})).expect("a loop");
        Self { control, teller }
    }

    fn tell(&self, events: Vec<ClusterEvent>) {
        tell(&self.teller, events);
    }

    /// Waits until the loop has come so far; the snapshot and status of then.
    #[track_caller]
    fn wait(&self, is_it: impl Fn(&Snapshot, &Status) -> bool) -> (Arc<Snapshot>, Arc<Status>) {
        let until = Instant::now() + LONG;
        loop {
            // The status follows the snapshot.
            let status = self.control.status().load_full();
            let snapshot = self.control.snapshots().load_full();
            if is_it(&snapshot, &status) {
                return (snapshot, status);
            }
            assert!(Instant::now() < until, "{status:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How many addresses the host has; `None` where nobody knows such a host.
fn addresses(snapshot: &Snapshot) -> Option<usize> {
    let name: Name = "svc1.test".parse().expect("a name");
    match snapshot.find(name.as_wire()) {
        Found::Name(owner) => Some(owner.records.map_or(0, RRsets::len)),
        Found::Made { .. } | Found::NoName { .. } | Found::NotOurs { .. } => None,
    }
}

fn unread(status: &Status) -> Vec<&str> {
    status.unread.first.iter().map(|name| &**name).collect()
}

#[test]
fn a_cluster_is_served_without_a_folder() {
    let [one, two] = [vm("one", "192.0.2.1"), vm("two", "192.0.2.2")];
    let rig = Rig::start(None, None, LONG, Vec::new());
    rig.tell(lists(&[&one]));
    let (snapshot, status) = rig.wait(|_, status| status.is_ready());
    assert_eq!(addresses(&snapshot), Some(1));
    assert!(snapshot.knows_all() && status.unread.count == 0);
    assert_eq!((status.files, status.objects[&Kind::WorkloadEntry]), (0, 1));
    rig.tell(vec![object(Kind::WorkloadEntry, &two)]);
    let (_, before) = rig.wait(|_, status| status.objects[&Kind::WorkloadEntry] == 2);
    // A list of what is known publishes nothing.
    rig.tell(list(Kind::WorkloadEntry, &[&one, &two]));
    let third = vm("three", "192.0.2.3");
    rig.tell(vec![object(Kind::WorkloadEntry, &third)]);
    let (snapshot, after) = rig.wait(|_, status| status.generation > before.generation);
    assert_eq!(after.generation, before.generation + 1);
    assert_eq!(addresses(&snapshot), Some(3));
}

#[test]
fn half_a_list_is_not_served() {
    let patience = Duration::from_millis(20);
    let mut half = lists(&[&vm("one", "192.0.2.1")]);
    let end = half.pop();
    let rig = Rig::start(None, None, patience, half);
    let long_after = Instant::now() + 10 * patience;
    let (_, status) = rig.wait(|_, _| Instant::now() > long_after);
    assert_eq!(status.generation, 0);
    rig.tell(end.into_iter().collect());
    let (snapshot, _) = rig.wait(|_, status| status.is_ready());
    assert_eq!(addresses(&snapshot), Some(1));
}

#[test]
fn what_is_missing_is_named_and_after_the_patience_counts_as_absent() {
    let folder = tempfile::tempdir().expect("a folder");
    let head = r#"{"apiVersion":"networking.istio.io/v1","kind":"ServiceEntry","#;
    let manifest = SERVICE.replacen('{', head, 1);
    std::fs::write(folder.path().join("a.json"), manifest).expect("a file");
    let rig = Rig::start(Some(folder.path()), None, LONG, Vec::new());
    // The folder alone is served, and nothing is denied.
    let (snapshot, status) = rig.wait(|_, status| status.generation > 0);
    assert!(!status.is_ready() && !snapshot.knows_all());
    assert_eq!(addresses(&snapshot), Some(0));
    assert_eq!(
        unread(&status),
        [
            "cluster prod: Pod",
            "cluster prod: ServiceEntry",
            "cluster prod: WorkloadEntry",
            "cluster prod: WorkloadGroup",
        ]
    );
    drop(rig);
    let mut told = list(Kind::ServiceEntry, &[]);
    told.extend(list(Kind::WorkloadEntry, &[&vm("one", "192.0.2.1")]));
    told.extend(list(Kind::WorkloadGroup, &[]));
    let rig = Rig::start(Some(folder.path()), None, Duration::from_millis(100), told);
    let (snapshot, status) = rig.wait(|_, status| status.is_ready());
    assert_eq!(addresses(&snapshot), Some(1));
    assert!(snapshot.knows_all());
    assert_eq!(unread(&status), ["cluster prod: Pod"]);
    rig.tell(list(Kind::Pod, &[]));
    rig.wait(|_, status| status.unread.count == 0);
}

#[test]
fn the_last_good_state_stands_in_until_the_cluster_answers() {
    let state = tempfile::tempdir().expect("a folder");
    let start = |patience, told| Rig::start(None, Some(state.path()), patience, told);
    let short = Duration::from_millis(100);
    let [one, two] = [vm("one", "192.0.2.1"), vm("two", "192.0.2.2")];
    let mut rig = start(LONG, lists(&[&one, &two]));
    rig.wait(|snapshot, _| addresses(snapshot) == Some(2));
    rig.tell(vec![object(Kind::WorkloadEntry, &vm("three", "192.0.2.3"))]);
    rig.wait(|snapshot, _| addresses(snapshot) == Some(3));
    rig.control.stop();

    // The cluster is away, and at the next start still is.
    for _ in 0..2 {
        let mut rig = start(short, Vec::new());
        let (snapshot, status) = rig.wait(|_, status| status.is_ready());
        assert_eq!(addresses(&snapshot), Some(3));
        assert!(snapshot.knows_all() && status.unread.count == 0);
        let of_state = status.state.as_ref().expect("it is kept");
        assert_eq!(of_state.in_use.count, 4);
        assert_eq!(&*of_state.in_use.first[0], "cluster prod: Pod");
        assert!(of_state.in_use_since.is_some());
        rig.control.stop();
    }

    // It answers with less.
    let rig = start(short, Vec::new());
    rig.wait(|snapshot, _| addresses(snapshot) == Some(3));
    rig.tell(lists(&[&one]));
    let (snapshot, _) = rig.wait(|_, status| {
        let in_use = status.state.as_ref().map(|state| state.in_use.count);
        in_use == Some(0)
    });
    assert_eq!(addresses(&snapshot), Some(1));
    drop(rig);

    // An empty cluster is empty, whatever it held.
    let rig = start(LONG, lists(&[]));
    let (snapshot, _) = rig.wait(|_, status| status.is_ready());
    assert_eq!(addresses(&snapshot), Some(0));
}

#[test]
fn a_bug_in_the_loop_shows_in_the_status_and_keeps_the_rest_of_it() {
    let status = ArcSwap::from_pointee(Status {
        generation: 7,
        watching: Watching::Events,
        ..Status::default()
    });
    watched(&status, || {});
    assert_eq!(status.load().watching, Watching::Events);
    watched(&status, || panic!("as a bug would"));
    let status = status.load();
    assert_eq!(
        (&status.watching, status.generation),
        (&Watching::Stopped, 7)
    );
}
