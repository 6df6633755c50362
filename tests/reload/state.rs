//! The last good state on disk: what stands in for what can't be read when a server starts.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    harness::{Folder, Mesh, replace, service},
    program::Server,
};

/// A mesh folder with two services, and a state folder beside it that a server has left behind.
struct Place {
    folder: Folder,
    state: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = Folder::with_one_service();
        fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
        let state = folder.above().join("state");
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
        let place = Self { folder, state };
        let mesh = place.start();
        mesh.has("svc2.internal.com", "10.0.0.2");
        place.stop(mesh);
        place
    }

    /// Starts a server that would wait for what can't be read without end, and waits until it is ready.
    fn start(&self) -> Mesh {
        let flag = format!("--state-dir={}", self.state.display());
        let arguments = ["--zone=internal.com", "--start-patience=1h", &flag];
        Mesh::start_unprivileged_with(self.folder.path(), &arguments)
    }

    /// Stops a server in good order.
    fn stop(&self, mut mesh: Mesh) {
        mesh.signal(Signal::TERM);
        assert!(mesh.wait_for_end().success());
        assert!(self.state.join("last-good.jsonl").exists());
    }
}

fn note(server: &Server) -> String {
    server.get("/ready").body
}

/// Breaks `svc2.yaml` before a start, and mends it afterwards.
#[track_caller]
fn check(break_it: impl Fn(&Path), mend_it: impl Fn(&Path)) {
    let place = Place::new();
    let path = place.folder.join("svc2.yaml");
    break_it(&path);
    let mesh = place.start();
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.has("svc2.internal.com", "10.0.0.2");
    assert_eq!(mesh.answers("svc3.internal.com"), None);
    let body = note(&mesh);
    assert!(
        body.starts_with("OK\n") && body.contains("svc2.yaml"),
        "{body}"
    );
    mesh.wait_for_metric("meshdns_state_in_use", 1.0);
    mesh.wait_for_log(&["WARN", "the last good state", "svc2.yaml"]);
    // Once more: what stands in is kept further.
    place.stop(mesh);
    let mesh = place.start();
    mesh.has("svc2.internal.com", "10.0.0.2");
    mend_it(&path);
    mesh.wait_for("svc2.internal.com", &["10.0.0.3"]);
    mesh.wait_for_metric("meshdns_state_in_use", 0.0);
    mesh.wait("no note", || note(&mesh) == "OK\n");
}

fn mend(path: &Path) {
    replace(path, &service(2, "10.0.0.3"));
}

#[test]
fn it_answers_for_a_web_page() {
    check(
        |path| fs::write(path, "<html><p>502 Bad Gateway</p></html>\n").unwrap(),
        mend,
    );
}

#[test]
fn it_answers_for_nul_bytes() {
    check(|path| fs::write(path, [0; 512]).unwrap(), mend);
}

#[test]
fn it_answers_for_a_file_that_nobody_may_read() {
    let rights = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    check(
        |path| rights(path, 0o000).unwrap(),
        |path| {
            rights(path, 0o644).unwrap();
            fs::write(path, service(2, "10.0.0.3")).unwrap();
        },
    );
}

#[test]
fn it_answers_for_a_folder_that_is_not_there() {
    let place = Place::new();
    let away = place.folder.above().join("away");
    fs::rename(place.folder.path(), &away).unwrap();
    let mesh = place.start();
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.has("svc2.internal.com", "10.0.0.2");
    let body = note(&mesh);
    assert!(
        body.contains("last good state") && body.contains("svc1.yaml"),
        "{body}"
    );
    // What comes back counts, also where it is less.
    fs::remove_file(away.join("svc2.yaml")).unwrap();
    fs::rename(&away, place.folder.path()).unwrap();
    mesh.wait_for_none("svc2.internal.com");
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.wait("no note", || note(&mesh) == "OK\n");
}

#[test]
fn it_does_not_answer_for_what_can_be_read() {
    let place = Place::new();
    replace(&place.folder.join("svc1.yaml"), &service(1, "10.0.0.9"));
    fs::remove_file(place.folder.join("svc2.yaml")).unwrap();
    let mesh = place.start();
    mesh.has("svc1.internal.com", "10.0.0.9");
    assert_eq!(mesh.answers("svc2.internal.com"), None);
    assert_eq!(note(&mesh), "OK\n");
    place.stop(mesh);
    // An empty folder is empty.
    fs::remove_file(place.folder.join("svc1.yaml")).unwrap();
    let mesh = place.start();
    assert_eq!(mesh.answers("svc1.internal.com"), None);
    assert_eq!(note(&mesh), "OK\n");
}

#[test]
fn a_rejected_object_keeps_its_last_good_version_over_a_restart() {
    let place = Place::new();
    replace(&place.folder.join("svc2.yaml"), &service(2, "10.0.0.256"));
    let mesh = place.start();
    mesh.has("svc2.internal.com", "10.0.0.2");
    mesh.wait_for_metric("meshdns_objects_kept", 1.0);
}

#[test]
fn it_is_kept_while_the_server_runs_and_survives_a_kill() {
    let place = Place::new();
    let mesh = place.start();
    replace(&place.folder.join("svc2.yaml"), &service(2, "10.0.0.4"));
    mesh.wait_for("svc2.internal.com", &["10.0.0.4"]);
    let kept = place.state.join("last-good.jsonl");
    mesh.wait("the change on disk", || {
        fs::read_to_string(&kept).is_ok_and(|text| text.contains("10.0.0.4"))
    });
    drop(mesh);
    fs::write(place.folder.join("svc2.yaml"), [0; 512]).unwrap();
    let mesh = place.start();
    mesh.has("svc2.internal.com", "10.0.0.4");
}

#[test]
fn a_broken_state_or_none_keeps_no_server_from_starting() {
    let place = Place::new();
    fs::write(place.state.join("last-good.jsonl"), "nonsense").unwrap();
    let mesh = place.start();
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.wait_for_log(&["WARN", "the last good state", "is broken"]);
    drop(mesh);
    fs::remove_dir_all(&place.state).unwrap();
    fs::write(&place.state, "no folder").unwrap();
    let mesh = place.start();
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.wait_for_log(&["WARN", "keep the last good state"]);
    mesh.holds("svc1.internal.com", "10.0.0.1", Duration::from_millis(100));
}
