//! Checks that begin, end and are limited while the server runs.

use std::{fs, process::Command};

use rustix::process::Signal;

use crate::{
    fleet::FullQueue,
    mesh::{Place, get_every_second},
    program::Server,
    vms,
};

const IPS: [&str; 6] = [
    "127.8.4.1",
    "127.8.4.2",
    "127.8.4.3",
    "127.8.4.4",
    "127.8.4.5",
    "127.8.4.6",
];

const PATIENT: &str = "startWithin: 1m";

#[test]
fn without_health_in_the_configuration_nothing_is_probed_and_no_thread_is_there() {
    let (apps, port) = vms::start([IPS[0]]);
    let place = Place::new("");
    place.write_vms(&IPS[..1], &get_every_second(port, ""));
    let mesh = place.serve();
    mesh.assert_answers(&IPS[..1]);
    assert_eq!(mesh.threads_named("probe"), 0);
    let page = mesh.server.get("/metrics").body;
    assert!(!page.contains("meshdns_health_targets"), "{page}");
    // With it, at SIGHUP, all of that is there.
    mesh.place.configure(PATIENT);
    mesh.server.signal(Signal::HUP);
    apps[0].wait_for_probes(1);
    assert_eq!(mesh.threads_named("probe"), 1);
}

#[test]
fn checks_that_are_turned_off_take_nobody_out_any_more() {
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let place = Place::new(PATIENT);
    place.write_vms(&IPS[..2], &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    apps[0].say(500);
    mesh.wait_for(&IPS[1..2]);
    mesh.place.configure("");
    mesh.server.signal(Signal::HUP);
    mesh.wait_for(&IPS[..2]);
    mesh.server
        .wait("the end of the thread", || mesh.threads_named("probe") == 0);
    let probes = apps[0].probes();
    // They are turned on again, and nothing is left of before.
    mesh.place.configure(PATIENT);
    mesh.server.signal(Signal::HUP);
    apps[1].wait_for_probes(2);
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 1);
    assert!(apps[0].probes() > probes);
}

#[test]
fn a_server_that_is_told_to_stop_starts_no_probe_saves_verdicts_and_answers_on() {
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let place = Place::new("startWithin: 1m, stateFile: health.json");
    place.write_vms(&IPS[..2], &get_every_second(port, "failureThreshold: 1"));
    let mut mesh = place.serve();
    apps[0].say(500);
    mesh.wait_for(&IPS[1..2]);
    let _ = fs::remove_file(mesh.place.path("health.json"));
    mesh.server.signal(Signal::TERM);
    mesh.server
        .wait("the end of the thread", || mesh.threads_named("probe") == 0);
    let saved = fs::read(mesh.place.path("health.json")).expect("verdicts are saved");
    meshdns::health::Saved::parse(&saved).expect("a whole file");
    let probes = apps.each_ref().map(vms::App::probes);
    mesh.assert_answers(&IPS[1..2]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_end();
    assert_eq!(apps.each_ref().map(vms::App::probes), probes);
}

#[test]
fn no_more_probes_are_under_way_than_may_be() {
    let (apps, port) = vms::start(IPS);
    apps.iter().for_each(vms::App::hang);
    let place = Place::new("startWithin: 1s, maxInFlight: 2");
    let stanza = format!("{{httpGet: {{port: {port}}}, periodSeconds: 1, timeoutSeconds: 1}}");
    place.write_vms(&IPS, &stanza);
    let mesh = place.serve();
    for app in &apps {
        let probes = app.probes();
        mesh.server.wait("two probes", || {
            assert!(mesh.health_metric("in_flight") <= 2);
            app.probes() >= probes + 2
        });
    }
    mesh.wait_for_metric("late_total", |late| late > 0);
    mesh.assert_answers(&IPS);
}

#[test]
fn probes_that_cannot_leave_this_machine_change_no_verdict_and_are_told_of_once() {
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let place = Place::new(PATIENT);
    place.write_vms(&IPS[..2], &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    apps[0].say(500);
    mesh.wait_for(&IPS[1..2]);
    // An address that this machine does not have.
    mesh.place
        .configure(&format!("{PATIENT}, source: 192.0.2.1"));
    mesh.server.signal(Signal::HUP);
    mesh.wait_for_metric(
        "probes_total{method=\"http\",result=\"nothing\"}",
        |count| count >= 6,
    );
    mesh.assert_answers(&IPS[1..2]);
    mesh.server.wait_for_log(&["probes told nothing"]);
    assert_eq!(mesh.server.log_lines(&["probes told nothing"]), 1);
}

#[test]
fn while_most_canaries_are_silent_nobody_is_taken_out() {
    let (apps, port) = vms::start([IPS[0], IPS[1]]);
    let canary = FullQueue::new("127.8.4.7");
    let place = Place::new(&format!("{PATIENT}, canaries: ['{}']", canary.address));
    place.write_vms(&IPS[..2], &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    mesh.wait_for_metric("frozen", |frozen| frozen == 1);
    apps[0].say(500);
    mesh.wait_for_metric("held_endpoints{why=\"frozen\"}", |held| held == 1);
    mesh.assert_answers(&IPS[..2]);
    // It refuses from now on: our network is well.
    drop(canary);
    mesh.wait_for(&IPS[1..2]);
    assert_eq!(mesh.health_metric("frozen"), 0);
}

#[test]
fn when_most_vms_fail_at_once_nobody_leaves_and_metrics_say_so() {
    let (apps, port) = vms::start(IPS);
    let health = "startWithin: 1m, stateFile: health.json, api: on";
    let place = Place::new(health);
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mut mesh = place.serve();
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 6);
    // Who is to judge others by has passed for a minute, or before a restart.
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_log(&["shutting down"]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_end();
    mesh.server = Server::start(mesh.place.command());
    assert_eq!(mesh.health_metric("frozen"), 0);
    for app in &apps[..5] {
        app.say(500);
    }
    mesh.wait_for_metric("frozen", |frozen| frozen == 1);
    assert!(mesh.health_metric("frozen_timestamp_seconds") > 0);
    // Those that left at first are back.
    mesh.wait_for(&IPS);
    mesh.wait_for_metric("held_endpoints{why=\"frozen\"}", |held| held == 5);
    let page = mesh.server.get("/api/health").body;
    assert!(
        page.contains("kept: 83 % of all checks fail since"),
        "{page}"
    );
    mesh.assert_answers(&IPS);
    for app in &apps {
        app.say(200);
    }
    mesh.wait_for_metric("frozen", |frozen| frozen == 0);
    // Who has not passed by then is out until it does.
    mesh.wait_for(&IPS);
    // One alone is believed.
    apps[0].say(500);
    mesh.wait_for(&IPS[1..]);
}

#[test]
fn a_process_that_is_killed_stopped_and_started_leaves_and_comes_back() {
    // A VM with a real application: another server, whose `/health` is asked.
    let start_app = |port: u16| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        let listen = format!("{}:{port}", IPS[0]);
        command.env_clear().args([
            "serve",
            "zones",
            "--listen",
            "127.0.0.1:0",
            "--http",
            &listen,
        ]);
        Server::start(command)
    };
    let app = start_app(0);
    let port = app.http.port();
    let place = Place::new(PATIENT);
    let stanza = format!(
        "{{httpGet: {{path: /health, port: {port}}}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 2}}"
    );
    place.write_vms(&IPS[..1], &stanza);
    place.write_vm("unchecked", "orders", IPS[1], "none");
    let mesh = place.serve();
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 1);
    mesh.assert_answers(&IPS[..2]);
    app.signal(Signal::STOP);
    mesh.wait_for(&IPS[1..2]);
    app.signal(Signal::CONT);
    mesh.wait_for(&IPS[..2]);
    app.signal(Signal::KILL);
    mesh.wait_for(&IPS[1..2]);
    drop(app);
    let _app = start_app(port);
    mesh.wait_for(&IPS[..2]);
}
