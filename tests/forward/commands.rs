//! What `check`, `list` and `explain` say of names that upstreams know.

use std::process::Command;

use tempfile::TempDir;

use crate::{
    harness::{entry, service},
    upstream::{Reply, Upstream},
};

/// A folder with these objects in `zones`.
struct Mesh(TempDir);

impl Mesh {
    fn new(objects: &[String]) -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("zones")).expect("a folder in it");
        let file = folder.path().join("zones/mesh.yaml");
        std::fs::write(file, objects.join("---\n")).expect("a writable folder");
        Self(folder)
    }

    /// Runs a command, which has to succeed, and returns what it prints, each run of blanks as one.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_meshdns"))
            .env_clear()
            .current_dir(self.0.path())
            .args(arguments)
            .output()
            .expect("the binary runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{arguments:?}: {said}");
        let printed = String::from_utf8(output.stdout).expect("text");
        let lines = printed + &said;
        let lines = lines
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let printed = self.run(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&printed).expect("JSON")
    }
}

fn mesh() -> Mesh {
    Mesh::new(&[
        service(
            "db.internal.com",
            &[
                "db.corp.test",
                "none.corp.test",
                "10.0.0.1",
                "web.internal.com",
            ],
        ),
        service("web.internal.com", &["10.0.0.2", "db.internal.com"]),
        entry("api.internal.com", "DNS", "location: MESH_EXTERNAL"),
    ])
}

fn upstream() -> Upstream {
    Upstream::answering(|asked| match asked.name().as_str() {
        "db.corp.test." => Reply::to(asked).only_a(asked, 300, 1),
        "broken.corp.test." => Reply::to(asked).rcode(2),
        _ => Reply::to(asked).rcode(3).soa(300, 300),
    })
}

#[test]
fn explain_shows_names_with_addresses_and_age() {
    let (mesh, upstream) = (mesh(), upstream());
    let told = mesh.run(&["explain", "db.internal.com", "--upstream", &upstream.flag()]);
    for line in [
        "db.internal.com. A: NOERROR, 2 records",
        "in endpoints[0] 192.0.2.1 zones/mesh.yaml:1:1 db.corp.test, resolved 0s ago",
        "out endpoints[1] - zones/mesh.yaml:1:1 none.corp.test has no address, said 0s ago",
        "in endpoints[2] 10.0.0.1 zones/mesh.yaml:1:1",
        "out endpoints[3] - zones/mesh.yaml:1:1 web.internal.com has no address, said 0s ago",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let json = mesh.json(&["explain", "db.internal.com", "--upstream", &upstream.flag()]);
    let endpoint = &json["hosts"][0]["endpoints"][0];
    assert_eq!(endpoint["named"]["name"], "db.corp.test");
    assert_eq!(endpoint["named"]["lookup"], "Resolved");
    assert!(endpoint["named"]["ageSeconds"].as_f64().expect("an age") < 60.0);
    assert_eq!(endpoint["addresses"][0], "192.0.2.1");
    assert_eq!(endpoint["reason"], serde_json::Value::Null);
    let without = &json["hosts"][0]["endpoints"][1];
    assert_eq!(
        (&without["in"], &without["reason"]),
        (&false.into(), &"Resolved".into())
    );
}

#[test]
fn without_an_upstream_names_are_told_to_add_nothing() {
    let mesh = mesh();
    let told = mesh.run(&["explain", "db.internal.com"]);
    let line = "out endpoints[0] - zones/mesh.yaml:1:1 address db.corp.test is a name, which needs an upstream to resolve it";
    assert!(told.lines().any(|told| told == line), "{told}");
    let checked = mesh.run(&["check", "zones"]);
    assert!(checked.contains("MDNS603") && checked.contains("db.corp.test"));
    let leads_back =
        "MDNS607]: endpoint web.internal.com of host db.internal.com. leads back to it";
    assert!(checked.contains(leads_back), "{checked}");
    let checked = mesh.run(&["check", "zones", "--upstream", "192.0.2.53"]);
    assert!(!checked.contains("MDNS603"), "{checked}");
    assert!(!checked.contains("MDNS607"), "{checked}");
}

#[test]
fn check_knows_the_upstreams_of_the_file() {
    let mesh = mesh();
    let file = mesh.0.path().join("meshdns.yaml");
    for (domain, is_known) in [("corp.test", true), ("other.test", false)] {
        let text = format!("forward: {{domains: [{{name: {domain}, upstreams: 192.0.2.53}}]}}\n");
        std::fs::write(&file, text).expect("a writable folder");
        let checked = mesh.run(&["check", "zones", "--config", "meshdns.yaml"]);
        assert_eq!(!checked.contains("MDNS603"), is_known, "{checked}");
    }
}

#[test]
fn list_counts_the_addresses_of_names() {
    let (mesh, upstream) = (mesh(), upstream());
    let listed = mesh.json(&["list", "--upstream", &upstream.flag()]);
    let db = listed.as_array().expect("an array");
    let db = db.iter().find(|row| row["host"] == "db.internal.com");
    let db = db.expect("it is a host");
    assert_eq!((&db["in"], &db["out"]), (&2.into(), &2.into()));
    let addresses = serde_json::json!(["10.0.0.1", "192.0.2.1"]);
    assert_eq!(db["addresses"], addresses);
    let api = listed.as_array().expect("an array").iter();
    let api = api.clone().find(|row| row["host"] == "api.internal.com");
    assert_eq!(api.expect("it is a host")["source"], "forwarded");
}

#[test]
fn explain_tells_who_is_asked_for_other_names() {
    let (mesh, upstream) = (mesh(), upstream());
    let flag = upstream.flag();
    for name in ["www.example.org", "api.internal.com"] {
        let told = mesh.run(&[
            "explain",
            name,
            "--upstream",
            &flag,
            "--zone",
            "internal.com",
        ]);
        assert!(
            told.contains(": forwarded (not a name of this server)"),
            "{told}"
        );
        assert!(told.contains(&format!("asks {flag} (for .)")), "{told}");
        let json = mesh.json(&["explain", name, "--upstream", &flag]);
        assert_eq!(json["outcome"], "forwarded");
        assert_eq!(json["rcode"], serde_json::Value::Null);
        assert_eq!(json["forward"]["upstreams"][0], flag);
    }
    assert_eq!(upstream.count(), 0, "that is told without asking");
}

#[test]
fn explain_tells_that_special_names_are_not_forwarded() {
    let (mesh, upstream) = (mesh(), upstream());
    for (name, rfc) in [
        ("localhost", "RFC 6761"),
        ("_dns.resolver.arpa", "RFC 9462"),
    ] {
        let arguments = ["explain", name, "--upstream", &upstream.flag()];
        let told = mesh.run(&arguments);
        let expected = format!("answered here and never forwarded ({rfc};");
        assert!(told.contains(&expected), "{told}");
        assert!(!told.contains("asks "), "{told}");
        let json = mesh.json(&arguments);
        assert_eq!(json["outcome"], "special");
    }
}

#[test]
fn a_name_that_can_not_be_looked_up_is_told() {
    let upstream = upstream();
    let mesh = Mesh::new(&[service("db.internal.com", &["broken.corp.test"])]);
    let told = mesh.run(&["explain", "db.internal.com", "--upstream", &upstream.flag()]);
    let line =
        "out endpoints[0] - zones/mesh.yaml:1:1 broken.corp.test could not be resolved so far";
    assert!(told.lines().any(|told| told == line), "{told}");
    assert!(
        told.contains("broken.corp.test of an endpoint: the upstreams say SERVFAIL"),
        "{told}"
    );
}
