//! What is shown of checks: by `/api/health`, and by `meshdns health`.

use std::process::Output;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    mesh::{HOST, Mesh, Place, get_every_second, named},
    vms,
};

const IPS: [&str; 3] = ["127.8.6.1", "127.8.6.2", "127.8.6.3"];

/// Runs `meshdns health` in the folder of `place`.
fn health(place: &Place, arguments: &[&str]) -> Output {
    run(place, &[&["health"], arguments].concat())
}

/// Runs a command of `meshdns` there, with the configuration.
fn run(place: &Place, arguments: &[&str]) -> Output {
    let (command, arguments) = arguments.split_first().expect("a command");
    let mut command = place.command_of(command);
    command.args(arguments).args(["--config", "meshdns.yaml"]);
    command.output().expect("the binary runs")
}

/// The lines that `meshdns health` prints about the VM at `ip`.
fn line(output: &Output, ip: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.contains(&named(ip)));
    let line =
        line.unwrap_or_else(|| panic!("{ip} in {text}{}", String::from_utf8_lossy(&output.stderr)));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn url(mesh: &Mesh) -> String {
    format!("http://{}", mesh.server.http)
}

#[test]
fn the_page_is_there_where_the_configuration_wants_it_and_nowhere_else() {
    let (_apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS, &get_every_second(port, ""));
    let mesh = place.serve();
    assert_eq!(mesh.server.get("/api/health").status, 404);
    let refused = health(&mesh.place, &["--server", &url(&mesh)]);
    assert_eq!(refused.status.code(), Some(65));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("set `health.api: on`"), "{told}");
    mesh.place.configure("startWithin: 1m, api: on");
    mesh.server.signal(Signal::HUP);
    mesh.server
        .wait("the page", || mesh.server.get("/api/health").status == 200);
    let page: Value = serde_json::from_str(&mesh.server.get("/api/health").body).expect("JSON");
    assert_eq!(page["isSettled"], true);
    assert_eq!(page["targets"].as_array().map(Vec::len), Some(3));
    assert_eq!(page["targets"][0]["address"], IPS[0]);
    assert_eq!(page["targets"][0]["verdict"], "passing");
    assert_eq!(page["targets"][0]["outcome"], "in");
    assert_eq!(page["targets"][0]["check"], format!("GET :{port}/healthz"));
}

/// What `/api/health` says of the endpoints of the target at `ip`.
fn endpoints(mesh: &Mesh, ip: &str) -> Value {
    let page = mesh.server.get("/api/health");
    let page: Value = serde_json::from_str(&page.body).expect("JSON");
    let targets = page["targets"].as_array().expect("a list");
    let target = targets.iter().find(|target| target["address"] == ip);
    target.expect("it is probed")["endpoints"].clone()
}

/// Whether one of `endpoints` is the WorkloadEntry `name` in this state, for a reason that contains `why`.
fn names(endpoints: &Value, name: &str, state: &str, why: &str) -> bool {
    let mut endpoints = endpoints.as_array().into_iter().flatten();
    endpoints.any(|endpoint| {
        let told = endpoint["why"].as_str();
        endpoint["kind"] == "WorkloadEntry"
            && endpoint["namespace"] == "shop"
            && endpoint["name"] == name
            && endpoint["state"] == state
            && told.is_some_and(|told| told.contains(why))
    })
}

#[test]
fn the_page_names_endpoints_and_says_what_persons_and_checks_come_to_for_them() {
    let (apps, port) = vms::start(IPS);
    let stanza = get_every_second(port, "failureThreshold: 1");
    let place = Place::new("startWithin: 1m, api: on, overrides: overrides.yaml");
    place.write_vms(&IPS, &stanza);
    place.write_service("others", "others.mesh.example");
    place.write_vm("again", "others", IPS[2], &stanza);
    let mesh = place.serve();
    // Where the machine is busy, the page comes without them.
    let wait = |ip, name: &str, state: &str, why: &str| {
        mesh.server.wait(&format!("{name} {state}, {why}"), || {
            names(&endpoints(&mesh, ip), name, state, why)
        });
    };
    let [first, second, third] = IPS.map(named);
    wait(IPS[0], &first, "in", "check passes");
    wait(IPS[2], &third, "in", "check passes");
    mesh.server.wait("both of one address", || {
        let both = endpoints(&mesh, IPS[2]);
        let hosts = [&both[0], &both[1]].map(|endpoint| endpoint["hosts"][0].clone());
        both[0]["name"] == "again"
            && hosts == [json!("others.mesh.example."), format!("{HOST}.").into()]
    });
    mesh.place.write(
        "overrides.yaml",
        "- {match: WorkloadEntry shop/vm-127-8-6-1, state: drain, reason: CHG-1}\n",
    );
    wait(IPS[0], &first, "out", "(CHG-1)");
    apps[1].say(500);
    wait(IPS[1], &second, "out", "check fails");
    apps[2].say(500);
    wait(IPS[1], &second, "kept", "kept: all endpoints fail theirs");
    let mut listed = mesh.place.command_of("health");
    let listed = listed.args(["--server", &url(&mesh)]).output();
    let told = line(&listed.expect("the binary runs"), IPS[0]);
    assert!(told.contains(" out drained by "), "{told}");
}

#[test]
fn a_server_is_asked_for_what_it_observed_and_the_host_for_what_follows() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m, api: on");
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mesh = place.serve();
    apps[0].say(500);
    mesh.wait_for(&IPS[1..]);
    let url = url(&mesh);
    let output = health(&mesh.place, &["--server", &url]);
    assert_eq!(output.status.code(), Some(0));
    let first = line(&output, IPS[0]);
    assert!(
        first.contains(&format!(
            "GET :{port}/healthz failing out check fails: GET :{port}/healthz 500, "
        )),
        "{first}"
    );
    assert!(line(&output, IPS[1]).contains("passing in check passes: "));
    let output = health(&mesh.place, &[HOST, "zones", "--server", &url]);
    assert!(line(&output, IPS[0]).contains("failing out check fails: "));
    // `explain` and `list` tell the same of it, and without a server they say that they don't know.
    let explained = run(&mesh.place, &["explain", HOST, "zones", "--server", &url]);
    let first = line(&explained, IPS[0]);
    assert!(
        first.starts_with("out ") && first.contains("check fails: "),
        "{first}"
    );
    assert!(line(&explained, IPS[1]).ends_with("check passes"));
    let listed = run(&mesh.place, &["list", "zones", "--server", &url]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        !listed.contains(IPS[0]) && listed.contains(IPS[1]),
        "{listed}"
    );
    let unasked = run(&mesh.place, &["explain", HOST, "zones"]);
    let told = String::from_utf8_lossy(&unasked.stderr).into_owned();
    assert!(
        told.contains("what checks of 3 endpoints came to is not known here"),
        "{told}"
    );
    for app in &apps {
        app.say(503);
    }
    mesh.wait_for(&IPS);
    let output = health(&mesh.place, &[HOST, "zones", "--server", &url]);
    let first = line(&output, IPS[0]);
    assert!(first.contains("failing kept check fails: "), "{first}");
    assert!(
        first.ends_with("kept: all endpoints fail theirs"),
        "{first}"
    );
}

#[test]
fn checks_are_tried_once_from_here_and_the_exit_code_tells_whether_all_pass() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS, &get_every_second(port, ""));
    let output = health(&place, &["--try"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(line(&output, IPS[2]).contains(&format!(
        "passing - check passes: GET :{port}/healthz 200 in "
    )));
    assert_eq!(apps.each_ref().map(vms::App::probes), [1; 3]);
    apps[2].say(404);
    let output = health(&place, &["--try"]);
    assert_eq!(output.status.code(), Some(79));
    assert!(
        line(&output, IPS[2]).ends_with(&format!("failing - check fails: GET :{port}/healthz 404"))
    );
}

#[test]
fn the_state_file_says_what_was_known_last() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m, stateFile: health.json");
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mut mesh = place.serve();
    apps[1].say(500);
    mesh.wait_for(&[IPS[0], IPS[2]]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_log(&["shutting down"]);
    mesh.server.signal(Signal::TERM);
    mesh.server.wait_for_end();
    let output = health(&mesh.place, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"health.json, 20"));
    assert!(line(&output, IPS[1]).contains("failing out check failed before the restart: "));
    assert!(line(&output, IPS[0]).contains("passing in check passed before the restart"));
}

#[test]
fn without_anybody_to_ask_the_command_says_what_to_do() {
    let place = Place::new("startWithin: 1m");
    let output = health(&place, &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--try"));
    place.configure("");
    let output = health(&place, &[]);
    assert_eq!(output.status.code(), Some(78));
    let output = health(&place, &["--server", "127.0.0.1:1"]);
    assert!(output.status.code() != Some(0));
}
