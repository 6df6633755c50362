//! What persons say of endpoints, at a running server: the override file, annotations, and `drain`.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    harness::{Place, SVC1, ask, log_of, serve, text_of, until, wait_for_message},
    program::Server,
};

const CONFIG: &str = "ttl: 1s
health:
  overrides: overrides.yaml
  drainMargin: 1s
  api: on
";

/// A server whose answers live for a second, and at which drained endpoints are safe to stop two seconds later.
fn start() -> (Place, Server) {
    let place = Place::with_svc1();
    place.write("meshdns.yaml", CONFIG);
    let server = serve(&place, &["--config=meshdns.yaml"]);
    (place, server)
}

/// Waits until svc1 answers with these addresses.
#[track_caller]
fn wait_for(server: &Server, addresses: &[&str]) {
    until(&format!("svc1 answers {addresses:?}"), || {
        let reply = ask(server.dns, "svc1.internal.com.")?;
        let found: Vec<String> = reply.addresses.iter().map(ToString::to_string).collect();
        (found == addresses).then_some(())
    });
}

fn drain(place: &Place, server: &Server, arguments: &[&str]) -> crate::harness::Ran {
    let url = format!("http://{}", server.http);
    let common = ["drain", "ns1/vm", "--config=meshdns.yaml", "--server", &url];
    place.run(&[&common[..], arguments].concat())
}

#[test]
fn a_drained_vm_leaves_and_the_command_ends_when_it_is_safe_to_stop() {
    let (place, server) = start();
    wait_for(&server, &["10.0.0.1", "192.0.2.7"]);
    let ran = drain(&place, &server, &["--reason", "CHG-4711", "--wait"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr
            .contains("WorkloadEntry ns1/vm is safe to stop 20"),
        "{ran:?}"
    );
    wait_for(&server, &["10.0.0.1"]);
    let line = wait_for_message(
        &server,
        "WorkloadEntry ns1/vm is drained by overrides.yaml:1 (CHG-4711)",
    );
    assert!(text_of(&line).contains("safe to stop"), "{line}");
    let explained = place.run(&["explain", "svc1.internal.com", "--config=meshdns.yaml"]);
    assert!(
        explained
            .stdout
            .contains("drained by overrides.yaml:1 (CHG-4711)"),
        "{explained:?}"
    );
    let page = server.get("/metrics").body;
    assert!(
        page.contains("meshdns_endpoints{state=\"drained\"} 1\n"),
        "{page}"
    );
    assert!(
        page.contains("meshdns_health_overrides{state=\"drain\"} 1\n"),
        "{page}"
    );
    let ran = drain(&place, &server, &["--undo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    wait_for(&server, &["10.0.0.1", "192.0.2.7"]);
    assert_eq!(
        fs::read_to_string(place.path("overrides.yaml")).expect("the file"),
        ""
    );
}

#[test]
fn a_vm_that_its_annotation_drains_is_waited_for_too() {
    let place = Place::with_svc1();
    place.write(
        "meshdns.yaml",
        &CONFIG.replace("  overrides: overrides.yaml\n", ""),
    );
    let server = serve(&place, &["--config=meshdns.yaml"]);
    wait_for(&server, &["10.0.0.1", "192.0.2.7"]);
    let refused = drain(&place, &server, &[]);
    refused.failed(64, &["override file", "--overrides FILE"]);
    let early = drain(&place, &server, &["--wait", "--timeout", "1s"]);
    early.failed(75, &["WorkloadEntry ns1/vm is not drained", "explain"]);
    let drained = SVC1.replace(
        "{name: vm,",
        "{name: vm, annotations: {meshdns.io/state: drain},",
    );
    place.write("zones/svc1.yaml", &drained);
    let ran = drain(&place, &server, &["--wait"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    wait_for(&server, &["10.0.0.1"]);
}

#[test]
fn a_broken_override_file_changes_nothing_and_one_that_is_gone_clears() {
    let (place, server) = start();
    place.write("overrides.yaml", "- {match: Pod ns1/ready, state: down}\n");
    wait_for(&server, &["192.0.2.7"]);
    place.write(
        "overrides.yaml",
        "- {match: Pod ns1/ready, state: down}\n- {match: 10.0.0.2}\n",
    );
    let line = wait_for_message(&server, "the override file");
    assert!(text_of(&line).contains("entry 2"), "{line}");
    until("the metric says so", || {
        let page = server.get("/metrics").body;
        page.contains("meshdns_health_overrides_failed 1\n")
            .then_some(())
    });
    wait_for(&server, &["192.0.2.7"]);
    place
        .run(&["check", "zones", "--config=meshdns.yaml"])
        .failed(78, &["overrides.yaml", "entry 2", "state"]);
    drain(&place, &server, &[]).failed(65, &["overrides.yaml", "entry 2", "mend"]);
    fs::remove_file(place.path("overrides.yaml")).expect("a file");
    wait_for(&server, &["10.0.0.1", "192.0.2.7"]);
}

#[test]
fn a_word_ends_by_itself_though_nobody_touches_a_file() {
    let (place, server) = start();
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(4);
    let line = format!(
        "- {{match: 192.0.2.7, state: down, until: '{}'}}\n- {{match: 192.0.2.99, state: up}}\n",
        humantime::format_rfc3339_seconds(soon)
    );
    place.write("overrides.yaml", &line);
    wait_for(&server, &["10.0.0.1"]);
    wait_for(&server, &["10.0.0.1", "192.0.2.7"]);
    let is_idle =
        |line: &serde_json::Value| text_of(line).contains("overrides.yaml:2 is about nobody");
    assert!(log_of(&server).iter().any(is_idle));
}

#[test]
fn the_last_endpoint_that_is_drained_is_no_data() {
    let (place, server) = start();
    place.write("overrides.yaml", "- {match: '*', state: drain}\n");
    wait_for(&server, &[]);
    let reply = ask(server.dns, "svc1.internal.com.").expect("an answer");
    assert_eq!(reply.rcode.to_string(), "No Error");
    let warning = wait_for_message(
        &server,
        "svc1.internal.com. answers with no address any more: its last endpoint is drained by overrides.yaml:1",
    );
    assert_eq!(warning["level"], "WARN");
}

#[test]
fn a_ttl_that_falls_makes_nobody_safe_to_stop_earlier() {
    let (place, server) = start();
    let configure = |ttl: &str| {
        place.write("meshdns.yaml", &CONFIG.replacen("1s", ttl, 1));
        server.signal(Signal::HUP);
    };
    let reply_ttl = || ask(server.dns, "svc1.internal.com.")?.ttl;
    configure("500s");
    until("the long TTL", || reply_ttl().filter(|ttl| *ttl == 500));
    place.write(
        "overrides.yaml",
        "- {match: WorkloadEntry ns1/vm, state: drain}\n",
    );
    wait_for(&server, &["10.0.0.1"]);
    let safe = || {
        let page: Value = serde_json::from_str(&server.get("/api/health").body).ok()?;
        let drain = &page["drains"][0];
        let time = |name: &str| humantime::parse_rfc3339(drain[name].as_str()?).ok();
        let (since, safe) = (time("since")?, time("safe")?);
        safe.duration_since(since).ok()
    };
    // The TTL, and the margin of a second.
    let told = until("the drain", safe);
    assert_eq!(told.as_secs(), 501);
    configure("1s");
    until("the short TTL", || reply_ttl().filter(|ttl| *ttl == 1));
    assert_eq!(safe(), Some(told));
}
