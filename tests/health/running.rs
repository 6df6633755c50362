//! While the server runs: VMs that fail and recover, come and go, and are edited.

use std::time::{Duration, SystemTime};

use crate::{
    fleet::closed_port,
    mesh::{HOST, Place, get_every_second, named},
    vms,
};

const IPS: [&str; 3] = ["127.8.2.1", "127.8.2.2", "127.8.2.3"];

#[test]
fn a_vm_that_fails_leaves_and_comes_back_when_it_passes() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 2"));
    let mesh = place.serve();
    mesh.assert_answers(&IPS);
    apps[0].say(500);
    mesh.wait_for(&IPS[1..]);
    apps[0].say(200);
    mesh.wait_for(&IPS);
    assert!(mesh.health_metric("transitions_total{to=\"failing\"}") >= 1);
    mesh.server
        .wait_for_log(&["an endpoint is out", IPS[0], "500"]);
}

#[test]
fn the_last_ones_stay_whatever_they_say() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    for app in &apps {
        app.say(503);
    }
    mesh.wait_for_metric("targets{verdict=\"failing\"}", |count| count == 3);
    mesh.wait_for(&IPS);
    apps[2].say(200);
    mesh.wait_for(&IPS[2..]);
}

#[test]
fn metrics_count_who_answers_only_because_nobody_else_is_there() {
    const OTHER: &str = "others.mesh.example";
    let (apps, port) = vms::start(IPS);
    let stanza = get_every_second(port, "failureThreshold: 1");
    let place = Place::new("startWithin: 1m");
    place.write_service("others", OTHER);
    place.write_vms(&IPS[..2], &stanza);
    // Another host has one of the two addresses, and a third one that is well.
    place.write_vm("again", "others", IPS[0], &stanza);
    place.write_vm("well", "others", IPS[2], &stanza);
    let mesh = place.serve();
    assert_eq!(mesh.health_metric("held_endpoints{why=\"last\"}"), 0);
    apps[0].say(500);
    apps[1].say(500);
    mesh.wait_for_metric("held_endpoints{why=\"last\"}", |held| held == 2);
    mesh.assert_answers(&IPS[..2]);
    mesh.wait_for_host(OTHER, &IPS[2..]);
    apps[1].say(200);
    mesh.wait_for_metric("held_endpoints{why=\"last\"}", |held| held == 0);
    mesh.assert_answers(&IPS[1..2]);
}

#[test]
fn a_new_vm_is_in_after_its_first_pass_and_never_before() {
    let (apps, port) = vms::start(IPS);
    let stanza = get_every_second(port, "");
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS[..1], &stanza);
    let mesh = place.serve();
    mesh.assert_answers(&IPS[..1]);
    apps[1].say(500);
    mesh.place.write_vms(&IPS[1..2], &stanza);
    apps[1].wait_for_probes(2);
    mesh.assert_answers(&IPS[..1]);
    apps[1].say(200);
    mesh.wait_for(&IPS[..2]);
}

#[test]
fn a_new_vm_that_is_dead_is_not_answered_even_as_the_only_one() {
    let port = closed_port(IPS[0]).port();
    let place = Place::new("startWithin: 1m, api: on");
    let mesh = place.serve();
    mesh.place
        .write_vms(&IPS[..1], &get_every_second(port, "failureThreshold: 1"));
    mesh.wait_for_metric("probe_failures_total{reason=\"refused\"}", |count| {
        count > 2
    });
    assert!(mesh.has_no_data());
    assert!(mesh.server.is_ready());
    mesh.assert_tells("check never passed for anyone");
}

#[test]
fn a_check_with_a_wrong_port_takes_nobody_out_that_was_in() {
    const WITH_POD: [&str; 3] = ["10.0.0.1", IPS[0], IPS[1]];
    let (_apps, port) = vms::start([IPS[0], IPS[1]]);
    let place = Place::new("startWithin: 1m, api: on");
    place.write_pod(WITH_POD[0]);
    place.write_vms(&IPS[..2], &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    let wrong = closed_port(IPS[0]).port();
    let stanza = get_every_second(wrong, "failureThreshold: 1");
    mesh.place.write_vms(&IPS[..2], &stanza);
    mesh.wait_for_metric("probe_failures_total{reason=\"refused\"}", |count| {
        count > 6
    });
    mesh.assert_answers(&WITH_POD);
    assert_eq!(mesh.health_metric("checks_unproven"), 1);
    mesh.assert_tells("check never passed for anyone");
}

#[test]
fn a_stanza_is_edited_without_a_gap_in_the_answer() {
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS[..2], &get_every_second(port, ""));
    let mesh = place.serve();
    for threshold in 4..8 {
        let stanza = get_every_second(port, &format!("failureThreshold: {threshold}"));
        mesh.place.write_vms(&IPS[..2], &stanza);
        let (before, probes) = (apps[0].probes(), apps[1].probes());
        mesh.server.wait("two probes by the next stanza", || {
            mesh.assert_answers(&IPS[..2]);
            apps[0].probes() >= before + 2 && apps[1].probes() >= probes + 2
        });
    }
}

#[test]
fn an_address_is_edited_and_the_new_one_has_to_pass() {
    let (apps, port) = vms::start([IPS[0], IPS[1], IPS[2]]);
    let stanza = get_every_second(port, "");
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS[..1], &stanza);
    place.write_vm("moving", "orders", IPS[1], &stanza);
    let mesh = place.serve();
    mesh.assert_answers(&IPS[..2]);
    apps[2].say(500);
    mesh.place.write_vm("moving", "orders", IPS[2], &stanza);
    mesh.wait_for(&IPS[..1]);
    apps[2].wait_for_probes(2);
    mesh.assert_answers(&IPS[..1]);
    apps[2].say(200);
    mesh.wait_for(&[IPS[0], IPS[2]]);
}

#[test]
fn a_vm_that_is_deleted_while_it_is_probed_is_never_probed_again() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1s");
    apps[0].hang();
    place.write_vms(&IPS, &get_every_second(port, ""));
    let mesh = place.serve();
    apps[0].wait_for_probes(0);
    mesh.place.remove_vm(&named(IPS[0]));
    mesh.wait_for(&IPS[1..]);
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 2);
    apps[0].say(200);
    let probes = apps[0].probes();
    apps[1].wait_for_probes(3);
    assert_eq!(apps[0].probes(), probes);
    mesh.assert_answers(&IPS[1..]);
}

#[test]
fn a_vm_that_nobody_selects_is_not_probed() {
    let (apps, port) = vms::start(IPS);
    let stanza = get_every_second(port, "");
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS[1..], &stanza);
    place.write_vm("other", "others", IPS[0], &stanza);
    let mesh = place.serve();
    apps[1].wait_for_probes(3);
    assert_eq!(apps[0].probes(), 0);
    apps[0].say(500);
    mesh.place.write_vm("other", "orders", IPS[0], &stanza);
    apps[0].wait_for_probes(2);
    mesh.assert_answers(&IPS[1..]);
    mesh.place.write_vm("other", "others", IPS[0], &stanza);
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 2);
    mesh.wait_for_metric("targets{verdict=\"failing\"}", |count| count == 0);
    let pending = mesh.health_metric("targets{verdict=\"pending\"}");
    assert_eq!(pending, 0);
    let probes = apps[0].probes();
    apps[1].wait_for_probes(3);
    assert!(apps[0].probes() <= probes + 1, "one was under way");
}

#[test]
fn two_hosts_share_the_probes_of_a_vm_and_flip_together() {
    const OTHER: &str = "others.mesh.example";
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let stanza = get_every_second(port, "failureThreshold: 1");
    let place = Place::new("startWithin: 1m");
    place.write_service("others", OTHER);
    place.write_vms(&IPS[..2], &stanza);
    place.write_vm("again", "others", IPS[0], &stanza);
    place.write_vm("more", "others", IPS[1], &stanza);
    let mesh = place.serve();
    assert_eq!(mesh.health_metric("targets{verdict=\"passing\"}"), 2);
    apps[0].say(500);
    for host in [HOST, OTHER] {
        mesh.wait_for_host(host, &IPS[1..2]);
    }
    let other = get_every_second(port, "failureThreshold: 2");
    mesh.place.write_vm("more", "others", IPS[1], &other);
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 2);
    assert_eq!(mesh.health_metric("targets{verdict=\"failing\"}"), 1);
}

#[test]
fn the_delay_of_a_check_counts_from_when_the_object_was_made() {
    let (apps, port) = vms::start(IPS);
    let stanza = get_every_second(port, "initialDelaySeconds: 600");
    // The first two are checked by the configuration, and say nothing of health themselves.
    let rule = format!("{{name: orders, match: {{kinds: [WorkloadEntry]}}, probe: {stanza}}}");
    let place = Place::new(&format!("startWithin: 1s, checks: [{rule}]"));
    let mesh = place.serve();
    let now = SystemTime::now();
    let hour = Duration::from_hours(1);
    for (ip, created) in [(IPS[0], now - hour), (IPS[1], now)] {
        let name = named(ip);
        let created = humantime::format_rfc3339_seconds(created);
        mesh.place.write(
            &format!("zones/vm-{name}.yaml"),
            &format!(
                "apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: {name}
  namespace: shop
  creationTimestamp: '{created}'
  labels: {{app: orders}}
spec: {{address: {ip}}}
"
            ),
        );
    }
    // Endpoints that stand in a ServiceEntry are as old as that.
    let created = humantime::format_rfc3339_seconds(now - hour);
    mesh.place.write(
        "zones/inline.yaml",
        &format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: inline
  namespace: shop
  creationTimestamp: '{created}'
  annotations: {{meshdns.io/probe: '{stanza}'}}
spec:
  hosts: [inline.mesh.example]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: {}}}]
",
            IPS[2]
        ),
    );
    mesh.wait_for(&IPS[..1]);
    mesh.wait_for_host("inline.mesh.example", &IPS[2..]);
    apps[0].wait_for_probes(3);
    assert_eq!(apps[1].probes(), 0);
    mesh.assert_answers(&IPS[..1]);
}

#[test]
fn a_vm_that_comes_and_goes_has_to_pass_twice_as_often_each_time() {
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS[..2], &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    for passes in [1, 1, 2, 4, 8] {
        apps[0].say(500);
        mesh.wait_for(&IPS[1..2]);
        let before = apps[0].probes();
        apps[0].say(200);
        mesh.wait_for(&IPS[..2]);
        // More of them where the machine is busy, and one may have been under way.
        assert!(apps[0].probes() - before + 1 >= passes, "{passes}");
    }
    assert_eq!(mesh.health_metric("transitions_total{to=\"failing\"}"), 5);
}

#[test]
fn a_vm_of_fifty_hosts_is_probed_once_and_costs_no_other_host_anything() {
    let (apps, port) = vms::start(IPS);
    let stanza = get_every_second(port, "failureThreshold: 1");
    let place = Place::new("startWithin: 1m");
    for number in 1..50 {
        let name = format!("host{number}");
        place.write_host(&name, "orders", &format!("{name}.mesh.example"));
    }
    place.write_vms(&IPS[..2], &stanza);
    place.write_service("others", "others.mesh.example");
    place.write_vm("other", "others", IPS[2], &stanza);
    let mesh = place.serve();
    assert_eq!(mesh.health_metric("targets{verdict=\"passing\"}"), 3);
    let recompiled = || mesh.server.metric::<u64>("meshdns_hosts_recompiled_total");
    let before = recompiled();
    apps[0].say(500);
    mesh.wait_for(&IPS[1..2]);
    mesh.server
        .wait("the status", || recompiled() >= before + 50);
    for number in 1..50 {
        let host = format!("host{number}.mesh.example");
        assert_eq!(mesh.addresses_of(&host), mesh.addresses());
    }
    assert_eq!(recompiled(), before + 50);
}
