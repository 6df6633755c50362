//! What networks and servers in need do to a connection: no query is lost, no name answers less or more than before, and
//! what changes comes through.

use std::{thread, time::Duration};

use crate::{
    mesh::Mesh,
    place::{ALL, POD_1, POD_2, Place, VM},
    rig::proxy::Fault,
};

/// What every request for Pods has in its path, and what one has that watches.
const PODS: &str = "/pods";
const WATCH: &str = "watch=";

/// Puts a fault between a server and its cluster, sees that answers stay while it lasts, and that what changed meanwhile comes
/// through once `mend` is done, or without it.
#[track_caller]
fn check(name: &str, act: impl FnOnce(&Place<'_>, &Mesh)) {
    let Some(place) = Place::shared(name) else {
        return;
    };
    let mesh = place.follow();
    mesh.has(&place.host, &ALL);
    let less: &[&str] = &[POD_2, VM];
    mesh.throughout(&place.host, &[&ALL, less], || {
        act(&place, &mesh);
        place.follows(&mesh);
    });
    assert!(mesh.is_ready(), "{}", mesh.get("/ready").body);
    mesh.wait_for_metric("meshdns_cluster_synced", &["Pod"], is_one);
}

fn is_one(value: f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}

fn errors(mesh: &Mesh) -> f64 {
    let sum = mesh.sum("meshdns_cluster_watch_errors_total", &["Pod"]);
    sum.unwrap_or_default()
}

/// Makes the next watches of Pods fail, and waits until the fault was met so often.
#[track_caller]
fn meet(place: &Place<'_>, mesh: &Mesh, fault: &Fault, times: usize) {
    let before = errors(mesh);
    let asked = place.proxy.requests(&[PODS]).len();
    place.proxy.fail(&[PODS], fault.clone(), times);
    place.proxy.cut();
    mesh.wait("the fault was met", || {
        place.proxy.requests(&[PODS]).len() >= asked + times
    });
    // Something has to come, so that bytes are there to be cut off.
    mesh.wait("it is counted", || errors(mesh) > before);
}

#[test]
fn a_connection_that_is_cut() {
    check("cut", |place, _| {
        for _ in 0..5 {
            place.proxy.cut();
        }
    });
}

#[test]
fn a_connection_that_is_slow() {
    check("slow", |place, mesh| {
        place.proxy.delay(Duration::from_millis(200));
        place.proxy.cut();
        place.follows(mesh);
    });
}

/// The bytes stop, the connection stays: nobody says that it is over.
#[test]
fn a_connection_that_hangs() {
    check("hangs", |place, mesh| {
        place.proxy.freeze_open();
        place.turn(1, false);
        mesh.wait_for_late(&place.host, &[POD_2, VM]);
        place.turn(1, true);
        mesh.wait_for(&place.host, &ALL);
    });
}

#[test]
fn a_server_that_does_not_answer_for_a_while() {
    check("frozen", |place, mesh| {
        place.proxy.freeze();
        place.turn(1, false);
        thread::sleep(Duration::from_secs(5));
        mesh.has(&place.host, &ALL);
        place.proxy.mend();
        mesh.wait_for_late(&place.host, &[POD_2, VM]);
        place.turn(1, true);
        mesh.wait_for(&place.host, &ALL);
    });
}

#[test]
fn a_server_that_says_500() {
    check("says-500", |place, mesh| {
        meet(place, mesh, &Fault::Answer(500, None), 3);
    });
}

#[test]
fn a_server_that_says_when_to_ask_again() {
    const SECONDS: u32 = 4;
    check("says-429", |place, mesh| {
        place
            .proxy
            .fail(&[PODS], Fault::Answer(429, Some(SECONDS)), 1);
        let before = place.proxy.requests(&[PODS]).len();
        place.proxy.cut();
        mesh.wait("it asks again", || {
            place.proxy.requests(&[PODS]).len() >= before + 2
        });
        let asked = place.proxy.requests(&[PODS]);
        let waited = asked[before + 1].0.duration_since(asked[before].0);
        assert!(waited >= Duration::from_secs(SECONDS.into()), "{waited:?}");
    });
}

#[test]
fn an_object_that_is_cut_in_the_middle() {
    check("cut-object", |place, mesh| {
        place.proxy.fail(&[PODS, WATCH], Fault::Cut(200), 3);
        place.proxy.cut();
        for is_ready in [false, true, false] {
            place.turn(1, is_ready);
            mesh.wait_for(&place.host, if is_ready { &ALL } else { &[POD_2, VM] });
        }
    });
}

#[test]
fn json_that_ends_in_the_middle() {
    check("truncated", |place, mesh| {
        place.proxy.fail(&[PODS, WATCH], Fault::Truncate(200), 3);
        place.proxy.cut();
        for is_ready in [false, true, false] {
            place.turn(1, is_ready);
            mesh.wait_for(&place.host, if is_ready { &ALL } else { &[POD_2, VM] });
        }
    });
}

/// The server has to start with the half of a list, or without it; nobody may be told that the rest does not exist.
#[test]
fn a_first_list_that_is_cut() {
    let Some(place) = Place::shared("first-list") else {
        return;
    };
    for fault in [
        Fault::Cut(1500),
        Fault::Truncate(1500),
        Fault::Answer(503, None),
    ] {
        place.proxy.fail(&[PODS], fault, 2);
        let mesh = place.listen_with(&["--zone=internal.com", "--start-patience=1h"]);
        mesh.wait("it is ready", || {
            let is_ready = mesh.is_ready();
            let addresses = mesh.addresses(&place.host);
            assert!(
                addresses.is_empty() || addresses.len() == ALL.len(),
                "a part of what is there: {addresses:?}"
            );
            is_ready
        });
        mesh.has(&place.host, &ALL);
        place.proxy.mend();
    }
}

/// What the watch misses while it is away is made up for.
#[test]
fn what_is_gone_while_the_connection_is() {
    let Some(place) = Place::shared("gone-meanwhile") else {
        return;
    };
    let mesh = place.follow();
    let allowed: [&[&str]; 3] = [&ALL, &[POD_1, VM], &[POD_1, VM, "10.0.0.3"]];
    mesh.throughout(&place.host, &allowed, || {
        place.proxy.close();
        mesh.wait("it is noticed", || errors(&mesh) > 0.0);
        place.cluster.api.delete(&place.pod(2));
        place.cluster.api.create(&place.pod(3));
        place.proxy.mend();
        mesh.wait_for(&place.host, &[POD_1, VM, "10.0.0.3"]);
    });
}
