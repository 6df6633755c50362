//! What an object of a cluster costs: how much memory the mesh takes for it, all tables included, and that of a list in which
//! nothing differs nothing stays.
#![allow(unsafe_code)] // an allocator that counts can't be written without

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
    time::SystemTime,
};

use meshdns::{
    diagnostic::{Cluster, Kind},
    manifest::ObjectReader,
    mesh::{ClusterChange, ClusterEvent, ListScope},
    pipeline::{Pipeline, Policy},
};

/// Counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let in_use = IN_USE.fetch_add(size_of_block(layout.size()), Ordering::Relaxed);
        MOST.fetch_max(in_use + layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(size_of_block(layout.size()), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the system's allocator takes for so many bytes: its own eight, in steps of 16.
fn size_of_block(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}

const PODS: usize = 22_000;

/// The goal is 550 bytes of the process for each; the rest is the program and what its allocator can't use.
const MAX_BYTES: usize = 450;

fn pod(number: usize, ready: &str) -> String {
    let (high, low) = (number / 250, number % 250);
    format!(
        r#"{{"metadata":{{"name":"reviews-v{}-7c5ddbdf54-{number:05}","namespace":"shop-{}","resourceVersion":"{number}",
            "labels":{{"app":"reviews-{}","version":"v1","pod-template-hash":"7c5ddbdf54"}},
            "managedFields":[{{"manager":"kubelet","fieldsV1":{{"f:status":{{}}}}}}]}},
            "spec":{{"nodeName":"node-{}","containers":[{{"name":"a"}}]}},
            "status":{{"phase":"Running","podIP":"10.{}.{}.{low}","conditions":[{{"type":"Ready","status":"{ready}"}}]}}}}"#,
        number % 3,
        number / 10 % 40,
        number / 10,
        number % 300,
        high / 250,
        high % 250,
    )
}

fn service(number: usize) -> String {
    format!(
        r#"{{"metadata":{{"name":"reviews-{number}","namespace":"shop-{}"}},
            "spec":{{"hosts":["reviews-{number}.shop.example"],"resolution":"STATIC","location":"MESH_INTERNAL",
            "workloadSelector":{{"labels":{{"app":"reviews-{number}"}}}},"ports":[{{"number":80,"name":"http","protocol":"HTTP"}}]}}}}"#,
        number % 40
    )
}

/// Tells a list of so many objects one by one, as they come from a cluster.
fn list(pipeline: &mut Pipeline, kind: Kind, objects: usize, text: impl Fn(usize) -> String) {
    let cluster = Cluster::only("prod");
    let mut reader = ObjectReader::new(cluster.clone());
    let scope = ListScope {
        kind,
        namespace: None,
    };
    let api_version = match kind {
        Kind::Pod => "v1",
        _ => "networking.istio.io/v1",
    };
    let objects = (0..objects).map(|number| {
        let read = reader.read(api_version, kind, text(number).as_bytes());
        let read = read.expect("an object");
        assert_eq!(read.contents.diagnostics, []);
        ClusterEvent::Object(read.key, read.contents)
    });
    let begins = std::iter::once(ClusterEvent::ListBegins(scope.clone()));
    let ends = std::iter::once(ClusterEvent::ListEnds(scope));
    let changes = begins.chain(objects).chain(ends);
    let changes = changes.map(|event| ClusterChange {
        cluster: cluster.clone(),
        event,
    });
    pipeline.take_in(changes, SystemTime::UNIX_EPOCH);
}

#[test]
fn an_object_takes_little_memory_and_a_list_of_the_same_hardly_more() {
    let before = IN_USE.load(Ordering::Relaxed);
    let mut pipeline = Pipeline::new(Policy::default());
    list(&mut pipeline, Kind::ServiceEntry, PODS / 10, service);
    list(&mut pipeline, Kind::Pod, PODS, |number| pod(number, "True"));
    let report = pipeline.compile(SystemTime::UNIX_EPOCH);
    assert_eq!(report.affected.added, PODS + PODS / 10);
    drop(report);
    pipeline.begin_serving();
    let loaded = IN_USE.load(Ordering::Relaxed) - before;
    let objects = PODS + PODS / 10;
    assert!(
        loaded / objects <= MAX_BYTES,
        "{} bytes an object",
        loaded / objects
    );

    MOST.store(0, Ordering::Relaxed);
    list(&mut pipeline, Kind::Pod, PODS, |number| {
        pod(number, if number < 10 { "False" } else { "True" })
    });
    let most = MOST.load(Ordering::Relaxed) - before;
    // Not the bytes that are read, nor one value that is kept for the end.
    assert!(most <= loaded + loaded / 10, "{most} of {loaded}");
    let report = pipeline.compile(SystemTime::UNIX_EPOCH);
    assert_eq!(
        (report.affected.changed, report.affected.hosts.len()),
        (10, 1)
    );
}
