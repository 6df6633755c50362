//! The two ways to list: as a stream where etcd is new enough for it, in pages where it is not.

use crate::{
    place::{ALL, POD_1, Place, VM},
    rig::{cluster::Cluster, proxy::Proxy},
};

/// What the path of a list has that is asked for as a stream, and what that of a page has.
const STREAM: &str = "sendInitialEvents";
const PAGE: &str = "limit=";

const KINDS: [&str; 4] = [
    "/serviceentries",
    "/workloadentries",
    "/workloadgroups",
    "/pods",
];

/// How often each kind was listed in one way.
fn asked(proxy: &Proxy, way: &str) -> [usize; 4] {
    KINDS.map(|kind| proxy.requests(&[kind, way]).len())
}

/// The newer etcd: one stream a kind, and another one where the server has forgotten what happened meanwhile.
#[test]
fn a_list_comes_as_a_stream() {
    let Some(cluster) = Cluster::own_with_streams() else {
        return;
    };
    cluster.define_all();
    let place = Place::within(&cluster, "streams");
    let mesh = place.follow();
    mesh.has(&place.host, &ALL);
    assert_eq!(asked(&place.proxy, STREAM), [1; 4]);
    place.follows(&mesh);
    let after: [&str; 3] = [POD_1, VM, "10.0.0.3"];
    mesh.throughout(&place.host, &[&ALL, &after], || {
        place.proxy.close();
        cluster.api.delete(&place.pod(2));
        cluster.api.create(&place.pod(3));
        cluster.compact();
        cluster.stop_server();
        cluster.start_server();
        place.proxy.mend();
        mesh.wait_for_late(&place.host, &after);
    });
    assert!(asked(&place.proxy, STREAM)[3] >= 2, "Pods are listed again");
    assert_eq!(asked(&place.proxy, PAGE), [0; 4]);
}

/// Debian's etcd: the server begins a stream and says in it that it has none.
#[test]
fn a_list_comes_in_pages_where_there_are_no_streams() {
    let Some(place) = Place::shared("no-streams") else {
        return;
    };
    let mesh = place.follow();
    mesh.has(&place.host, &ALL);
    assert_eq!(asked(&place.proxy, PAGE), [1; 4]);
    assert_eq!(asked(&place.proxy, STREAM), [1; 4]);
    place.follows(&mesh);
}
