//! The server itself goes away, comes back, and may have forgotten what happened meanwhile.

use std::{env, thread, time::Duration};

use crate::{
    mesh::Mesh,
    place::{ALL, POD_1, POD_2, Place, VM},
    rig::{cluster::Cluster, objects::service},
};

#[test]
fn a_server_that_restarts() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let place = Place::within(&cluster, "restarts");
    let kubeconfig = cluster.admin();
    let mesh = Mesh::follow(&kubeconfig, &[]);
    mesh.throughout(&place.host, &[&ALL, &[POD_2, VM]], || {
        for _ in 0..2 {
            cluster.stop_server();
            mesh.wait_for_log(&["WARN", "prod"]);
            cluster.start_server();
            place.follows(&mesh);
        }
    });
    assert!(mesh.is_ready(), "{}", mesh.get("/ready").body);
}

/// 410: the server can't say any more what changed since. What is gone leaves, what stayed never flickers.
#[test]
fn etcd_is_compacted_meanwhile() {
    const STAYS: &str = "stays.internal.com";
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let place = Place::within(&cluster, "compacted");
    let stays = service("compacted", "stays", STAYS, "10.0.1.1");
    cluster.api.create(&stays);
    let mesh = Mesh::follow(&place.kubeconfig, &[]);
    let relists = || {
        mesh.sum("meshdns_cluster_relists_total", &["Pod"])
            .unwrap_or_default()
    };
    let before = relists();
    mesh.throughout(STAYS, &[&["10.0.1.1"]], || {
        let after: [&str; 3] = [POD_1, VM, "10.0.0.3"];
        // A list says all of it at once: nothing in between is ever true.
        mesh.throughout(&place.host, &[&ALL, &after], || {
            place.proxy.close();
            cluster.api.delete(&place.pod(2));
            cluster.api.create(&place.pod(3));
            cluster.compact();
            cluster.stop_server();
            cluster.start_server();
            place.proxy.mend();
            mesh.wait_for(&place.host, &after);
        });
    });
    mesh.wait("the relist is counted", || relists() > before);
    place.turn(1, false);
    mesh.wait_for(&place.host, &[VM, "10.0.0.3"]);
}

/// `OUTAGE_SECONDS=600` makes it as long as an outage that somebody is called for.
#[test]
fn a_server_that_is_gone_for_long() {
    let seconds = env::var("OUTAGE_SECONDS").map_or(15, |text| text.parse().expect("a number"));
    let Some(place) = Place::shared("gone-for-long") else {
        return;
    };
    let mesh = place.follow();
    mesh.throughout(&place.host, &[&ALL], || {
        place.proxy.close();
        mesh.wait_for_log(&["WARN", "prod"]);
        let asked = place.proxy.requests(&[""]).len();
        thread::sleep(Duration::from_secs(seconds));
        mesh.has(&place.host, &ALL);
        assert!(
            mesh.is_ready(),
            "what it knows is good: {}",
            mesh.get("/ready").body
        );
        mesh.wait_for_metric("meshdns_cluster_synced", &["Pod"], |value| value < 0.5);
        // Nothing gets as far as a request, and the log is not full of it.
        assert_eq!(place.proxy.requests(&[""]).len(), asked);
        let lines = mesh.log_lines(&["WARN"]);
        assert!(lines <= 12, "{lines} warnings:\n{}", mesh.log());
    });
    place.proxy.mend();
    mesh.wait_for_metric("meshdns_cluster_synced", &["Pod"], |value| value > 0.5);
    place.follows(&mesh);
}
