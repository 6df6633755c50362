//! Runs the pages that are walked through: every `console` block, against the real binary, with the real dig.

use std::{fs, path::Path, process::Command};

use crate::{
    program::{Server, console::steps},
    serve,
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Runs a page's commands in `folder`, where `server` serves.
#[track_caller]
fn walk(page: &str, folder: &Path, server: &Server) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let steps = steps(&fs::read_to_string(page).expect("the page is there"));
    assert!(
        steps.len() >= 10,
        "the walk-through is where this test looks for it"
    );
    let binary = Path::new(env!("CARGO_BIN_EXE_meshdns"));
    let path = format!(
        "{}:{}",
        binary.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let shell = || {
        let mut shell = Command::new("bash");
        shell.current_dir(folder).env("PATH", &path);
        shell
    };
    for step in steps {
        let port = format!("-p {}", server.dns.port());
        let command = step
            .command
            .replace("-p 5300", &port)
            .replace("target/release/meshdns", "meshdns");
        step.check(shell, &command);
    }
}

#[test]
fn the_readme_tells_the_truth() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zones = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    copy(&zones, &folder.path().join("zones"));
    let server = serve(folder.path(), &["zones"]);
    walk("README.md", folder.path(), &server);
}

#[test]
fn the_migration_goes_as_its_page_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("mesh")).expect("a new folder");
    let server = serve(folder.path(), &["mesh", "--zone=internal.com"]);
    walk("docs/migration.md", folder.path(), &server);
}

#[test]
fn vms_are_checked_and_drained_as_their_page_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("mesh")).expect("a new folder");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/health.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let (_, configuration) = page.split_once("<<'END'\n").expect("a configuration");
    let (configuration, _) = configuration.split_once("END\n").expect("its end");
    fs::write(folder.path().join("meshdns.yaml"), configuration).expect("a file");
    let server = serve(folder.path(), &["--config=meshdns.yaml"]);
    walk("docs/health.md", folder.path(), &server);
}

#[test]
fn serials_do_not_go_back_over_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("zones"),
        &folder.path().join("zones"),
    );
    let vms = folder.path().join("zones/ns1/vms.yaml");
    let text = fs::read_to_string(&vms).expect("the file is there");
    let server = serve(folder.path(), &["zones"]);
    // Many changes in a row: were the serial a counter of seconds, it would run ahead of the clock.
    for number in 0..40 {
        let before = server.metric::<u64>("meshdns_generation");
        let address = format!("address: 10.0.0.{number}");
        fs::write(&vms, text.replace("address: 2.2.2.2", &address)).expect("a file can be written");
        server.wait("the change", || {
            server.metric::<u64>("meshdns_generation") > before
        });
    }
    let before = server.metric::<u64>("meshdns_zone_serial");
    drop(server);
    let after = serve(folder.path(), &["zones"]).metric::<u64>("meshdns_zone_serial");
    assert!(after > before, "{after} is not after {before}");
}
