//! Where settings come from.

use std::process::Command;

use crate::harness::{Place, Ran};

/// The TTL that `explain` shows, with settings from up to three places.
fn ttl(file: Option<&str>, variable: Option<&str>, flag: Option<&str>) -> u64 {
    let place = Place::with_svc1();
    let mut command = place.meshdns(&["explain", "svc1.internal.com", "-o", "json"]);
    if let Some(ttl) = file {
        place.write("meshdns.yaml", &format!("ttl: {ttl}\n"));
        command.args(["--config", "meshdns.yaml"]);
    }
    if let Some(ttl) = variable {
        command.env("MESHDNS_TTL", ttl);
    }
    if let Some(ttl) = flag {
        command.args(["--ttl", ttl]);
    }
    let told = Ran::of(command).json();
    told["answer"][0]["ttl"].as_u64().expect("a number")
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file() {
    assert_eq!(ttl(None, None, None), 5);
    assert_eq!(ttl(Some("7s"), None, None), 7);
    assert_eq!(ttl(Some("7s"), Some("8s"), None), 8);
    assert_eq!(ttl(Some("7s"), Some("8s"), Some("9s")), 9);
    assert_eq!(ttl(Some("7s"), None, Some("9s")), 9);
}

#[test]
fn variables_name_the_file_and_the_folders() {
    let place = Place::new();
    std::fs::create_dir(place.path("mesh")).expect("a folder");
    place.write("mesh/svc1.yaml", crate::harness::SVC1);
    place.write("meshdns.yaml", "folders: [mesh]\n");
    let hosts = |mut command: Command, name: &str, value: &str| {
        command.env(name, value);
        let listed = Ran::of(command).json();
        listed.as_array().expect("a list").len()
    };
    let list = || place.meshdns(&["list", "-o", "json"]);
    assert_eq!(hosts(list(), "MESHDNS_CONFIG", "meshdns.yaml"), 1);
    assert_eq!(hosts(list(), "MESHDNS_FOLDERS", "zones:mesh"), 1);
    assert_eq!(hosts(list(), "MESHDNS_ZONE", "a.test,b.test"), 0);
}

#[track_caller]
fn check_file(text: &str, code: i32, parts: &[&str]) {
    let place = Place::with_svc1();
    place.write("meshdns.yaml", text);
    for command in ["serve", "list"] {
        place
            .run(&[command, "--config", "meshdns.yaml"])
            .failed(code, parts);
    }
}

#[test]
fn a_wrong_file_is_told_with_its_place() {
    check_file(
        "listen: [':5300']\nlameduk: 5s\n",
        78,
        &["meshdns.yaml:2:1: ", "`lameduk`", "`lameduck`"],
    );
    check_file(
        "identity:\n  serverID: a\n",
        78,
        &["meshdns.yaml:2:3: ", "`serverID`", "`serverId`"],
    );
    let name_servers: Vec<_> = (0..14).map(|number| format!("ns{number}.test")).collect();
    check_file(
        &format!("nameServers: [{}]\n", name_servers.join(", ")),
        78,
        &["meshdns.yaml:", "more than 13 values"],
    );
    check_file("ttl: 5\n", 78, &["meshdns.yaml:1:6: ", "`5`", "5s"]);
    check_file("- ttl\n", 78, &["meshdns.yaml:1:1: "]);
    check_file("ttl: 5s\nttl: 6s\n", 78, &["meshdns.yaml:", "ttl"]);
}

#[test]
fn a_missing_file_is_65() {
    let place = Place::with_svc1();
    place
        .run(&["serve", "--config", "nosuch.yaml"])
        .failed(65, &["read configuration file nosuch.yaml: No such file"]);
}
