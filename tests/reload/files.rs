//! Single files: how programs write them, and how they break.

use std::{
    fs::{self, File, FileTimes, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
    time::{Duration, Instant},
};

use crate::harness::{Folder, Mesh, replace, service};

/// Long enough for a look to have happened, had there been a reason.
const MEANWHILE: Duration = Duration::from_millis(300);

/// How long an empty file is waited for.
const EMPTY_PATIENCE: Duration = Duration::from_secs(1);

/// How many objects have an unusable newest version.
const KEPT: &str = "meshdns_objects_kept";

const LAST_RELOAD: &str = "meshdns_reload_last_timestamp_seconds";
const LAST_SUCCESS: &str = "meshdns_reload_last_success_timestamp_seconds";

#[test]
fn a_file_rewritten_in_place_is_served_when_it_is_closed() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let text = service(1, "10.0.0.2");
    let mut file = File::create(folder.join("svc1.yaml")).unwrap();
    file.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
    mesh.holds("svc1.internal.com", "10.0.0.1", MEANWHILE);
    file.write_all(&text.as_bytes()[text.len() / 2..]).unwrap();
    mesh.holds("svc1.internal.com", "10.0.0.1", MEANWHILE);
    drop(file);
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}

#[test]
fn half_a_file_that_would_parse_takes_nothing_away() {
    let folder = Folder::new();
    let both = |address: &str| format!("{}---\n{}", service(1, address), service(2, address));
    fs::write(folder.join("mesh.yaml"), both("10.0.0.1")).unwrap();
    let mesh = Mesh::start(folder.path());
    let mut file = File::create(folder.join("mesh.yaml")).unwrap();
    file.write_all(service(1, "10.0.0.2").as_bytes()).unwrap();
    // Something else changes meanwhile, and is served.
    replace(&folder.join("svc3.yaml"), &service(3, "10.0.0.3"));
    mesh.wait_for("svc3.internal.com", &["10.0.0.3"]);
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.has("svc2.internal.com", "10.0.0.1");
    file.write_all(format!("---\n{}", service(2, "10.0.0.2")).as_bytes())
        .unwrap();
    drop(file);
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
}

#[test]
fn a_file_left_broken_keeps_its_last_good_version_until_it_is_mended() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let path = folder.join("svc1.yaml");
    fs::write(&path, "kind: ServiceEntry\nspec: {hosts: [").unwrap();
    mesh.wait_for_metric(KEPT, 1.0);
    assert!(mesh.metric("meshdns_objects_kept_oldest_timestamp_seconds") > 0.0);
    assert!(mesh.metric("meshdns_reload_failed_total") > 0.0);
    assert!(mesh.metric(LAST_SUCCESS) < mesh.metric(LAST_RELOAD));
    mesh.holds("svc1.internal.com", "10.0.0.1", MEANWHILE);
    let name = path.to_str().unwrap();
    mesh.wait_for_log(&["ERROR", name]);
    fs::write(&path, service(1, "10.0.0.2")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    mesh.wait_for_log(&["INFO", name, "is good again"]);
    mesh.wait_for_metric(KEPT, 0.0);
    assert!((mesh.metric(LAST_SUCCESS) - mesh.metric(LAST_RELOAD)).abs() < f64::EPSILON);
    assert_eq!(
        mesh.log_lines(&["ERROR", name]),
        1,
        "a problem is logged once"
    );
}

#[test]
fn an_invalid_object_keeps_its_last_good_version_beside_valid_ones() {
    let folder = Folder::new();
    let path = folder.join("mesh.yaml");
    fs::write(
        &path,
        format!("{}---\n{}", service(1, "10.0.0.1"), service(2, "10.0.0.1")),
    )
    .unwrap();
    let mesh = Mesh::start(folder.path());
    let broken = service(1, "10.0.0.2").replace("STATIC", "NONSENSE");
    replace(&path, &format!("{broken}---\n{}", service(2, "10.0.0.2")));
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.wait_for_metric(KEPT, 1.0);
    let since = mesh.metric("meshdns_objects_kept_oldest_timestamp_seconds");
    replace(&path, &format!("{broken}---\n{}", service(2, "10.0.0.3")));
    mesh.wait_for("svc2.internal.com", &["10.0.0.3"]);
    // The time of the first failure stays.
    mesh.wait_for_metric("meshdns_objects_kept_oldest_timestamp_seconds", since);
    mesh.wait_for_log(&["WARN", "ServiceEntry ns1/svc1", "since"]);
}

#[test]
fn an_atomic_rename_is_served() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.2"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    fs::rename(folder.join("svc1.yaml"), folder.join("renamed.yaml")).unwrap();
    replace(&folder.join("renamed.yaml"), &service(1, "10.0.0.3"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.3"]);
    mesh.wait_for_metric("meshdns_files", 1.0);
}

#[test]
fn a_file_emptied_for_a_moment_takes_nothing_away() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let since = Instant::now();
    drop(File::create(folder.join("svc1.yaml")).unwrap());
    mesh.holds_meanwhile("svc1.internal.com", "10.0.0.1", since, EMPTY_PATIENCE);
    fs::write(folder.join("svc1.yaml"), service(1, "10.0.0.2")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    drop(File::create(folder.join("svc1.yaml")).unwrap());
    mesh.wait_for_none("svc1.internal.com");
}

#[test]
fn sed_in_place_is_served() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let status = Command::new("sed")
        .args(["-i", "s/10.0.0.1/10.0.0.2/"])
        .arg(folder.join("svc1.yaml"))
        .status()
        .expect("sed runs");
    assert!(status.success());
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}

/// What vim does with `backupcopy=no`: the old file moves aside, the new one is written in its place.
#[test]
fn vim_moving_the_old_file_aside_is_served() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let (path, backup) = (folder.join("svc1.yaml"), folder.join("svc1.yaml~"));
    File::create(folder.join(".svc1.yaml.swp"))
        .unwrap()
        .write_all(b"b0VIM")
        .unwrap();
    File::create(folder.join("4913")).unwrap();
    fs::remove_file(folder.join("4913")).unwrap();
    fs::rename(&path, &backup).unwrap();
    fs::write(&path, service(1, "10.0.0.2")).unwrap();
    fs::remove_file(&backup).unwrap();
    fs::remove_file(folder.join(".svc1.yaml.swp")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    mesh.wait_for_metric("meshdns_files", 1.0);
}

/// What vim does with `backupcopy=yes` (and `kubectl edit`'s editor on a mounted file): truncate and write.
#[test]
fn vim_writing_in_place_is_served() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let path = folder.join("svc1.yaml");
    fs::copy(&path, folder.join("svc1.yaml~")).unwrap();
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    for line in service(1, "10.0.0.2").split_inclusive('\n') {
        file.write_all(line.as_bytes()).unwrap();
    }
    file.sync_all().unwrap();
    drop(file);
    fs::remove_file(folder.join("svc1.yaml~")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}

#[test]
fn a_deleted_file_takes_its_objects_along() {
    let folder = Folder::with_one_service();
    fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    let mesh = Mesh::start(folder.path());
    fs::remove_file(folder.join("svc2.yaml")).unwrap();
    mesh.wait_for_none("svc2.internal.com");
    assert!(mesh.answers("svc1.internal.com").is_some());
    fs::remove_file(folder.join("svc1.yaml")).unwrap();
    mesh.wait_for_none("svc1.internal.com");
    fs::write(folder.join("svc1.yaml"), service(1, "10.0.0.3")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.3"]);
}

#[test]
fn a_file_replaced_with_the_same_size_and_time_is_served() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let path = folder.join("svc1.yaml");
    let before = fs::metadata(&path).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    let beside = folder.join("beside");
    fs::write(&beside, service(1, "10.0.0.2")).unwrap();
    File::options()
        .write(true)
        .open(&beside)
        .unwrap()
        .set_times(times)
        .unwrap();
    fs::rename(&beside, &path).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (after.size(), after.mtime(), after.mtime_nsec()),
        (before.size(), before.mtime(), before.mtime_nsec())
    );
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    // And in place, so that not even the inode is another.
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all(service(1, "10.0.0.3").as_bytes()).unwrap();
    file.set_times(times).unwrap();
    drop(file);
    mesh.wait_for("svc1.internal.com", &["10.0.0.3"]);
    assert_eq!(fs::metadata(&path).unwrap().ino(), after.ino());
}

#[test]
fn a_file_that_is_no_text_keeps_its_last_good_version() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    replace(&folder.join("svc2.yaml"), &service(2, "10.0.0.2"));
    fs::write(folder.join("svc1.yaml"), b"kind: \xff\xfe").unwrap();
    mesh.wait_for_metric(KEPT, 1.0);
    mesh.holds("svc1.internal.com", "10.0.0.1", MEANWHILE);
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.1"));
    mesh.wait_for_metric(KEPT, 0.0);
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_block() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let beside = folder.above().join("pipe");
    let made = Command::new("mkfifo").arg(&beside).status();
    assert!(made.expect("mkfifo runs").success());
    let name = folder.join("svc1.yaml");
    // In one step: on a busy machine the file would be gone for so long that it counts as removed.
    fs::rename(&beside, &name).unwrap();
    mesh.wait_for_log(&["ERROR", name.to_str().unwrap(), "pipe"]);
    mesh.has("svc1.internal.com", "10.0.0.1");
    replace(&folder.join("svc2.yaml"), &service(2, "10.0.0.2"));
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
}

#[test]
fn a_file_without_permission_keeps_its_last_good_version() {
    let folder = Folder::with_one_service();
    let path = folder.join("svc1.yaml");
    let mesh = Mesh::start_unprivileged(folder.path());
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    mesh.wait_for_metric(KEPT, 1.0);
    mesh.wait_for_log(&["ERROR", path.to_str().unwrap(), "can't be read"]);
    mesh.holds("svc1.internal.com", "10.0.0.1", MEANWHILE);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    mesh.wait_for_metric(KEPT, 0.0);
    mesh.wait_for_log(&["INFO", path.to_str().unwrap(), "is good again"]);
    replace(&path, &service(1, "10.0.0.2"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}
