//! Which program this is, and what it was told.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::Place;

/// The value of a key and who says so, as `/about` shows them.
#[track_caller]
fn setting(about: &Value, key: &str) -> (String, String) {
    let mut settings = about["settings"].as_array().expect("a list").iter();
    let row = settings.find(|row| row["key"] == key);
    let row = row.unwrap_or_else(|| panic!("{key} in {about:#}"));
    let text = |name: &str| row[name].as_str().expect("a text").to_owned();
    (text("value"), text("source"))
}

#[test]
fn settings_are_those_in_force_after_each_sighup() {
    let place = Place::with_zones();
    place.write("token", "s3cret\n");
    let file = |ttl: &str, workers: u8| {
        let text = format!(
            "ttl: {ttl}\nworkers: {workers}\nui: {{tokenFile: token}}\nanswers: {{maxAddresses: 3}}\n"
        );
        place.write("meshdns.yaml", &text);
    };
    file("8s", 1);
    let server = place.serve(&["--config", "meshdns.yaml"]);
    let about = || {
        let authorization = "Authorization: Bearer s3cret\r\n";
        server.ask("GET", "/api/v1/about", authorization)
    };
    let said = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    let at_first = about().json();
    assert_eq!(setting(&at_first, "ttl"), said("8s", "file"));
    assert_eq!(
        setting(&at_first, "answers.maxAddresses"),
        said("3", "file")
    );
    assert_eq!(setting(&at_first, "negativeTtl"), said("5s", "default"));
    assert_eq!(setting(&at_first, "ui.listen").1, "flag or variable");
    assert_eq!(setting(&at_first, "ui.tokenFile"), said("token", "file"));
    assert!(!about().body.contains("s3cret"));

    // What is in the file is in force when it is told to read it, and some of it when it starts anew.
    file("9s", 2);
    server.signal(Signal::HUP);
    server.wait("the new settings", || {
        setting(&about().json(), "ttl") == said("9s", "file")
    });
    assert_eq!(setting(&about().json(), "workers"), said("1", "file"));

    place.write("meshdns.yaml", "ttl: nonsense\n");
    server.signal(Signal::HUP);
    server.wait_for_log(&["the configuration stays as it was"]);
    assert_eq!(setting(&about().json(), "ttl"), said("9s", "file"));
}
