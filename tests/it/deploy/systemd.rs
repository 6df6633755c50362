//! The unit: `systemd-analyze` finds nothing wrong and little exposed.

use std::{
    fs,
    process::{Command, Output},
};

use super::shipped;
use crate::needs::{self, Need};

/// The highest exposure, in tenths. Networked services of distributions have 30 and more, one without a sandbox has 96.
const MOST_EXPOSED: &str = "--threshold=20";

/// Runs `systemd-analyze`; `None` where this machine has none.
fn systemd_analyze(arguments: &[&str]) -> Option<Output> {
    if !needs::met(&[Need::Program("systemd-analyze --version")]) {
        return None;
    }
    let output = Command::new("systemd-analyze").args(arguments).output();
    Some(output.expect("it has just run"))
}

#[test]
fn the_unit_is_sandboxed() {
    let unit = shipped("systemd/meshdns.service");
    let unit = unit.to_str().expect("text");
    if let Some(ran) = systemd_analyze(&["security", "--offline=true", MOST_EXPOSED, unit]) {
        let table = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{table}");
    }
}

#[test]
fn the_unit_is_well_formed() {
    let text = fs::read_to_string(shipped("systemd/meshdns.service")).expect("the unit");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = folder.path().join("meshdns.service");
    // It has to name a program that is there.
    let here = text.replace("/usr/local/bin/meshdns", env!("CARGO_BIN_EXE_meshdns"));
    fs::write(&unit, here).expect("a new file");
    if let Some(ran) = systemd_analyze(&["verify", "--man=no", unit.to_str().expect("text")]) {
        let complaints = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{complaints}");
        assert!(!complaints.contains("meshdns.service:"), "{complaints}");
    }
}

#[test]
fn the_configuration_is_accepted() {
    let checked = Command::new(env!("CARGO_BIN_EXE_meshdns"))
        .args(["check", "zones", "--config"])
        .arg(shipped("systemd/meshdns.yaml"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs");
    let complaints = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complaints}");
}
