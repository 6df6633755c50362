//! Settings that lead to a cluster, or to none: the commands say so alike.

use crate::{
    api::Api,
    harness::{Place, kubeconfig, run},
};

/// Checks how each command ends, and what it says, without asking anybody.
#[track_caller]
fn check(arguments: &[&str], code: i32, expected: &str) {
    for command in [
        &["serve"][..],
        &["check"],
        &["list"],
        &["explain", "a.test"],
    ] {
        let mut all = command.to_vec();
        all.extend(arguments);
        let ended = run(&all);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{all:?}: {said}");
        let said = said.lines().last().unwrap_or_default().to_owned();
        assert!(said.contains(expected), "{all:?}: {said}");
    }
}

#[test]
fn a_cluster_has_to_be_somewhere() {
    let place = Place::new();
    check(
        &["--kubernetes"],
        65,
        "meshdns: cluster kubernetes: nothing says where it is: name a file with --kubeconfig (`kubeconfig` in the file) or in KUBECONFIG, or run in a Pod with a service account",
    );
    let missing = format!("--kubeconfig={}", place.join("missing").display());
    check(
        &["--kubernetes", &missing],
        65,
        "/missing: No such file or directory",
    );
    let broken = place.write("broken", "clusters: 7\n");
    let broken = format!("--kubeconfig={}", broken.display());
    check(&["--kubernetes", &broken], 78, "/broken can't be used: ");
    let there = place.write("there", &kubeconfig("http://127.0.0.1:9", ""));
    let there = format!("--kubeconfig={}", there.display());
    check(
        &["--kubernetes", &there, "--context=prod"],
        78,
        "/there has no context `prod`: name one that it has with --context (`context` in the file)",
    );
}

#[test]
fn what_says_which_cluster_needs_that_one_is_asked_for() {
    for flag in ["--kubeconfig=f", "--context=prod", "--namespace=shop"] {
        let ended = run(&["list", flag]);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(64), "{said}");
        assert!(said.contains("--kubernetes"), "{said}");
    }
}

#[test]
fn check_refuses_a_file_that_serve_refuses() {
    let place = Place::new();
    let zones = place.join("zones");
    std::fs::create_dir(&zones).expect("a new folder");
    let file = place.write(
        "meshdns.yaml",
        "kubernetes: [{name: a, kubeconfig: /nonexistent}]\n",
    );
    let config = format!("--config={}", file.display());
    for command in [&["serve"][..], &["check", &zones.display().to_string()]] {
        let mut all = command.to_vec();
        all.push(&config);
        let ended = run(&all);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(65), "{all:?}: {said}");
        assert!(
            said.contains("cluster a: read the kubeconfig /nonexistent"),
            "{said}"
        );
    }
}

#[test]
fn check_of_files_asks_no_cluster() {
    let (place, api) = (Place::new(), Api::start());
    let zones = place.join("zones");
    std::fs::create_dir(&zones).expect("a new folder");
    let kubeconfig = place.kubeconfig(&api);
    let file = place.write(
        "meshdns.yaml",
        &format!("kubernetes: {{kubeconfig: {}}}\n", kubeconfig.display()),
    );
    let config = format!("--config={}", file.display());
    let checked = run(&["check", &zones.display().to_string(), &config]);
    assert!(checked.status.success());
    assert_eq!(api.asked(&[]), 0);
}
