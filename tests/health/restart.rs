//! What an earlier process knew.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    mesh::{Place, get_every_second},
    program::Server,
    vms,
};

const IPS: [&str; 2] = ["127.8.3.1", "127.8.3.2"];

const HEALTH: &str = "startWithin: 1s, stateFile: health.json";

#[test]
fn who_failed_before_a_restart_is_out_after_it_and_comes_in_with_one_pass() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new(HEALTH);
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mut mesh = place.serve();
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 2);
    apps[0].say(500);
    mesh.wait_for(&IPS[1..]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_log(&["shutting down"]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_end();
    // Nothing is observed of either.
    apps.iter().for_each(vms::App::hang);
    mesh.server = Server::start(mesh.place.command());
    mesh.assert_answers(&IPS[1..]);
    assert_eq!(mesh.health_metric("targets{verdict=\"failing\"}"), 1);
    apps[0].say(200);
    // What hangs ends with its timeout: another start is sooner.
    mesh.server.signal(Signal::KILL);
    mesh.server.wait_for_end();
    mesh.server = Server::start(mesh.place.command());
    mesh.wait_for(&IPS);
}

#[test]
fn a_file_of_verdicts_that_is_cut_in_half_is_none_and_the_log_says_so_once() {
    let (_apps, port) = vms::start(IPS);
    let place = Place::new(HEALTH);
    place.write_vms(&IPS, &get_every_second(port, ""));
    place.write("health.json", "{\"version\": 1, \"at\": 17");
    let mesh = place.serve();
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 2);
    mesh.assert_answers(&IPS);
    assert_eq!(
        mesh.server.log_lines(&["health.json", "starting without"]),
        1
    );
}

#[test]
fn a_file_of_verdicts_that_cannot_be_written_costs_a_warning() {
    let (_apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m, stateFile: nowhere/health.json");
    place.write_vms(&IPS, &get_every_second(port, ""));
    let mesh = place.serve();
    mesh.server.wait_for_log(&["WARN", "nowhere/health.json"]);
    mesh.assert_answers(&IPS);
    assert_eq!(mesh.health_metric("state_file_timestamp_seconds"), 0);
}

#[test]
fn a_server_that_is_killed_leaves_a_whole_file_or_none() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new(HEALTH);
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mut mesh = place.serve();
    for round in 0..4 {
        apps[0].say(if round % 2 == 0 { 500 } else { 200 });
        apps[0].wait_for_probes(1);
        mesh.server.signal(Signal::KILL);
        mesh.server.wait_for_end();
        if let Ok(bytes) = fs::read(mesh.place.path("health.json")) {
            meshdns::health::Saved::parse(&bytes).expect("a whole file");
        }
        mesh.server = Server::start(mesh.place.command());
    }
    assert_eq!(mesh.server.log_lines(&["starting without"]), 0);
}

#[test]
fn verdicts_of_more_than_ten_minutes_ago_count_for_nothing_and_a_proven_check_does() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new(HEALTH);
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mut mesh = place.serve();
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 2);
    apps[0].say(500);
    mesh.wait_for(&IPS[1..]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_log(&["shutting down"]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_end();
    let saved = fs::read(mesh.place.path("health.json")).expect("verdicts are saved");
    let mut saved: Value = serde_json::from_slice(&saved).expect("JSON");
    let at = saved["at"].as_u64().expect("seconds");
    saved["at"] = (at - 11 * 60).into();
    mesh.place.write("health.json", &saved.to_string());
    // Nothing is observed of either: both are in, as if nobody had ever looked.
    apps.iter().for_each(vms::App::hang);
    mesh.server = Server::start(mesh.place.command());
    mesh.assert_answers(&IPS);
    assert_eq!(mesh.health_metric("targets{verdict=\"pending\"}"), 2);
    // That the check is right is known: who fails it is believed, though it has passed for nobody since.
    mesh.server.signal(Signal::KILL);
    mesh.server.wait_for_end();
    mesh.place.write("health.json", &saved.to_string());
    for app in &apps {
        app.say(500);
    }
    mesh.server = Server::start(mesh.place.command());
    mesh.wait_for_metric("held_endpoints{why=\"last\"}", |held| held == 2);
    assert_eq!(mesh.health_metric("checks_unproven"), 0);
}
