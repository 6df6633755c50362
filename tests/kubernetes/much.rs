//! Much at once: many changes, a large object, a Pod that does not come to rest.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    place::{ALL, POD_2, Place, VM},
    rig::objects::{selecting, service, vm},
};

/// A thousand objects change, and a thousand go, as fast as the server takes it.
#[test]
fn a_thousand_objects_at_once() {
    const COUNT: usize = 1000;
    let Some(place) = Place::shared("thousand") else {
        return;
    };
    let labels = json!({"app": "many"});
    let object = |number: usize, generation: usize| {
        let address = format!("10.{generation}.{}.{}", number / 250, number % 250 + 1);
        vm("thousand", &format!("vm-{number}"), &labels, &address)
    };
    let api = &place.cluster.api;
    let many = "many.internal.com";
    api.create(&selecting("thousand", "many", many, &labels));
    let mesh = place.follow();
    mesh.throughout(&place.host, &[&ALL], || {
        for number in 0..COUNT {
            api.create(&object(number, 1));
        }
        let all = |count: f64| (count - 1001.0).abs() < 0.5; // with the VM of the place
        mesh.wait_for_metric("meshdns_cluster_objects", &["WorkloadEntry"], all);
        for number in 0..COUNT {
            api.patch(
                &object(number, 2),
                &json!({"spec": object(number, 2)["spec"]}),
            );
        }
        // One is left, so that an answer has room for what there is.
        let path =
            "/apis/networking.istio.io/v1/namespaces/thousand/workloadentries?labelSelector=x";
        assert_eq!(api.must("GET", path, "", &Value::Null)["items"], json!([]));
        for number in 1..COUNT {
            api.delete(&object(number, 2));
        }
        mesh.wait_for(many, &["10.2.0.1"]);
    });
    let published = mesh.generation();
    let changes = 3.0 * 1000.0;
    assert!(
        published < changes,
        "{published} snapshots for {changes} changes"
    );
}

/// An object of 900 kB, which is about the most that etcd takes.
#[test]
fn a_very_large_object() {
    let Some(place) = Place::shared("large") else {
        return;
    };
    let host = "huge.internal.com";
    let mut object = service("large", "huge", host, "10.0.3.1");
    let names: Vec<String> = (0..19_200)
        .map(|number| format!("spiffe://cluster.local/ns/large/sa/app-{number:05}"))
        .collect();
    object["spec"]["subjectAltNames"] = json!(names);
    let length = object.to_string().len();
    assert!((880_000..980_000).contains(&length), "{length} bytes");
    let mesh = place.follow();
    mesh.throughout(&place.host, &[&ALL], || {
        place.cluster.api.create(&object);
        mesh.wait_for(host, &["10.0.3.1"]);
        let fields = json!({"spec": {"endpoints": [{"address": "10.0.3.2"}]}});
        place.cluster.api.patch(&object, &fields);
        mesh.wait_for(host, &["10.0.3.2"]);
        // Listed as well as watched.
        let again = place.follow();
        again.has(host, &["10.0.3.2"]);
        place.cluster.api.delete(&object);
        mesh.wait("it is gone", || mesh.addresses(host).is_empty());
    });
}

/// A Pod flips twenty times a second: answers follow, and nothing else is held up.
#[test]
fn a_pod_that_flips() {
    const FLIPS: u32 = 100;
    let Some(place) = Place::shared("flips") else {
        return;
    };
    let mesh = place.follow();
    let less: [&str; 2] = [POD_2, VM];
    let before = mesh.generation();
    mesh.throughout(&place.host, &[&ALL, &less], || {
        let start = Instant::now();
        for flip in 0..FLIPS {
            place.turn(1, flip % 2 == 1);
            let due = Duration::from_millis(50) * (flip + 1);
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
        mesh.wait_for(&place.host, &ALL);
        place.turn(1, false);
        mesh.wait_for(&place.host, &less);
    });
    let published = mesh.generation() - before;
    assert!(published <= f64::from(FLIPS + 1), "{published} snapshots");
}
