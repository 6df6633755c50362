//! `check`: what it prints and how it ends.

use std::{fs, io::Read, os::unix::fs::PermissionsExt, process::Stdio};

use serde_json::{Value, json};

use crate::harness::{BROKEN, Place, Ran, terminal};

#[test]
fn a_good_folder_is_fine() {
    let place = Place::with_svc1();
    let ran = place.run(&["check", "zones"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, "✔ no problems in 1 file, 4 objects\n");
    assert_eq!(ran.stderr, "");
}

#[test]
fn errors_are_shown_under_their_line() {
    let place = Place::new();
    place.write("zones/broken.yaml", BROKEN);
    let ran = place.run(&["check", "zones"]);
    assert_eq!(ran.code, Some(79), "{ran:?}");
    for part in [
        "error[MDNS",
        " --> zones/broken.yaml:6:15\n",
        "6 |   resolution: STATC\n",
        "  |               ^^^^^\n",
        "= note: in ServiceEntry ns1/broken\n",
        "warning[MDNS",
        " --> zones/broken.yaml:7:3\n",
        "\n1 error, 1 warning in 1 file\n",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn warnings_do_not_fail() {
    let place = Place::with_svc1();
    let twice = BROKEN.replace("STATC", "NONE");
    place.write("zones/warned.yaml", &twice);
    let ran = place.run(&["check", "zones"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("warning["), "{}", ran.stdout);
    assert!(!ran.stdout.contains("error["), "{}", ran.stdout);
}

#[test]
fn json_is_one_array_of_one_shape() {
    let place = Place::new();
    place.write("zones/broken.yaml", BROKEN);
    place.write("zones/list.yaml", "- no\n- object\n");
    let ran = place.run(&["check", "zones", "--output", "json"]);
    assert_eq!(ran.code, Some(79), "{ran:?}");
    assert!(
        ran.stderr
            .starts_with("meshdns: 1 error, 1 warning, 1 note in 2 files, 1 of them no manifests")
    );
    let found: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let found = found.as_array().expect("one array");
    assert_eq!(found.len(), 3);
    for element in found {
        let keys: Vec<&String> = element.as_object().expect("an object").keys().collect();
        let expected = [
            "code", "column", "document", "file", "line", "message", "object", "severity",
        ];
        assert_eq!(keys, expected);
    }
    let first = &found[0];
    assert_eq!(first["severity"], "error");
    assert_eq!(first["file"], "zones/broken.yaml");
    assert_eq!(
        [&first["document"], &first["line"], &first["column"]],
        [1, 6, 15]
    );
    assert_eq!(
        first["object"],
        json!({"kind": "ServiceEntry", "namespace": "ns1", "name": "broken"})
    );
    assert!(
        first["code"]
            .as_str()
            .is_some_and(|code| code.starts_with("MDNS"))
    );
    assert_eq!(found[2]["object"], Value::Null);
    let none = Place::with_svc1().run(&["check", "zones", "--output", "json"]);
    assert_eq!(none.json(), json!([]));
}

#[test]
fn files_that_are_no_manifests_come_last_and_fail_only_if_asked_to() {
    let place = Place::with_svc1();
    place.write("zones/a-values.yaml", "replicas: 2\n");
    place.write(
        "zones/a-template.yaml",
        "{{ if .Values.a }}\n---\nkind: Pod\n{{ end }}\n",
    );
    let ran = place.run(&["check", "zones"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary = "✔ no problems in 3 files, 2 of them no manifests, 4 objects (2 notes)\n";
    assert!(ran.stdout.ends_with(summary), "{}", ran.stdout);
    let ran = place.run(&["check", "zones", "--strict"]);
    assert_eq!(ran.code, Some(79), "{ran:?}");
    place.write("zones/broken.yaml", BROKEN);
    let ran = place.run(&["check", "zones", "--output", "json"]);
    let found: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let found = found.as_array().expect("one array").iter();
    let codes: Vec<_> = found
        .map(|found| found["code"].as_str().expect("a code").to_owned())
        .collect();
    assert_eq!(
        codes[codes.len() - 2..],
        ["MDNS013", "MDNS012"],
        "{codes:?}"
    );
    let place = Place::new();
    place.write("zones/values.yaml", "replicas: 2\n");
    let ran = place.run(&["check", "zones"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("warning[MDNS021]"), "{}", ran.stdout);
    let summary = "1 warning, 1 note in 1 file, none of them a manifest\n";
    assert!(ran.stdout.ends_with(summary), "{}", ran.stdout);
}

#[test]
fn a_workload_entry_that_nobody_selects_is_worth_a_note() {
    let place = Place::with_svc1();
    place.write(
        "zones/alone.yaml",
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: alone, namespace: ns1, labels: {app: nobody}}\nspec: {address: 192.0.2.9}\n",
    );
    let ran = place.run(&["check", "zones"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "info[MDNS609]: no ServiceEntry of namespace ns1 selects it",
        " --> zones/alone.yaml:1:1",
        "= note: in WorkloadEntry ns1/alone",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} in {}", ran.stdout);
    }
}

#[test]
fn a_workload_entry_with_the_labels_of_a_group_is_told_how_to_be_a_member() {
    let place = Place::with_svc1();
    place.write("meshdns.yaml", "health: {workloadGroups: all}\n");
    let group = |name: &str, labels: &str, probe: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {{name: {name}, namespace: ns1}}\nspec: {{metadata: {{labels: {{{labels}}}}}, template: {{labels: {{tier: db}}}}{probe}}}\n---\n"
        )
    };
    let vm = |name: &str, labels: &str, more: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: ns1, labels: {{{labels}}}{more}}}\nspec: {{address: 192.0.2.9}}\n---\n"
        )
    };
    let probe = ", probe: {tcpSocket: {port: 80}}";
    let objects = [
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: all, namespace: ns1}\nspec: {hosts: [all.internal.com], resolution: STATIC, workloadSelector: {labels: {tier: db}}}\n---\n".to_owned(),
        group("orders", "app: orders", probe),
        group("carts", "app: carts", probe),
        group("carts2", "app: carts", probe),
        group("quiet", "app: quiet", ""),
        vm("member", "app: orders, tier: db, more: one", ""),
        vm("one-label", "app: orders", ""),
        vm("of-two", "app: carts, tier: db", ""),
        vm("of-quiet", "app: quiet, tier: db", ""),
        vm("tied", "app: orders, tier: db", ", annotations: {meshdns.io/workload-group: orders}"),
        vm("by-istio", "app: orders, tier: db", ", annotations: {istio.io/autoRegistrationGroup: orders}"),
        vm("never", "app: orders, tier: db", ", annotations: {meshdns.io/probe: none}"),
    ];
    place.write("zones/groups.yaml", &objects.concat());
    let ran = place.run(&["check", "zones", "--config", "meshdns.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("MDNS619").count(), 1, "{}", ran.stdout);
    for part in [
        "info[MDNS619]: it has all labels of WorkloadGroup ns1/orders, ",
        "`meshdns.io/workload-group: orders`",
        "= note: in WorkloadEntry ns1/member",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} in {}", ran.stdout);
    }
    // Where probes of groups are no checks, it makes no difference.
    place.write("meshdns.yaml", "health: {}\n");
    let ran = place.run(&["check", "zones", "--config", "meshdns.yaml"]);
    assert!(!ran.stdout.contains("MDNS619"), "{}", ran.stdout);
}

#[test]
fn annotations_about_checks_are_worth_a_note_where_nothing_is_checked() {
    let place = Place::with_svc1();
    place.write(
        "zones/noted.yaml",
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: noted, namespace: ns1, labels: {app: svc1}, annotations: {meshdns.io/probe: none, meshdns.io/heartbeat: 60s}}\nspec: {address: 192.0.2.9}\n",
    );
    let ignored = "info[MDNS614]: `meshdns.io/probe`, `meshdns.io/heartbeat`: ignored";
    let ran = place.run(&["check", "zones"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(ignored), "{}", ran.stdout);
    place.write("meshdns.yaml", "health: {}\n");
    let ran = place.run(&["check", "zones", "--config", "meshdns.yaml"]);
    assert!(!ran.stdout.contains("MDNS614"), "{}", ran.stdout);
}

#[test]
fn github_gets_annotations() {
    let place = Place::new();
    place.write("zones/broken.yaml", BROKEN);
    let ran = place.run(&["check", "zones", "-o", "github"]);
    assert_eq!(ran.code, Some(79));
    let mut lines = ran.stdout.lines();
    let first = lines.next().expect("a line");
    assert!(
        first.starts_with("::error file=zones/broken.yaml,line=6,col=15,title=MDNS"),
        "{first}"
    );
    let second = lines.next().expect("another");
    assert!(second.starts_with("::warning file=zones/broken.yaml,line=7,col=3,"));
}

#[test]
fn files_are_named_as_typed() {
    let place = Place::new();
    place.write("zones/broken.yaml", BROKEN);
    let file_of = |path: &str| {
        let ran = place.run(&["check", path, "--output", "json"]);
        let found: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        found[0]["file"].as_str().expect("a file").to_owned()
    };
    assert_eq!(file_of("zones/broken.yaml"), "zones/broken.yaml");
    assert_eq!(file_of("zones/"), "zones/broken.yaml");
    let absolute = place.path("zones");
    let absolute = absolute.to_str().expect("text");
    assert_eq!(file_of(absolute), format!("{absolute}/broken.yaml"));
}

#[test]
fn a_path_that_cannot_be_read_is_65() {
    let place = Place::with_svc1();
    place
        .run(&["check", "zones", "nosuch"])
        .failed(65, &["nosuch", "No such file or directory"]);
    // The default address may be another server's.
    for command in [
        &["serve", "--listen=127.0.0.1:0", "--http=off"][..],
        &["list"],
    ] {
        let arguments = [command, &["nosuch", "--config", "/dev/null"]].concat();
        place.run(&arguments).failed(65, &["nosuch"]);
    }
    place
        .run(&["explain", "a.test", "nosuch"])
        .failed(65, &["nosuch"]);
    // Without a folder, the default one is named.
    let empty = Place::new();
    fs::remove_dir(empty.path("zones")).expect("it is empty");
    empty.run(&["list"]).failed(65, &["zones"]);
}

#[test]
fn a_file_that_cannot_be_read_is_65_and_hides_nothing() {
    let place = Place::new();
    place.write("zones/broken.yaml", BROKEN);
    place.write("zones/closed.yaml", "");
    let nobody = fs::Permissions::from_mode(0o000);
    fs::set_permissions(place.path("zones/closed.yaml"), nobody).expect("it is ours");
    let ran = place.run_as_nobody(&["check", "zones"]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.stdout.contains("broken.yaml:6:15"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("--> zones/closed.yaml\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn check_reads_the_configuration_too() {
    let place = Place::with_svc1();
    place.write("meshdns.yaml", "ttl: 5s\nzoness: [a.test]\n");
    place
        .run(&["check", "zones", "--config", "meshdns.yaml"])
        .failed(
            78,
            &["meshdns.yaml:2:1: ", "`zoness`", "did you mean `zones`?"],
        );
}

/// Runs `check` with a terminal as its stdout, and returns what it prints there.
fn on_a_terminal(place: &Place, no_color: Option<&str>) -> String {
    let (mut controller, terminal) = terminal();
    let mut command = place.meshdns(&["check", "zones"]);
    command.stdout(terminal);
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let mut child = command.spawn().expect("the binary starts");
    drop(command);
    // Reading fails when the last one who could write is gone.
    let mut printed = Vec::new();
    let _ = controller.read_to_end(&mut printed);
    child.wait().expect("a child");
    String::from_utf8(printed).expect("text")
}

#[test]
fn colours_are_for_terminals_whose_user_wants_them() {
    let place = Place::new();
    place.write("zones/broken.yaml", BROKEN);
    let plain = |text: &str| !text.contains('\u{1b}') && text.contains("error[MDNS");
    assert!(on_a_terminal(&place, None).contains("\u{1b}["));
    assert!(on_a_terminal(&place, Some("")).contains("\u{1b}["));
    assert!(plain(&on_a_terminal(&place, Some("1"))));
    assert!(plain(&place.run(&["check", "zones"]).stdout));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    for number in 0..2000 {
        place.write(&format!("zones/{number}.yaml"), BROKEN);
    }
    let mut child = place
        .meshdns(&["check", "zones", "-o", "github"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let mut talk = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut talk).expect("text");
    child.wait().expect("a child");
    assert!(!talk.contains("Broken pipe"), "{talk}");
}

#[test]
fn a_folder_without_rights_is_65() {
    let place = Place::with_svc1();
    fs::set_permissions(place.path("zones"), fs::Permissions::from_mode(0o000))
        .expect("it is ours");
    let ran = place.run_as_nobody(&["check", "zones"]);
    ran.failed(65, &["zones", "Permission denied"]);
    fs::set_permissions(place.path("zones"), fs::Permissions::from_mode(0o755))
        .expect("it is ours");
}

impl Place {
    /// Runs a copy of the binary that everyone can execute, without root's rights.
    pub fn run_as_nobody(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.meshdns_as_nobody(arguments))
    }
}
