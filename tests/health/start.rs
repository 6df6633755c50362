//! The first round: who is in when the server is ready.

use crate::{
    fleet::closed_port,
    mesh::{Place, get_every_second},
    vms,
};

/// Time for the first round on a machine as busy as it may be.
const PATIENT: &str = "startWithin: 1m";

const IPS: [&str; 3] = ["127.8.1.1", "127.8.1.2", "127.8.1.3"];

#[test]
fn who_refuses_at_the_start_is_out_before_the_server_is_ready() {
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let place = Place::new(PATIENT);
    place.write_vms(&IPS, &get_every_second(port, ""));
    let mesh = place.serve();
    mesh.assert_answers(&IPS[..2]);
    assert!(apps.iter().all(|app| app.probes() > 0));
    assert_eq!(mesh.health_metric("targets{verdict=\"failing\"}"), 1);
}

#[test]
fn who_drops_what_comes_at_the_start_is_out_before_the_server_is_ready() {
    let (_apps, port) = vms::start([IPS[0], IPS[1]]);
    let _dropping = vms::drop_all(IPS[2], port);
    let place = Place::new(PATIENT);
    let stanza = format!("{{tcpSocket: {{port: {port}}}, periodSeconds: 2}}");
    place.write_vms(&IPS, &stanza);
    let mesh = place.serve();
    mesh.wait_for(&IPS[..2]);
}

#[test]
fn where_nobody_passes_at_the_start_all_are_in_and_the_check_is_not_trusted() {
    let port = closed_port(IPS[0]).port();
    let place = Place::new(PATIENT);
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    mesh.assert_answers(&IPS);
    assert_eq!(mesh.health_metric("checks_unproven"), 1);
    mesh.wait_for_metric("probe_failures_total{reason=\"refused\"}", |count| {
        count > 9
    });
    mesh.assert_answers(&IPS);
}

#[test]
fn the_server_is_ready_in_time_even_if_nobody_answers_its_checks() {
    let (apps, port) = vms::start(IPS);
    apps.iter().for_each(vms::App::hang);
    let place = Place::new("startWithin: 1s");
    place.write_vms(&IPS, &get_every_second(port, ""));
    let mesh = place.serve();
    mesh.assert_answers(&IPS);
    assert_eq!(mesh.health_metric("targets{verdict=\"pending\"}"), 3);
}
