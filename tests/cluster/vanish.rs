//! A peer that is gone without a word: no packet comes back, and nobody says that a connection is over.

use std::{
    env,
    net::Ipv4Addr,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    api::Api,
    harness::{Mesh, Place},
    needs::{self, Need},
    objects::{pod, service},
};

/// Where the API server is.
const ADDRESS: &str = "192.0.2.1";

/// Set where the test runs in a machine of its own.
const INSIDE: &str = "MESHDNS_TEST_INSIDE";

/// What is promised is 45 s, of which silence takes 40; the rest is for a machine that is busy.
const LATEST: Duration = Duration::from_mins(1);

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("ip runs").success(), "ip {arguments}");
}

#[test]
fn a_server_that_vanishes_is_noticed_and_followed_again_when_it_is_back() {
    if env::var_os(INSIDE).is_some() {
        return inside();
    }
    if !needs::met(&[Need::MachineOfItsOwn]) {
        return;
    }
    let test = "vanish::a_server_that_vanishes_is_noticed_and_followed_again_when_it_is_back";
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net"])
        .arg(env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status();
    assert!(status.expect("unshare runs").success());
}

fn inside() {
    let host = "svc1.internal.com";
    ip("link set lo up");
    ip("link add eth0 type veth peer name eth1");
    ip("link set eth0 up");
    let (here, gone) = (
        format!("addr add {ADDRESS}/32 dev eth0"),
        format!("addr del {ADDRESS}/32 dev eth0"),
    );
    ip(&here);
    let api = Api::start_at(ADDRESS.parse::<Ipv4Addr>().expect("an address"));
    api.put(&[service("svc1"), pod("a", "svc1", "10.0.0.1", true)]);
    let place = Place::new();
    let mesh = Mesh::start(&place, &api);
    mesh.has(host, &["10.0.0.1"]);
    // There is no way to that address any more, from either side.
    ip(&gone);
    let begin = Instant::now();
    mesh.wait("it is noticed", || {
        mesh.metric::<u64>("meshdns_cluster_synced{cluster=\"kubernetes\",kind=\"Pod\"}") == 0
    });
    assert!(begin.elapsed() < LATEST, "{:?}", begin.elapsed());
    assert!(
        mesh.log_lines(&["nothing came for 40 s"]) > 0,
        "{}",
        mesh.log()
    );
    mesh.has(host, &["10.0.0.1"]);
    api.apply(&pod("a", "svc1", "10.0.0.2", true));
    ip(&here);
    mesh.wait_for(host, &["10.0.0.2"]);
    mesh.wait_for_log(&["followed again", "kind=Pod", "away="]);
}
